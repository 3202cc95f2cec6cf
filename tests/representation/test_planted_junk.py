"""Planted junk: each kind by its definition."""

import numpy as np
import numpy.typing as npt
import pytest

from winnow.representation.planted_junk import KINDS, plant_junk

Pixels = npt.NDArray[np.uint8]


def made(images: Pixels, kind: str, *, count: int = 1, seed: int = 0) -> Pixels:
    """Junk of one kind: every fourth."""
    junk = plant_junk(images, len(KINDS) * count, np.random.default_rng(seed))
    return junk[KINDS.index(kind) :: len(KINDS)]


def noise(count: int, side: int = 8, channels: int = 1) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def quarters(image: Pixels) -> list[Pixels]:
    """The four corners, without a middle row or column."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return [image[:height, :width], image[:height, -width:], image[-height:, :width], image[-height:, -width:]]


@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_quarters_are_those_of_one_image_in_another_order(side: int, channels: int) -> None:
    images = noise(3, side, channels)
    for junk in made(images, "quarters", count=40):
        found = sorted(one.tobytes() for one in quarters(junk))
        (whose,) = [one for one in images if sorted(part.tobytes() for part in quarters(one)) == found]
        assert not np.array_equal(junk, whose)
        if side % 2:
            assert np.array_equal(junk[side // 2], whose[side // 2])
            assert np.array_equal(junk[:, side // 2], whose[:, side // 2])


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9)])
def test_halves_are_of_two_images_beside_or_above_one_another(height: int, width: int) -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, height, width, 1), dtype=np.uint8)
    directions = set()
    for junk in made(images, "halves", count=40):
        beside = [
            (i, j)
            for i in range(3)
            for j in range(3)
            if np.array_equal(junk, np.concatenate([images[i][:, : width // 2], images[j][:, width // 2 :]], axis=1))
        ]
        above = [
            (i, j)
            for i in range(3)
            for j in range(3)
            if np.array_equal(junk, np.concatenate([images[i][: height // 2], images[j][height // 2 :]]))
        ]
        ((first, second),) = beside + above
        assert first != second
        directions.add(bool(beside))
    assert directions == {True, False}


@pytest.mark.parametrize(("background", "stroke"), [(255, 0), (0, 255), (240, 30)])
def test_overlaid_shows_the_strokes_of_both_on_either_background(background: int, stroke: int) -> None:
    images = np.full((2, 8, 8, 1), background, np.uint8)
    images[0, 2], images[1, :, 5] = stroke, stroke
    (junk,) = made(images, "overlaid")
    wanted = np.full((8, 8, 1), background, np.uint8)
    wanted[2], wanted[:, 5] = stroke, stroke
    assert np.array_equal(junk, wanted)


def test_overlaid_tells_colours_from_the_background_by_all_channels() -> None:
    images = np.full((2, 8, 8, 3), 200, np.uint8)
    images[0, 0, 0] = (255, 200, 200)  # 55 away
    images[1, 0, 0] = (170, 170, 170)  # 90 away
    (junk,) = made(images, "overlaid")
    assert junk[0, 0].tolist() == [170, 170, 170]
    assert (junk.reshape(-1, 3)[1:] == 200).all()


def test_the_mean_is_the_mean_and_does_not_overflow() -> None:
    images = np.array([250, 255], np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    assert (made(images, "mean") == 252).all()


def test_kinds_take_turns_and_the_same_draws_give_the_same_junk() -> None:
    images = noise(5)
    junk = plant_junk(images, 11, np.random.default_rng(3))
    assert junk.shape == (11, 8, 8, 1)
    assert junk.dtype == np.uint8
    assert np.array_equal(junk, plant_junk(images, 11, np.random.default_rng(3)))
    assert not np.array_equal(junk, plant_junk(images, 11, np.random.default_rng(4)))
    assert plant_junk(images, 0, np.random.default_rng(0)).shape == (0, 8, 8, 1)


@pytest.mark.parametrize("count", [0, 1])
def test_junk_of_fewer_than_two_images_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"junk is made of at least 2 images, got {count}"):
        plant_junk(noise(5)[:count], 4, np.random.default_rng(0))
