"""Reading as the competition's trainer does against TensorFlow's formulas, and the study's wiring on tiny images."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.studies import original_pixels
from bench.studies.competition_trainer import InTrainersOrder, buffered, originals, subsampled
from bench.studies.original_pixels import tables
from tests.bench.studies.test_studies import in_process
from tests.support.datasets import make_dataset
from tests.support.inputs import CARD, competition_card
from tests.support.profiles import profile
from winnow.dataset.arrays import write_rows
from winnow.dataset.images import decode_stored, stored_images
from winnow.dataset.samples import label_indices, only_splits, read_samples
from winnow.evaluation.intervals import accuracy_interval, crossed_interval
from winnow.model.learner import FixedLearner
from winnow.model.squares import squares
from winnow.training.training import FixedInputs, Labelled

CPU = torch.device("cpu")


# --- subsampling --------------------------------------------------------------------------------------------------


def tensorflows(image: np.ndarray) -> np.ndarray:
    """``ResizeBilinear`` with half-pixel centres, pixel by pixel, as its kernel interpolates."""

    def weights(n: int, size: int) -> tuple[int, int, float]:
        place = (n + 0.5) * size / 32 - 0.5
        return max(math.floor(place), 0), min(math.ceil(place), size - 1), place - math.floor(place)

    height, width, channels = image.shape
    result = np.empty((32, 32, channels))
    for y, x in itertools.product(range(32), range(32)):
        top, bottom, down = weights(y, height)
        left, right, across = weights(x, width)
        upper = image[top, left] + (image[top, right] - image[top, left]) * across
        lower = image[bottom, left] + (image[bottom, right] - image[bottom, left]) * across
        result[y, x] = upper + (lower - upper) * down
    return result


@pytest.mark.parametrize("size", [(88, 121, 1), (253, 259, 3), (64, 64, 1), (32, 32, 1), (96, 160, 1), (20, 31, 3)])
def test_subsampling_is_tensorflows(size: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    np.testing.assert_allclose(subsampled(pixels), tensorflows(pixels.astype(np.float64)), atol=0.01)


def test_originals_are_the_delivered_images_in_the_order_of_the_samples(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, {"train": 5, "val": 3})
    ids = only_splits(read_samples(dataset), "val")["id"].to_pylist()
    expected = [subsampled(decode_stored(data, dataset, one)) for one, data in stored_images(dataset, ids).items()]
    np.testing.assert_array_equal(originals(dataset, "val"), np.stack(expected))


# --- the order ----------------------------------------------------------------------------------------------------


def outcomes(files: tuple[int, ...], size: int) -> Counter[tuple[int, ...]]:
    """Every order that a buffer of that size can give, with its probability: one branch a draw."""

    def branches(held: tuple[int, ...], left: tuple[int, ...]) -> list[tuple[tuple[int, ...], float]]:
        if not held:
            return [((), 1.0)]
        found = []
        for n, given in enumerate(held):
            after = held[:n] + held[n + 1 :] + left[:1]
            found += [((given, *rest), p / len(held)) for rest, p in branches(after, left[1:])]
        return found

    total: Counter[tuple[int, ...]] = Counter()
    for order, probability in branches(files[:size], files[size:]):
        total[order] += probability  # type: ignore[assignment]
    return total


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_a_buffer_gives_every_order_as_often_as_tensorflows(size: int) -> None:
    expected, rng, draws = outcomes((0, 1, 2, 3), size), np.random.default_rng(size), 4000
    found = Counter(tuple(buffered([0, 1, 2, 3], size, rng)) for _ in range(draws))
    assert set(found) == set(expected)
    for order, probability in expected.items():
        assert abs(found[order] / draws - probability) < 4 * math.sqrt(probability * (1 - probability) / draws) + 1e-9


def labelled(count: int) -> Labelled:
    """Images of one grey value each, which is their number."""
    return Labelled(np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2), np.arange(count))


def epoch(data: InTrainersOrder, batch: int) -> list[int]:
    """The numbers of the images that an epoch's batches give, whatever is asked for."""
    anything = torch.zeros(len(data), dtype=torch.int64)
    return [n for part in anything.split(batch) for n in data.pick(part)[1].tolist()]


