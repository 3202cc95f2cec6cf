"""Jobs for the workers of an engine, which import them by name."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from winnow.engine.worker import Tick
from winnow.representation.heads import train_head_state
from winnow.training.head import HeadProfile

HEAD = HeadProfile(epochs=6, batch=16, learning_rate=0.1, momentum=0.9, ridge=0.001, most_steps=0)


def die_once(marker: Path, tick: Tick) -> None:
    """Kill this process, after a tick and a last word, where no file is yet that says that it was done."""
    if not marker.exists():
        marker.touch()
        tick()
        time.sleep(1.5)  # until the tick has been seen, which comes by another way than the loss
        print("the last word", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def train_or_die(marker: Path | None, seed: int, tick: Tick) -> dict[str, Tensor]:
    """A head, trained on images that the seed draws; where there is a marker, this process is killed the first time."""
    rng = np.random.default_rng(seed)
    features, labels = rng.normal(size=(120, 16)).astype(np.float32), rng.integers(0, 3, 120)
    if marker is not None:
        die_once(marker, tick)
    return train_head_state(features, labels, rng.random(120) < 0.8, HEAD, 3, seed, tick)


def where(tick: Tick) -> tuple[str, Any]:
    """The folder that a job runs in, and a variable of the coordinator's."""
    return os.getcwd(), os.environ.get("WINNOW_OF_THE_TEST")


def fail(number: int, tick: Tick) -> None:
    """Raise."""
    raise KeyError(f"no {number}")


def announce_and_hang(pipe: Path, tick: Tick) -> None:
    """Write the process id into a pipe, and wait."""
    pipe.write_text(str(os.getpid()))
    signal.pause()
