"""What a stage says when the machine fails it, and that other errors keep their traceback."""

import errno
import os
import sys
from pathlib import Path

import pytest
import torch

from winnow.pipeline.messages import failure_of_the_machine, shown
from winnow.pipeline.stage import run_stage


def disk_error(code: int) -> OSError:
    return OSError(code, os.strerror(code), "a file")


def out_of_memory() -> BaseException:
    """PyTorch's own, which is no MemoryError."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    return caught.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "memory ran out; end other programs, take a machine with more memory, or let fewer workers"),
        (disk_error(errno.ENOMEM), "memory ran out"),
        (out_of_memory(), "memory ran out"),
        (disk_error(errno.ENOSPC), "no room left on a disk ([Errno 28] No space left on device: 'a file'); make room"),
        (disk_error(errno.EIO), "a disk cannot be read or written ([Errno 5] Input/output error: 'a file'); look"),
        (disk_error(errno.EROFS), "a disk cannot be read or written"),
    ],
    ids=str,
)
def test_a_failure_of_the_machine_ends_a_stage_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, words: str
) -> None:
    def main(*, out: Path) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["stages/judge.py", "--out", "x"])
    with pytest.raises(SystemExit) as ended:
        run_stage(main, "", {})
    assert str(ended.value).startswith(f"judge: {words}")
    assert "run the same command again" in str(ended.value)
    assert str(ended.value).isprintable()


@pytest.mark.parametrize("error", [disk_error(errno.ENOENT), RuntimeError("another"), ValueError("a")], ids=str)
def test_an_error_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def main(*, out: Path) -> None:
        raise error

    assert failure_of_the_machine(error) is None
    monkeypatch.setattr(sys, "argv", ["stages/judge.py", "--out", "x"])
    with pytest.raises(type(error)) as raised:
        run_stage(main, "", {})
    assert raised.value is error


def test_shown_is_one_short_line() -> None:
    assert shown("a b") == "'a b'"
    assert "\n" not in shown("a\nb")
    assert len(shown("x" * 5000)) < 130
