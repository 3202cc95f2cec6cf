"""People's decisions in the stages of a round: left alone by every verdict, and not lost at the gate."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from stages import cleanse_final, cleanse_influence, cleanse_neighbours, gate
from stages import overrides as overrides_stage
from tests.support import profiles
from tests.support.decided import CLASSES, HEAD, ROWS, RULE, SAMPLES, Row, against, copy
from tests.support.inputs import competition_inputs
from winnow.cleansing.neighbour_rule import Rule
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import only_splits, read_samples, samples_table
from winnow.evaluation.comparison_table import Parts, comparison_text
from winnow.evaluation.detection import refine
from winnow.pipeline.files import digest, write_json, write_table
from winnow.pipeline.messages import UserError
from winnow.representation.network import Encoder
from winnow.representation.predictions import write_planted, write_probabilities
from winnow.training.training import Profile
from winnow.verdicts.apply import with_overrides
from winnow.verdicts.ledger import DROP, KEEP, PIPELINE, RELABEL, VERDICT_SCHEMA, extend_ledger, read_ledger
from winnow.verdicts.overrides import read_overrides

ROWS_SAID = """a,drop,,mia,scribble
train/i/b.png,keep,,tom,"yes, an i"
d,relabel,v,mia,clearly a v
val/ii/q.png,drop,,,
"""
REASONS = {
    "a": "override by mia: scribble",
    "b": "override by tom: yes, an i",
    "d": "override by mia: clearly a v",
    "q": "override",
}


class Project:
    """Small datasets, and the stages run on them with the same overrides."""

    def __init__(self, folder: Path, words: str = ROWS_SAID) -> None:
        self.folder = folder
        self.say(words)
        self.write("prepared", ROWS)

    def say(self, words: str) -> None:
        (self.folder / "overrides.csv").write_text(HEAD + words)

    def write(self, name: str, rows: list[Row]) -> Path:
        generator = np.random.default_rng(0)
        images = [(row["id"], encode_png(generator.integers(0, 255, (16, 16, 1), dtype=np.uint8))) for row in rows]
        write_dataset(self.folder / name, samples_table(rows, CLASSES), images=images)
        return self.folder / name

    def scores(self, dataset: Path, harmful: str) -> Path:
        """Every image of ``harmful`` harms the label book."""
        ids = only_splits(read_samples(dataset), "train", "val")
        ids = ids.filter(ids["parent"].is_null())["id"].to_pylist()
        effect = [-5.0 - number / 100 if one in harmful else 1.0 for number, one in enumerate(ids)]
        table = {
            "id": ids,
            "x": effect,
            "y": [1.0] * len(ids),
            "z": [1.0] * len(ids),
            "label_quality": [0.1] * len(ids),
            "harm_p": [1.0] * len(ids),
        }
        write_table(self.folder / "scores.parquet", pa.table(table))
        return self.folder / "scores.parquet"

    def influence(self, dataset: Path, out: str, harmful: str = "abdeq") -> dict[str, Row]:
        cleanse_influence.main(
            cleanse_influence.Params(by="influence", votes=1, guard=True, validation=0, seed=0),
            profiles.SUPPORT,
            dataset=dataset,
            delivered=dataset,
            scores=self.scores(dataset, harmful),
            classes=self.folder / "none.parquet",  # influence alone decides
            planted=self.folder / "none.parquet",
            estimate=self.folder / "estimate.json",
            **competition_inputs(self.folder, "model", "pixels", "features", "user_signals"),
            cleansed=self.folder / out,
            **self._shared(out),
        )
        return self.verdicts(out)

    def neighbours(self, dataset: Path, out: str) -> dict[str, Row]:
        samples = read_samples(dataset)
        ids, near = samples["id"].to_pylist(), against(samples)
        named = [[[ids[one] for one in row]] for row in near.index[0]]
        distances = near.distance.transpose(1, 0, 2).tolist()
        write_table(self.folder / "near.parquet", pa.table({"id": ids, "neighbours": named, "distances": distances}))
        told = pa.table({"id": ids, "probability": [[1 / len(CLASSES)] * len(CLASSES)] * len(ids)})
        write_table(self.folder / "classes.parquet", told)
        places = np.random.default_rng(0).normal(size=(2, len(ids)))
        write_table(self.folder / "plane.parquet", pa.table({"id": ids, "x": places[0], "y": places[1]}))
        cleanse_neighbours.main(
            RULE,
            profiles.SUPPORT,
            RULE.k,
            dataset=dataset,
            neighbours=self.folder / "near.parquet",
            classes=self.folder / "classes.parquet",
            planted=self.nothing_planted(samples),
            earlier=self.told_nothing(),
            expected=self.nothing_estimated(),
            embeddings=self.folder / "plane.parquet",
            scores=self.scores(dataset, ""),
            cleansed=self.folder / out,
            signals=self.folder / "signals.parquet",
            plane=self.folder / "plane.png",
            estimate=self.folder / "estimate.json",
            **competition_inputs(self.folder, "model", "pixels", "features", "user_signals"),
            **self._shared(out),
        )
        return self.verdicts(out)

    def nothing_planted(self, samples: pa.Table) -> Path:
        path = self.folder / "planted.parquet"
        write_planted(path, np.zeros((0, len(CLASSES)), np.float32), samples, np.random.default_rng(0))
        return path

    def told_nothing(self) -> Path:
        """The verdicts of an earlier stage that gave no label."""
        path = self.folder / "earlier.parquet"
        write_table(path, VERDICT_SCHEMA.empty_table())
        return path

    def nothing_estimated(self) -> Path:
        write_json(self.folder / "estimated.json", {"touched": 0.0, "stopped": False})
        return self.folder / "estimated.json"

    def judged_before(self, samples: pa.Table) -> Path:
        """What embed gave the source images; copies are new."""
        known = samples.filter(samples["parent"].is_null())
        path = self.folder / "judged.parquet"
        write_probabilities(path, known, np.full((len(known), len(CLASSES)), 1 / len(CLASSES), np.float32))
        return path

    def final(self, dataset: Path, earlier: str, out: str) -> dict[str, Row]:
        """With encoders that learnt nothing, and a rule that lets nobody pass."""
        ids = only_splits(read_samples(dataset), "train", "val")
        ids = ids.filter(ids["parent"].is_null())["id"].to_pylist()
        folds = [[number % 2] for number in range(len(ids))]
        book = ["x", "y", "z"]
        write_table(
            self.folder / "encoders/folds.parquet", pa.table({"id": [*ids, *book], "folds": [*folds, *[[-1]] * 3]})
        )
        for kind, fold in itertools.product(("space", "class"), range(2)):
            outputs = len(CLASSES) if kind == "class" else 8
            state = Encoder(outputs, torch.Generator().manual_seed(fold)).state_dict()
            save_file(
                {name: value.contiguous() for name, value in state.items()},
                self.folder / f"encoders/{kind}-0-{fold}.safetensors",
            )
        cleanse_final.main(
            Rule(by="neighbours", k=2, agreement=1.0, relabel=1.0, far=0.0),
            profiles.SUPPORT,
            dataset=dataset,
            classes=self.judged_before(samples=read_samples(dataset)),
            planted=self.folder / "none.parquet",
            expected=self.nothing_estimated(),
            encoders=self.folder / "encoders",
            earlier=self.folder / f"data/r1/{earlier}/verdicts.parquet",
            scores=self.scores(dataset, ""),
            cleansed=self.folder / out,
            estimate=self.folder / "estimate.json",
            **competition_inputs(self.folder, "model", "pixels", "features", "user", "user_signals"),
            **self._shared(out),
        )
        return self.verdicts(out)

    def gate(self, incoming: Path, candidate: Path, stages: list[str], out: str) -> None:
        gate.main(
            gate.Params("measured", "parts", [0, 1], 2, 0.99, Profile(1, 8, 0.001, "cosine", 1, "float32")),
            profiles.HEAD,
            profiles.FINETUNE,
            incoming=incoming,
            candidate=candidate,
            verdicts=[self.folder / f"data/r1/{stage}/verdicts.parquet" for stage in stages],
            overrides=self.resolved(),
            round=Path(out).parts[1] if "/" in out else "r1",
            accepted=self.folder / out,
            metrics=self.folder / "gate.json",
            **competition_inputs(self.folder, "model", "pixels", "features", "user"),
        )

    def resolved(self) -> Path:
        """What the stage ``overrides`` makes of overrides.csv."""
        path = self.folder / "overrides.parquet"
        overrides_stage.main(csv=self.folder / "overrides.csv", prepared=self.folder / "prepared", resolved=path)
        return path

    def _shared(self, out: str) -> dict[str, Any]:
        return {
            "overrides": self.resolved(),
            "round": "r1",
            "verdicts": self.folder / f"data/r1/{out}/verdicts.parquet",
            "sheet": self.folder / f"{out}.png",
        }

    def verdicts(self, out: str) -> dict[str, Row]:
        table = pq.read_table(self.folder / f"data/r1/{out}/verdicts.parquet")
        assert table.schema.equals(VERDICT_SCHEMA)
        return {row["id"]: row for row in table.to_pylist()}

    def labels(self, name: str) -> dict[str, str]:
        return {row["id"]: row["label"] for row in read_samples(self.folder / name).to_pylist()}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def held(verdicts: dict[str, Row]) -> dict[str, tuple[str, str]]:
    return {one: (row["action"], row["label_after"]) for one, row in verdicts.items() if row["by"] != PIPELINE}


def test_the_first_stage_applies_them(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    told = project.influence(project.folder / "prepared", "influenced", harmful="abdeq")
    assert held(told) == {"a": (DROP, None), "b": (KEEP, "i"), "d": (RELABEL, "v"), "q": (DROP, None)}
    assert {one: told[one]["reason"] for one in REASONS} == REASONS
    assert (told["e"]["action"], told["e"]["evidence"]) == (DROP, ["x"])
    assert told["b"]["support"] < -5  # as measured
    labels = project.labels("influenced")
    assert not {"a", "e", "q"} & set(labels)
    assert (labels["b"], labels["d"]) == ("i", "v")
    given = {row["id"]: row["given_label"] for row in read_samples(project.folder / "influenced").to_pylist()}
    assert given["d"] == "ii"
    assert (
        "dropped 3 and relabelled 1 of 13 images, kept 0 as the last of their class; 4 overridden by people"
        in capsys.readouterr().out
    )


def test_an_override_changes_no_other_verdict(project: Project) -> None:
    told = project.influence(project.folder / "prepared", "influenced")
    project.say("")
    alone = project.influence(project.folder / "prepared", "influenced")
    assert {one: row for one, row in told.items() if one not in REASONS} == {
        one: row for one, row in alone.items() if one not in REASONS
    }
    assert not held(alone)


def test_keeping_the_last_counts_what_overrides_took_away(project: Project) -> None:
    project.say("a,drop\nb,relabel,ii\n")
    told = project.influence(project.folder / "prepared", "influenced", harmful="abcs")
    assert (told["c"]["action"], told["c"]["reason"].endswith("one of the last of its class here")) == (KEEP, True)
    project.say("a,drop\nb,keep\n")
    told = project.influence(project.folder / "prepared", "influenced", harmful="abc")
    assert told["c"]["action"] == DROP  # b and s stand for the class


def later(project: Project, name: str) -> Path:
    """What a stage after the first meets: the overrides applied, copies beside their source images."""
    resolved = read_overrides(project.resolved())
    samples, _ = with_overrides(
        read_samples(project.folder / "prepared"), resolved, round_name="r1", stage="cleanse_influence"
    )
    rows = samples.to_pylist()
    return project.write(name, [*rows, *(copy(row) for row in rows if row["split"] == "train")])


def test_the_neighbours_leave_them_alone(project: Project) -> None:
    assert_left_alone(project, project.neighbours(later(project, "augmented"), "refined"))


def test_the_final_cleansing_leaves_them_alone(project: Project) -> None:
    write_table(project.folder / "data/r1/neighboured/verdicts.parquet", VERDICT_SCHEMA.empty_table())
    assert_left_alone(project, project.final(later(project, "augmented"), "neighboured", "refined"))


def assert_left_alone(project: Project, told: dict[str, Row]) -> None:
    words = {"b": "i", "b1": "i", "d": "v", "d1": "v"}  # a and q are gone already
    assert held(told) == {one: (KEEP, label) for one, label in words.items()}
    assert told["d"]["reason"] == told["d1"]["reason"] == "override by mia: clearly a v"
    assert any(row["action"] != KEEP for row in told.values())
    assert words.items() <= project.labels("refined").items()


def test_the_names_are_checked_against_what_was_prepared(project: Project) -> None:
    dataset = later(project, "augmented")
    project.say("train/i/a.png,drop\n")  # gone from the dataset, and yet known
    project.influence(dataset, "influenced", harmful="")
    project.say("nobody,drop\n")
    with pytest.raises(UserError, match=r"overrides\.csv, line 2: 'nobody' is no train or val image"):
        project.resolved()


def answering(accepted: bool) -> Callable[..., list[np.ndarray]]:
    """Jobs of the gate, of every three the incoming side's first: it is all right, or the two others are."""

    def jobs(_: object, jobs: list[Any], **__: object) -> list[np.ndarray]:
        return [np.full(len(job[3]), accepted == (number % 3 > 0)) for number, job in enumerate(jobs)]

    return jobs


