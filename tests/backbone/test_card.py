import dataclasses
import json
from pathlib import Path

import pytest

from tests.support.backbones import PLAIN
from winnow.backbone.card import CARD, Card, read_card
from winnow.pipeline.files import write_json
from winnow.pipeline.messages import UserError


def test_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_json(tmp_path / "model.json", PLAIN.to_json())
    assert read_card(tmp_path / "model.json") == PLAIN


def test_every_key_has_its_meaning() -> None:
    assert [key.removesuffix("[]") for key in CARD] == [field.name for field in dataclasses.fields(Card)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixels": 0}, "pixels must be at least 1, got 0"),
        ({"pixels": "224"}, "pixels must be int, got '224'"),
        ({"resize": "crop"}, "resize must be 'letterbox', 'centre' or 'stretch', got 'crop'"),
        ({"std": [0.2, 0.0, 0.2]}, r"std\[1\] must be above 0.0, got 0.0"),
        ({"size": 3}, "size is unknown"),
    ],
)
def test_a_card_that_is_none_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(PLAIN.to_json() | change))
    with pytest.raises(UserError, match=message):
        read_card(path)


def test_missing_and_broken_files_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.json is missing; run `dvc repro`"):
        read_card(tmp_path / "model.json")
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(UserError, match=r"not valid JSON .*; run `dvc repro`"):
        read_card(tmp_path / "model.json")


def test_padding_is_the_mean() -> None:
    assert PLAIN.fill(3) == (124, 116, 104)
    assert PLAIN.fill(1) == (114,)  # 255 * (0.485 + 0.456 + 0.406) / 3 is 114.495
    assert not PLAIN.competition
    assert dataclasses.replace(PLAIN, model="competition").competition
