"""Images opened in child processes, with a limit on the time and the memory of each and one budget over all of them.

    examine         a batch of small images, one round trip
    examine_alone   one image, which may take what it needs: for large ones, and whatever a batch leaves

A child that hangs is killed and replaced, and its image gets a fixed reason. So does an image whose child dies, or
which takes too much memory, once the same happened in a fresh child beside which none decodes a large one: neither what
was decoded before nor what else runs decides. ``decoder`` is what a child runs, and says where memory can be limited.

Children guard against bytes that exhaust the machine, hang or crash a decoder, not against those that take it over: a
child may do what its parent may.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil
from PIL import Image

from winnow.intake import decoder
from winnow.intake.budget import Budget, available_memory
from winnow.intake.decoder import ALONE, BUG, COPIES, FAULT, PIXEL_BYTES, READ, ROOM, Answer
from winnow.pictures.decode import CRASHING, TOO_LONG, TOO_MUCH
from winnow.pipeline.repository import CODE

SECONDS = 20.0  # of processor time an image; more of them where it has more megapixels. JPEG 2000 takes 0.3 s for one


PATIENCE = 6  # times as long an image may take by the clock, as it does on a machine with other work


START = 60.0  # seconds likewise in which a child loads its modules


LOOK = 0.5  # seconds between two looks at a child that has not answered


SHARE = 0.5  # of the memory available at the start, for all images in it at once


LIMITED = sys.platform == "linux"  # whether a child's memory is, so that no image takes more than it may


Fetch = Callable[[int, int], bytes]


class _DiedError(Exception):
    """A child ended by itself, or by the system."""


class _LateError(Exception):
    """A child had to be killed."""


class _ClosedError(Exception):
    """The sandbox was closed, as a run does that ends early."""


class _Child:
    """A decoding process, and this end of the connection to it."""

    def __init__(self, job: str, max_pixels: int) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        arguments = [str(theirs.fileno()), str(os.getpid()), str(max_pixels), job]
        self.process = subprocess.Popen(
            [sys.executable, "-m", decoder.__name__, *arguments],
            cwd=CODE,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C is for the parent, which ends this
        )
        theirs.close()
        self._look, self._ready = psutil.Process(self.process.pid), False
        self.start_clock(START)

    def demand_ready(self) -> None:
        """Wait until it is."""
        if self._ready:
            return
        try:
            self._ready = self.receive() == b""
        except (_DiedError, _LateError):
            if self.process.poll() == -signal.SIGKILL and LIMITED:
                raise MemoryError from None
            raise RuntimeError("a process that opens images did not start; what it wrote stands above") from None

    def start_clock(self, seconds: float) -> None:
        """Allow so many seconds from now on."""
        self._seconds, self._began, self._spent = seconds, time.monotonic(), self._cpu_seconds()

    def send(self, message: bytes) -> None:
        with self._ended():
            self._connection.send_bytes(message)

    def receive(self) -> bytes:
        with self._ended():
            while not self._connection.poll(LOOK):
                self.check_clock()
            return self._connection.recv_bytes()

    def check_clock(self) -> None:
        spent, passed = self._cpu_seconds() - self._spent, time.monotonic() - self._began
        if spent > self._seconds or passed > self._seconds * PATIENCE:
            raise _LateError

    def kill(self) -> None:
        """End the process; another thread that waits for it hears that it died."""
        self.process.kill()
        self.process.wait()

    def _cpu_seconds(self) -> float:
        with contextlib.suppress(psutil.Error):
            times = self._look.cpu_times()
            return float(times.user + times.system)
        return 0.0

    @contextlib.contextmanager
    def _ended(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError):
            raise _DiedError from None


class Sandbox:
    """So many children at most, started as they are needed; for threads, each of which uses one at a time."""

    def __init__(self, job: Callable[[Image.Image, bytes], Any] | None, *, max_pixels: int) -> None:
        """``job``: of an opened image and its file, importable by name, quickly; None where headers alone are read."""
        self._job, self._max_pixels = f"{job.__module__}:{job.__qualname__}" if job else "", max_pixels
        memory = available_memory()
        # Two budgets, so that who holds a file's bytes and waits to decode them waits for none that waits likewise.
        self._bytes, self._pixels = (Budget(max(1, int(SHARE * memory * part))) for part in (0.25, 0.75))
        self._lock, self._closed = threading.Lock(), False
        self._idle, self._children = list[_Child](), set[_Child]()

    def examine(self, images: Sequence[tuple[bytes, int]]) -> list[Answer]:
        """An answer for each image of a batch.

        Args:
            images: first bytes and length of each file.
        """
        with contextlib.suppress(_DiedError), self._child() as child:
            return self._converse(child, images, None)
        return [(ALONE, None)] * len(images)

    def examine_alone(self, first: bytes, size: int, fetch: Fetch) -> Answer:
        """The answer for one image: a result or a fault. The caller holds ``room_for`` its bytes.

        Args:
            first: bytes of the file.
            size: all of its bytes.
            fetch: from a position so many bytes of it.
        """
        image = [(first, size)]
        with contextlib.suppress(_DiedError), self._child() as child:
            answer = self._converse(child, image, fetch)[0]
            if answer != (FAULT, TOO_MUCH):
                return answer
        with self._pixels.hold(self._pixels.total), self._child(fresh=True) as child:
            try:
                return self._converse(child, image, fetch, granted=True)[0]
            except _DiedError:
                if self._closed:
                    raise _ClosedError from None
                killed = child.process.wait() == -signal.SIGKILL  # as the system does where memory runs out
                if killed and LIMITED:  # the image had no more than it was allowed: the machine has too little
                    raise MemoryError from None
                return FAULT, TOO_MUCH if killed else CRASHING

    def room_for(self, size: int) -> contextlib.AbstractContextManager[None]:
        """Held while a file of so many bytes is in memory, here and in a child."""
        return self._bytes.hold(COPIES * size)

    def close(self) -> None:
        """End all children; threads that still use one stop with an error."""
        with self._lock:
            self._closed = True
            for child in self._children:
                child.kill()
            self._children.clear()

    def _converse(
        self, child: _Child, images: Sequence[tuple[bytes, int]], fetch: Fetch | None, *, granted: bool = False
    ) -> list[Answer]:
        """Answers of a child that serves its requests meanwhile; without ``fetch`` it has none."""
        child.start_clock(SECONDS)
        with contextlib.ExitStack() as held:
            try:
                child.send(json.dumps([fetch is not None, [size for _, size in images]]).encode())
                for first, _ in images:
                    child.send(first)
                while True:
                    kind, value = json.loads(child.receive())
                    if kind == READ and fetch:
                        child.check_clock()
                        child.send(fetch(*value))
                    elif kind == ROOM:
                        if not granted:
                            held.enter_context(self._pixels.hold(value * PIXEL_BYTES))
                        child.start_clock(max(SECONDS, value / 1e6))
                        child.send(b"")
                    else:
                        return [_checked(*answer) for answer in value]
            except _LateError:
                child.kill()
                return [(FAULT, TOO_LONG) if fetch else (ALONE, None)] * len(images)

    @contextlib.contextmanager
    def _child(self, *, fresh: bool = False) -> Iterator[_Child]:
        """A child for this thread alone."""
        with self._lock:
            if self._closed:
                raise _ClosedError
            if fresh or not self._idle:
                child = _Child(self._job, self._max_pixels)
                self._children.add(child)
            else:
                child = self._idle.pop()
        reusable = False
        try:
            try:
                child.demand_ready()
            except (RuntimeError, MemoryError):
                if self._closed:
                    raise _ClosedError from None
                raise
            yield child
            reusable = not fresh and child.process.poll() is None
        finally:
            with self._lock:
                if reusable and not self._closed:
                    self._idle.append(child)
                else:
                    child.kill()
                    self._children.discard(child)


def _checked(kind: str, value: Any) -> Answer:
    """An answer that is no error of ours."""
    if kind == BUG:
        raise RuntimeError(f"in a process that opens images:\n{value}")
    return kind, value
