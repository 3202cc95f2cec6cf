"""What the review holds of a round's signals equals what a slow reading of them gives."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError
from winnow.review import signals
from winnow.review.signals import COMPARED, LIKELY, NEIGHBOURS_SHOWN, Near, guesses, read_guesses, read_near

CLASSES = ["i", "ii", "iii", "iv", "v"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "ROWS", 4)


@pytest.mark.parametrize("seed", range(3))
def test_a_guess_has_the_likeliest_labels_and_those_of_the_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (11, 5)) / np.float32(8)  # with ties
    values[7, 2] = np.nan
    labels = [(str(rng.choice(CLASSES)), None if n % 3 == 0 else str(rng.choice(CLASSES))) for n in range(11)]
    found = list(guesses(values, labels, CLASSES))
    assert found[7] is None
    for row, (guess, (given, piped)) in enumerate(zip(found, labels, strict=True)):
        if guess is None:
            continue
        ranked = sorted(zip(CLASSES, values[row].tolist(), strict=True), key=lambda pair: -pair[1])
        assert guess.likely == tuple(ranked[:LIKELY])
        assert guess.given == values[row, CLASSES.index(given)]
        assert guess.piped == (None if piped is None else values[row, CLASSES.index(piped)])


def test_guesses_are_those_of_the_images_that_are_wanted(tmp_path: Path) -> None:
    values = pa.array([[0.1, 0.9], [0.6, 0.4], [0.5, 0.5]], pa.list_(pa.float32()))
    write_table(tmp_path / "classes.parquet", pa.table({"id": ["copy", "a", "b"], "probability": values}))
    found = read_guesses(
        tmp_path / "classes.parquet", {"a": ("i", "ii"), "b": ("i", None), "new": ("i", "i")}, ["i", "ii"]
    )
    assert {one: [name for name, _ in guess.likely] for one, guess in found.items()} == {
        "a": ["i", "ii"],
        "b": ["i", "ii"],
    }
    with pytest.raises(UserError, match="2 classes, the dataset has 5"):
        read_guesses(tmp_path / "classes.parquet", {}, CLASSES)


def slowly(neighbours: list[list[str]], distances: list[list[float]]) -> Near:
    similar: dict[str, list[float]] = {}
    for names, lengths in zip(neighbours, distances, strict=True):
        for name, length in zip(names[:COMPARED], lengths[:COMPARED], strict=True):
            similar.setdefault(name, []).append(1 - length**2 / 2)
    ranked = sorted(similar.items(), key=lambda pair: (-len(pair[1]), -sum(pair[1]) / len(pair[1]), pair[0]))
    return tuple((name, sum(values) / len(values)) for name, values in ranked[:NEIGHBOURS_SHOWN])


@pytest.mark.parametrize("seed", range(3))
def test_the_nearest_over_the_repeats(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = [f"{number:02}" for number in range(30)]
    named = [[rng.permutation(ids)[:20].tolist() for _ in range(3)] for _ in ids]
    lengths = (rng.integers(0, 5, (30, 3, 20)) / np.float32(4)).tolist()  # with ties
    named[5], lengths[5] = [], []
    write_table(
        tmp_path / "near.parquet",
        pa.table(
            {
                "id": ids,
                "neighbours": pa.array(named, pa.list_(pa.list_(pa.string()))),
                "distances": pa.array(lengths, pa.list_(pa.list_(pa.float32()))),
            }
        ),
    )
    wanted = [one for number, one in enumerate(ids) if number % 3]
    found = read_near(tmp_path / "near.parquet", wanted)
    assert found == {one: slowly(named[int(one)], lengths[int(one)]) for one in wanted}


def test_neighbours_without_their_distances_are_refused(tmp_path: Path) -> None:
    columns = {
        "id": ["a"],
        "neighbours": pa.array([[["b", "c"]]], pa.list_(pa.list_(pa.string()))),
        "distances": pa.array([[[0.5]]], pa.list_(pa.list_(pa.float32()))),
    }
    write_table(tmp_path / "near.parquet", pa.table(columns))
    with pytest.raises(UserError, match="do not go together"):
        read_near(tmp_path / "near.parquet", ["a"])
