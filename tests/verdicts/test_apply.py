"""Copies follow their source image, a class never ends, and the representation's verdicts become a dataset."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from winnow.cleansing.cleanse import cleanse
from winnow.cleansing.neighbour_rule import Rule
from winnow.dataset.samples import samples_table
from winnow.representation.predictions import Neighbours
from winnow.verdicts.apply import apply_verdicts, keep_minimum, verdict_table
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

CLASSES = ["i", "ii"]
NAMES: dict[str, Any] = {"round_name": "r1", "stage": "cleanse_neighbours"}


def rows(*told: tuple[str, str, str | None, str]) -> pa.Table:
    """(id, label, parent, split) a row."""
    return samples_table(
        [
            {
                "id": identifier,
                "name": f"{split}/{label}/{identifier}.png",
                "split": split,
                "label": label,
                "given_label": label,
                "origin": "source" if parent is None else "random",
                "parent": parent,
                "pixel_hash": identifier,
                "channels": 1,
                "width": 8,
                "height": 8,
                "group": parent or identifier,
            }
            for identifier, label, parent, split in told
        ],
        CLASSES,
    )


def test_copies_share_the_fate_of_their_source_image() -> None:
    samples = rows(
        ("a", "i", None, "train"),
        ("a1", "i", "a", "train"),
        ("b", "i", None, "train"),
        ("b1", "i", "b", "train"),
        ("c", "ii", None, "train"),
        ("c1", "ii", "c", "train"),
        ("c2", "ii", "c", "train"),
        ("t", "ii", None, "label_book"),
    )
    verdicts = [
        Verdict(DROP, None, "planted", 0.1),
        Verdict(KEEP, 0, "", 1.0),  # its own verdict does not save it
        Verdict(RELABEL, 1, "planted", 0.2),
        Verdict(KEEP, 0, "", 1.0),
        Verdict(KEEP, 1, "", 1.0),
        Verdict(DROP, None, "spoilt by its augmentation", 0.1),
        Verdict(KEEP, 1, "", 1.0),
    ]
    table = verdict_table(samples.slice(0, 7), verdicts, CLASSES, [["x"]] * 7, **NAMES)
    assert [row["action"] for row in table.to_pylist()] == [DROP, DROP, RELABEL, KEEP, KEEP, KEEP, KEEP]
    left = {row["id"]: row["label"] for row in apply_verdicts(samples, table, CLASSES).to_pylist()}
    assert left == {"b": "ii", "b1": "ii", "c": "ii", "c2": "ii", "t": "ii"}


def test_the_best_supported_images_of_a_class_stay() -> None:
    verdicts = [
        Verdict(DROP, None, "bad", 0.1),
        Verdict(RELABEL, 1, "bad", 0.4),
        Verdict(DROP, None, "bad", 0.3),
        Verdict(KEEP, 1, "", 1.0),
        Verdict(DROP, None, "bad", 0.0),
    ]
    labels = np.array([0, 0, 0, 1, 1])
    kept = keep_minimum(verdicts, labels, np.array(["train"] * 5))
    assert [verdict.action for verdict in kept] == [DROP, KEEP, KEEP, KEEP, KEEP]
    assert [kept[1].label, kept[2].label, kept[4].label] == [0, 0, 1]
    assert kept[1].reason == "bad, but is one of the last of its class here"
    # A validation split needs one image of a class, and two training images: one is judged by the other.
    assert [one.action for one in keep_minimum(verdicts, labels, np.array(["val"] * 5))] == [
        DROP,
        KEEP,
        DROP,
        KEEP,
        DROP,
    ]
    assert keep_minimum(verdicts, labels, np.array([""] * 5)) == verdicts


RULE = Rule(k=2, signals=["neighbours", "label_quality"], support=0.5, relabel=1.0, near=50.0, far=50.0)
EVEN = np.full((8, 2), 0.5, np.float32)  # a classifier that cannot tell


@pytest.fixture
def neighbours() -> tuple[pa.Table, Neighbours]:
    """Four images of i, of which d lies among ii; two of ii; a copy; every row's two neighbours."""
    samples = rows(
        ("a", "i", None, "train"),
        ("b", "i", None, "train"),
        ("c", "i", None, "val"),
        ("d", "i", None, "train"),
        ("e", "ii", None, "train"),
        ("f", "ii", None, "val"),
        ("d1", "i", "d", "train"),
        ("t", "ii", None, "label_book"),
    )
    index = np.array([[[1, 2], [0, 2], [0, 1], [4, 5], [5, 7], [4, 7], [4, 5], [4, 5]]])
    return samples, Neighbours(index, np.full(index.shape, 0.1, np.float32))