def test_a_rejected_round_loses_none(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.influence(project.folder / "prepared", "influenced")
    monkeypatch.setattr(gate, "run_jobs", answering(accepted=False))
    project.gate(project.folder / "prepared", project.folder / "influenced", ["influenced"], "data/r1/accepted")
    assert "REJECTED, what came in is passed on" in capsys.readouterr().out
    accepted = project.folder / "data/r1/accepted"
    labels = project.labels("data/r1/accepted")
    assert set(labels) == {row["id"] for row in ROWS} - {"a", "q"}  # e, which the round dropped, is back
    assert labels == {row["id"]: row["label"] for row in ROWS if row["id"] in labels} | {"d": "v"}
    ledger = read_ledger(accepted).to_pylist()
    assert {(row["round"], row["stage"]) for row in ledger} == {("r1", "gate")}
    assert {row["id"]: row["reason"] for row in ledger} == REASONS
    assert {row["id"]: row["action"] for row in ledger} == {"a": DROP, "b": KEEP, "d": RELABEL, "q": DROP}
    assert all(row["support"] is None for row in ledger)

    # The next round meets them as they are, and a second rejection changes nothing.
    told = project.influence(accepted, "influenced")
    assert held(told) == {"b": (KEEP, "i"), "d": (KEEP, "v")}
    project.gate(accepted, project.folder / "influenced", ["influenced"], "data/r2/accepted")
    assert project.labels("data/r2/accepted") == labels
    assert {row["action"] for row in read_ledger(project.folder / "data/r2/accepted").to_pylist()[4:]} == {KEEP}


def test_the_gate_asks_and_trains_with_overrides_applied(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def jobs(_: object, jobs: list[Any], **__: object) -> list[np.ndarray]:
        seen.extend(jobs)
        return answering(accepted=True)(None, jobs)

    project.say("q,drop\nr,relabel,ii\nd,relabel,v\n")
    project.influence(project.folder / "prepared", "influenced", harmful="e")
    monkeypatch.setattr(gate, "run_jobs", jobs)
    project.gate(project.folder / "prepared", project.folder / "influenced", ["influenced"], "data/r1/accepted")
    incoming = seen[0:6:3]  # by fold of the first repeat; of two folds an image is in one and trained on for the other
    train, val, book = [0, 0, 0, 2, 1, 1, 2, 2, 0, 1], [0, 1], [0, 1, 2]  # val: p, r
    for part, wanted in ((0, train + val), (2, train + val + book)):
        assert sorted(label for job in incoming for label in job[part].labels[job[part + 1]]) == sorted(wanted)
    ledger = read_ledger(project.folder / "data/r1/accepted").to_pylist()
    assert {(row["round"], row["stage"]) for row in ledger} == {
        ("r1", "cleanse_influence")
    }  # accepted: the round's own
    assert project.labels("data/r1/accepted") == project.labels("influenced")


def test_without_overrides_the_gate_passes_on_the_same_bytes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.say("")
    monkeypatch.setattr(gate, "run_jobs", answering(accepted=False))
    prepared = project.folder / "prepared"
    project.gate(prepared, prepared, [], "data/r1/accepted")
    assert digest([project.folder / "data/r1/accepted"]) == digest([prepared])


def test_the_metrics_count_them(project: Project) -> None:
    told = project.influence(project.folder / "prepared", "influenced")
    later_told = project.influence(project.folder / "influenced", "again", harmful="")
    tables = [pq.read_table(project.folder / f"data/r1/{out}/verdicts.parquet") for out in ("influenced", "again")]
    ledger = extend_ledger(read_ledger(project.folder / "prepared"), tables)
    figures = refine(
        samples=only_splits(SAMPLES, "train", "val"),
        truth=pa.table({"id": ["a", "d"], "label": pa.array([None, "v"], pa.string())}),
        scores=pa.table({"id": ["a"], "label_quality": [0.0]}),
        signals=pa.table({"id": ["a"]}),
        first_verdicts=tables[0],
        ledger=ledger,
        prepare={"rejected_total": 0, "leaks_total": 0},
        estimates={},
    )
    assert held(told)["d"][0] == RELABEL
    assert held(later_told)["d"][0] == KEEP
    assert figures["overridden"] == {"keep": 1, "drop": 2, "relabel": 1}
    assert (figures["dropped"], figures["relabelled"]) == (3, 1)
    arm = {"n_train": 1, "n_test": 1, "profile": "quick", "accuracy": {"mean": 1, "low": 1, "high": 1, "seeds": 1}}
    assert "Overridden by people: 1 kept, 2 dropped, 1 relabelled." in comparison_text(
        {"one": arm}, figures, Parts({}, 0.01, [])
    )
