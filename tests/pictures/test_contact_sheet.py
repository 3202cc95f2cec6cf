"""The contact sheet: where each image lies, how large it is, and what stays inside its cell."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from winnow.pictures.contact_sheet import CAPTION, MARGIN, contact_sheet

TILE = 20
ACROSS, DOWN = TILE + 2 * MARGIN, TILE + 2 * MARGIN + CAPTION


def pixels_of(png: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def solid(height: int, width: int, *colour: int) -> npt.NDArray[np.uint8]:
    return np.full((height, width, len(colour)), colour, np.uint8)


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (5, 3, 2), (6, 3, 2), (7, 3, 3), (2, 5, 1), (0, 4, 1)]
)
def test_sheet_has_a_cell_for_every_image(count: int, columns: int, rows: int) -> None:
    sheet = pixels_of(contact_sheet([solid(5, 5, 0)] * count, [""] * count, columns=columns, tile=TILE))
    assert sheet.shape == (rows * DOWN, columns * ACROSS, 3)


def test_images_lie_row_by_row_in_their_colours() -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (90, 90, 90), (0, 0, 0)]
    sheet = pixels_of(contact_sheet([solid(9, 9, *c) for c in colours], [""] * 5, columns=2, tile=TILE))
    for number, colour in enumerate(colours):
        y, x = number // 2 * DOWN + MARGIN, number % 2 * ACROSS + MARGIN
        assert (sheet[y : y + TILE, x : x + TILE] == colour).all(), number


@pytest.mark.parametrize(("height", "width"), [(40, 20), (10, 20), (200, 100), (7, 7)])
def test_image_is_fitted_whole_and_centred(height: int, width: int) -> None:
    sheet = pixels_of(
        contact_sheet([np.zeros((height, width), np.uint8)], [""], columns=1, tile=TILE, frames=["white"])
    )
    rows, columns = np.nonzero((sheet == 0).all(axis=2))
    longer = max(height, width)
    assert np.ptp(rows) + 1 == TILE * height // longer
    assert np.ptp(columns) + 1 == TILE * width // longer
    assert rows.min() - MARGIN == (TILE - TILE * height // longer) // 2
    assert columns.min() - MARGIN == (TILE - TILE * width // longer) // 2


def test_frame_surrounds_its_own_image_only() -> None:
    sheet = pixels_of(contact_sheet([solid(4, 4, 0)] * 2, ["", ""], columns=2, tile=TILE, frames=["red", "blue"]))
    red, blue = (np.nonzero((sheet == colour).all(axis=2)) for colour in ((255, 0, 0), (0, 0, 255)))
    around = 4 * (TILE + 1)  # pixels of a square ring one pixel outside the tile
    assert len(red[0]) == len(blue[0]) == around
    assert red[1].max() < ACROSS <= blue[1].min()


def test_caption_is_written_below_and_stays_in_its_cell() -> None:
    images = [solid(4, 4, 255)] * 2
    plain = pixels_of(contact_sheet(images, ["", ""], columns=2, tile=TILE))
    written = pixels_of(contact_sheet(images, ["a caption far too long for it", ""], columns=2, tile=TILE))
    rows, columns = np.nonzero((plain != written).any(axis=2))
    assert len(rows) > 0
    assert rows.min() > MARGIN + TILE
    assert columns.max() < MARGIN + TILE


def test_equal_inputs_give_equal_bytes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 30), dtype=np.uint8)
    assert contact_sheet([image], ["a"], columns=1, tile=TILE) == contact_sheet([image], ["a"], columns=1, tile=TILE)


def test_missing_caption_is_refused() -> None:
    with pytest.raises(ValueError, match="2 images need as many captions"):
        contact_sheet([solid(2, 2, 0)] * 2, ["one"], columns=1, tile=TILE)


@pytest.mark.parametrize(("columns", "tile"), [(0, TILE), (1, 0)])
def test_empty_grid_is_refused(columns: int, tile: int) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        contact_sheet([solid(2, 2, 0)], [""], columns=columns, tile=tile)
