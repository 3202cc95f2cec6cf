"""The picture of the plane: where points, pictures and marks lie, and that the bytes depend on the input alone."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from winnow.pictures.plane import HEIGHT, MARGIN, THUMBNAIL, WIDTH, class_colours, plane_positions, plane_view

CLASSES = ["a", "b", "c"]


def pixels_of(png: bytes) -> npt.NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(np.int64)


def picked(images: Sequence[npt.NDArray[np.uint8]]) -> Callable[[Sequence[int]], list[npt.NDArray[np.uint8]]]:
    """The images as the plane asks for them."""
    return lambda numbers: [images[number] for number in numbers]


def rgb(colour: str) -> list[int]:
    return [int(colour[n : n + 2], 16) for n in (1, 3, 5)]


def drawn(count: int = 40, *, colour: bool = False, fates: list[str | None] | None = None) -> bytes:
    generator = np.random.default_rng(0)
    x, y = generator.normal(0, 20, (2, count))
    labels = [CLASSES[n % 3] for n in range(count)]
    images = generator.integers(0, 256, (count, 8, 8, 3 if colour else 1), dtype=np.uint8)
    return plane_view(x, y, labels, CLASSES, labels if fates is None else fates, picked(list(images)))


def test_positions_fill_the_picture_with_one_scale_and_y_upwards() -> None:
    places = plane_positions(np.array([0.0, 200.0, 100.0]), np.array([0.0, 0.0, 75.0])) * [WIDTH, HEIGHT]
    assert places[:, 0] == pytest.approx([MARGIN, WIDTH - MARGIN, WIDTH / 2])
    scale = (WIDTH - 2 * MARGIN) / 200
    assert places[0, 1] - places[2, 1] == pytest.approx(75 * scale)
    assert places[:, 1].mean() > HEIGHT / 2 > places[2, 1]


@pytest.mark.parametrize("x", [[], [3.0], [3.0, 3.0]])
def test_positions_without_an_extent_are_in_the_middle(x: list[float]) -> None:
    places = plane_positions(np.array(x), np.array(x))
    assert places.shape == (len(x), 2)
    assert (places == 0.5).all()


def test_a_point_has_its_labels_colour_a_mark_its_new_labels() -> None:
    # Two points in each of two cells: one is shown as a picture, the other as a point.
    x, y = np.array([0.0, 1.0, 0.0, 1.0, 100.0]), np.array([0.0, 0.0, 75.0, 75.0, 0.0])
    grey = [np.full((4, 4, 1), 128, np.uint8)] * 5
    labels = ["a", "b", "b", "a", "c"]
    plain = pixels_of(plane_view(x, y, labels, CLASSES, labels, picked(grey)))[:HEIGHT]
    assert plain.shape == (HEIGHT, WIDTH, 3)
    marked = pixels_of(plane_view(x, y, labels, CLASSES, ["a", None, "b", "c", "c"], picked(grey)))[:HEIGHT]
    colours = dict(zip(CLASSES, map(rgb, class_colours(3)), strict=True))
    for label in CLASSES:
        assert (np.abs(plain - colours[label]).max(axis=-1) < 12).sum() > 30, label
    # The relabelled point is the picture of its cell, its mark at the upper right corner.
    left, top = (plane_positions(x, y)[3] * [WIDTH, HEIGHT]).round().astype(int)
    at = marked[top - THUMBNAIL // 2, left + THUMBNAIL // 2]
    assert np.abs(at - colours["c"]).max() < 12
    left, top = (plane_positions(x, y)[1] * [WIDTH, HEIGHT]).round().astype(int)
    assert marked[top - THUMBNAIL // 2, left + THUMBNAIL // 2].max() < 60  # the middle of a cross
    assert plain[top - THUMBNAIL // 2, left + THUMBNAIL // 2].min() > 200


def test_equal_input_gives_equal_bytes_and_other_fates_others() -> None:
    labels: list[str | None] = [CLASSES[n % 3] for n in range(40)]
    assert drawn() == drawn()
    assert drawn(fates=[None, *labels[1:]]) != drawn()


def test_colour_nothing_and_many_classes_are_drawn() -> None:
    assert pixels_of(drawn(colour=True)).shape[1] == WIDTH
    empty = pixels_of(plane_view(np.array([]), np.array([]), [], [], [], picked([])))[:HEIGHT]
    assert (empty == 255).all()
    many = [f"class {n} with a very long name <&> \n 名" for n in range(300)]
    png = plane_view(np.array([1.0]), np.array([1.0]), many[:1], many, many[:1], picked([np.zeros((5, 9), np.uint8)]))
    assert HEIGHT < pixels_of(png).shape[0] < HEIGHT + 250
    assert len(set(class_colours(300))) > 290


def test_slips_are_refused() -> None:
    one, image = np.array([0.0]), picked([np.zeros((4, 4), np.uint8)])
    with pytest.raises(ValueError, match="of one length, got 1, 1, 1 and 0"):
        plane_view(one, one, ["a"], CLASSES, [], image)
    with pytest.raises(ValueError, match="among the 3 classes, got 'z'"):
        plane_view(one, one, ["a"], CLASSES, ["z"], image)
