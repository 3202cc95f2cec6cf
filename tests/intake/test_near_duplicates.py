"""Copies of drawn scenes are found, other scenes are not; hashes and groups against searches over all pairs."""

import imagehash
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from bench.near_duplicates import KINDS, find, plant
from winnow.intake.hash_tables import ASKED, DISTANCE, _within, near_by_tables
from winnow.intake.near_duplicates import candidates, confirm, groups, same
from winnow.intake.perceptual_hash import perceptual_hash
from winnow.intake.registration import SIDE, likeness, thumbnail

Pixels = npt.NDArray[np.uint8]


def scene(seed: int, *, height: int = 150, width: int = 200) -> Pixels:
    """Soft clouds with sharper spots, each colour its own."""
    rng = np.random.default_rng(seed)
    layers = [ndimage.gaussian_filter(rng.normal(size=(height, width, 3)), (sigma, sigma, 0)) for sigma in (18, 3)]
    levels = sum(layer / layer.std() for layer in layers)
    return np.asarray((125 + 30 * levels).clip(0, 255), np.uint8)


# --- hashes ---------------------------------------------------------------------------------------------------------


def test_the_bits_are_those_of_imagehash_for_the_whole_and_for_crops() -> None:
    pixels = scene(0, height=128, width=128)
    image = Image.fromarray(pixels).convert("L")
    found = perceptual_hash(pixels)
    for bits, share in zip(found, (0, 0.02, 0.04), strict=True):
        box = (128 * share, 128 * share, 128 - 128 * share, 128 - 128 * share)
        crop = image.resize((128, 128), Image.Resampling.BILINEAR, box=box)
        assert np.array_equal(np.unpackbits(bits), imagehash.phash(crop, hash_size=16).hash.ravel())


def test_grey_and_colour_of_the_same_levels_have_the_same_bits() -> None:
    grey = scene(1)[..., :1]
    assert np.array_equal(perceptual_hash(grey), perceptual_hash(np.repeat(grey, 3, axis=-1)))


def test_plain_images_are_no_candidates_of_one_another() -> None:
    plain = [perceptual_hash(np.full((40, 60, 3), level, np.uint8)) for level in (0, 90, 90, 255)]
    assert not np.any(plain)
    assert candidates(np.stack(plain)).shape == (0, 2)
    assert candidates(np.stack([*plain, perceptual_hash(scene(0))])).shape == (0, 2)
    assert candidates(np.empty((0, 3, 32), np.uint8)).shape == (0, 2)


@given(st.integers(0, 99), st.integers(2, 12), st.integers(0, 12))
def test_candidates_are_what_a_search_over_all_pairs_finds(seed: int, count: int, radius: int) -> None:
    hashes = np.random.default_rng(seed).integers(1, 256, (count, 3, 2), dtype=np.uint8)
    expected = []
    for one in range(count):
        for other in range(one + 1, count):
            pairs = [(hashes[a, crop], hashes[b, 0]) for a, b in ((one, other), (other, one)) for crop in range(3)]
            if min(int(np.unpackbits(left ^ right).sum()) for left, right in pairs) <= radius:
                expected.append([one, other])
    assert candidates(hashes, radius=radius).tolist() == expected


def test_images_that_all_look_alike_give_few_pairs_which_still_hang_together() -> None:
    hashes = np.ones((500, 3, 32), np.uint8)
    pairs = candidates(hashes, nearest=4)
    assert len(pairs) <= 3 * 4 * 500
    assert set(groups(500, pairs).tolist()) == {0}


# --- copies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_shows_the_same_details_and_another_scene_does_not(kind: str) -> None:
    images = {f"{seed}": scene(seed) for seed in range(6)}
    copies, _ = plant(images, np.random.default_rng(0))
    for name, pixels in images.items():
        assert likeness(thumbnail(pixels), thumbnail(copies[f"{name} {kind}"])) > 0.9
        other = thumbnail(copies[f"{(int(name) + 1) % 6} {kind}"])
        assert likeness(thumbnail(pixels), other) < 0.5


def test_likeness_of_itself_is_one_and_of_its_negative_none() -> None:
    one = thumbnail(scene(3))
    assert likeness(one, one) == pytest.approx(1, abs=1e-9)
    assert likeness(one, (255 - one).astype(np.uint8)) == 0
    assert likeness(one, np.full((SIDE, SIDE), 7, np.uint8)) == 0


