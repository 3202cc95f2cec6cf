"""Planted faults are where truth.csv says, and nowhere else."""

import numpy as np

from bench.plant import plant


def images() -> dict[str, np.ndarray]:
    """Ten images of each of three classes; an image's grey tells its class, its first pixel which one it is."""
    made = {}
    for k, label in enumerate(("a", "b", "c")):
        for number in range(10):
            pixels = np.full((8, 8, 3), 60 * (k + 1), np.uint8)
            pixels[0, 0] = number
            made[f"{label}/{number}.png"] = pixels
    return made


def test_shares_are_met_and_the_truth_is_told() -> None:
    placed, rows = plant(images(), wrong=0.25, junk=0.125, test=0.2, seed=0)
    train = {name: pixels for name, pixels in placed.items() if name.startswith("train/")}
    tested = {name: pixels for name, pixels in placed.items() if name.startswith("test/")}
    assert (len(train), len(tested)) == (24, 6)
    assert {name for name, _, _ in rows} == set(train)
    junk = [name for name, _, noise in rows if noise]
    moved = [name for name, label, noise in rows if not noise and name.split("/")[1] != label]
    assert len(junk) == 3
    assert len(moved) == 6
    for name, label, noise in rows:
        if not noise:
            assert train[name][1, 1, 0] == 60 * ("abc".index(label) + 1)
    for name, pixels in tested.items():
        assert pixels[1, 1, 0] == 60 * ("abc".index(name.split("/")[1]) + 1)


def test_equal_seeds_plant_alike_and_others_otherwise() -> None:
    first, again = (plant(images(), wrong=0.2, junk=0.2, test=0.2, seed=1) for _ in range(2))
    other = plant(images(), wrong=0.2, junk=0.2, test=0.2, seed=2)
    assert first[1] == again[1]
    assert all(np.array_equal(first[0][name], again[0][name]) for name in first[0])
    assert first[1] != other[1]
