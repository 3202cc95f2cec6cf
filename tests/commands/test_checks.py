"""Before a run: a dvc.lock cut short anywhere is readable again; what a user's model lacks is said."""

import random
import re
from pathlib import Path

import pytest
import yaml

from tests.support.imports import ROOT
from winnow.commands import checks
from winnow.commands.checks import check_model, readable, repair_lock
from winnow.pipeline.messages import UserError

WHOLE = (ROOT / "dvc.lock").read_bytes()
STARTS = [match.start() for match in re.finditer(rb"^  \S+:$", WHOLE, re.MULTILINE)]
LOCK = WHOLE[: STARTS[5]]  # five stages are as good as all, and read faster
STAGES = yaml.safe_load(LOCK)["stages"]
NAMES = dict(zip(STAGES, STARTS, strict=False))  # by stage, where it starts
# Around every beginning of a stage and of the file, and a draw of the rest.
CUTS = {
    *range(0, 40, 3),
    *(start + shift for start in NAMES.values() for shift in (-1, 0, 1, 2, 9)),
    *random.Random(0).sample(range(len(LOCK)), 60),
}


def test_every_cut_keeps_what_was_whole(tmp_path: Path) -> None:
    file = tmp_path / "dvc.lock"
    for cut in sorted(CUTS):
        file.write_bytes(LOCK[:cut])
        was_readable = readable(LOCK[:cut])
        assert repair_lock(file) != was_readable
        ends = [*list(NAMES.values())[1:], len(LOCK)]
        whole = [name for name, end in zip(NAMES, ends, strict=True) if end <= cut]
        if not file.exists():
            assert not whole
            continue
        assert readable(file.read_bytes())
        kept = yaml.safe_load(file.read_text()).get("stages", {})
        assert {name: kept[name] for name in whole} == {name: STAGES[name] for name in whole}
        assert len(kept) <= len(whole) + was_readable


def test_a_sound_lock_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "dvc.lock"
    file.write_bytes(LOCK)
    assert not repair_lock(file)
    assert file.read_bytes() == LOCK


def test_a_cut_inside_a_letter_is_one(tmp_path: Path) -> None:
    file = tmp_path / "dvc.lock"
    start = max(NAMES.values())
    file.write_bytes(LOCK[:start] + "  refined@é".encode()[:-1])
    assert repair_lock(file)
    assert file.read_bytes() == LOCK[:start]


def test_a_lock_damaged_in_its_middle_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "dvc.lock"
    damaged = LOCK.replace(b"hash: md5", b"hash:", 1)
    file.write_bytes(damaged)
    with pytest.raises(UserError, match=r"not only at its end; `git checkout dvc\.lock`"):
        repair_lock(file)
    assert file.read_bytes() == damaged


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "python:mine:build"}, r"models/user/mine\.py is missing"),
        ({"model": "timm:resnet18", "weights": "gone.pt"}, r"weights .*models/user/gone\.pt is missing"),
        ({"model": "python:there:other"}, "there has no function other"),
    ],
)
def test_what_the_users_own_model_lacks_is_said_before_a_run(
    changes: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "USER", tmp_path / "models" / "user")
    (tmp_path / "models" / "user").mkdir(parents=True)
    (tmp_path / "models" / "user" / "there.py").write_text("def build(): ...")
    file = tmp_path / "params.yaml"
    whole = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump(whole | changes))
    with pytest.raises(UserError, match=message):
        check_model(file)
    file.write_text(yaml.safe_dump(whole | {"model": "python:there:build"}))
    check_model(file)
