"""The contact sheet of what changed: what is on it, beside what, and that it stays small."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from tests.support.history import identify, row
from tests.support.workspace import Workspace
from winnow.commands.diff import answer
from winnow.history.changes import Change
from winnow.history.sheet import FRAMES, LIMIT, PAIRS, beside, change_sheet
from winnow.pipeline.messages import UserError


def drop(number: int, label: str = "i") -> tuple[str, Change]:
    return "dropped", Change(f"{number:016x}", f"train/{label}/{number}.png", label, None, "train", None)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def framed(sheet: Image.Image, colour: str) -> int:
    """How many frames of a colour there are: runs of its pixels in the columns on the left of a tile."""
    pixels = np.asarray(sheet.convert("RGB")).astype(int)
    near = (abs(pixels - np.array(ImageColor.getrgb(colour))).max(axis=-1) < 12).sum(axis=1)
    wide = near > 20  # the upper and the lower edge of frames, (H,)
    edges = np.flatnonzero(wide)
    return sum(near[edge] for edge in edges)


def test_the_sheet_shows_every_change_beside_a_label_book_image(history: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "sheet.png"
    text = answer(["one", "two", "--md", "--sheet", str(file)], history.folder)[0]
    assert "Contact sheet of 6 of 6 changes." in text
    sheet = opened(file.read_bytes())
    assert sheet.format == "PNG"
    assert sheet.size == (8 * 102, 2 * 115)
    kept = file.read_bytes()
    answer(["one", "two", "--md", "--sheet", str(file)], history.folder)
    assert file.read_bytes() == kept


def test_beside_a_change_stands_an_image_of_its_class_in_turn() -> None:
    book = [row(f"label_book/{label}/{number}.png") for label in ("i", "ii") for number in range(2)]
    rows = [row("train/i/7.png"), *reversed(book)]
    to_ii = ("relabelled", Change("a", "a", "i", "ii", "train", "train"))
    lonely = ("added", Change("b", "b", None, "iii", None, "train"))
    found = beside([drop(1), drop(2), drop(3), to_ii, lonely], rows)
    names = [one["name"] if one else None for one in found]
    assert names == [
        "label_book/i/0.png",
        "label_book/i/1.png",
        "label_book/i/0.png",
        "label_book/ii/0.png",
        None,
    ]
    assert found[0] is not None
    assert found[0]["id"] == identify("label_book/i/0.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_largest_sheet_is_within_the_limit(suffix: str) -> None:
    generator = np.random.default_rng(0)
    changes = [drop(number) for number in range(PAIRS)]
    noise = {one.id: generator.integers(0, 256, (96, 96, 3), dtype=np.uint8) for _, one in changes}
    book = {f"{number}": generator.integers(0, 256, (96, 96, 3), dtype=np.uint8) for number in range(PAIRS)}
    references = [{"id": key, "label": "i"} for key in book]
    content = change_sheet(changes, references, noise | book, suffix=suffix)
    assert len(content) <= LIMIT
    assert opened(content).format == {".png": "PNG", ".jpg": "JPEG"}[suffix]
    assert framed(opened(content), FRAMES["dropped"]) > 0 or suffix == ".jpg"


def test_frames_have_the_colour_of_their_kind() -> None:
    changes = [drop(1), ("relabelled", Change("a", "a", "i", "ii", "train", "train"))]
    grey = np.full((90, 90, 1), 128, np.uint8)
    sheet = opened(change_sheet(changes, [None, None], {one.id: grey for _, one in changes}, suffix=".png"))
    assert framed(sheet, FRAMES["dropped"]) > 100
    assert framed(sheet, FRAMES["relabelled"]) > 100
    assert framed(sheet, FRAMES["added"]) == 0


def test_without_a_change_there_is_no_sheet(history: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "sheet.png"
    text, code = answer(["two", "main", "--md", "--sheet", str(file)], history.folder)
    assert code == 0
    assert "Contact sheet" not in text
    assert not file.exists()


def test_another_format_is_refused_before_anything_is_compared(history: Workspace) -> None:
    with pytest.raises(UserError, match=r"--sheet must end with .png, .jpg, .jpeg, got a.gif"):
        answer(["one", "nobody", "--md", "--sheet", "a.gif"], history.folder)
