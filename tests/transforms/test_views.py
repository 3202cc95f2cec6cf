"""The hand-made affine against PIL, and its identity."""

import math

import numpy as np
import torch
from PIL import Image

from tests.support.refusals import refused_params
from winnow.transforms.views import Ranges, random_affine


def photo(count: int, side: int = 24) -> np.ndarray:
    """(N, side, side, 1) smooth images with a plain border, so that what lies outside is the border's colour."""
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (count, 6, 6), dtype=np.uint8)
    inner = np.stack(
        [np.asarray(Image.fromarray(one).resize((side - 8, side - 8), Image.Resampling.BICUBIC)) for one in small]
    )
    return np.pad(inner, ((0, 0), (4, 4), (4, 4)), constant_values=200)[..., None]


def test_no_range_no_change() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 20, 3), dtype=np.uint8)
    still, plan = random_affine(images, Ranges(0.0, 0.0, 0.0, 0.0), torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(still, images)
    assert all(abs(step.magnitude - (step.operation == "zoom")) == 0 for steps in plan for step in steps)


def test_it_is_what_pil_does_with_the_recorded_values() -> None:
    images = photo(20)
    moved, plan = random_affine(images, Ranges(10.0, 0.08, 0.1, 0.1), torch.Generator().manual_seed(0))
    for image, after, steps in zip(images, moved, plan, strict=True):
        done = {step.operation: step.magnitude for step in steps}
        cosine, sine = (f(math.radians(done["rotate_degrees"])) / done["zoom"] for f in (math.cos, math.sin))
        top = [cosine + done["shear"] * sine, done["shear"] * cosine - sine]
        bottom = [sine, cosine]
        shift = 12 + 24 * np.array([done["shift_x"], done["shift_y"]])  # what comes to lie on the centre's place
        offsets = [12 - np.dot(row, shift) for row in (top, bottom)]
        data = (*top, offsets[0], *bottom, offsets[1])
        expected = Image.fromarray(image[..., 0]).transform(
            (24, 24), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=200
        )
        np.testing.assert_allclose(after[..., 0].astype(int), np.asarray(expected).astype(int), atol=1)


def test_draws_fill_their_ranges_and_repeat() -> None:
    ranges = Ranges(10.0, 0.08, 0.2, 0.1)
    images = photo(1).repeat(2000, axis=0)
    one, plan = random_affine(images, ranges, torch.Generator().manual_seed(5))
    two, _ = random_affine(images, ranges, torch.Generator().manual_seed(5))
    np.testing.assert_array_equal(one, two)
    values = np.array([[step.magnitude for step in steps] for steps in plan])  # degrees, shear, zoom, right, down
    wide = np.array([10.0, 0.1, 0.2, 0.08, 0.08])
    scaled = (values - [0, 0, 1, 0, 0]) / wide
    assert abs(scaled).max() <= 1 + 1e-6
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=0.06)
    np.testing.assert_allclose(scaled.std(axis=0), 1 / math.sqrt(3), atol=0.02)
    np.testing.assert_allclose(np.corrcoef(scaled.T), np.eye(5), atol=0.08)


def test_ranges_out_of_range() -> None:
    with refused_params(Ranges, r"zoom must be below 1\.0, got 1\.0"):
        Ranges(rotate_degrees=10.0, shift=0.08, zoom=1.0, shear=0.1)