def test_an_epoch_gives_each_image_once_in_the_buffers_order_over_one_list() -> None:
    data = InTrainersOrder(labelled(30), CPU, buffer=6, seed=3)
    epochs = [epoch(data, 8) for _ in range(3)]
    assert all(sorted(order) == list(range(30)) for order in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    entered = {image: place for place, image in enumerate(data.files)}
    assert data.files != list(range(30))
    assert all(place >= entered[image] - 5 for order in epochs for place, image in enumerate(order))
    again, other = (InTrainersOrder(labelled(30), CPU, buffer=6, seed=seed) for seed in (3, 4))
    assert epoch(again, 8) == epochs[0] != epoch(other, 8)


def test_a_slice_gives_its_own_images() -> None:
    data, plain = InTrainersOrder(labelled(9), CPU, buffer=2, seed=0), FixedInputs(labelled(9), CPU)
    for one, other in zip(data.pick(slice(3, 7)), plain.pick(slice(3, 7)), strict=True):
        assert torch.equal(one, other)
    images, labels = data.pick(torch.zeros(4, dtype=torch.int64))
    assert torch.equal(images, plain.pick(labels)[0])


# --- the study ----------------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command on tiny images, for two epochs; it returns what was printed."""
    data = tmp_path / "run" / "data"
    data.mkdir(parents=True)
    prepared = make_dataset(data / "prepared", {"train": 12, "val": 6})
    make_dataset(data / "test", {"test": 9}, seed=1)
    (data / "pixels").mkdir()
    write_rows(data / "pixels", squares(prepared, read_samples(prepared)["id"].to_pylist(), CARD))
    competition_card(data)
    params = SimpleNamespace(profiles={"competition": profile(epochs=2)}, max_images=100)
    monkeypatch.setattr(original_pixels, "load_params", lambda *_: params)
    monkeypatch.setattr(original_pixels, "run_jobs", in_process)

    def run(*options: str) -> str:
        command = ["original_pixels", str(tmp_path / "run"), "--out", str(tmp_path / "lines.jsonl"), *options]
        monkeypatch.setattr("sys.argv", command)
        original_pixels.main()
        return capsys.readouterr().out

    return run


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "lines.jsonl").read_text().splitlines()]


def test_every_variant_is_trained_once_a_seed_and_never_again(study: Callable[..., str], tmp_path: Path) -> None:
    assert study("--seeds", "1", "--variants", "original").startswith("1 trained, 0 there already")
    assert study("--seeds", "2").startswith("7 trained, 1 there already")
    first = lines_of(tmp_path)
    assert len({(line["variant"], line["seed"]) for line in first}) == len(first) == 8
    assert study("--seeds", "2").startswith("0 trained, 8 there already")
    assert lines_of(tmp_path) == first
    assert all(len(line["right"]) == 9 for line in first)
    assert [line["accuracy"] for line in first] == [line["right"].count("1") / 9 for line in first]


def test_the_working_variant_is_the_judges_training(study: Callable[..., str], tmp_path: Path) -> None:
    study("--seeds", "1", "--variants", "working")
    data = tmp_path / "run" / "data"

    def sets(split: str, folder: str) -> Labelled:
        samples = only_splits(read_samples(data / folder), split)
        parts = list(squares(data / folder, samples["id"].to_pylist(), CARD))
        return Labelled(np.concatenate([rows for _, rows in parts]), label_indices(samples))

    learner = FixedLearner(profile(epochs=2))
    trained = learner.train(sets("train", "prepared"), sets("val", "prepared"), classes=3, seed=0, tick=lambda: None)
    test = sets("test", "test")
    right = learner.evaluate(trained, test).predicted == test.labels
    assert lines_of(tmp_path)[0]["right"] == "".join("01"[one] for one in right.tolist())


def test_differences_are_paired_by_seed_and_image() -> None:
    rng = np.random.default_rng(0)
    right = {one: rng.random((3, 40)) < share for one, share in (("working", 0.6), ("original", 0.8))}
    lines = [
        {"variant": one, "seed": seed, "right": "".join("01"[bool(n)] for n in right[one][seed])}
        for one in right
        for seed in (2, 0, 1)
        if (one, seed) != ("original", 1)
    ]
    shown = tables(lines)
    accuracy = accuracy_interval(right["working"])
    gain = crossed_interval((right["original"][[0, 2]] * 1.0 - right["working"][[0, 2]]).astype(np.float64))
    assert f"| working | {accuracy.mean:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}] |" in shown
    expected = f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
    assert f"| original pixels, our order | {expected} | 2 |" in shown
    assert "trainer's order" not in shown