def test_verdicts_cover_train_and_val_with_their_neighbours_as_evidence(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    result = cleanse(samples, near, EVEN, {"d": 0.2, "a": 0.9}, RULE, {}, **NAMES)
    told, left = result.verdicts, result.samples
    by_id = {row["id"]: row for row in told.to_pylist()}
    assert set(by_id) == {"a", "b", "c", "d", "e", "f", "d1"}
    assert by_id["d"]["action"] == RELABEL
    assert (by_id["d"]["label_after"], by_id["d"]["evidence"]) == ("ii", ["e", "f"])
    assert by_id["d"]["support"] == pytest.approx(0.1)  # mean of 0 of 2 neighbours and 0.2
    assert (by_id["d1"]["action"], by_id["d1"]["label_after"]) == (RELABEL, "ii")  # with its source image
    assert (
        by_id["d1"]["reason"] == "as its source image; support 1.00"
    )  # of both neighbours; the label quality was of i
    assert {row["id"]: row["label"] for row in left.to_pylist() if row["id"] in ("d", "d1")} == {"d": "ii", "d1": "ii"}
    signals = {row["id"]: row for row in result.signals.to_pylist()}
    assert set(signals) == {"a", "b", "c", "d", "e", "f"}
    assert (signals["d"]["neighbours"], signals["d"]["label_quality"]) == (0.0, 0.2)
    assert np.isnan(signals["b"]["label_quality"])


def test_a_copy_of_a_dropped_image_goes_and_says_why(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    index = near.index.copy()
    index[0, 3], index[0, 6] = [0, 4], [0, 1]  # d's neighbours disagree, and those of its copy are content
    told = cleanse(samples, Neighbours(index, near.distance), EVEN, {"d": 0.2}, RULE, {}, **NAMES)
    by_id = {row["id"]: row for row in told.verdicts.to_pylist()}
    assert (by_id["d"]["action"], by_id["d1"]["action"]) == (DROP, DROP)
    assert by_id["d1"]["reason"].startswith("as its source image; support ")
    assert not {"d", "d1"} & set(told.samples["id"].to_pylist())


def test_a_copy_that_does_not_show_its_source_images_new_label_goes(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    index = near.index.copy()
    index[0, 6] = (0, 1)  # d1 among i
    told = cleanse(samples, Neighbours(index, near.distance), EVEN, {"d": 0.2}, RULE, {}, **NAMES).verdicts
    by_id = {row["id"]: (row["action"], row["support"]) for row in told.to_pylist()}
    assert (by_id["d"][0], by_id["d1"]) == (RELABEL, (DROP, 0.0))


def test_label_quality_can_save_an_image_from_its_neighbours(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    told = cleanse(samples, near, EVEN, {"d": 1.0}, RULE, {}, **NAMES).verdicts
    assert {row["id"]: row["action"] for row in told.to_pylist()}["d"] == KEEP


def test_the_classifier_counts_where_the_rule_names_it(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    probability = EVEN.copy()
    probability[0] = (0.1, 0.9)  # a, which its neighbours support
    probability[3] = (0.125, 0.875)  # d, which they do not
    classifying = dataclasses.replace(RULE, signals=["neighbours", "classifier"], relabel=0.8)
    result = cleanse(samples, near, probability, {}, classifying, {}, **NAMES)
    told = {row["id"]: (row["action"], row["support"], row["reason"]) for row in result.verdicts.to_pylist()}
    assert told["a"] == (KEEP, pytest.approx(0.55), "support 0.55")
    assert told["d"] == (
        RELABEL,
        pytest.approx(0.0625),
        "100% of its neighbours are ii, the classifier sees ii (88%), i at 12%",
    )
    stricter = cleanse(
        samples, near, probability, {}, dataclasses.replace(classifying, relabel=0.9), {}, **NAMES
    ).verdicts
    assert {row["id"]: row["action"] for row in stricter.to_pylist()}["d"] == DROP  # the neighbours alone do not do
    assert {row["id"]: row["classifier"] for row in result.signals.to_pylist()}["a"] == pytest.approx(0.1)


def test_no_class_ends_even_if_all_its_images_are_doubted() -> None:
    samples = rows(
        ("a", "i", None, "train"), ("b", "ii", None, "train"), ("c", "i", None, "val"), ("d", "ii", None, "val")
    )
    index = np.array([[[1, 3], [0, 2], [1, 3], [0, 2]]])
    result = cleanse(samples, Neighbours(index, np.full(index.shape, 0.1, np.float32)), EVEN[:4], {}, RULE, {}, **NAMES)
    assert {row["action"] for row in result.verdicts.to_pylist()} == {KEEP}
    assert result.samples.num_rows == 4
