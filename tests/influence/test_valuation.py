"""Cross-fitted valuation: means, and that planted faults harm."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from winnow.dataset.folds import deal_folds
from winnow.influence import columns as columns_module
from winnow.influence import spread, valuation
from winnow.influence.columns import book_columns
from winnow.influence.spread import value_networks
from winnow.influence.trajectory import Sgd
from winnow.influence.valuation import Data, Plan
from winnow.transforms.views import Ranges

PLAN = Plan(
    epochs=6,
    most_steps=0,
    batch=8,
    batch_norm_momentum=0.1,
    sgd=Sgd(0.02, 0.9, 0.0, 0.0005, nesterov=False, cosine=False),
    views=Ranges(rotate_degrees=5.0, shift=0.05, zoom=0.05, shear=0.05),
    checkpoint_epochs=2,
    replay=False,
    influence_batch=16,
    bfloat16=False,
)


def stripes(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """(N, 64, 64, 1): class 0 has horizontal stripes, class 1 vertical ones."""
    wave = (np.sin(np.arange(64) / 2 + rng.uniform(0, 6, (len(labels), 1))) > 0) * 255.0  # (N, 64)
    rows = np.repeat(wave[:, :, None], 64, axis=2)
    images = np.where(labels[:, None, None] == 0, rows, rows.transpose(0, 2, 1))
    return np.clip(images + rng.normal(0, 20, images.shape), 0, 255).astype(np.uint8)[..., None]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Jobs run one after another, here; the ticks that each call announced, and those that came."""
    counted: list[tuple[int, int]] = []

    def run_here(function: Callable[..., Any], jobs: Sequence[Any], *, steps: int, label: str) -> list[Any]:
        ticks: list[None] = []
        results = [function(*job, lambda: ticks.append(None)) for job in jobs]
        counted.append((steps, len(ticks)))
        return results

    monkeypatch.setattr(spread, "run_jobs", run_here)
    return counted


def planted(wrong: Sequence[int], *, by_class: bool = False) -> tuple[Data, np.ndarray]:
    rng = np.random.default_rng(3)
    truth = np.arange(60) % 2
    images, labels = stripes(rng, truth), truth.copy()
    labels[wrong] = 1 - labels[wrong]
    book_labels = np.array([0, 1, 0, 1])
    columns = book_columns(["p", "q", "r", "s"], book_labels, ["h", "v"], by_class=by_class)
    return Data(images, labels, stripes(rng, book_labels), book_labels, columns, 2), truth


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_planted_wrong_labels_harm_the_class_that_they_show(
    tmp_path: Path, in_this_process: list[tuple[int, int]]
) -> None:
    wrong = [4, 17, 30]
    data, truth = planted(wrong)
    folds = deal_folds(data.labels, [str(number) for number in range(60)], folds=3, rng=np.random.default_rng(3))
    valued = value_networks(data, [folds != t for t in range(3)], PLAN, 0, folder(tmp_path / "a"))
    own = valued.effect[:, :2][np.arange(60), truth]  # (N,) on the trusted image of the class that the image shows
    assert own[wrong].max() < 0 < np.delete(own, wrong).mean()
    assert [len(curve) for curve in valued.curves] == [6] * 3
    assert all(announced == came for announced, came in in_this_process)


@pytest.mark.parametrize("replay", [False, True])
def test_the_blocks_of_images_and_columns_change_nothing(
    replay: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_this_process: list[tuple[int, int]]
) -> None:
    plan = replace(PLAN, epochs=1, replay=replay, influence_batch=4)
    data, _ = planted([4])
    members = [np.arange(60) % 5 == t for t in range(2)]  # 12 images each
    whole = value_networks(data, members, plan, 0, folder(tmp_path / "a")).effect
    monkeypatch.setattr(valuation, "BLOCK_IMAGES", 9)
    parts = value_networks(data, members, plan, 0, folder(tmp_path / "b")).effect
    assert len(list((tmp_path / "b").glob("part-*"))) == (2 if replay else 4)
    np.testing.assert_array_equal(parts, whole)
    monkeypatch.setattr(columns_module, "BLOCK", 3)
    columns = value_networks(data, members, plan, 0, folder(tmp_path / "c")).effect
    np.testing.assert_allclose(columns, whole, rtol=1e-3, atol=1e-6 * np.abs(whole).max())
    by_class = value_networks(planted([4], by_class=True)[0], members, plan, 0, folder(tmp_path / "d")).effect
    expected = np.stack([whole[:, ::2].mean(axis=1), whole[:, 1::2].mean(axis=1)], axis=1)
    np.testing.assert_allclose(by_class, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    assert all(announced == came for announced, came in in_this_process)


def test_a_run_that_is_cut_short_has_as_many_checkpoints_over_the_updates_that_there_are() -> None:
    plan = replace(PLAN, epochs=12, batch=32, checkpoint_epochs=4, most_steps=1200)
    assert (plan.epochs_on(1000), plan.checkpoint_steps(1000), plan.checkpoints_on(1000)) == (12, 128, 3)
    assert (plan.epochs_on(35_000), plan.checkpoint_steps(35_000), plan.checkpoints_on(35_000)) == (1, 365, 3)
    assert (plan.epochs_on(6400), plan.checkpoint_steps(6400), plan.checkpoints_on(6400)) == (6, 400, 3)
    odd = replace(plan, epochs=5, checkpoint_epochs=2)  # as it is without a limit: the last stands for fewer
    assert (odd.checkpoint_steps(1000), odd.checkpoints_on(1000)) == (64, 3)


def test_the_updates_bound_a_valuation(tmp_path: Path) -> None:
    data, _ = planted([])
    plan = replace(PLAN, most_steps=16)  # 60 images are 8 updates an epoch
    assert len(value_networks(data, [np.ones(60, dtype=bool)], plan, 0, folder(tmp_path / "a")).curves[0]) == 2
