"""What the drawn source is written as: PNGs in a zip, and a contact sheet for people."""

import io
import zipfile
from collections.abc import Mapping, Sequence

from PIL import Image

from winnow.pictures.contact_sheet import contact_sheet
from winnow.synthetic.numerals import CLASSES
from winnow.synthetic.pen import Pixels
from winnow.synthetic.source import Drawing

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold; the current time would make equal sources differ


SHEET_COLUMNS = 16


SHEET_TILE = 68


def png_bytes(pixels: Pixels) -> bytes:
    """One image as a PNG."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, format="PNG")
    return sink.getvalue()


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """The files as a zip whose bytes depend on nothing else."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name], zipfile.ZIP_STORED)
    return sink.getvalue()


def source_sheet(drawings: Sequence[Drawing], images: Mapping[str, Pixels]) -> bytes:
    """PNG for people: one row per class, train left and test right; then wrong labels; then junk."""
    clean = {
        (split, label): [d for d in drawings if (d.split, d.label, d.truth) == (split, label, label)]
        for label in CLASSES
        for split in ("train", "test")
    }
    half = max(1, min(SHEET_COLUMNS // 2, *map(len, clean.values())))
    chosen = [(d, f"{split} {label}", "grey") for (split, label), group in clean.items() for d in group[:half]]
    wrong = [d for d in drawings if d.truth not in ("", d.label)]
    chosen += [(d, f"{d.truth} in {d.label}", "red") for d in _spaced(wrong, 4 * half)]
    junk = [d for d in drawings if not d.truth]
    chosen += [(d, f"junk in {d.label}", "orange") for d in _spaced(junk, 6 * half)]
    return contact_sheet(
        [images[drawing.name] for drawing, _, _ in chosen],
        [caption for _, caption, _ in chosen],
        columns=2 * half,
        tile=SHEET_TILE,
        frames=[frame for _, _, frame in chosen],
    )


def _spaced(drawings: Sequence[Drawing], count: int) -> list[Drawing]:
    """At most ``count`` of them, evenly from first to last."""
    count = min(count, len(drawings))
    return [drawings[k * len(drawings) // count] for k in range(count)]
