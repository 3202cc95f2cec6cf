"""Thickness of strokes: against the definition pixel by pixel, on figures whose growth is known, and its gradient."""

import math

import numpy as np
import pytest
import torch

from winnow.transforms.operations import apply, apply_at
from winnow.transforms.stroke import THICKER, THINNER

SEGMENT = math.sqrt(2) - 1  # half of an edge of the octagon of inner radius 1


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stroked(images: torch.Tensor, *strength: float) -> torch.Tensor:
    return apply_at("stroke", images, torch.tensor(strength, dtype=images.dtype), generator())


def figure(height: int, width: int, *ink: slice, paper: float = 1.0, colour: float = 0.0) -> torch.Tensor:
    """(1, 1, H, W) a figure on paper."""
    image = torch.full((1, 1, height, width), paper, dtype=torch.float64)
    image[0, 0][ink] = colour
    return image


# --- the definition -------------------------------------------------------------------------------------------------


def by_hand(image: np.ndarray, strength: float) -> np.ndarray:
    """(C, H, W) after all four segments: of each pixel, between the extremes over two whole windows."""
    border = np.concatenate([image[:, 0], image[:, -1], image[:, 1:-1, 0], image[:, 1:-1, -1]], axis=1)
    background = np.sort(border, axis=1)[:, (border.shape[1] - 1) // 2]
    radius = abs(strength) * (THICKER if strength > 0 else THINNER) * max(image.shape[1:])
    for step in ((0, 1), (1, 0), (1, 1), (1, -1)):
        reach = radius * SEGMENT / math.hypot(*step)
        less, more = (extreme(image, background, n, step, strength) for n in (math.floor(reach), math.floor(reach) + 1))
        image = less + (reach % 1) * (more - less)
    return image


def extreme(
    image: np.ndarray, background: np.ndarray, reach: int, step: tuple[int, int], strength: float
) -> np.ndarray:
    """(C, H, W): the colour farthest from the background along a segment; nearest where the strength is negative."""
    result = image.copy()
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            places = [(y + n * step[0], x + n * step[1]) for n in range(-reach, reach + 1)]
            inside = [(i, j) for i, j in places if 0 <= i < image.shape[1] and 0 <= j < image.shape[2]]
            far = [float(((image[:, i, j] - background) ** 2).sum()) for i, j in inside]
            result[:, y, x] = image[:, *inside[int(np.argmax(far) if strength > 0 else np.argmin(far))]]
    return result


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_extreme_over_windows_along_four_directions(channels: int) -> None:
    images = torch.rand((6, channels, 70, 9), generator=generator(1), dtype=torch.float64)
    strengths = (0.2, 0.55, 1.0, -0.4, -1.0, 0.8)  # up to three pixels
    result = stroked(images, *strengths)
    for image, strength, got in zip(images, strengths, result, strict=True):
        np.testing.assert_allclose(got.numpy(), by_hand(image.numpy(), strength), atol=1e-12)
        assert (got - image).abs().max() > 0.1


# --- figures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0, -0.3, -1.0])
def test_every_edge_of_a_bar_moves_by_the_radius(strength: float) -> None:
    """In a sheet of 100 pixels a strength of 1 is 4 pixels a side, of -1 one and a half."""
    radius = 4 * strength if strength > 0 else 1.5 * strength
    everywhere = slice(None)
    for ink in ((everywhere, slice(40, 52)), (slice(40, 52), everywhere)):  # 12 wide
        changed = 1 - stroked(figure(100, 100, *ink), strength)[0, 0]
        across = changed[50] if ink[0] == everywhere else changed[:, 50]
        assert across.sum().item() == pytest.approx(12 + 2 * radius)
    y, x = np.mgrid[:100, :100]
    slanted = torch.from_numpy((np.abs(x - y) > 10).astype(float))[None, None]  # 21 pixels of every row
    row = 1 - stroked(slanted, strength)[0, 0, 50]
    assert row.sum().item() == pytest.approx(21 + 2 * radius * math.sqrt(2))


def test_white_on_black_and_grey_on_grey_change_as_black_on_white_does() -> None:
    ink = (slice(20, 60), slice(30, 35))
    for strength in (0.7, -0.7):
        black = stroked(figure(80, 60, *ink), strength)
        assert (black - figure(80, 60, *ink)).abs().max() > 0.3
        torch.testing.assert_close(stroked(figure(80, 60, *ink, paper=0.0, colour=1.0), strength), 1 - black)
        grey = stroked(figure(80, 60, *ink, paper=0.7, colour=0.3), strength)
        torch.testing.assert_close(grey, 0.3 + 0.4 * black)


def test_a_dark_and_a_light_stroke_on_one_sheet_both_grow() -> None:
    sheet = figure(50, 100, slice(None), slice(20, 25), paper=0.5)
    sheet[..., 70:75] = 1.0
    row = stroked(sheet, 1.0)[0, 0, 25]
    assert (0.5 - row[:50]).sum().item() == pytest.approx(0.5 * 13)
    assert (row[50:] - 0.5).sum().item() == pytest.approx(0.5 * 13)


def test_a_colour_is_taken_as_a_whole() -> None:
    """Red beside blue on white: no pixel is a colour that a channel of each would make."""
    image = torch.ones((1, 3, 100, 100))
    image[0, :, :, 30:40] = torch.tensor([0.9, 0.0, 0.0])[:, None, None]
    image[0, :, :, 40:50] = torch.tensor([0.0, 0.0, 0.8])[:, None, None]
    image[0, :, 2:98, 45:55] = image[0, :, 2:98, 35:45]
    changed = stroked(image, 1.0)[0].flatten(1).T
    seen = torch.unique(torch.round(changed, decimals=2), dim=0)
    paper, red, blue = torch.ones(3), torch.tensor([0.9, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.8])
    for colour in seen:  # on a straight line between two that are there
        distance = min(_from_line(colour, one, other) for one, other in ((paper, red), (paper, blue), (red, blue)))
        assert distance < 0.02
    assert len(seen) > 3


def _from_line(point: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> float:
    along = other - one
    share = ((point - one) @ along / (along @ along)).clamp(0, 1)
    return float((one + share * along - point).norm())


def test_a_dot_on_a_wide_photograph_becomes_an_octagon() -> None:
    """Two rows are more pixels apart than 16 bits count in the steps of a segment."""
    image = torch.ones((1, 1, 220, 2000))
    image[0, 0, 110, 700] = 0.0
    changed = 1 - stroked(image, 1.0)[0, 0]  # radius 80
    for line in (changed[110], changed[:, 700]):
        assert line.sum().item() == pytest.approx(161, abs=0.1)
    for line in (changed.diagonal(590), changed.flip(1).diagonal(1189)):
        assert line.sum().item() * math.sqrt(2) == pytest.approx(161, abs=2.5)
    assert changed.sum().item() == pytest.approx(8 * SEGMENT * 80.5**2, rel=0.02)


# --- the gradient ---------------------------------------------------------------------------------------------------


def test_at_zero_the_gradient_is_that_of_the_direction_drawn() -> None:
    images = torch.rand((12, 1, 30, 30), generator=generator(1), dtype=torch.float64)
    target = torch.rand(images.shape, generator=generator(2), dtype=torch.float64)

    def loss(magnitude: torch.Tensor) -> torch.Tensor:
        return (apply("stroke", images, magnitude, generator(3)) * target).sum(dim=(1, 2, 3))  # (B,)

    still = torch.zeros(12, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(still).sum(), still)
    with torch.no_grad():
        difference = (loss(torch.full_like(still, 1e-7)) - loss(still)) / 1e-7
    torch.testing.assert_close(gradient, difference, rtol=1e-4, atol=1e-4)
    assert gradient.abs().min() > 1


def test_the_gradient_to_the_pixels_is_that_of_finite_differences() -> None:
    images = torch.rand((2, 3, 12, 10), generator=generator(4), dtype=torch.float64, requires_grad=True)
    magnitude = torch.tensor([0.9, 0.6], dtype=torch.float64)
    target = torch.rand(images.shape, generator=generator(5), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((stroked(images, *magnitude.tolist()) * target).sum(), images)
    way = torch.rand(images.shape, generator=generator(6), dtype=torch.float64) - 0.5
    way[:, :, [0, -1]] = way[:, :, :, [0, -1]] = 0  # the background's colour passes no gradient
    with torch.no_grad():
        ahead, behind = (stroked(images + step * way, *magnitude.tolist()) for step in (1e-6, -1e-6))
    difference = ((ahead - behind) * target).sum() / 2e-6
    assert (gradient * way).sum().item() == pytest.approx(difference.item(), rel=1e-5)
