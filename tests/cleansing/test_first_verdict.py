"""The first verdict by the ensemble's support: what is relabelled, dropped and kept, and what overrides do to it."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import cleanse_influence
from tests.support.datasets import CLASSES, make_dataset
from tests.support.inputs import competition_inputs
from tests.support.profiles import SUPPORT
from winnow.dataset.images import stored_images, write_dataset
from winnow.dataset.samples import read_samples, samples_table
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError
from winnow.representation.predictions import write_probabilities
from winnow.representation.support import read_support
from winnow.verdicts.ledger import DROP, KEEP, RELABEL
from winnow.verdicts.overrides import Override, write_overrides

MISFILED, JUNK = range(0, 24, 2), range(31, 37)  # rows of train
SETTINGS = replace(SUPPORT, relabel=0.7)
Row = dict[str, Any]


class Project:
    """150 images of three classes, of which twelve are filed wrongly and six show nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dataset = make_dataset(folder / "in", {"train": 120, "val": 30, "label_book": 6})
        self.incoming = self.dataset
        self.validation = 0
        self.samples = read_samples(self.dataset)
        self.ids: list[str] = self.samples["id"].to_pylist()
        rng = np.random.default_rng(0)
        shown = np.arange(156) % 3  # make_dataset's; every split starts with the first class
        shown[list(MISFILED)] = (shown[list(MISFILED)] + 1) % 3
        own = 0.8 + 0.2 * rng.random(156)
        self.probability = np.repeat((1 - own)[:, None] / 2, 3, axis=1)
        self.probability[np.arange(156), shown] = own
        self.probability[list(JUNK)] = (0.1, 0.45, 0.45)
        for row in JUNK:  # little of their own label
            self.probability[row] = np.roll(self.probability[row], row % 3)
        self.write()
        junk = np.linspace(0, 0.4, 40)
        table = {"label": ["i"] * 40, "probability": [[one, (1 - one) / 2, (1 - one) / 2] for one in junk]}
        write_table(folder / "planted.parquet", pa.table(table))
        effect = rng.normal(1, 0.1, (150, 6))
        effect[40, 2] = -5.0
        book = {name: effect[:, j] for j, name in enumerate(self.ids[150:])}
        write_table(
            folder / "scores.parquet",
            pa.table({"id": self.ids[:150], "label_quality": np.ones(150), "harm_p": np.ones(150), **book}),
        )

    def write(self) -> None:
        write_probabilities(self.folder / "classes.parquet", self.samples, self.probability.astype(np.float32))

    def run(self, overrides: Mapping[str, Override] | None = None) -> dict[str, Row]:
        write_overrides(self.folder / "overrides.parquet", overrides or {})
        cleanse_influence.main(
            cleanse_influence.Params(by="support", votes=1, guard=True, validation=self.validation, seed=0),
            SETTINGS,
            dataset=self.incoming,
            delivered=self.dataset,
            scores=self.folder / "scores.parquet",
            classes=self.folder / "classes.parquet",
            planted=self.folder / "planted.parquet",
            overrides=self.folder / "overrides.parquet",
            round="r1",
            cleansed=self.folder / "out",
            verdicts=self.folder / "verdicts.parquet",
            estimate=self.folder / "estimate.json",
            sheet=self.folder / "sheet.png",
            **competition_inputs(self.folder, "model", "pixels", "features", "user_signals"),
        )
        return {row["id"]: row for row in pq.read_table(self.folder / "verdicts.parquet").to_pylist()}

    def estimate(self) -> Row:
        found: Row = json.loads((self.folder / "estimate.json").read_bytes())
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_what_is_filed_wrongly_gets_its_label_and_what_shows_nothing_goes(project: Project) -> None:
    told = project.run()
    assert len(told) == 150
    for row, one in enumerate(project.ids[:150]):
        if row in JUNK:
            assert (told[one]["action"], told[one]["label_after"]) == (DROP, None)
        elif row not in MISFILED:
            assert (told[one]["action"], told[one]["label_after"]) == (KEEP, told[one]["label_before"])
    moved = [told[project.ids[row]] for row in MISFILED]
    assert sum(one["action"] == RELABEL for one in moved) >= 8  # the others score as no given label does
    assert all(one["action"] != KEEP for one in moved)
    shown = [CLASSES[(row + 1) % 3] for row in MISFILED]
    assert all(one["label_after"] in (None, label) for one, label in zip(moved, shown, strict=True))
    labels = {row["id"]: row["label"] for row in read_samples(project.folder / "out").to_pylist()}
    assert labels == {
        one: told[one]["label_after"] if one in told else label
        for one, label in zip(project.ids, project.samples["label"].to_pylist(), strict=True)
        if one not in told or told[one]["action"] != DROP
    }
    estimate = project.estimate()
    assert (estimate["touched"], estimate["stopped"]) == (pytest.approx(18 / 150), False)
    assert estimate["estimated_faults"] == pytest.approx(18 / 150, abs=0.04)
    assert (project.folder / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_influence_is_evidence_and_decides_nothing(project: Project) -> None:
    told = project.run()
    harmful = told[project.ids[40]]
    assert (harmful["action"], harmful["evidence"]) == (KEEP, [project.ids[152]])
    assert harmful["reason"].startswith("support ")
    assert "; its influence harms 1 of 6 label-book images, " in harmful["reason"]


def test_the_last_of_a_class_is_kept_the_best_supported(project: Project) -> None:
    """In val, where one image must be left of each class."""
    third = [row for row in range(120, 150) if row % 3 == 2]
    project.probability[third] = np.linspace((0.6, 0.4, 0.0), (0.58, 0.38, 0.04), len(third))
    project.write()
    told = project.run()
    kept = [row for row in third if told[project.ids[row]]["label_after"] == "iii"]
    assert kept == [third[-1]]
    assert told[project.ids[third[-1]]]["reason"].endswith("one of the last of its class here")


def test_where_far_more_would_be_touched_than_estimated_it_only_ranks(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few_faults(*given: Any, **named: Any) -> Any:
        measured, probability = read_support(*given, **named)
        return replace(measured, faults=0.01), probability

    alone = project.run()
    monkeypatch.setattr(cleanse_influence, "read_support", few_faults)
    told = project.run()
    assert all(row["action"] == KEEP for row in told.values())
    assert all(told[one]["support"] == row["support"] for one, row in alone.items())
    reason = told[project.ids[JUNK[0]]]["reason"]
    assert reason.startswith("ranked only, since 12% would be touched where 1% are estimated to be faults: support ")
    assert project.estimate() == {"estimated_faults": 0.01, "expected_left": 0.01, "touched": 0.12, "stopped": True}
    labels = read_samples(project.folder / "out")["label"].to_pylist()
    assert labels == project.samples["label"].to_pylist()


def test_overrides_win_and_change_no_other_verdict(project: Project) -> None:
    alone = project.run()
    kept, sound, junk = (project.ids[row] for row in (MISFILED[0], 60, JUNK[0]))
    said = {
        kept: Override("i", "override by mia", "mia"),
        sound: Override("ii", "override by tom", "tom"),
        junk: Override("iii", "override", "unnamed"),
    }
    told = project.run(said)
    assert {one: (told[one]["label_after"], told[one]["by"], told[one]["evidence"]) for one in said} == {
        one: (override.label, override.by, []) for one, override in said.items()
    }
    assert {one: row for one, row in told.items() if one not in said} == {
        one: row for one, row in alone.items() if one not in said
    }


def test_what_an_earlier_round_dropped_is_judged_again(project: Project) -> None:
    """It comes back where its label now stands, with its picture, and goes again where nothing claims it."""
    alone = project.run()
    junk, sound = JUNK[0], 60
    rows = project.samples.to_pylist()
    earlier = samples_table([row for number, row in enumerate(rows) if number not in (junk, sound)], CLASSES)
    project.incoming = project.folder / "earlier"
    write_dataset(project.incoming, earlier, shards_from=[project.dataset])
    order = [*(number for number in range(156) if number not in (junk, sound)), junk, sound]
    project.samples = samples_table([rows[number] for number in order], CLASSES)
    project.probability = project.probability[order]
    project.write()
    told = project.run()
    assert {one: row["action"] for one, row in told.items()} == {one: row["action"] for one, row in alone.items()}
    assert (told[project.ids[sound]]["action"], told[project.ids[junk]]["action"]) == (KEEP, DROP)
    left = read_samples(project.folder / "out")["id"].to_pylist()
    assert project.ids[sound] in left
    assert list(stored_images(project.folder / "out", [project.ids[sound]])) == [project.ids[sound]]


def test_few_validation_images_of_a_class_stay(project: Project) -> None:
    told, project.validation = project.run(), 4
    before = read_samples(project.folder / "out")
    assert project.run() == told  # the deal decides nothing
    after = read_samples(project.folder / "out")
    assert after.drop(["split"]).equals(before.drop(["split"]))
    counts = Counter(zip(after["split"].to_pylist(), after["label"].to_pylist(), strict=True))
    assert {counts["val", label] for label in CLASSES} == {4}
    moved = [
        one != other for one, other in zip(*(table["split"].to_pylist() for table in (before, after)), strict=True)
    ]
    assert set(before.filter(pa.array(moved))["split"].to_pylist()) == {"val"}
    assert set(after.filter(pa.array(moved))["split"].to_pylist()) == {"train"}


def test_what_the_ensemble_said_of_other_images_is_refused(project: Project) -> None:
    classes = pq.read_table(project.folder / "classes.parquet")
    write_table(project.folder / "classes.parquet", classes.slice(1))
    with pytest.raises(UserError, match=r"classes\.parquet is about other images or classes .*; run `dvc repro`"):
        project.run()
