"""How the cost of an action grows with its input, counted where that can be, so that a busy machine changes nothing."""

import gc
import sys
import time
from collections.abc import Callable
from typing import Any


def calls(action: Callable[[], Any]) -> int:
    """How many functions, of Python and of C, the action calls in this thread; each step of a generator is one."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def seconds(action: Callable[[], Any], *, rounds: int = 2) -> float:
    """The least processor time of several rounds, for work within one call that cannot be counted."""
    times = []
    gc.disable()  # which looks at all objects of all tests before
    try:
        for _ in range(rounds):
            start = time.process_time()
            action()
            times.append(time.process_time() - start)
    finally:
        gc.enable()
    return min(times)
