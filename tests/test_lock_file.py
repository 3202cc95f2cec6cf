"""A dvc.lock cut short anywhere is readable again and keeps every stage that was whole."""

import random
import re
from pathlib import Path

import pytest
import yaml

from tests.imports import ROOT
from winnow.lock_file import mend_lock, readable
from winnow.stage import UserError

LOCK = (ROOT / "dvc.lock").read_bytes()
STAGES = yaml.safe_load(LOCK)["stages"]
NAMES = [(match.start(), match[1].decode()) for match in re.finditer(rb"^  (\S+):$", LOCK, re.MULTILINE)]
# Everywhere in the shortest of stages and around every beginning of one, besides a draw of the rest.
SHORTEST = min(range(1, len(NAMES) - 1), key=lambda i: NAMES[i + 1][0] - NAMES[i][0])
CUTS = {
    *range(60),
    *range(NAMES[SHORTEST][0], NAMES[SHORTEST + 1][0], 3),
    *(start + shift for start, _ in NAMES for shift in (-1, 0, 1, 2, 9)),
    *random.Random(0).sample(range(len(LOCK)), 40),
}


def test_the_names_are_the_stages() -> None:
    assert [name for _, name in NAMES] == list(STAGES)


@pytest.mark.slow
def test_every_cut_keeps_what_was_whole(tmp_path: Path) -> None:
    file = tmp_path / "dvc.lock"
    for cut in sorted(CUTS):
        file.write_bytes(LOCK[:cut])
        was_readable = readable(LOCK[:cut].decode())
        assert mend_lock(file) != was_readable
        ends = [*(start for start, _ in NAMES[1:]), len(LOCK)]
        whole = [name for (_, name), end in zip(NAMES, ends, strict=True) if end <= cut]
        if not file.exists():
            assert not whole
            continue
        assert readable(file.read_text())
        kept = yaml.safe_load(file.read_text()).get("stages", {})
        assert {name: kept[name] for name in whole} == {name: STAGES[name] for name in whole}
        assert len(kept) <= len(whole) + was_readable


@pytest.mark.parametrize("there", [True, False])
def test_a_sound_lock_and_none_are_left_alone(there: bool, tmp_path: Path) -> None:
    file = tmp_path / "dvc.lock"
    if there:
        file.write_bytes(LOCK)
    assert not mend_lock(file)
    assert file.exists() == there
    assert not there or file.read_bytes() == LOCK


def test_a_lock_spoilt_in_its_middle_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "dvc.lock"
    spoilt = LOCK.replace(b"hash: md5", b"hash:", 1)
    file.write_bytes(spoilt)
    with pytest.raises(UserError, match=r"not only at its end; `git checkout dvc\.lock`"):
        mend_lock(file)
    assert file.read_bytes() == spoilt