def test_likeness_does_not_ask_for_brightness_or_contrast() -> None:
    one = thumbnail(scene(4))
    dull = (60 + one // 2).astype(np.uint8)
    assert likeness(one, dull) > 0.98
    assert likeness(dull, one) > 0.98


def test_a_planted_set_is_found_whole_and_nothing_else() -> None:
    images = {f"{seed}": scene(seed) for seed in range(8)}
    copies, pairs = plant(images, np.random.default_rng(0))
    assert find(images | copies) == pairs


def test_thumbnails_are_asked_for_candidates_alone_and_for_each_once_a_block() -> None:
    pictures = [thumbnail(scene(seed)) for seed in (0, 0, 1, 2, 2)]
    asked = []

    def thumbnails(rows: npt.NDArray[np.int64]) -> Pixels:
        asked.append(rows.tolist())
        return np.stack([pictures[row] for row in rows])

    pairs = np.array([[0, 1], [1, 2], [3, 4]])
    assert confirm(pairs, thumbnails).tolist() == [[0, 1], [3, 4]]
    assert asked == [[0, 1, 2, 3, 4]]
    assert confirm(pairs[:0], thumbnails).shape == (0, 2)
    assert confirm(pairs[1:2], thumbnails).shape == (0, 2)


# --- groups ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 15), st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=20))
def test_groups_are_what_chains_of_pairs_join(count: int, links: list[tuple[int, int]]) -> None:
    pairs = [(one % count, other % count) for one, other in links]
    expected = list(range(count))
    for _ in range(count):
        for one, other in pairs:
            expected[one] = expected[other] = min(expected[one], expected[other])
    assert groups(count, np.array(pairs, np.int64).reshape(-1, 2)).tolist() == expected


def test_kinds_of_pairs_merge_into_common_groups() -> None:
    by_pixels, by_name = same(["x", "y", "x", "z", "w"]), same([None, "burst", "burst", None, None])
    assert by_pixels.tolist() == [[0, 2]]
    assert by_name.tolist() == [[1, 2]]
    assert groups(5, np.concatenate([by_pixels, by_name])).tolist() == [0, 0, 0, 3, 4]
    assert groups(3, same(["a", "b", "c"])).tolist() == [0, 1, 2]


# --- among many -----------------------------------------------------------------------------------------------------


def test_tables_give_no_pair_that_a_search_over_all_pairs_does_not_and_miss_none_of_few_bits() -> None:
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 256, (900, 3, 32), dtype=np.uint8)
    flipped = np.arange(300)[:, None] // 5  # bits, of each third image, which is a copy of the one before it
    order = rng.random((300, 256)).argsort(axis=1)
    masks = np.packbits(order < flipped, axis=1)
    hashes[2::3, 0] = hashes[1::3, 0] ^ masks
    found = {tuple(pair) for pair in candidates(hashes, exact=0).tolist()}
    every = {tuple(pair) for pair in candidates(hashes, exact=900).tolist()}
    assert len(every) == 300
    assert found <= every
    assert {(3 * number + 1, 3 * number + 2) for number in range(300) if number // 5 <= 30} <= found
    assert len(found) > 0.8 * len(every)


@given(st.integers(0, 99), st.integers(1, 20), st.integers(1, 4))
def test_tables_keep_the_nearest_of_each_image(seed: int, count: int, nearest: int) -> None:
    """Hashes that differ in one bit at most meet in every table."""
    index = np.zeros((count, 8), np.uint8)
    index[:, 0] = 1 << np.random.default_rng(seed).integers(0, 4, count)
    asked = np.zeros((5, 8), np.uint8)
    asked[1:, 0] = 1 << np.arange(4)
    expected = []
    for row, one in enumerate(asked):
        away = sorted((int(np.unpackbits(one ^ other).sum()), number) for number, other in enumerate(index))
        expected += [[row, number] for bits, number in away if bits <= 1][:nearest]
    assert near_by_tables(index, asked, radius=1, nearest=nearest).tolist() == expected


def test_the_number_of_a_pair_has_room_for_millions_of_images() -> None:
    asked, row, bits = 2**22, 2**12, 256
    words = np.zeros((row + 1, 4), np.uint64), np.full((asked + 1, 4), 2**64 - 1, np.uint64)
    found = _within(np.array([asked]), (np.array([0]), np.array([row])), words, radius=bits)
    assert (found >> ASKED).tolist() == [asked]
    assert (found & (1 << DISTANCE) - 1).tolist() == [row]
    assert (found >> DISTANCE & (1 << ASKED - DISTANCE) - 1).tolist() == [bits]


def test_many_that_all_look_alike_give_few_pairs_which_still_hang_together() -> None:
    pairs = candidates(np.ones((500, 3, 32), np.uint8), nearest=4, exact=0)
    assert len(pairs) <= 3 * 4 * 500
    assert set(groups(500, pairs).tolist()) == {0}
