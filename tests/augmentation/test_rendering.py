"""Rendering from recorded operations: the same picture as ``carry_out`` gave, and the same at another resolution."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest

from winnow.augmentation import rendering
from winnow.augmentation.policy import carry_out
from winnow.augmentation.rendering import GRAIN, check, fixed, read_steps, recorded, render
from winnow.transforms import geometry
from winnow.transforms.operations import OPERATIONS, Applied, to_images, to_pixels
from winnow.transforms.views import AFFINE, Ranges, affine_map, draw_random_affine, random_affine

RANGES = Ranges(rotate_degrees=10.0, shift=0.08, zoom=0.1, shear=0.1)
BY_HAND = [Applied(name, value) for name, value in zip(AFFINE, (8.0, 0.05, 1.08, 0.06, -0.04), strict=True)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def scene(height: int, width: int, channels: int = 3, *, soft: float = 0.02) -> np.ndarray:
    """(H, W, C) a scene without fine texture: shapes with soft edges before a shaded wall, the same at any size."""
    y, x = np.mgrid[:height, :width]
    y, x = (y + 0.5) / max(height, width), (x + 0.5) / max(height, width)
    picture = np.repeat((120 + 90 * y + 20 * x)[..., None], channels, axis=2)
    for seed in range(6):
        draw = np.random.default_rng(seed)
        middle_y, middle_x, radius = draw.uniform(0.25, 0.5), draw.uniform(0.25, 0.7), draw.uniform(0.05, 0.2)
        cover = 1 / (1 + np.exp((np.hypot(y - middle_y, x - middle_x) - radius) / soft))
        picture += cover[..., None] * (draw.uniform(20, 235, channels) - picture)
    return np.rint(picture).astype(np.uint8)


def shrunk(pixels: np.ndarray, factor: int) -> np.ndarray:
    """The mean over squares of ``factor`` pixels."""
    height, width, channels = pixels.shape
    return pixels.reshape(height // factor, factor, width // factor, factor, channels).mean(axis=(1, 3))


# --- what is recorded -----------------------------------------------------------------------------------------------


def test_a_step_without_a_seed_is_written_as_ever() -> None:
    steps = [Applied("rotate", 0.123456), Applied("invert", 1.0)]
    assert (
        recorded(steps) == '[{"operation": "rotate", "magnitude": 0.1235}, {"operation": "invert", "magnitude": 1.0}]'
    )
    assert recorded([]) == "[]"
    assert json.loads(recorded([Applied("cutout", 0.5, 7)])) == [{"operation": "cutout", "magnitude": 0.5, "seed": 7}]


def test_fixed_steps_come_back_from_their_record_as_they_were() -> None:
    plan = [[Applied(name, 0.1 + number / 37) for number, name in enumerate(OPERATIONS)]]
    plan += draw_random_affine(RANGES, 3, generator(1))
    for steps in fixed(plan, generator(2)):
        assert read_steps(recorded(steps)) == steps


def test_fixed_draws_signs_for_signed_operations_and_seeds_for_those_that_draw() -> None:
    plan = [[*(Applied(name, 0.25) for name in OPERATIONS), *BY_HAND]] * 400
    one, other, third = fixed(plan, generator(3)), fixed(plan, generator(3)), fixed(plan, generator(4))
    assert one == other != third
    negative = Counter(step.operation for steps in one for step in steps if step.magnitude == -0.25)
    signed = {name for name, operation in OPERATIONS.items() if operation.signed}
    assert set(negative) == signed == {"brightness", "contrast", "saturation", "sharpness", "stroke", *geometry_names()}
    assert min(binomtest(count, 400).pvalue for count in negative.values()) > 0.001
    seeds = Counter(step.operation for steps in one for step in steps if step.seed is not None)
    assert seeds == {"gaussian_noise": 400, "cutout": 400, "elastic": 400}
    assert len({step.seed for steps in one for step in steps} - {None}) > 1190
    assert one[0][-5:] == BY_HAND
    assert {abs(step.magnitude) for steps in one for step in steps[:-5]} == {0.25}


def geometry_names() -> tuple[str, ...]:
    return ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "scale")


# --- the definition -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_it_equals_carry_out_given_equal_strengths(name: str, channels: int) -> None:
    pixels = noise(1, 40, 56, channels)
    for seed in range(4):
        wanted = carry_out([[Applied(name, 0.7)]], pixels, generator(seed))
        positive = not OPERATIONS[name].signed or bool(torch.rand(1, generator=generator(seed)) < 0.5)
        step = Applied(name, 0.7 if positive else -0.7, seed if OPERATIONS[name].draws else None)
        np.testing.assert_array_equal(render(pixels[0], [step]), wanted[0])


def test_a_chain_equals_carry_out_and_its_affine_maps_are_sampled_once() -> None:
    names = ["rotate", "shear_x", "translate_y", "invert", "brightness", "rotate", "posterize", "shear_y", "contrast"]
    pixels, plain = noise(1, 48, 64, 3), [Applied(name, 0.3) for name in names]
    wanted = carry_out([plain], pixels, generator(5))
    rng = generator(5)
    signs = [1 if not OPERATIONS[n].signed or torch.rand(1, generator=rng) < 0.5 else -1 for n in names]
    assert {1, -1} == set(signs)
    steps = [Applied(name, sign * 0.3) for name, sign in zip(names, signs, strict=True)]
    np.testing.assert_array_equal(render(pixels[0], steps), wanted[0])


def test_there_and_back_in_one_chain_is_the_image_itself() -> None:
    pixels = noise(30, 30, 3)
    steps = [Applied("translate_x", 1.0), Applied("translate_x", -1.0)]
    np.testing.assert_array_equal(render(pixels, steps), pixels)
    np.testing.assert_array_equal(render(pixels, []), pixels)
    assert render(pixels, []) is not pixels


def test_the_affine_chosen_by_hand_is_rendered_as_it_was_done() -> None:
    pixels = noise(6, 40, 56, 3)
    done, plan = random_affine(pixels, RANGES, generator(6))
    assert plan == draw_random_affine(RANGES, 6, generator(6))
    for image, steps, wanted in zip(pixels, plan, done, strict=True):
        rendered = render(image, steps)
        apart = np.abs(rendered.astype(int) - wanted)  # of one image alone, what lies half-way may round otherwise
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.001
        np.testing.assert_array_equal(render(image, [*steps, Applied("invert", 1.0)]), 255 - rendered)


def test_both_kinds_of_affine_in_a_row_are_one_map() -> None:
    pixels = noise(40, 56, 3)
    steps = [Applied("rotate", 0.5), *BY_HAND, *BY_HAND, Applied("shear_x", -0.4), Applied("invert", 1.0)]
    hand = affine_map(torch.tensor([[step.magnitude for step in BY_HAND]]), 40, 56)
    matrix = geometry.rotate(torch.tensor([0.5]), 40, 56)
    for step in (hand, hand, geometry.shear_x(torch.tensor([-0.4]), 40, 56)):
        matrix = geometry.one_after_another(matrix, step)
    wanted = to_pixels(geometry.warp(to_images(pixels[None]), matrix).clamp(0, 1))[0]
    np.testing.assert_array_equal(render(pixels, steps), 255 - wanted)


def test_a_large_image_in_strips_is_the_image_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = scene(90, 120)
    plan = [[Applied("rotate", 0.5), Applied(name, 0.4, 3)] for name in OPERATIONS]
    whole = [render(pixels, steps).astype(int) for steps in plan]
    monkeypatch.setattr(rendering, "STRIP", 7 * 120)
    for steps, wanted in zip(plan, whole, strict=True):
        assert np.abs(render(pixels, steps) - wanted).max() <= 1  # a product of other shape may round otherwise


# --- at another resolution ------------------------------------------------------------------------------------------

GREY_LEVELS = 1.0  # mean absolute difference that is allowed; measured: at most 0.65, of which 0.26 is rounding


@pytest.mark.parametrize("shape", [(512, 512), (384, 512), (512, 256)])
@pytest.mark.parametrize("name", [*OPERATIONS, "by hand", "a chain"])
def test_the_same_steps_give_the_same_picture_at_another_size(name: str, shape: tuple[int, int]) -> None:
    large = scene(*shape)
    small = np.rint(shrunk(large, 8)).astype(np.uint8)
    chain = [Applied("rotate", 0.4), *BY_HAND, Applied("brightness", -0.3), Applied("cutout", 0.6, 9)]
    for sign in (1, -1) if name in OPERATIONS and OPERATIONS[name].signed else (1,):
        steps = {"by hand": BY_HAND, "a chain": chain}.get(name) or [Applied(name, sign * 0.6, 11)]
        one, other = shrunk(render(large, steps), 8), render(small, steps).astype(float)
        assert np.abs(one - other).mean() < GREY_LEVELS
        assert np.abs(other - small).mean() > 1 or name == "sharpness"  # something was done; nothing here is sharp


@pytest.mark.parametrize("shape", [(512, 512, 3), (128, 96, 1), (250, 333, 3)])
def test_noise_keeps_its_strength_at_every_size_once_the_image_is_shrunk(shape: tuple[int, int, int]) -> None:
    grey, step = np.full(shape, 128, np.uint8), [Applied("gaussian_noise", 0.5, 4)]
    size = (round(shape[1] * GRAIN / max(shape)), round(shape[0] * GRAIN / max(shape)))
    flat = render(grey, step).squeeze()
    small = np.asarray(Image.fromarray(flat).resize(size, Image.Resampling.BOX)).astype(float) - 128
    assert small.std() == pytest.approx(0.2 * 0.5 * 255, rel=0.05 if shape[0] != 250 else 0.2)  # cells of 5.2 pixels
    assert abs(small.mean()) < 1
    again = [Applied("gaussian_noise", 0.5, 5)]
    assert not np.array_equal(render(grey, again).squeeze(), flat)


@pytest.mark.parametrize("strength", [0.9, -0.9])
def test_sharpness_is_the_same_at_another_size(strength: float) -> None:
    large = scene(512, 384, soft=0.005)
    small = np.rint(shrunk(large, 8)).astype(np.uint8)
    one, other = (render(image, [Applied("sharpness", strength)]).astype(float) for image in (large, small))
    edges = np.abs(other - small) > 5
    assert edges.mean() > 0.02
    at_large, at_small = (shrunk(one, 8) - small)[edges], (other - small)[edges]  # what it did to the edges
    assert np.corrcoef(at_large, at_small)[0, 1] > 0.99
    assert np.polyfit(at_small, at_large, 1)[0] == pytest.approx(1.0, abs=0.12)  # 25 pixels stand for 3 of 8


def test_sharpness_above_the_grain_is_its_definition() -> None:
    """At twice the grain the kernel is 5 wide: 3 pixels of the small picture are 6, and a middle needs an odd width."""
    pixels = noise(2 * GRAIN, 2 * GRAIN, 1)
    values = pixels[..., 0].astype(float)
    wanted = values.copy()
    for y in range(2, 2 * GRAIN - 2):
        for x in range(2, 2 * GRAIN - 2):
            mean = values[y - 2 : y + 3, x - 2 : x + 3].mean()
            smooth = (9 * mean + 4 * values[y, x]) / 13
            wanted[y, x] = smooth + (1 + 0.9 * -0.8) * (values[y, x] - smooth)
    np.testing.assert_allclose(render(pixels, [Applied("sharpness", -0.8)])[..., 0], wanted.clip(0, 255), atol=0.501)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 2), (2, 2)])
def test_thin_images_are_rendered(shape: tuple[int, int]) -> None:
    pixels = noise(*shape, 3)
    for name in OPERATIONS:
        assert render(pixels, [Applied(name, 0.5, 1)]).shape == pixels.shape


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([Applied("spin", 0.5)], "'spin' is no operation; known: shear_x, .* shift_y"),
        ([Applied("cutout", 0.5)], "cutout has no seed"),
        (BY_HAND[:4], "are one map, in this order; got rotate_degrees, shear, zoom, shift_x$"),
        (
            [*BY_HAND[:2], Applied("invert", 1.0), *BY_HAND[2:]],
            "are one map, in this order; got rotate_degrees, shear$",
        ),
    ],
)
def test_steps_that_do_not_say_everything_are_refused(steps: list[Applied], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(steps)
    with pytest.raises(ValueError, match=message):
        render(noise(4, 4, 1), steps)
