"""Remedies that remove something are not widened to the whole output, unless its stage makes all of it again."""

import pytest

from winnow.commands.remedies import SHOWN, Finding, collapsed


def findings(remedy: str) -> list[Finding]:
    return [Finding(f"data/mine/{n}", "data/mine", "data/mine.dvc", "other bytes", remedy) for n in range(SHOWN + 1)]


@pytest.mark.parametrize("remedy", ["rm -rf {path} && dvc checkout {path}", "rm -f {path}"])
def test_what_removes_names_every_file(remedy: str) -> None:
    assert collapsed(findings(remedy)) == findings(remedy)


@pytest.mark.parametrize("remedy", ["dvc checkout {path}", "winnow fsck --repair", "rm -rf {path} && dvc repro 'a'"])
def test_what_removes_nothing_or_is_made_again_is_one_line(remedy: str) -> None:
    (line,) = collapsed(findings(remedy))
    assert (line.path, line.what) == ("data/mine", f"{SHOWN + 1} of its files: other bytes")
