"""The elastic distortion: its field against smoothed white noise, its sampling pixel by pixel, and every size alike."""

import math

import numpy as np
import pytest
import torch
from scipy import fft, ndimage

from winnow.transforms.elastic import DISPLACEMENT, SMOOTHNESS, WAVES, displacement, draw_field
from winnow.transforms.operations import apply_at


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def centres(count: int) -> torch.Tensor:
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def field_at(height: int, width: int, *, count: int = 1, seed: int = 0) -> torch.Tensor:
    """(B, 2, H, W) the unit displacements that ``apply_at`` scales, by the pixels' centres."""
    field = draw_field(count, generator(seed), dtype=torch.float64)
    return displacement(field, centres(height), centres(width))


@pytest.mark.parametrize("shape", [(32, 32), (45, 128)])
def test_every_field_has_mean_zero_and_root_mean_square_one(shape: tuple[int, int]) -> None:
    moved = field_at(*shape, count=20)
    torch.testing.assert_close(moved.mean(dim=(2, 3)), torch.zeros(20, 2, dtype=torch.float64), atol=1e-12, rtol=0)
    length = moved.square().sum(dim=1).mean(dim=(1, 2)).sqrt()  # (B,) of the vectors
    torch.testing.assert_close(length, torch.ones(20, dtype=torch.float64))
    assert (moved[0] - moved[1]).abs().max() > 0.5
    assert (moved[:, 0] - moved[:, 1]).abs().amax(dim=(1, 2)).min() > 0.5  # right and down on their own


def test_a_field_is_white_noise_smoothed_by_a_gaussian() -> None:
    """Mean squares of the cosine coefficients, against SciPy's filter on noise with mirrored edges."""
    count, side = 2000, 24
    noise = np.random.default_rng(0).standard_normal((count, 2, side, side))
    smooth = ndimage.gaussian_filter(noise, (0, 0, SMOOTHNESS * side, SMOOTHNESS * side), mode="reflect", truncate=8)
    smooth -= smooth.mean(axis=(2, 3), keepdims=True)
    smooth /= np.sqrt((smooth**2).sum(axis=1).mean(axis=(1, 2)))[:, None, None, None]
    wanted, got = (
        (fft.dctn(one, axes=(2, 3), norm="ortho") ** 2).mean(axis=(0, 1))
        for one in (smooth, field_at(side, side, count=count).numpy())
    )
    low = np.s_[:5, :5]
    np.testing.assert_allclose(got[low], wanted[low], rtol=0.15, atol=1e-9 * wanted.max())
    assert got[WAVES + 1 :].max() < 1e-20
    assert wanted[WAVES + 1 :].sum() < 1e-3 * wanted.sum()


def test_a_pixel_is_read_from_its_displaced_place_and_the_borders_colour_from_outside() -> None:
    image = torch.rand((1, 2, 40, 30), generator=generator(1), dtype=torch.float64)
    image[:, 0, [0, -1]], image[:, 1, [0, -1]] = 0.25, 0.75
    image[:, 0, :, [0, -1]], image[:, 1, :, [0, -1]] = 0.25, 0.75
    strength = torch.tensor([0.9], dtype=torch.float64)
    result = apply_at("elastic", image, strength, generator(2))
    right, down = 0.9 * DISPLACEMENT * field_at(40, 30, seed=2)[0].numpy()
    y, x = np.mgrid[:40, :30]
    for channel, paper in ((0, 0.25), (1, 0.75)):
        read = ndimage.map_coordinates(
            image[0, channel].numpy(), [y + 40 * down, x + 30 * right], order=1, mode="grid-constant", cval=paper
        )
        np.testing.assert_allclose(result[0, channel].numpy(), read, atol=1e-9)
    outside = (y + 40 * down < -1) | (x + 30 * right < -1)
    assert outside.any()
    assert (result - image).abs().max() > 0.2


def test_the_same_draw_distorts_alike_at_32_and_at_128_pixels() -> None:
    """Rings, whose picture at 32 pixels is that at 128 shrunk."""
    y, x = np.mgrid[:128, :128] / 128
    large = torch.from_numpy(0.5 + 0.5 * np.cos(4 * math.pi * np.hypot(y - 0.5, x - 0.5)))[None, None]
    for seed in range(3):
        at_large, at_small = (
            apply_at("elastic", image, torch.tensor([0.8], dtype=torch.float64), generator(seed))
            for image in (large, shrunk(large))
        )
        inner = np.s_[:, :, 3:-3, 3:-3]
        assert (shrunk(at_large) - at_small).abs()[inner].mean() < 0.01
        assert (at_small - shrunk(large)).abs()[inner].mean() > 0.05
    assert torch.equal(draw_field(2, generator(4)), draw_field(2, generator(4)))


def shrunk(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(images, 4)


def test_a_photograph_in_strips_is_the_photograph_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand((2, 3, 50, 40), generator=generator())
    whole = apply_at("elastic", images, torch.tensor([0.5, 1.0]), generator(1))
    monkeypatch.setattr("winnow.transforms.elastic.STRIP", 7 * 40)
    torch.testing.assert_close(apply_at("elastic", images, torch.tensor([0.5, 1.0]), generator(1)), whole)
