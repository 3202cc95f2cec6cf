"""Batches of inputs given to a process that may crash, hang or grow, and each fault traced to its input."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.fuzz.checks import SECONDS, Finding
from bench.fuzz.inputs import IMAGES, TOGETHER, kind_of
from winnow.pipeline.files import ROOT

MEMORY = 1_500_000_000  # bytes of an input, above what the process holds before it
LOOK = 0.02  # seconds between two looks at the memory
BATCH_SECONDS = 120.0  # for a whole batch of images; then each is read by itself, within SECONDS
START_SECONDS = 120.0


@dataclass
class Result:
    """What became of some inputs."""

    fates: dict[int, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class _EndedError(Exception):
    """The process ended, or was ended; the words say why."""


class Child:
    """The process, its answers, and a watch over the memory of all below it."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "bench.fuzz.child")) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._ready = selectors.DefaultSelector()
        assert self.process.stdout is not None
        self._ready.register(self.process.stdout, selectors.EVENT_READ)
        self._rest = b""
        self.peak = 0
        self._line(time.monotonic() + START_SECONDS)
        self.before = _held(self.process.pid)

    def ask(self, seed: int, numbers: Sequence[int], seconds: float) -> tuple[dict[str, Any] | None, str, int | None]:
        """The answer; or, where none came, what happened and at which input, if that is known.

        Args:
            seed: of the inputs.
            numbers: of the inputs.
            seconds: for all images together, or for each other input.
        """
        self.before, self.peak, done, at = _held(self.process.pid), 0, threading.Event(), None
        watch = threading.Thread(target=self._watch, args=(done,))
        watch.start()
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps({"seed": seed, "numbers": list(numbers)}).encode() + b"\n")
            self.process.stdin.flush()
            while "fates" not in (message := self._line(time.monotonic() + seconds)):
                at = message.get("at", at)
        except (_EndedError, OSError) as error:
            self.close()
            grown = self.peak - self.before > MEMORY
            return None, f"takes more than {MEMORY // 10**6} MB" if grown else str(error), at
        finally:
            done.set()
            watch.join()
        return message, "", None

    def close(self) -> None:
        """End it with all below it."""
        living = [self.process.pid]
        with contextlib.suppress(psutil.NoSuchProcess):
            living += [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
        for pid in living:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _line(self, until: float) -> dict[str, Any]:
        """The next message.

        Raises:
            _EndedError: none came in time, or the process has ended.
        """
        assert self.process.stdout is not None
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left <= 0 or not self._ready.select(left):
                raise _EndedError("hangs")
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                raise _EndedError(f"ends the process (exit code {self.process.wait()})")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def _watch(self, done: threading.Event) -> None:
        """Kill it when it has grown beyond what an input may take."""
        while not done.wait(LOOK):
            self.peak = max(self.peak, _held(self.process.pid))
            if self.peak - self.before > MEMORY:
                self.process.kill()
                return


def _held(pid: int) -> int:
    """Resident bytes of a process and all below it, shared ones left out."""
    total = 0
    with contextlib.suppress(psutil.Error):
        family = [psutil.Process(pid)]
        for process in [*family, *family[0].children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                memory = process.memory_info()
                total += memory.rss - memory.shared
    return total


class Campaign:
    """Batches one after another, in one child after another."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._child: Child | None = None

    def __enter__(self) -> "Campaign":
        return self

    def __exit__(self, *_: object) -> None:
        if self._child:
            self._child.close()

    def run(self, numbers: Sequence[int]) -> Result:
        """The inputs of one batch; each fault has its input, where one input alone has it."""
        if kind_of(numbers[0] // TOGETHER) == IMAGES:
            return self._images(numbers)
        return self._one_by_one(numbers)

    def _ask(self, numbers: Sequence[int], seconds: float) -> tuple[dict[str, Any] | None, str, int | None]:
        self._child = self._child or Child()
        answer = self._child.ask(self.seed, numbers, seconds)
        if answer[0] is None:
            self._child = None
        return answer

    def _images(self, numbers: Sequence[int]) -> Result:
        answer, words, _ = self._ask(numbers, BATCH_SECONDS if len(numbers) > 1 else SECONDS)
        result = _result(answer) if answer else Result()
        together = [finding for finding in result.findings if finding.number is None]
        if words:
            together.append(Finding(None, words))
        if answer and answer["noise"]:
            together.append(Finding(None, "words on standard error", answer["noise"]))
        if together and len(numbers) > 1:
            half = len(numbers) // 2
            found = [self._images(part) for part in (numbers[:half], numbers[half:])]
            return _joined([*found, *([Result({}, together)] if not any(one.findings for one in found) else [])])
        owner = numbers[0] if len(numbers) == 1 else None
        kept = [finding for finding in result.findings if finding.number is not None]
        return Result(result.fates, kept + [Finding(owner, one.what, one.detail) for one in together])

    def _one_by_one(self, numbers: Sequence[int]) -> Result:
        """After one that ends the process the rest is given to another."""
        answer, words, at = self._ask(numbers, SECONDS)
        if answer:
            noisy = [Finding(None, "words on standard error", answer["noise"])] if answer["noise"] else []
            found = _result(answer)
            return Result(found.fates, found.findings + noisy)
        place = numbers.index(at) if at in numbers else 0
        fault = Result({}, [Finding(numbers[place], words)])
        before, after = numbers[:place], numbers[place + 1 :]
        return _joined([fault, *(self._one_by_one(part) for part in (before, after) if part)])


def _result(answer: dict[str, Any]) -> Result:
    fates = {int(number): fate for number, fate in answer["fates"].items()}
    return Result(fates, [Finding(**finding) for finding in answer["findings"]])


def _joined(results: Sequence[Result]) -> Result:
    fates = {number: fate for result in results for number, fate in result.fates.items()}
    return Result(fates, [finding for result in results for finding in result.findings])


def batches(inputs: int, done: int) -> Iterator[list[int]]:
    """The numbers of each batch that is still to be read."""
    for start in range(done, inputs, TOGETHER):
        yield list(range(start, min(start + TOGETHER, inputs)))
