"""The file of a drawing: a palette for grey, all colours for photographs."""

import io

import numpy as np
import pytest
from PIL import Image

from winnow.pictures.drawn import drawn_png

GREY = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
COLOUR = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def drawing(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Image.Image:
    return Image.fromarray(pixels).convert("RGB")


@pytest.mark.parametrize("shown", [[GREY], [GREY[..., None]], [np.repeat(GREY[..., None], 3, axis=-1)], []])
def test_grey_has_a_palette_and_the_same_bytes_in_any_number_of_channels(
    shown: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]],
) -> None:
    png = drawn_png(drawing(GREY), shown, colours=16)
    image = Image.open(io.BytesIO(png))
    assert image.mode == "P"
    assert len(set(np.asarray(image).ravel().tolist())) == 16
    assert png == drawn_png(drawing(GREY), [GREY], colours=16)


def test_one_image_in_colour_keeps_every_colour_of_the_drawing() -> None:
    png = drawn_png(drawing(COLOUR), [GREY, COLOUR], colours=16)
    assert (np.asarray(Image.open(io.BytesIO(png))) == COLOUR).all()
