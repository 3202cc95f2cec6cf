"""What must hold of every input: it is accepted or refused with one sentence, and changes nothing beside it."""

import contextlib
import io
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.fuzz.containers import hostile_folder, sound_files
from bench.fuzz.inputs import CONTAINERS, IMAGES, Input
from bench.fuzz.tables import TABLES
from winnow.dataset.images import decode_stored
from winnow.dataset.samples import sample_id
from winnow.intake.ingest import REASONS, ingest
from winnow.intake.sample import Sample
from winnow.intake.source import check_source, open_source
from winnow.pictures.decode import UnreadableError, quiet, suffix_of
from winnow.pictures.pixel_hash import pixel_hash
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

MAX_PIXELS = 50_000_000  # as params.yaml has it
ALL_BUT_NONE = 0.999  # share of a source's images that may be unreadable: most here are
SECONDS = 20.0  # an input may take
SENTENCE = 1_500  # characters of a message
ACCEPTED, REFUSED = "accepted", "refused"


@dataclass(frozen=True)
class Finding:
    """Something that must not be."""

    number: int | None  # of the input; None where it is one of the batch
    what: str  # the same words for the same fault
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a report has it."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """What became of the inputs, by number, and what must not be."""

    fates: Mapping[int, str]
    findings: list[Finding]


def check(
    inputs: Sequence[Input],
    place: Path,
    *,
    zipped: bool,
    tell: Callable[[int], None],
    said: Callable[[], str] = lambda: "",
) -> Outcome:
    """Send inputs of one kind through what reads them.

    Args:
        inputs: of one batch.
        place: an empty folder.
        zipped: whether images lie in a zip.
        tell: is told the number of each input that is read by itself, before.
        said: what libraries have printed since it was last called.
    """
    if inputs[0].kind == IMAGES:
        return _check_images(inputs, place, zipped=zipped, said=said)
    fates, findings = dict[int, str](), list[Finding]()
    for one in inputs:
        tell(one.number)
        began = time.monotonic()
        try:
            (_check_container if one.kind == CONTAINERS else _check_table)(one, place / str(one.number))
            fates[one.number] = ACCEPTED
        except _WrongError as error:
            findings.append(Finding(one.number, str(error)))
        except UserError as error:
            fates[one.number] = REFUSED
            findings += [Finding(one.number, fault, str(error)) for fault in _faults_of(str(error))]
            if one.is_intact:
                findings.append(Finding(one.number, f"a sound {one.format} is refused", str(error)))
        except Exception as error:
            findings.append(unexpected(one.number, error))
        if time.monotonic() - began > SECONDS:
            findings.append(Finding(one.number, f"{one.format}: takes more than {SECONDS:.0f} s"))
    return Outcome(fates, findings)


class _WrongError(Exception):
    """An input accepted that should not be."""


def unexpected(number: int | None, error: Exception) -> Finding:
    """The finding of an exception that is no UserError, told by where our code met it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if any(Path(one.filename).is_relative_to(ROOT / top) for top in ("winnow", "stages"))]
    where = f" in {Path(ours[-1].filename).relative_to(ROOT)}, {ours[-1].name}" if ours else ""
    return Finding(number, f"{type(error).__name__}{where}", "".join(traceback.format_exception(error))[-4000:])


def _faults_of(message: str) -> Iterator[str]:
    if "\n" in message or not message.isprintable():
        yield "a message of more than one printable line"
    if len(message) > SENTENCE:
        yield f"a message of more than {SENTENCE} characters"


# --- images -----------------------------------------------------------------------------------------------------


def _check_images(inputs: Sequence[Input], place: Path, *, zipped: bool, said: Callable[[], str]) -> Outcome:
    """All in one source, beside sound images."""
    sound = {f"{name[0]}/sound-{name[2:]}": content for name, content in sound_files().items()}
    source = _written(place, {**sound, **{one.name: one.content for one in inputs}}, zipped=zipped)
    try:
        check_source(source, max_unreadable=ALL_BUT_NONE, max_pixels=MAX_PIXELS)
        with open_source(source) as opened:
            samples, rejected = ingest(opened, max_pixels=MAX_PIXELS, max_unreadable=ALL_BUT_NONE)
    except Exception as error:
        return Outcome({}, [unexpected(None, error)])
    with quiet():  # as every stage does that decodes
        findings = [*_printed(None, said()), *_looked_over(inputs, sound, samples, rejected, said)]
    accepted = {sample.name for sample in samples}
    return Outcome({one.number: ACCEPTED if one.name in accepted else REFUSED for one in inputs}, findings)


