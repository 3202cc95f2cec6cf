"""Folds: even over classes, none empty, and equal images together, in every stage that deals any."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import ensemble, search_policy, train_encoder, value
from tests.support.datasets import CLASSES, make_dataset
from tests.support.inputs import competition_inputs
from winnow.dataset.folds import deal_folds
from winnow.dataset.samples import only_splits, read_samples, samples_table
from winnow.influence import spread
from winnow.pipeline.files import ROOT, write_table
from winnow.pipeline.params import load_params
from winnow.policy_search import label_check as survival
from winnow.representation import ensemble as networks


class CapturedError(Exception):
    """The jobs of a stage that goes no further."""


def different(count: int) -> list[str]:
    return [f"pixels {number}" for number in range(count)]


def test_every_class_is_spread_evenly() -> None:
    labels = np.array([0] * 10 + [1] * 7 + [2])
    folds = deal_folds(labels, different(18), folds=3, rng=np.random.default_rng(0))
    for label, counts in ((0, [3, 3, 4]), (1, [2, 2, 3]), (2, [0, 0, 1])):
        assert sorted(np.bincount(folds[labels == label], minlength=3)) == counts


@pytest.mark.parametrize(("classes", "each", "folds"), [(4, 2, 4), (10, 2, 4), (3, 1, 3), (1, 5, 5)])
def test_no_fold_is_empty_while_there_are_images_enough(classes: int, each: int, folds: int) -> None:
    labels = np.repeat(np.arange(classes), each)
    for seed in range(200):
        dealt = deal_folds(labels, different(len(labels)), folds=folds, rng=np.random.default_rng(seed))
        assert set(dealt) == set(range(folds))


def test_twins_count_once() -> None:
    hashes = ["twin"] * 10 + different(9)
    folds = deal_folds(np.zeros(19, np.int64), hashes, folds=2, rng=np.random.default_rng(0))
    firsts = folds[9:]  # a twin and the others
    assert sorted(np.bincount(firsts)) == [5, 5]


@given(images=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=1), seed=st.integers(0, 9))
def test_equal_images_share_a_fold_whatever_their_labels(images: list[tuple[int, int]], seed: int) -> None:
    labels, hashes = np.array([label for label, _ in images]), [str(pixels) for _, pixels in images]
    folds = deal_folds(labels, hashes, folds=3, rng=np.random.default_rng(seed))
    by_hash = {name: {int(fold) for fold, own in zip(folds, hashes, strict=True) if own == name} for name in hashes}
    assert all(len(found) == 1 for found in by_hash.values())
    assert len(set(folds.tolist())) == min(3, len(by_hash))  # no fold is empty while there are images enough


def test_a_class_filed_twice_is_dealt_as_if_once() -> None:
    labels = np.array([0] * 9 + [1] * 6)
    once = deal_folds(labels, different(15), folds=3, rng=np.random.default_rng(1))
    assert sorted(np.bincount(once[:9])) == [3, 3, 3]
    twice = deal_folds(np.repeat(labels, 2), [*np.repeat(different(15), 2)], folds=3, rng=np.random.default_rng(1))
    assert sorted(np.bincount(twice[:18])) == [6, 6, 6]
    assert (twice[::2] == twice[1::2]).all()


def test_the_parts_of_a_class_are_cut_in_the_order_of_a_seeded_hash() -> None:
    """Against the slow definition, without classes that share groups."""
    labels = np.random.default_rng(0).integers(0, 3, 50)
    names = different(50)
    folds = deal_folds(labels, names, folds=4, rng=np.random.default_rng(7))
    salt = int(np.random.default_rng(7).integers(2**63))
    for number in range(3):
        own = [row for row in range(50) if labels[row] == number]
        own.sort(key=lambda row: hashlib.blake2b(f"{salt} {names[row]}".encode(), digest_size=8).digest())
        assert [folds[row] for row in own] == [(rank * 4 // len(own) + number) % 4 for rank in range(len(own))]


def dealt_at_random(labels: np.ndarray, groups: list[str], folds: int, rng: np.random.Generator) -> np.ndarray:
    """As folds were dealt before: the images of a class in a random order, in turn."""
    fold_of: dict[str, int] = {}
    for label in np.unique(labels):
        for row in rng.permutation(np.flatnonzero(labels == label)).tolist():
            fold_of.setdefault(groups[row], len(fold_of) % folds)
    return np.array([fold_of[group] for group in groups])


def test_few_images_change_their_fold_where_one_in_a_hundred_is_new() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 10, 2020)
    names = [f"{number:016x}" for number in rng.integers(0, 1900, 2020)]  # some groups of several
    first = {one: int(label) for one, label in zip(names[::-1], labels[::-1].tolist(), strict=True)}
    labels = np.array([first[one] for one in names])
    shares = {}
    for how, deal in (
        ("hash", lambda some, own: deal_folds(some, own, folds=4, rng=np.random.default_rng(0))),
        ("random", lambda some, own: dealt_at_random(some, own, 4, np.random.default_rng(0))),
    ):
        before, after = deal(labels[20:], names[20:]), deal(labels, names)
        shares[how] = float((after[20:] != before).mean())
    assert shares["hash"] < 0.03
    assert shares["random"] > 0.6
    folds = deal_folds(labels, names, folds=4, rng=np.random.default_rng(0))
    groups_in = [len({one for one, own in zip(names, folds, strict=True) if own == fold}) for fold in range(4)]
    assert max(groups_in) - min(groups_in) <= 10  # one a class


def test_another_seed_deals_other_folds_and_the_order_of_the_images_does_not_matter() -> None:
    labels, names = np.arange(60) % 3, different(60)
    once = deal_folds(labels, names, folds=3, rng=np.random.default_rng(0))
    other = deal_folds(labels, names, folds=3, rng=np.random.default_rng(1))
    assert (once != other).mean() > 0.4
    order = np.random.default_rng(5).permutation(60)
    again = deal_folds(labels[order], [names[row] for row in order], folds=3, rng=np.random.default_rng(0))
    assert np.array_equal(again, once[order])


@pytest.mark.parametrize(
    ("stage", "parallel", "members", "suspects"),
    [
        (value, spread, 1, ("train", "val")),
        (search_policy, survival, 2, ("train",)),
        (train_encoder, networks, 2, ("train", "val", "label_book")),
        (ensemble, networks, 2, ("train", "val", "label_book")),
    ],
    ids=lambda part: part.__name__ if isinstance(part, ModuleType) else "",
)
def test_no_stage_learns_from_the_twin_of_an_image_that_it_asks_about(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: ModuleType,
    parallel: ModuleType,
    members: int,
    suspects: Sequence[str],
) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 60, "val": 6, "label_book": 3})
    rows = read_samples(dataset).to_pylist()
    for row, twin in zip(rows[:60:2], rows[1:60:2], strict=True):  # of another class
        twin["group"] = row["group"]
    samples = samples_table(rows, CLASSES)
    write_table(dataset / "samples.parquet", samples)

    def capture(_: object, jobs: Sequence[Any], **__: object) -> None:
        raise CapturedError(jobs)

    monkeypatch.setattr(parallel, "run_jobs", capture)
    sections = {
        name: load_params(section, kind, ROOT / "params.yaml") for name, (section, kind) in stage.SECTIONS.items()
    }
    if stage is train_encoder:
        sections["params"] = replace(sections["params"], retrain=True)
    if stage is search_policy:  # by the ensemble, no network is trained
        params = sections["params"]
        sections["params"] = replace(params, label_check=replace(params.label_check, by="own"))
    outputs = {"scores", "curve", "influence", "quality", "policy", "table", "trials", "sheet", "encoders"}
    outputs |= {"classes", "planted", "networks"}
    taken = {name: tmp_path / name for name in outputs & set(stage.main.__annotations__)}
    if "delivered" in stage.main.__annotations__:
        taken["delivered"] = dataset
    inputs = {"model", "pixels", "features", "user", "user_signals"} & set(stage.main.__annotations__)
    taken |= competition_inputs(tmp_path, *inputs)
    with pytest.raises(CapturedError) as stopped:
        stage.main(**sections, dataset=dataset, **taken)
    groups = np.array(only_splits(samples, *suspects)["group"].to_pylist())
    for job in stopped.value.args[0]:
        learnt, asked = (set(groups[job[members] == inside]) for inside in (True, False))
        assert learnt
        assert asked
        assert not learnt & asked
