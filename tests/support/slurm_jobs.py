"""Jobs for workers of their own, which import them by name."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.engine.worker import Tick


def add_up(array: npt.NDArray[np.float64], tick: Tick) -> float:
    tick()
    return float(array.sum())


def die_once(marker: Path, value: int, tick: Tick) -> int:
    """Tick twice, and kill this process the first time."""
    tick()
    tick()
    if not marker.exists():
        marker.touch()
        print("the first attempt ends here", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def announce_and_hang(pipe: Path, tick: Tick) -> None:
    tick()
    pipe.write_text(str(os.getpid()))
    signal.pause()


def wait_for(started: Path, go: Path, tick: Tick) -> str:
    """Say in a file of this attempt which node it is on, tick, and end once a file is there."""
    node = os.environ["SLURMD_NODENAME"]
    (started / f"{node}-{os.getpid()}").touch()
    tick()
    while not go.exists():
        time.sleep(0.1)
    tick()
    return node
