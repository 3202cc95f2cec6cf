"""Copies that workers render are those of one process, whatever the parts, and nothing is left behind."""

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.support.augmented import CARD, RANGES
from winnow.augmentation import spread
from winnow.augmentation.rendered import Plan, draw_plan, plan_affine, rendered_copies
from winnow.augmentation.spread import parts_of, spread_copies
from winnow.backbone.resize import content_box
from winnow.dataset.arrays import ArrayStore, write_rows
from winnow.dataset.images import Copy
from winnow.dataset.samples import samples_table

PARENTS = np.repeat(np.arange(5), [1, 4, 2, 1, 3])  # of each copy


def parents() -> pa.Table:
    rows: list[dict[str, object]] = [
        {"id": f"p{number}", "name": f"train/a/{number}.jpg", "split": "train", "label": "a", "given_label": "a"}
        | {"channels": 3, "width": 20 + number, "height": 16, "group": f"p{number}"}
        for number in range(5)
    ]
    return samples_table(rows, ["a"]).take(PARENTS)


@pytest.fixture
def pixels(tmp_path: Path) -> Path:
    squares = np.random.default_rng(0).integers(0, 256, (5, CARD.pixels, CARD.pixels, 3), dtype=np.uint8)
    (tmp_path / "pixels").mkdir()
    write_rows(tmp_path / "pixels", [([f"p{number}" for number in range(5)], squares)])
    return tmp_path / "pixels"


def plan() -> Plan:
    return draw_plan(plan_affine(RANGES), ["a"] * len(PARENTS), torch.Generator().manual_seed(0))


def spread_over(pixels: Path) -> list[Copy]:
    origins = ["affine"] * len(PARENTS)
    return list(spread_copies(origins, plan(), parents(), pixels=pixels, card=CARD))


def one_by_one(pixels: Path) -> list[Copy]:
    boxes = functools.partial(content_box, side=CARD.pixels, how=CARD.resize)
    origins, rows = ["affine"] * len(PARENTS), parents().to_pylist()
    copies = rendered_copies(origins, plan(), rows, ArrayStore(pixels).row, boxes)
    return [(copy.row, (str(copy.row["id"]), copy.content)) for copy in copies]


def test_workers_render_what_one_process_renders(pixels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = one_by_one(pixels)
    assert [row["name"] for row, _ in wanted][:4] == [f"train/a/{name}" for name in names("0", "1", "1", "1")]
    assert spread_over(pixels) == wanted  # few copies are rendered here
    monkeypatch.setattr("winnow.engine.folders.place_for_all", lambda _: tmp_path / "temporary")
    monkeypatch.setattr(spread, "PART", 3)
    assert spread_over(pixels) == wanted
    assert list((tmp_path / "temporary").iterdir()) == []


def names(*parents: str) -> list[str]:
    return [f"{parent}.jpg#affine-{parents[:number].count(parent)}" for number, parent in enumerate(parents)]


def test_parts_end_where_an_images_copies_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "PART", 3)
    assert parts_of(parents()) == [slice(0, 5), slice(5, 8), slice(8, 11)]
    with pytest.raises(ValueError, match="are apart"):
        parts_of(parents().take([0, 1, 0]))
    assert parts_of(parents().slice(0, 0)) == [slice(0, 0)]
