"""The edge of a command that answers a question about the repository."""

import math
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from winnow.pipeline.files import write_bytes
from winnow.pipeline.messages import UserError, failure_of_the_machine

TROUBLE = 2  # as diff(1) and argparse have it; 1 is an answer


def run_command(name: str, answer: Callable[[], tuple[str, int]]) -> NoReturn:
    """Print a command's answer and exit with its code; an error is one sentence and exit code 2.

    Args:
        name: of the command, before a message.
        answer: returns the text for standard output and the exit code.
    """
    code = TROUBLE
    try:
        text, code = answer()
        print(text, flush=True)
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        code = 130
    except Exception:  # a fault of ours must not exit with 1, which is an answer
        traceback.print_exc()
    sys.exit(code)


def interrupt_on(*numbers: signal.Signals) -> None:
    """Let signals end this command as Ctrl-C does, so that it tidies up; not those that are ignored, as under nohup."""

    def interrupted(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupted)


@contextmanager
def ending_in_a_sentence(name: str) -> Iterator[None]:
    """Around a command that carries out long work: what stops it is one sentence and exit code 1.

    Args:
        name: of the command, before the sentence.
    """
    try:
        yield
    except UserError as error:
        sys.exit(f"{name}: {error}")
    except (OSError, MemoryError, RuntimeError) as error:
        if sentence := failure_of_the_machine(error):
            sys.exit(f"{name}: {sentence}")
        raise
    except KeyboardInterrupt:
        sys.exit(f"{name}: interrupted; the same command continues from where this one stopped")


def write_page(path: Path, content: bytes, *, option: str = "--html") -> None:
    """Write a page or a picture for people.

    Args:
        path: of the file.
        content: of it.
        option: that named the file.

    Raises:
        UserError: the place cannot be written to.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        raise UserError(f"{option} {path} cannot be written ({error.strerror}); name another file") from None


def aligned(rows: list[tuple[str, ...]], *, indent: str = "  ") -> list[str]:
    """Lines whose columns are as wide as their widest cell, within reason; a wider cell pushes its own line only."""
    widths = [min(60, max(map(len, column))) for column in zip(*rows, strict=True)]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def support_text(support: float | None) -> str:
    """The support for people, in brackets behind the reason; nothing where there is none."""
    return "" if support is None or math.isnan(support) else f" ({support:.4g})"
