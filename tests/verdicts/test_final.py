"""Overrides applied at the end, to what the rounds left, and decisions given before the first round."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages import decided, overrides, refined
from tests.support.decided import CLASSES, HEAD, ROWS, Row, copy
from winnow.dataset.images import encode_png, stored_images, write_dataset
from winnow.dataset.samples import labels_by_id, only_splits, read_samples, samples_table
from winnow.evaluation.comparison_table import Parts, comparison_text
from winnow.evaluation.detection import refine
from winnow.pipeline.files import digest, write_table
from winnow.pipeline.messages import UserError
from winnow.verdicts.fates import fates
from winnow.verdicts.ledger import VERDICT_SCHEMA, read_ledger, write_ledger
from winnow.verdicts.overrides import Override, read_overrides, write_overrides

COPIES = [copy(row) for row in ROWS if row["split"] == "train"]
GONE = "cp"  # images that the rounds dropped, with their copies
RENAMED = "e"  # one that they relabelled


class Project:
    """A source, and what the rounds left of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generator = np.random.default_rng(0)
        images = {
            row["id"]: encode_png(generator.integers(0, 255, (16, 16, 1), dtype=np.uint8)) for row in [*ROWS, *COPIES]
        }
        left = [row | {"label": "v"} if row["id"][0] in RENAMED else row for row in [*ROWS, *COPIES]]
        left = [row for row in left if row["id"][0] not in GONE]
        for name, rows in (("prepared", ROWS), ("accepted", left)):
            pictures = [(row["id"], images[row["id"]]) for row in rows]
            write_dataset(folder / name, samples_table(rows, CLASSES), images=pictures)
        self.rounds_said([("c", "drop", "i", None), ("p", "drop", "i", None), ("e", "relabel", "ii", "v")])

    def rounds_said(self, rows: list[tuple[str, str, str, str | None]], stage: str = "cleanse_influence") -> None:
        told: list[Row] = [
            {"id": one, "round": "r1", "stage": stage, "action": action, "label_before": before, "label_after": after}
            | {"reason": "because", "by": "winnow", "evidence": []}
            for one, action, before, after in rows
        ]
        write_ledger(self.folder / "accepted", pa.Table.from_pylist(told, schema=VERDICT_SCHEMA))

    def refine(self, labels: dict[str, str | None]) -> dict[str, str]:
        said = {one: Override(label, "override by mia", "mia") for one, label in labels.items()}
        write_overrides(self.folder / "overrides.parquet", said)
        refined.main(
            accepted=self.folder / "accepted",
            prepared=self.folder / "prepared",
            overrides=self.folder / "overrides.parquet",
            round="r1",
            refined=self.folder / "refined",
        )
        return labels_by_id(read_samples(self.folder / "refined"))

    def decide(self, lines: str) -> dict[str, str]:
        (self.folder / "decided.csv").write_text(HEAD + lines)
        decided.main(
            csv=self.folder / "decided.csv",
            prepared=self.folder / "prepared",
            resolved=self.folder / "decided.parquet",
            decided=self.folder / "decided",
        )
        return labels_by_id(read_samples(self.folder / "decided"))

    def said(self, name: str) -> list[tuple[str, str, str, str, str | None, str]]:
        """By people, in the ledger of a dataset."""
        rows = read_ledger(self.folder / name).to_pylist()
        names = ("id", "round", "stage", "action", "label_after", "by")
        return [tuple(row[name] for name in names) for row in rows if row["by"] != "winnow"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_without_overrides_the_refined_dataset_is_the_accepted_one_byte_for_byte(project: Project) -> None:
    project.refine({})
    assert digest([project.folder / "refined"]) == digest([project.folder / "accepted"])


def test_people_have_the_last_word_on_images_and_their_copies(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    before = labels_by_id(read_samples(project.folder / "accepted"))
    after = project.refine({"a": None, "b": "v", "e": "ii", "c": "i", "p": "v", "q": None, "g": "v"})
    gone = {"a", "a1", "q", "s1", "h1"}  # two of them copies of i and v that give way to c and p
    changed = {"b": "v", "b1": "v", "e": "ii", "e1": "ii", "c": "i", "p": "v"}
    assert after == {one: label for one, label in before.items() if one not in gone} | changed
    assert "7 overrides applied at the end, 2 images brought back" in capsys.readouterr().out


def test_images_come_back_in_their_place_without_copies_and_with_their_pictures(project: Project) -> None:
    project.refine({"c": "i", "p": "v"})
    samples = read_samples(project.folder / "refined")
    source = samples.filter(samples["parent"].is_null())["id"].to_pylist()
    assert source == [row["id"] for row in ROWS]
    assert samples["id"].to_pylist()[: len(source)] == source
    assert "c1" not in samples["id"].to_pylist()
    assert stored_images(project.folder / "refined", ["c", "p", "a"]) == stored_images(
        project.folder / "prepared", ["c", "p", "a"]
    )
    given = labels_by_id(samples, "given_label")
    assert (given["c"], given["p"]) == ("i", "i")


def test_an_image_whose_class_has_no_copies_comes_back_and_takes_nothing_away(project: Project) -> None:
    before = labels_by_id(read_samples(project.folder / "accepted"))
    copied = {one for one, label in before.items() if label == "i" and len(one) > 1}
    assert copied
    accepted = read_samples(project.folder / "accepted")
    rows = [row for row in accepted.to_pylist() if row["id"] not in copied]
    ledger = read_ledger(project.folder / "accepted")
    write_dataset(project.folder / "accepted", samples_table(rows, CLASSES), shards_from=[project.folder / "accepted"])
    write_ledger(project.folder / "accepted", ledger)
    left = {one: label for one, label in before.items() if one not in copied}
    assert project.refine({"c": "i"}) == left | {"c": "i"}


@pytest.mark.parametrize("label", ["i", None])
def test_an_image_that_no_round_has_judged_stops_the_stage(project: Project, label: str | None) -> None:
    project.rounds_said([("p", "drop", "i", None)])  # c came into the source after the rounds
    with pytest.raises(
        UserError, match=r"'train/i/c\.png' is overridden, and no round has judged it; `make run` comes"
    ):
        project.refine({"p": "i", "c": label})


def test_a_source_whose_classes_are_others_now_stops_the_stage(project: Project) -> None:
    rows = read_samples(project.folder / "prepared").to_pylist()
    write_table(project.folder / "prepared/samples.parquet", samples_table(rows, [*CLASSES, "x"]))
    with pytest.raises(UserError, match="not the one that the rounds ran on: its classes differ; `make run` comes"):
        project.refine({"a": None})


def test_an_image_that_comes_back_is_in_the_split_of_its_group(project: Project) -> None:
    rows = read_samples(project.folder / "prepared").to_pylist()
    grouped = [row | {"group": "p"} if row["id"] in "pq" else row for row in rows]
    for name in ("prepared", "accepted"):
        here = set(labels_by_id(read_samples(project.folder / name)))
        moved = [row | {"split": "train"} if row["id"] == "q" and name == "accepted" else row for row in grouped]
        table = samples_table([row for row in moved if row["id"] in here], CLASSES)
        write_table(project.folder / name / "samples.parquet", table)
    project.refine({"p": "i", "c": "i"})
    splits = labels_by_id(read_samples(project.folder / "refined"), "split")
    assert (splits["p"], splits["q"], splits["r"], splits["c"]) == ("train", "train", "val", "train")


def test_the_ledger_ends_with_a_verdict_for_each_override_and_tells_what_became_of_the_image(project: Project) -> None:
    now = project.refine({"a": None, "b": "v", "c": "i", "e": "v", "p": None})
    assert project.said("refined") == [
        ("a", "r1", "refined", "drop", None, "mia"),
        ("b", "r1", "refined", "relabel", "v", "mia"),
        ("c", "r1", "refined", "keep", "i", "mia"),
        ("e", "r1", "refined", "keep", "v", "mia"),
        ("p", "r1", "refined", "drop", None, "mia"),
    ]
    ledger = read_ledger(project.folder / "refined")
    given = labels_by_id(read_samples(project.folder / "prepared"))
    alone, known = fates(given, ledger), fates(given, ledger, now)
    assert {one: fate.label for one, fate in alone.items()} == {one: now.get(one) for one in given}
    assert {one: fate.label for one, fate in known.items()} == {one: now.get(one) for one in given}
    back = known["c"].restoring
    assert back is not None
    assert (back.stage, back.by) == ("refined", "mia")
    assert known["e"].restoring is known["p"].restoring is None


def test_a_split_that_nothing_is_left_of_stops_the_stage(project: Project) -> None:
    with pytest.raises(UserError, match="the overrides leave no val image beside those that the rounds dropped; take"):
        project.refine({"q": None, "r": None})


def test_a_class_that_too_little_is_left_of_stops_the_stage(project: Project) -> None:
    project.refine({"d": "i"})  # ii keeps f and t
    with pytest.raises(
        UserError, match=r"leave 1 train image of class 'ii' beside those that the rounds dropped, 2 must"
    ):
        project.refine({"d": "i", "f": None})
    with pytest.raises(UserError, match="leave no train image of class 'ii'"):
        project.refine({"d": None, "f": "v", "t": None})


def test_without_decisions_the_rounds_start_from_what_was_prepared(project: Project) -> None:
    project.decide("")
    assert digest([project.folder / "decided"]) == digest([project.folder / "prepared"])
    assert read_overrides(project.folder / "decided.parquet") == {}


def test_decisions_are_applied_before_the_first_round(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    after = project.decide("a,drop,,mia,\ntrain/i/b.png,relabel,v,mia,\nd,keep,,mia,\ne,drop\ne,undo\n")
    assert after == {row["id"]: row["label"] for row in ROWS if row["id"] != "a"} | {"b": "v"}
    assert project.said("decided") == [
        ("a", "r0", "decided", "drop", None, "mia"),
        ("b", "r0", "decided", "relabel", "v", "mia"),
        ("d", "r0", "decided", "keep", "ii", "mia"),
    ]
    assert set(read_overrides(project.folder / "decided.parquet")) == {"a", "b", "d"}
    assert "decided: 3 images decided on before the first round\n" in capsys.readouterr().out


def test_both_stages_tell_how_many_images_changed_since_they_were_seen(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = f"a,drop,,mia,,,{'e' * 32}\nb,drop,,mia,\n"
    project.decide(lines)
    assert "2 images decided on before the first round; 1 of them on another picture" in capsys.readouterr().out
    csv, resolved = project.folder / "overrides.csv", project.folder / "overrides.parquet"
    csv.write_text(HEAD + lines)
    overrides.main(csv=csv, prepared=project.folder / "prepared", resolved=resolved)
    assert "overrides: 2 images overridden; 1 of them on another picture" in capsys.readouterr().out


def test_what_was_given_before_and_holds_is_not_given_again_at_the_end(project: Project) -> None:
    project.decide("a,drop,,mia,\nb,relabel,v,mia,\n")
    samples = read_samples(project.folder / "decided")
    write_dataset(project.folder / "accepted", samples, shards_from=[project.folder / "prepared"])
    write_ledger(project.folder / "accepted", read_ledger(project.folder / "decided"))
    after = project.refine({"a": None, "b": "v", "f": None})
    assert "f" not in after
    assert [(row[0], row[2]) for row in project.said("refined")] == [
        ("a", "decided"),
        ("b", "decided"),
        ("f", "refined"),
    ]
    after = project.refine({"a": "i", "b": "ii"})  # somebody thought again
    assert (after["a"], after["b"]) == ("i", "ii")


def test_the_metrics_tell_which_decisions_it_was(project: Project) -> None:
    project.decide("a,drop,,mia,\nb,relabel,v,mia,\nd,keep,,mia,\n")
    write_dataset(
        project.folder / "accepted",
        read_samples(project.folder / "decided"),
        shards_from=[project.folder / "prepared"],
    )
    write_ledger(project.folder / "accepted", read_ledger(project.folder / "decided"))
    samples = only_splits(read_samples(project.folder / "prepared"), "train", "val")
    project.refine({"f": None, "e": "ii"})
    figures = refine(
        samples=samples,
        truth=pa.table({"id": ["b", "f", "e"], "label": pa.array(["v", None, "ii"], pa.string())}),
        scores=pa.table({"id": ["b", "f", "e"], "label_quality": [0.9, 0.1, 0.8]}),
        signals=pa.table({"id": ["f"]}),
        first_verdicts=pa.table({"id": ["f"], "action": ["keep"]}),
        ledger=read_ledger(project.folder / "refined"),
        prepare={"rejected_total": 0, "leaks_total": 0},
        estimates={},
    )
    assert figures["decisions"] == {"before": 3, "at_end": 2}
    assert figures["overridden"] == {"keep": 2, "drop": 2, "relabel": 1}
    assert figures["ranking_auc"] == 1.0  # b was valued under the label that a person gave
    assert (figures["dropped"], figures["relabelled"]) == (2, 1)
    arm = {"n_train": 1, "n_test": 1, "profile": "quick", "accuracy": {"mean": 1, "low": 1, "high": 1, "seeds": 1}}
    text = comparison_text({"one": arm}, figures, Parts({}, 0.01, []))
    assert "Overridden by people: 2 kept, 2 dropped, 1 relabelled (3 before the first round, 2 at the end)." in text