def _printed(number: int | None, words: str) -> list[Finding]:
    return [Finding(number, "words on standard error", words)] if words else []


def _looked_over(
    inputs: Sequence[Input],
    sound: Mapping[str, bytes],
    samples: Sequence[Sample],
    rejected: Sequence[tuple[str, str]],
    said: Callable[[], str],
) -> list[Finding]:
    """What is wrong with what was made of the images.

    Args:
        inputs: the spoilt ones.
        sound: those beside, by name.
        samples: as read.
        rejected: names and reasons.
        said: as for ``check``.
    """
    read, refused = {sample.name: sample for sample in samples}, dict(rejected)
    findings = [
        Finding(None, "a sound image beside is not what it is", name)
        for name, content in sound.items()
        if name not in read or read[name].id != sample_id(name, content) or not _same(read[name], content)
    ]
    for one in inputs:
        if (one.name in read) == (one.name in refused):
            findings.append(Finding(one.number, "an image is neither sample nor rejected, or both"))
        if refused.get(one.name, REASONS[0]) not in REASONS:
            findings.append(Finding(one.number, "a reason that is none", refused[one.name]))
        if one.is_intact and one.name in refused:
            findings.append(Finding(one.number, f"a sound {one.format} is rejected", refused[one.name]))
        if one.name in read:
            findings += [*_second_look(one, read[one.name]), *_printed(one.number, said())]
    return findings


def _written(place: Path, files: Mapping[str, bytes], *, zipped: bool) -> Path:
    if zipped:
        with zipfile.ZipFile(place / "source.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return place / "source.zip"
    for name, content in files.items():
        path = place / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return place / "source"


def _second_look(one: Input, sample: Sample) -> Iterator[Finding]:
    """An image that prepare takes must be the same to every later stage."""
    try:
        if not _same(sample, one.content):
            yield Finding(one.number, f"{one.format}: the second decoding differs from the first")
        suffix_of(one.content)
    except UserError as error:
        yield Finding(one.number, f"{one.format}: accepted, then refused", str(error))
    except Exception as error:
        yield unexpected(one.number, error)


def _same(sample: Sample, content: bytes) -> bool:
    """Whether the bytes give the sample's pixels, and these are as later stages demand them."""
    pixels = decode_stored(content, Path(sample.name), sample.id)
    shape = (sample.height, sample.width, sample.channels)
    allowed = pixels.dtype == np.uint8 and sample.channels in (1, 3) and 1 <= pixels[..., 0].size <= MAX_PIXELS
    return bool(allowed and pixels.shape == shape and pixel_hash(pixels) == sample.pixel_hash)


# --- containers and tables --------------------------------------------------------------------------------------


def _check_container(one: Input, place: Path) -> None:
    source = place / one.name
    place.mkdir()
    if one.format == "zip":
        source.write_bytes(one.content)
    else:
        source.mkdir()
        hostile_folder(source, one.way, one.content)
    with open_source(source) as opened:
        for entry in opened.layout.entries:
            with contextlib.suppress(UnreadableError):
                opened.container.read(entry.key)
    if one.format == "folder" or one.number % 8 == 0:  # of many zips it is their directory that matters
        check_source(source, max_unreadable=0.5, max_pixels=MAX_PIXELS)
        with open_source(source) as opened:
            ingest(opened, max_pixels=MAX_PIXELS, max_unreadable=0.5)


def _check_table(one: Input, place: Path) -> None:
    table, path = TABLES[one.format], place / one.name
    place.mkdir()
    path.write_bytes(table.content)
    sound = table.says(table.read(path))
    path.write_bytes(one.content)
    with contextlib.redirect_stdout(io.StringIO()):
        found = table.says(table.read(path))
    if repr(found) != repr(sound):
        raise _WrongError(f"{one.format}: says something else, without an error")
