"""The controls of a round's steps: drops by label quality, and copies that differ in their operations alone."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from stages import control_steps
from tests.support.augmented import AUGMENT, Inputs, by_augment, copies_in, line_art, photographs
from tests.support.stages import jobs_here
from winnow.dataset.arrays import ArrayStore
from winnow.dataset.images import stored_images, write_dataset
from winnow.dataset.samples import LEAST, class_names, column, only_splits, read_samples
from winnow.model import extraction
from winnow.pipeline.files import digest, write_table
from winnow.pipeline.messages import UserError
from winnow.verdicts.apply import apply_verdicts, verdict_table
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

POLICY: dict[str, Any] = {
    "sub_policies": [
        [
            {"operation": "rotate", "probability": 0.9, "magnitude": 0.8},
            {"operation": "shear_x", "probability": 0.5, "magnitude": 0.6},
        ],
        [{"operation": "rotate", "probability": 1.0, "magnitude": 0.7}],
    ]
    * 8,
    "operations": ["shear_x", "rotate", "invert", "gaussian_noise"],
    "limits": {"shear_x": {"ii": 0.25, "b": 0.25}, "invert": {"i": 0.0, "ii": 0.0, "iii": 0.0, "a": 0, "b": 0, "c": 0}},
    "cut": [],
}
PARAMS = replace(AUGMENT, budget=36, chained=3)


class Round:
    """The files of a round whose valuation and cleansing are made up."""

    def __init__(self, inputs: Inputs, folder: Path, verdicts: dict[int, Verdict]) -> None:
        self.inputs, self.folder = inputs, folder
        samples = read_samples(inputs["dataset"])
        self.suspects = only_splits(samples, "train", "val")
        ids = self.suspects["id"].to_pylist()
        self.effect = np.random.default_rng(0).integers(0, 5, len(ids)) / 5  # few values, so that some tie
        write_table(folder / "scores.parquet", pa.table({"id": ids, "min": self.effect}))
        kept = [verdicts.get(row, Verdict(KEEP, 0, "", 0.0)) for row in range(len(ids))]
        classes = class_names(samples)
        table = verdict_table(self.suspects, kept, classes, [[]] * len(ids), round_name="r1", stage="cleanse_influence")
        write_table(folder / "verdicts.parquet", table)
        self.cleansed = folder / "cleansed"
        write_dataset(self.cleansed, apply_verdicts(samples, table, classes), shards_from=[inputs["dataset"]])

    def run(self, name: str, seed: int = PARAMS.seed, validation: int = 0) -> tuple[Path, Path, Path]:
        folder = self.folder / name
        made = (folder / "influence_drop", folder / "random_chained", folder / "dealt")
        with mock.patch.object(extraction, "run_jobs", jobs_here):
            control_steps.main(
                validation,
                0,
                seed,
                PARAMS.budget,
                PARAMS.multiple,
                PARAMS.max_copies,
                PARAMS.chained,
                10000,
                **self.inputs,
                delivered=self.inputs["dataset"],
                scores=self.folder / "scores.parquet",
                verdicts=self.folder / "verdicts.parquet",
                cleansed=self.cleansed,
                influence_drop=made[0],
                random_chained=made[1],
                dealt=made[2],
            )
        return made


def drop() -> Verdict:
    return Verdict(DROP, None, "", 0.0)


BY_RULE = {
    1: drop(),
    4: Verdict(RELABEL, 1, "", 0.0),
    13: drop(),
}  # images of both splits: ten of train, then six of val
BY_PEOPLE = {0: Verdict(RELABEL, 2, "", 0.0, by="mia"), 2: Verdict(DROP, None, "", 0.0, by="mia")}


def lowest(work: Round, rows: set[int], count: int) -> set[str]:
    """Ids of the worst of these rows, one by one, the last of a class passed over."""
    places = list(zip(*(work.suspects[name].to_pylist() for name in ("split", "label")), strict=True))
    ids, left = work.suspects["id"].to_pylist(), set(rows)
    gone: set[str] = set()
    for row in sorted(rows, key=lambda row: (work.effect[row], ids[row])):
        if len(gone) < count and Counter(places[one] for one in left)[places[row]] > LEAST[places[row][0]]:
            left.remove(row)
            gone.add(ids[row])
    return gone


def test_as_many_are_dropped_as_the_verdict_touched_and_those_of_the_lowest_effect(tmp_path: Path) -> None:
    work = Round(line_art(tmp_path, POLICY), tmp_path, BY_RULE)
    made, _, _ = work.run("out")
    before, after = read_samples(work.inputs["dataset"]), read_samples(made)
    gone = set(before["id"].to_pylist()) - set(after["id"].to_pylist())
    assert gone == lowest(work, set(range(16)), 3)
    assert gone != {work.suspects["id"][row].as_py() for row in BY_RULE}
    assert after.equals(before.filter(pa.array([one not in gone for one in before["id"].to_pylist()])))
    shards = [sorted(path.name for path in (folder / "images").iterdir()) for folder in (work.inputs["dataset"], made)]
    assert shards[0] == shards[1]


def test_what_people_decided_holds_and_is_not_counted(tmp_path: Path) -> None:
    work = Round(line_art(tmp_path, POLICY), tmp_path, BY_RULE | BY_PEOPLE)
    made, _, _ = work.run("out")
    ids, after = work.suspects["id"].to_pylist(), read_samples(made)
    labels = dict(zip(after["id"].to_pylist(), after["label"].to_pylist(), strict=True))
    assert labels[ids[0]] == "iii"
    assert set(ids) - set(labels) == {ids[2]} | lowest(work, set(range(16)) - set(BY_PEOPLE), 3)


def test_the_deal_of_validation_images_is_that_of_the_verdict(tmp_path: Path) -> None:
    """On all images, none of which is dropped or relabelled, and on those that influence leaves."""
    work = Round(line_art(tmp_path, POLICY), tmp_path, BY_RULE)
    dropped, _, dealt = work.run("out", validation=1)
    before, after, left = (read_samples(folder) for folder in (work.inputs["dataset"], dealt, dropped))
    assert after.drop(["split"]).equals(before.drop(["split"]))
    for samples in (after, left):
        val = only_splits(samples, "val")
        assert Counter(val["label"].to_pylist()) == Counter(class_names(samples))
        assert set(val["id"].to_pylist()) <= set(only_splits(before, "val")["id"].to_pylist())


Maker = Callable[[Path, dict[str, Any]], Inputs]


@pytest.mark.parametrize("maker", [line_art, photographs])
def test_the_same_parents_are_copied_equally_often_by_other_operations(tmp_path: Path, maker: Maker) -> None:
    work = Round(maker(tmp_path, POLICY), tmp_path, BY_RULE)
    _, made, _ = work.run("out")
    searched = by_augment(work.inputs | {"dataset": work.cleansed}, tmp_path / "augment", PARAMS)["by_policy"]
    mine, theirs = copies_in(made), copies_in(searched)
    assert [row["parent"] for row in mine] == [row["parent"] for row in theirs]
    assert {row["origin"] for row in mine} == {"random_chained"}
    source = read_samples(work.cleansed)
    for folder in (made, searched):
        assert read_samples(folder).slice(0, len(source)).equals(source)
    if maker is photographs:
        ids = sorted(row["id"] for row in mine)
        assert sorted(ArrayStore(made / "features/control_steps").ids) == ids == sorted(stored_images(made, ids))
    steps = [(row["label"], step) for row in mine for step in json.loads(row["operations"])]
    assert {step["operation"] for _, step in steps} == {"shear_x", "rotate", "gaussian_noise"}  # all but the refused
    assert {step["operation"] for row in theirs for step in json.loads(row["operations"])} == {"shear_x", "rotate"}
    assert len({round(abs(step["magnitude"]), 3) for _, step in steps}) > 10
    # Chained as often and as weak: one part in three of a magnitude in [0, 1], and no more than the class allows.
    assert max(abs(step["magnitude"]) for _, step in steps) <= 1 / 3 + 1e-4
    for row in mine:
        if row["label"] in ("ii", "b"):
            done = json.loads(row["operations"])
            assert sum(abs(step["magnitude"]) for step in done if step["operation"] == "shear_x") <= 0.25 + 1e-3


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    work = Round(line_art(tmp_path, POLICY), tmp_path, BY_RULE)
    first, again, other = work.run("first"), work.run("again"), work.run("other", seed=4)
    assert digest([*first]) == digest([*again])
    assert digest([first[0]]) == digest([other[0]])  # nothing is drawn
    assert digest([first[1]]) != digest([other[1]])


def test_tables_of_other_images_are_refused(tmp_path: Path) -> None:
    work = Round(line_art(tmp_path, POLICY), tmp_path, BY_RULE)
    ids = work.suspects["id"].to_pylist()
    write_table(tmp_path / "scores.parquet", pa.table({"id": ids[1:], "min": work.effect[1:]}))
    with pytest.raises(UserError, match="valuation, cleansing and dataset are about other images"):
        work.run("out")
    assert not (tmp_path / "out").exists()
    assert column(work.suspects, "split").tolist() == ["train"] * 10 + ["val"] * 6
