"""Groups of several classes that groups.csv lists are dealt whole: every split has them, and about its share."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from tests.support.prepared import Prepared
from tests.support.sources import bare_files, make_folder
from winnow.intake.mixed_groups import choose_groups, mixed_groups
from winnow.intake.splits import PRECEDENCE, SplitPlan, draw_missing

PLAN = SplitPlan(seed=0, val_fraction=0.2, test_fraction=0.2, label_book_per_class=5)


def people(count: int, seed: int = 0) -> tuple[list[str], list[str], list[str]]:
    """Labels, hashes and persons of people each of whom has some images of every class."""
    rng = np.random.default_rng(seed)
    rows = [
        (label, f"{seed}-{person}-{label}-{number}", f"person {person}")
        for person in range(count)
        for label in "abc"
        for number in range(rng.integers(1, 9))
    ]
    labels, hashes, persons = zip(*rows, strict=True)
    return list(labels), list(hashes), list(persons)


@pytest.mark.parametrize("seed", range(10))
def test_no_person_is_in_two_splits_and_every_split_has_about_its_share_of_every_class(seed: int) -> None:
    labels, hashes, persons = people(40, seed)
    plan = dataclasses.replace(PLAN, seed=seed)
    drawn = draw_missing(["train"] * len(labels), labels, hashes, persons, plan, persons)
    homes = {person: {drawn[row] for row, one in enumerate(persons) if one == person} for person in persons}
    assert all(len(home) == 1 for home in homes.values())
    counts = Counter(zip(drawn, labels, strict=True))
    for label in "abc":
        total = labels.count(label)
        assert abs(counts["test", label] - 0.2 * total) <= 8  # a person has at most so many of a class
        assert abs(counts["val", label] + counts["label_book", label] - 0.16 * total) <= 8
        assert all(counts[split, label] for split in PRECEDENCE)


def test_people_whose_images_are_not_listed_together_stay_in_train() -> None:
    labels, hashes, persons = people(40)
    assert set(draw_missing(["train"] * len(labels), labels, hashes, persons, PLAN)) == {"train"}
    listed = ["", *persons[1:]]  # one image of the first person looks like another, but is not listed
    drawn = draw_missing(["train"] * len(labels), labels, hashes, persons, PLAN, listed)
    assert {split for split, person in zip(drawn, persons, strict=True) if person == persons[0]} == {"train"}
    assert set(drawn) == set(PRECEDENCE)


def test_few_people_are_enough_as_long_as_each_split_has_one() -> None:
    labels, hashes, persons = people(6)
    drawn = draw_missing(["train"] * len(labels), labels, hashes, persons, PLAN, persons)
    assert len({*zip(persons, drawn, strict=True)}) == 6
    assert set(drawn) == set(PRECEDENCE)


def test_where_groups_of_one_label_suffice_no_mixed_one_moves() -> None:
    labels, hashes, persons = people(6)
    single = [f"single {number}" for number in range(200)]
    labels += ["abc"[number % 3] for number in range(200)]
    drawn = draw_missing(["train"] * len(labels), labels, hashes + single, persons + single, PLAN, persons + single)
    assert drawn == draw_missing(["train"] * len(labels), labels, hashes + single, persons + single, PLAN)


def test_the_order_of_images_does_not_matter_and_the_seed_does() -> None:
    labels, hashes, persons = people(30)
    train = ["train"] * len(labels)
    drawn = draw_missing(train, labels, hashes, persons, PLAN, persons)
    order = np.random.default_rng(0).permutation(len(labels)).tolist()
    a, b, c = ([column[row] for row in order] for column in (labels, hashes, persons))
    assert draw_missing(train, a, b, c, PLAN, c) == [drawn[row] for row in order]
    assert draw_missing(train, labels, hashes, persons, dataclasses.replace(PLAN, seed=1), persons) != drawn


def test_mixed_groups_are_those_of_several_labels_that_are_listed_and_contradict_nothing() -> None:
    labels = ["a", "b", "a", "a", "a", "b", "a", "b"]
    hashes = ["0", "1", "2", "3", "4", "4", "6", "7"]
    listed = ["x", "x", "y", "y", "z", "z", "w", ""]
    together = {"two": [0, 1], "one": [2, 3], "contradicting": [4, 5], "alike": [6, 7]}
    assert mixed_groups(together, labels, hashes, listed) == ["two"]
    assert mixed_groups(together, labels, hashes, []) == []


def test_a_group_is_taken_where_it_brings_the_split_closer_and_can_be_spared() -> None:
    groups = {name: Counter(counts) for name, counts in (("p", "aab"), ("q", "aaabbb"), ("r", "b"), ("s", "c"))}
    plenty = {"a": 9, "b": 9, "c": 9}
    assert choose_groups(groups, {"a": 2, "b": 2}, plenty, least=0) == ["p", "r"]
    assert choose_groups(groups, {"a": 2, "b": 2}, plenty | {"b": 1}, least=0) == ["p"]
    assert choose_groups(groups, {"a": 1, "c": 1}, plenty, least=0) == ["s"]
    assert choose_groups(groups, {"a": 1}, plenty, least=1) == ["p"]  # 1 too many of a, and one of b
    assert choose_groups(groups, {"a": 1}, {}, least=1) == []
    assert choose_groups({}, {"a": 1}, plenty, least=2) == []


def test_classes_are_spread_as_well_as_by_scikit_learn() -> None:
    ours, theirs = [], []
    for seed in range(20):
        labels, hashes, persons = people(40, seed)
        wanted = {label: 0.2 * labels.count(label) for label in "abc"}
        splits = ["train"] * (len(labels)) + ["val", "label_book"]
        plan = dataclasses.replace(PLAN, seed=seed)
        rest = ["v", "l"]
        drawn = draw_missing(splits, [*labels, "a", "a"], hashes + rest, persons + rest, plan, [*persons, "", ""])
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, persons)
        counts = Counter(label for label, split in zip(labels, drawn, strict=False) if split == "test")
        ours.append(sum(abs(counts[label] - wanted[label]) for label in "abc"))
        fold = Counter(labels[row] for row in next(iter(folds))[1].tolist())
        theirs.append(sum(abs(fold[label] - wanted[label]) for label in "abc"))
    assert np.mean(ours) <= np.mean(theirs)  # 4.6 and 8.0 of about 110 images


def test_a_bare_source_of_people_is_split_by_people(tmp_path: Path) -> None:
    files = bare_files(40)
    person_of = {name: f"person {number % 20}" for number, name in enumerate(files)}
    listed = "".join(f"{name},{person}\n" for name, person in person_of.items())
    run = Prepared(
        make_folder(tmp_path / "source", files | {"groups.csv": f"name,group\n{listed}".encode()}), tmp_path / "out"
    )
    places = {(person_of[name], split) for name, split in run.splits().items()}
    assert len(places) == 20
    assert {split for _, split in places} == set(PRECEDENCE)
    assert run.counts["images_test"] == 24
