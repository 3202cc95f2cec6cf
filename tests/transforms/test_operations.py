"""The operations against Pillow, against finite differences, and at magnitude 0."""

import numpy as np
import pytest
import torch

from tests.support.reference_operations import REFERENCES, inner_disc, reference
from winnow.transforms.geometry import border_colour
from winnow.transforms.operations import MOVING, OPERATIONS, apply, apply_to_pixels, check_operations, move

GEOMETRIC = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "scale")
# Not in Pillow: their statistics are tested, and elastic and stroke in files of their own.
NOT_IN_PILLOW = ("gaussian_noise", "cutout", "elastic", "stroke")
SWITCHES = ("invert", "flip_x", "flip_y", "rotate_180")
STRAIGHT_THROUGH = (*SWITCHES, "solarize", "posterize")  # their magnitude has no derivative


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photographs(count: int, channels: int, height: int = 24, width: int = 20, seed: int = 0) -> np.ndarray:
    """(N, H, W, C) uint8, smooth enough that a value between two pixels is meaningful."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((count, channels, 6, 5)))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (255 * smooth).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def test_the_names_are_the_agreed_ones_each_once() -> None:
    assert sorted(OPERATIONS) == sorted(
        [
            "shear_x",
            "shear_y",
            "translate_x",
            "translate_y",
            "rotate",
            "invert",
            "gaussian_noise",
            "brightness",
            "contrast",
            "saturation",
            "solarize",
            "posterize",
            "equalize",
            "sharpness",
            "cutout",
            "flip_x",
            "flip_y",
            "rotate_180",
            "scale",
            "stroke",
            "elastic",
        ]
    )
    assert all(operation.name == name for name, operation in OPERATIONS.items())
    assert tuple(MOVING) == GEOMETRIC
    assert len({operation.moves or operation.transform for operation in OPERATIONS.values()}) == len(OPERATIONS)
    assert set(REFERENCES) | set(NOT_IN_PILLOW) == set(OPERATIONS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_magnitude_0_is_the_identity_bit_for_bit(name: str, channels: int) -> None:
    images = torch.rand((5, channels, 9, 8), generator=generator())
    magnitude = torch.tensor([0.0, 0.7, 0.0, 1.0, 0.0])
    result = apply(name, images, magnitude, generator(1))
    assert torch.equal(result[::2], images[::2])
    pixels = photographs(4, channels)
    assert np.array_equal(apply_to_pixels(name, pixels, np.zeros(4), generator(2)), pixels)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "saturation"])
def test_every_operation_does_something_at_its_full_magnitude(name: str) -> None:
    images = torch.rand((6, 1, 24, 20), generator=generator())
    changed = apply(name, images, torch.ones(6), generator())
    assert ((changed - images).abs().amax(dim=(1, 2, 3)) > 0.05).all()
    assert changed.min() >= 0
    assert changed.max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", REFERENCES)
def test_each_operation_is_pillows(name: str, channels: int) -> None:
    count = 12
    pixels = photographs(count, channels)
    magnitudes = np.linspace(0.1, 1, count).astype(np.float32)
    result = apply_to_pixels(name, pixels, magnitudes, generator())
    signs = (1, -1) if OPERATIONS[name].signed else (1,)
    # Geometry is compared where both read inside the image. Pillow rounds means and blends to 8 bits on the way.
    compared = inner_disc(24, 20, 0.7) if name in ("shear_x", "shear_y", "rotate") else np.ones((24, 20), dtype=bool)
    tolerance = 0 if name in (*SWITCHES, "posterize", "solarize") else 1 if name != "contrast" else 2
    taken = set()
    for image, magnitude, got in zip(pixels, magnitudes, result, strict=True):
        errors = {}
        for sign in signs:
            wanted = reference(name, image, sign * float(magnitude)).astype(int)
            inside = compared & _read_inside(name, sign * float(magnitude), image.shape[:2])
            errors[sign] = np.abs(wanted - got)[inside].max()
        best = min(errors, key=errors.__getitem__)
        taken.add(best)
        assert errors[best] <= tolerance, (magnitude, errors)
    if channels == 3 or name != "saturation":
        assert taken == set(signs)  # both directions occur


def _read_inside(name: str, strength: float, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) pixels that a translation or a scale reads from inside; all of them for other operations."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    if name == "scale":
        y, x = (
            (place - (side - 1) / 2) * 1.5**-strength + (side - 1) / 2
            for place, side in zip((y, x), shape, strict=True)
        )
    x -= 0.45 * strength * shape[1] * (name == "translate_x")
    y -= 0.45 * strength * shape[0] * (name == "translate_y")
    return (x >= 0) & (x <= shape[1] - 1) & (y >= 0) & (y <= shape[0] - 1)


@pytest.mark.parametrize("name", GEOMETRIC)
def test_one_move_alone_is_the_operation(name: str) -> None:
    images = torch.rand((6, 3, 15, 18), generator=generator())
    magnitudes = torch.linspace(0.2, 1, 6)
    moved = move(images, [[(name, float(magnitude))] for magnitude in magnitudes], generator(1))
    torch.testing.assert_close(moved, apply(name, images, magnitudes, generator(1)), atol=1e-5, rtol=0)


def test_moves_together_are_one_after_another() -> None:
    """Against each sampled by itself, where both read inside: equal on an image without curvature, f(x, y) = ax + by.

    Pairs whose order matters, on an image that is not square.
    """
    y, x = np.mgrid[:30, :40].astype(np.float32)
    images = torch.from_numpy(0.5 + 0.008 * (x - 19.5) + 0.01 * (y - 14.5))[None, None].repeat(16, 1, 1, 1)
    inside = torch.from_numpy(inner_disc(30, 40, 0.45))
    for first, second in (
        ("rotate", "shear_x"),
        ("shear_y", "rotate"),
        ("translate_x", "rotate"),
        ("shear_x", "shear_y"),
        ("scale", "translate_x"),
    ):
        strong = [{"translate_x": 0.3, "scale": 0.6}.get(name, 1.0) for name in (first, second)]
        together = move(images, [list(zip((first, second), strong, strict=True))] * 16, generator(3))
        rng = generator(3)
        apart = apply(first, images, torch.full((16,), strong[0]), rng)
        apart = apply(second, apart, torch.full((16,), strong[1]), rng)
        assert (together - apart).abs()[:, 0, inside].max() < 1e-4, (first, second)
        of_first, of_second = generator(3), generator(3)
        torch.rand(16, generator=of_second)  # the signs that the second had above
        other_way = apply(second, images, torch.full((16,), strong[1]), of_second)
        other_way = apply(first, other_way, torch.full((16,), strong[0]), of_first)
        assert (together - other_way).abs()[:, 0, inside].max() > 0.005


def test_every_image_of_a_batch_goes_through_its_own_chain() -> None:
    """Against each image alone, over all signs that its chain can have."""
    images = torch.rand((4, 1, 15, 18), generator=generator())
    chains = [[("rotate", 0.6)], [("shear_x", 0.9), ("translate_y", 0.2)], [("translate_x", 0.3), ("rotate", 0.4)], []]
    together = move(images, chains, generator(5))
    for image, chain, got in zip(images, chains, together, strict=True):
        alone = [move(image[None], [chain], generator(seed))[0] for seed in range(40)]
        assert len({tuple(one.flatten().tolist()) for one in alone}) == 2 ** len(chain)
        assert min((one - got).abs().max() for one in alone) < 1e-5
    with pytest.raises(ValueError, match=r"only shear_x, .* are affine maps, got invert"):
        move(images[:1], [[("invert", 1.0)]], generator())
    with pytest.raises(ValueError, match="got 1 for 4 images"):
        move(images, chains[:1], generator())


@pytest.mark.parametrize("name", GEOMETRIC)
def test_what_is_read_from_outside_has_the_borders_colour(name: str) -> None:
    images = torch.full((8, 3, 16, 16), 0.25)
    images[:, 1] = 0.75
    images[:, :, 5:11, 5:11] = 1.0
    images[:, :, 0, 5] = 0.0  # a stroke that touches the border moves no median
    assert torch.equal(border_colour(images)[0].flatten(), torch.tensor([0.25, 0.75, 0.25]))
    result = apply(name, images, torch.ones(8), generator())
    corners = torch.stack([result[:, :, i, j] for i in (0, -1) for j in (0, -1)])  # (4, B, C)
    torch.testing.assert_close(corners, torch.tensor([0.25, 0.75, 0.25]).expand(4, 8, 3))


def test_a_square_is_scaled_about_the_centre_by_the_factor() -> None:
    images = torch.ones((12, 1, 36, 48))
    images[:, :, 12:24, 18:30] = 0.0  # 12 pixels wide
    sums = (1 - apply("scale", images, torch.ones(12), generator())).sum(dim=(1, 2, 3))
    assert {round(one) for one in sums.tolist()} == {18 * 18, 8 * 8}
    halfway = (1 - apply("scale", images, torch.full((12,), 0.5), generator()))[:, 0]
    for row in halfway[:, 18]:
        assert min(abs(row.sum().item() - 12 * 1.5**s) for s in (0.5, -0.5)) < 0.3  # 14.7 or 9.8 pixels
    torch.testing.assert_close(halfway, halfway.flip(1, 2))


def test_the_noise_has_its_standard_deviation_on_every_pixel_and_channel_alone() -> None:
    images = torch.full((2, 3, 64, 64), 0.5)
    noise = apply("gaussian_noise", images, torch.tensor([0.5, 0.25]), generator()) - images  # 5 sd from the clamp
    assert noise[0].std().item() == pytest.approx(0.1, rel=0.03)
    assert noise[1].std().item() == pytest.approx(0.05, rel=0.03)
    between = torch.corrcoef(noise[0].flatten(1))
    assert (between - torch.eye(3)).abs().max() < 0.05


def test_cutout_paints_one_square_of_its_size_in_the_borders_colour() -> None:
    images = torch.full((64, 1, 32, 32), 1.0)
    images[:, :, 1:-1, 1:-1] = 0.0
    painted = apply("cutout", images, torch.full((64,), 0.5), generator())[:, 0, 1:-1, 1:-1]  # side 8 pixels
    area = painted.sum(dim=(1, 2))
    whole = area > 63.9  # the square lies inside
    assert whole.sum() > 20
    assert area.max().item() == pytest.approx(64.0, abs=1e-3)
    rows, columns = painted.amax(dim=2).sum(dim=1), painted.amax(dim=1).sum(dim=1)
    torch.testing.assert_close(rows[whole], torch.full_like(rows[whole], 8.0), atol=1.0, rtol=0)
    torch.testing.assert_close(columns[whole], torch.full_like(columns[whole], 8.0), atol=1.0, rtol=0)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in STRAIGHT_THROUGH])
def test_the_gradient_to_the_magnitude_is_the_derivative(name: str) -> None:
    images = torch.from_numpy(photographs(4, 3)).permute(0, 3, 1, 2).double() / 255
    images = 0.3 + 0.4 * images  # away from the clamp
    target = torch.rand(images.shape, generator=generator(3), dtype=torch.float64)
    magnitude = torch.tensor([0.137, 0.311, 0.523, 0.291], dtype=torch.float64, requires_grad=True)

    def loss(at: torch.Tensor) -> torch.Tensor:
        return (apply(name, images, at, generator(5)) * target).sum(dim=(1, 2, 3))  # (B,)

    (gradient,) = torch.autograd.grad(loss(magnitude).sum(), magnitude)
    step = 1e-6
    with torch.no_grad():
        difference = (loss(magnitude + step) - loss(magnitude - step)) / (2 * step)
    torch.testing.assert_close(gradient, difference, rtol=2e-4, atol=1e-5)
    assert gradient.abs().min() > 1e-3


@pytest.mark.parametrize("name", STRAIGHT_THROUGH)
def test_what_has_no_derivative_passes_the_gradient_straight_through(name: str) -> None:
    images = torch.from_numpy(photographs(4, 3)).permute(0, 3, 1, 2) / 255
    images.requires_grad_()
    magnitude = torch.full((4,), 0.5, requires_grad=True)
    target = torch.rand(images.shape, generator=generator(3))
    (apply(name, images, magnitude, generator()) * target).sum().backward()
    assert magnitude.grad is not None
    assert images.grad is not None
    assert magnitude.grad.abs().min() > 0
    assert images.grad.abs().sum() > 0
    if name == "invert":  # the blend x + m (1 - 2 x)
        torch.testing.assert_close(magnitude.grad, ((1 - 2 * images.detach()) * target).sum(dim=(1, 2, 3)))


def test_white_paper_has_a_gradient_too() -> None:
    images = torch.ones((2, 1, 4, 4), requires_grad=True)
    magnitude = torch.full((2,), 0.5, requires_grad=True)
    apply("invert", images, magnitude, generator()).sum().backward()
    assert magnitude.grad is not None
    assert images.grad is not None
    assert magnitude.grad.tolist() == [-16.0, -16.0]
    assert (images.grad == -1).all()


def test_the_same_generator_gives_the_same_pixels_and_another_others() -> None:
    pixels = photographs(6, 1)
    for name in ("rotate", "gaussian_noise", "cutout", "elastic", "stroke"):
        first, again, other = (apply_to_pixels(name, pixels, np.full(6, 0.8), generator(s)) for s in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_a_wrong_list_of_operations_is_refused_in_one_sentence() -> None:
    for names, message in (
        ([], "at least one"),
        (["rotate", "translateX"], "'translateX', which is unknown; known: shear_x"),
        (["rotate", "rotate"], "rotate 2 times"),
    ):
        with pytest.raises(ValueError, match=message):
            check_operations(names)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="magnitude"):
        apply("invert", torch.zeros(2, 1, 4, 4), torch.zeros(3), generator())
