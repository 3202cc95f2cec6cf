"""Damaged and absurd JSON files end in one sentence with the way back."""

import json
from pathlib import Path

import pytest

from winnow.augmentation.policy_file import load_policy
from winnow.backbone.card import read_card
from winnow.evaluation.seed_files import SeedFiles
from winnow.pipeline.files import write_json
from winnow.pipeline.json_files import read_json
from winnow.pipeline.messages import UserError

POLICY = '{"sub_policies": [[%s]], "operations": ["rotate"], "limits": {}, "cut": []}'
STEP = '{"operation": "rotate", "probability": 0.5, "magnitude": %s}'

ABSURD = {
    "cut short": (b'{"a": ', "is not valid JSON"),
    "empty": (b"", "is not valid JSON"),
    "no UTF-8": (b'{"a": "\xff"}', "is not valid JSON"),
    "a huge integer": (b'{"a": %s}' % (b"9" * 5000), "an integer of 5,000 digits"),
    "nested deeply": (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
    "no number": (b'{"a": NaN}', "NaN is no JSON number"),
    "a list": (b"[1]", "must hold a JSON object, got list"),
}


@pytest.mark.parametrize("case", ABSURD)
def test_what_no_stage_writes_is_a_sentence(tmp_path: Path, case: str) -> None:
    content, words = ABSURD[case]
    file = tmp_path / "estimate.json"
    file.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_json(file)
    assert str(caught.value).startswith(str(file))
    assert str(caught.value).endswith("; delete it and run `dvc repro`")
    assert len(str(caught.value)) < 500
    with pytest.raises(UserError, match="is missing; run `dvc repro`"):
        read_json(tmp_path / "none.json")
    with pytest.raises(UserError, match="cannot be read"):
        read_json(tmp_path)


def test_what_a_stage_writes_comes_back(tmp_path: Path) -> None:
    value = {"seed": 2**63 - 1, "share": -0.25, "names": ["ü", None, True]}
    write_json(tmp_path / "m.json", value)
    assert read_json(tmp_path / "m.json") == value


@pytest.mark.parametrize("magnitude", ["9" * 5000, "-" + "9" * 4000, "1e999", "[" * 100_000])
def test_a_policy_with_an_absurd_magnitude_is_a_sentence(tmp_path: Path, magnitude: str) -> None:
    file = tmp_path / "policy.json"
    file.write_text(POLICY % (STEP % "1.0"))
    assert load_policy(file).operations == ("rotate",)
    file.write_text(POLICY % (STEP % magnitude))
    with pytest.raises(UserError, match=r"policy.json.*; run `dvc repro`") as caught:
        load_policy(file)
    assert len(str(caught.value)) < 500


def test_a_card_and_a_seeds_figures_too(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"pixels": ' + "9" * 5000 + "}")
    with pytest.raises(UserError, match=r"an integer of 5,000 digits.*; run `dvc repro`"):
        read_card(tmp_path / "model.json")
    files = SeedFiles(tmp_path, tmp_path, 0)
    files.figures.write_text(json.dumps({"accuracy": 1})[:-1])
    with pytest.raises(UserError, match=r"is not valid JSON .*; delete it and run `dvc repro`"):
        files.read_figures()


@pytest.mark.parametrize("word", ["x" * 1_500, "x " * 750])
def test_the_message_of_a_section_s_own_check_does_not_repeat_a_long_text_of_a_damaged_file(
    tmp_path: Path, word: str
) -> None:
    path = tmp_path / "policy.json"
    step = {"operation": word, "probability": 0.5, "magnitude": 0.5}
    path.write_text(json.dumps({"sub_policies": [[step]], "operations": ["rotate"], "limits": {}, "cut": []}))

    with pytest.raises(UserError) as caught:
        load_policy(path)

    message = str(caught.value)
    assert f"sub_policies[0][0].operation must be one of operations, got '{word[:40]}" in message
    assert len(message) - len(str(path)) < 1_000
