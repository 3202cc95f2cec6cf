"""Every file of a source, opened as an image in the children of a sandbox; the answers come in the order of the files.

Small files go in batches, a large one by itself; as many threads as there are cores read and wait.
"""

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple

import joblib

from winnow.dataset.samples import sample_id
from winnow.intake.container import Container
from winnow.intake.decoder import ALONE, BLOCK, FAULT, RESULT, Answer
from winnow.intake.facts import Facts, facts
from winnow.intake.findings import Findings, content_digest
from winnow.intake.layout import Entry
from winnow.intake.sandbox import Sandbox
from winnow.intake.zipped import MAX_FILE_BYTES
from winnow.pictures.decode import DAMAGED, TOO_LARGE, UnreadableError
from winnow.pipeline.messages import failure_of_the_machine

BATCH_FILES, BATCH_BYTES = 32, 2**18  # at most in one round trip, which takes as long as decoding a thumbnail


def read_headers(
    container: Container, entries: Sequence[Entry], *, max_pixels: int
) -> Generator[tuple[Entry, UnreadableError | None], None, None]:
    """Each entry, and why it is no image as far as its header shows; little more than headers is read.

    Who stops early closes this, which ends the children.

    Args:
        container: which holds the entries.
        entries: files, in the order of the answers.
        max_pixels: an image of more is unreadable.
    """
    for entry, _, answer in _read(container, entries, Sandbox(None, max_pixels=max_pixels), whole=False):
        yield entry, UnreadableError(answer[1]) if answer[0] == FAULT else None


class Found(NamedTuple):
    """What is kept of a file that gives an image."""

    id: str  # of the sample
    content: str  # digest of the file
    facts: Facts


def read_images(
    container: Container, entries: Sequence[Entry], *, max_pixels: int, known: Findings | None = None
) -> Generator[tuple[Entry, Found | UnreadableError], None, None]:
    """Each entry with what is kept of it, or why it gives no pixels. Every byte is read.

    Args as for ``read_headers``, and ``known``, of earlier runs: an image whose file has the digest of one of these is
    not opened.
    """
    sandbox = Sandbox(facts, max_pixels=max_pixels)
    for entry, named, answer in _read(container, entries, sandbox, whole=True, known=known):
        yield entry, UnreadableError(answer[1]) if answer[0] == FAULT else Found(*named, _facts(answer[1]))


def _facts(value: Facts | dict[str, Any]) -> Facts:
    return value if isinstance(value, Facts) else Facts(**value)


Name = tuple[str, str]  # sample id and digest of the content, where the whole file was read
Named = tuple[Name, Answer]
NAMELESS = ("", "")


def _read(
    container: Container,
    entries: Sequence[Entry],
    sandbox: Sandbox,
    *,
    whole: bool,
    known: Findings | None = None,
) -> Iterator[tuple[Entry, Name, Answer]]:
    reader = _Reader(container, sandbox, whole=whole, known=known or Findings())
    batches = list(_batches(entries, [container.files[entry.key] for entry in entries], whole=whole))
    pool = ThreadPoolExecutor(joblib.cpu_count())  # those that this process may use
    try:
        for batch, answers in zip(batches, pool.map(reader.batch, batches), strict=True):
            for entry, (name, answer) in zip(batch, answers, strict=True):
                yield entry, name, answer
    finally:
        sandbox.close()  # first, as threads wait for its children
        pool.shutdown(cancel_futures=True)


def _batches(entries: Iterable[Entry], sizes: Iterable[int], *, whole: bool) -> Iterator[list[Entry]]:
    """The entries in runs of few bytes to read; an entry of more is a run by itself."""
    batch, total = list[Entry](), 0
    for entry, size in zip(entries, sizes, strict=True):
        count = size if whole else min(size, BLOCK)
        if batch and (len(batch) == BATCH_FILES or total + count > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(entry)
        total += count
    if batch:
        yield batch


class _Reader:
    """What the threads share."""

    def __init__(self, container: Container, sandbox: Sandbox, *, whole: bool, known: Findings) -> None:
        self._container, self._sandbox, self._whole, self._known = container, sandbox, whole, known

    def batch(self, entries: Sequence[Entry]) -> list[Named]:
        if self._whole and self._container.files[entries[0].key] > BATCH_BYTES:
            return [self._alone(entries[0])]
        firsts = [self._first(entry) for entry in entries]
        names = [self._name(entry, first) for entry, (first, _) in zip(entries, firsts, strict=True)]
        answers = [self._known_answer(name, first) for name, (first, _) in zip(names, firsts, strict=True)]
        asked = [number for number, answer in enumerate(answers) if answer is None]
        sent = [(first, size) for first, size in (firsts[number] for number in asked) if isinstance(first, bytes)]
        for number, answer in zip(asked, self._sandbox.examine(sent) if sent else (), strict=True):
            answers[number] = answer
        return [
            self._alone(entry) if answer is None or answer == (ALONE, None) else (name, answer)
            for entry, name, answer in zip(entries, names, answers, strict=True)
        ]

    def _known_answer(self, name: Name, first: bytes | UnreadableError) -> Answer | None:
        """What need not be asked for: why a file cannot be read, or the facts that an earlier run found."""
        if not isinstance(first, bytes):
            return FAULT, str(first)
        found = self._known.facts(name[1]) if name[1] else None
        return None if found is None else (RESULT, found)

    def _alone(self, entry: Entry) -> Named:
        with self._sandbox.room_for(self._container.files[entry.key]), contextlib.ExitStack() as opened:
            first, size = self._first(entry)
            name = self._name(entry, first)
            if (answer := self._known_answer(name, first)) is not None or isinstance(first, UnreadableError):
                return name, answer or (FAULT, str(first))
            files: list[BinaryIO] = []

            def fetch(begin: int, count: int) -> bytes:
                try:
                    if not files:
                        files.append(opened.enter_context(self._container.open(entry.key)))
                    files[0].seek(begin)
                    return files[0].read(count)
                except Exception as error:  # as in _first; the child then finds the file truncated
                    if failure_of_the_machine(error):
                        raise
                    return b""

            return name, self._sandbox.examine_alone(first, size, fetch)

    def _first(self, entry: Entry) -> tuple[bytes | UnreadableError, int]:
        """What is read at once, all that is needed of most files, or why nothing can be; and the length of the file."""
        size = self._container.files[entry.key]
        try:
            if self._whole:
                content = self._container.read(entry.key)
                return content, len(content)
            if size > MAX_FILE_BYTES:
                raise UnreadableError(TOO_LARGE)
            with self._container.open(entry.key) as file:
                first = file.read(BLOCK)
                return first, max(size, len(first))
        except UnreadableError as error:
            return error, size
        except Exception as error:  # a hostile zip raises nearly anything
            if failure_of_the_machine(error):  # which costs the run, not the image: that may be sound
                raise
            return UnreadableError(DAMAGED), size

    def _name(self, entry: Entry, first: bytes | UnreadableError) -> Name:
        if not self._whole or not isinstance(first, bytes):
            return NAMELESS
        return sample_id(entry.name, first), content_digest(first)
