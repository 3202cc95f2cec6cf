"""The life of a process that opens images for ``sandbox``, so that hostile bytes cost this process at most.

    python -m winnow.intake.decoder FD PARENT MAX_PIXELS JOB

FD is its end of a connection, PARENT the process that it ends with, JOB ``module:function`` of an opened image and
its file, or nothing where headers alone are asked for. A request is JSON, whether its image comes alone and the length
of each file, then the first bytes of each. The answer is JSON, an ``Answer`` for each; before it more bytes of an image
may be asked for (``READ``), and leave to decode a large one (``ROOM``). So a job returns a value of JSON.

Before an image is opened, and again before it is decoded, the address space is limited to what the process holds then
plus what such an image needs. Linux alone enforces that: elsewhere (macOS) nothing but the time is limited. Warnings of
the libraries, which libtiff writes from C, go nowhere.
"""

import contextlib
import io
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO, cast

from PIL import AvifImagePlugin, Image

from winnow.pictures.decode import HEAD, TOO_LARGE, TOO_MUCH, UnreadableError, canvas_pixels, check_header, quiet
from winnow.pipeline.lifeline import end_with

Answer = tuple[str, Any]  # what it is, and its value


RESULT, FAULT, ALONE = "result", "fault", "alone"  # the job's result; why there is none; send it by itself


READ, ROOM, BUG = "read", "room", "bug"  # position and length; pixels; a traceback, an error of ours


# Bytes that a pixel takes at most, measured from the header to the facts at 24 megapixels: JPEG 14, PNG 17, AVIF 18,
# TIFF of floats 24, lossless WebP 24, JPEG 2000 with alpha 25.
PIXEL_BYTES = 32


FREE = 64 * 2**20  # bytes that any image may take without leave: 2 megapixels, or a header with what it carries


LIBRARIES = 128 * 2**20  # bytes of address space for what a job loads at its first use; SciPy takes 82 MiB


COPIES = 4  # of a file's bytes: the parent's, the connection's, and PIL's two


BLOCK = 2**16  # bytes of a file that are fetched at a time


MANY = 8  # times; then all of it is, since each jump back in a zip unpacks the file from its start


class _Remote(io.RawIOBase):
    """A file of which the first bytes are here, and others are fetched from the parent."""

    def __init__(self, first: bytes, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._first, self._size, self._fetch, self._at = first, size, fetch, 0
        self._fetches = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        here = self._first[self._at : self._at + len(buffer)]
        found = here or self._rest(len(buffer))  # what is here may be enough
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def readall(self) -> bytes:
        found = self._first[self._at :]
        self._at += len(found)
        rest = self._rest(self._size)
        self._at += len(rest)
        return found + rest

    def _rest(self, most: int) -> bytes:
        """At most so many bytes from here on, where ``first`` has none."""
        count = min(most, self._size - self._at)
        if count <= 0:
            return b""
        self._fetches += 1
        if self._fetches < MANY:
            return self._fetch(self._at, count)
        self._first = self._fetch(0, self._size)
        return self._first[self._at : self._at + count]


class _AloneError(Exception):
    """An image of a batch that needs what only one by itself may have."""


class _Requests:
    """One connection, and what is asked over it while an image is open."""

    def __init__(
        self, connection: Connection, job: Callable[[Image.Image, bytes], Any] | None, max_pixels: int
    ) -> None:
        self._connection, self._job, self._max_pixels = connection, job, max_pixels

    def serve(self) -> None:
        """Answer requests until the connection ends."""
        while True:
            alone, lengths = json.loads(self._connection.recv_bytes())
            # All first, so that the parent never waits in a send, where no clock is looked at.
            firsts = [self._connection.recv_bytes() for _ in lengths]
            self._send(RESULT, [self._answer(*one, alone) for one in zip(firsts, lengths, strict=True)])

    def _answer(self, first: bytes, size: int, alone: bool) -> Answer:
        try:
            return RESULT, self._open(first, size, alone)
        except _AloneError:
            return ALONE, None
        except MemoryError:
            answer = FAULT, TOO_MUCH
        except UnreadableError as error:
            answer = FAULT, str(error)
        except Exception:
            return BUG, traceback.format_exc()
        # How much memory is left here depends on the images before; the verdict on this one must not.
        return (ALONE, None) if answer[1] == TOO_MUCH and not alone else answer

    def _open(self, first: bytes, size: int, alone: bool) -> Any:
        """The job's result on one image."""
        canvas = canvas_pixels(first[:HEAD])
        if canvas > self._max_pixels:
            raise UnreadableError(TOO_LARGE)
        granted = self._room(canvas, alone)
        missed: list[int] = []

        def fetch(begin: int, count: int) -> bytes:
            if not alone:
                missed.append(begin)  # an exception would not survive PIL
                return b""
            self._send(READ, (begin, count))
            return self._connection.recv_bytes()

        file = io.BytesIO(first) if len(first) == size else io.BufferedReader(_Remote(first, size, fetch), BLOCK)
        with _limited(LIBRARIES + FREE + COPIES * (size if alone else len(first)) + granted):
            try:
                image = check_header(cast(BinaryIO, file), max_pixels=self._max_pixels)
            finally:
                if missed:
                    raise _AloneError
        if self._job is None:
            return None
        granted = granted or self._room(image.width * image.height, alone)
        with _limited(LIBRARIES + FREE + COPIES * len(first) + granted):
            return self._job(image, first)

    def _room(self, pixels: int, alone: bool) -> int:
        """Bytes that an image of so many pixels may take, once the parent has them."""
        if pixels * PIXEL_BYTES <= FREE:
            return 0
        if not alone:
            raise _AloneError
        self._send(ROOM, pixels)
        self._connection.recv_bytes()
        return pixels * PIXEL_BYTES

    def _send(self, kind: str, value: Any) -> None:
        self._connection.send_bytes(json.dumps((kind, value)).encode())


@contextlib.contextmanager
def _limited(room: int) -> Iterator[None]:
    """Where the system can: no more than ``room`` bytes of memory beyond what the process holds now."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    except OSError:  # no Linux
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit if before == resource.RLIM_INFINITY else min(limit, before), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def main(arguments: Sequence[str]) -> None:
    """Serve the parent, until it ends."""
    descriptor, parent, max_pixels, job = arguments
    end_with(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each would take address space
    with contextlib.suppress(OSError):  # no Linux; if memory runs out all the same, this process ends first
        Path("/proc/self/oom_score_adj").write_text("1000")
    module, _, name = job.partition(":")
    function = getattr(import_module(module), name) if job else None
    connection = Connection(int(descriptor))
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    connection.send_bytes(b"")  # ready: what went wrong until now has been on the terminal
    with quiet(), contextlib.suppress(EOFError, ConnectionError):
        _Requests(connection, function, max_pixels=int(max_pixels)).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
