import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional

from tests.support.backbones import PLAIN
from winnow.backbone.card import Resize
from winnow.backbone.normalise import normalised
from winnow.backbone.resize import content_box, fit
from winnow.pictures.decode import stretch

SIZES = st.integers(1, 70)
SIDES = st.integers(1, 40)


def noise(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def fitted(pixels: np.ndarray, side: int, how: Resize, *, antialias: bool = True) -> np.ndarray:
    fill = (7,) * pixels.shape[-1]
    return fit(pixels, side, how, interpolation="bilinear", antialias=antialias, fill=fill)


@given(SIZES, SIZES, SIDES, st.sampled_from([1, 3]))
def test_stretch_is_the_one_of_the_competition(height: int, width: int, side: int, channels: int) -> None:
    pixels = noise(height, width, channels)
    assert np.array_equal(fitted(pixels, side, "stretch"), stretch(pixels, side=side))


@given(SIZES, SIZES, SIDES, st.sampled_from([1, 3]))
def test_letterbox_holds_the_whole_image_at_its_box_and_padding_elsewhere(
    height: int, width: int, side: int, channels: int
) -> None:
    pixels = noise(height, width, channels)
    top, left, inner_height, inner_width = content_box(width, height, side, "letterbox")
    square = fitted(pixels, side, "letterbox")
    flat = pixels[..., 0] if channels == 1 else pixels
    whole = np.asarray(Image.fromarray(flat).resize((inner_width, inner_height), Image.Resampling.BILINEAR))
    wanted = np.full((side, side, channels), 7, np.uint8)
    wanted[top : top + inner_height, left : left + inner_width] = whole.reshape(inner_height, inner_width, channels)
    assert np.array_equal(square, wanted)


@given(SIZES, SIZES, SIDES)
def test_letterbox_keeps_the_aspect_and_centres(height: int, width: int, side: int) -> None:
    top, left, inner_height, inner_width = content_box(width, height, side, "letterbox")
    assert max(inner_height, inner_width) == side
    scale = side / max(height, width)
    assert abs(inner_height - max(1, height * scale)) <= 0.5
    assert abs(inner_width - max(1, width * scale)) <= 0.5
    assert 0 <= side - inner_height - 2 * top <= 1
    assert 0 <= side - inner_width - 2 * left <= 1


@pytest.mark.parametrize(("height", "width"), [(12, 20), (20, 12)])
def test_centre_is_the_middle_square(height: int, width: int) -> None:
    pixels = noise(height, width, 3)
    top, left = (height - 12) // 2, (width - 12) // 2
    assert np.array_equal(fitted(pixels, 12, "centre"), pixels[top : top + 12, left : left + 12])
    half = np.asarray(Image.fromarray(pixels).resize((width // 2, height // 2), Image.Resampling.BILINEAR))
    down, across = top // 2, left // 2
    wanted = half[down : down + 6, across : across + 6].astype(int)
    assert np.abs(fitted(pixels, 6, "centre") - wanted).max() <= 1  # Pillow rounds between its two passes
    assert content_box(width, height, 12, "centre") == (0, 0, 12, 12)


@pytest.mark.parametrize("side", [5, 9, 30])
def test_without_antialiasing_it_is_plain_bilinear_interpolation(side: int) -> None:
    pixels = noise(17, 17, 3)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    wanted = functional.interpolate(tensor, (side, side), mode="bilinear", antialias=False)[0].permute(1, 2, 0).numpy()
    got = fitted(pixels, side, "stretch", antialias=False).astype(float)
    assert np.abs(got - wanted).max() < 1.001  # Pillow truncates to whole levels


def test_bicubic_is_pillows() -> None:
    pixels = noise(31, 31, 3)
    got = fit(pixels, 8, "letterbox", interpolation="bicubic", antialias=True, fill=(0, 0, 0))
    assert np.array_equal(got, np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.BICUBIC)))


def test_padding_is_zero_once_normalised_up_to_rounding() -> None:
    square = fit(noise(4, 40, 3), 32, "letterbox", interpolation="bilinear", antialias=True, fill=PLAIN.fill(3))
    assert normalised(torch.from_numpy(square[None]), PLAIN)[0, :, 0].abs().max() < 0.5 / 255 / min(PLAIN.std) + 1e-6


def test_normalised_is_the_formula_for_each_channel() -> None:
    pixels = noise(5, 5, 3)[None]
    got = normalised(torch.from_numpy(pixels), PLAIN)
    wanted = (pixels[0].astype(np.float64) / 255 - np.array(PLAIN.mean)) / np.array(PLAIN.std)
    assert got.dtype == torch.float32
    assert np.allclose(got[0].permute(1, 2, 0).numpy(), wanted, atol=1e-6)


def test_grey_is_the_same_colour_in_three_channels() -> None:
    grey = noise(5, 5, 1)[None]
    assert torch.equal(
        normalised(torch.from_numpy(grey), PLAIN), normalised(torch.from_numpy(grey.repeat(3, axis=-1)), PLAIN)
    )


def test_lite0_takes_x_minus_127_over_128() -> None:
    card = dataclasses.replace(PLAIN, mean=(0.498039,) * 3, std=(0.501961,) * 3)
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    wanted = (levels.permute(0, 3, 1, 2).float() - 127) / 128
    assert torch.allclose(normalised(levels, card)[:, :1], wanted, atol=3e-6)
