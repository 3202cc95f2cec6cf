"""Copies follow their source image, a class never ends, and the representation's verdicts become a dataset."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.profiles import SUPPORT
from winnow.cleansing.cleanse import ByPlanted, cleanse, relabelled
from winnow.cleansing.neighbour_rule import Rule
from winnow.dataset.samples import samples_table
from winnow.pipeline.files import write_table
from winnow.representation.planted_faults import Planted, Scale, Scores, distribution
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


RULE = Rule(by="neighbours", k=2, agreement=0.5, relabel=1.0, far=50.0)
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
    assert by_id["d"]["support"] == 0.0  # of 2 neighbours
    assert (by_id["d1"]["action"], by_id["d1"]["label_after"]) == (RELABEL, "ii")  # with its source image
    assert by_id["d1"]["reason"] == "as its source image; 100% of its neighbours are ii"
    assert {row["id"]: row["label"] for row in left.to_pylist() if row["id"] in ("d", "d1")} == {"d": "ii", "d1": "ii"}
    signals = {row["id"]: row for row in result.signals.to_pylist()}
    assert set(signals) == {"a", "b", "c", "d", "e", "f"}
    assert (signals["d"]["neighbours"], signals["d"]["label_quality"]) == (0.0, 0.2)
    assert np.isnan(signals["b"]["label_quality"])


def test_a_copy_of_a_dropped_image_goes_and_says_why(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    index = near.index.copy()
    index[0, 3], index[0, 6] = [0, 4], [0, 1]  # d's neighbours disagree, and those of its copy are content
    stricter = dataclasses.replace(RULE, agreement=0.75)
    told = cleanse(samples, Neighbours(index, near.distance), EVEN, {"d": 0.2}, stricter, {}, **NAMES)
    by_id = {row["id"]: row for row in told.verdicts.to_pylist()}
    assert (by_id["d"]["action"], by_id["d1"]["action"]) == (DROP, DROP)
    assert by_id["d1"]["reason"].startswith("as its source image; 100% of its neighbours are i")
    assert not {"d", "d1"} & set(told.samples["id"].to_pylist())


def test_a_copy_that_does_not_show_its_source_images_new_label_goes(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    index = near.index.copy()
    index[0, 6] = (0, 1)  # d1 among i
    told = cleanse(samples, Neighbours(index, near.distance), EVEN, {"d": 0.2}, RULE, {}, **NAMES).verdicts
    by_id = {row["id"]: (row["action"], row["support"]) for row in told.to_pylist()}
    assert (by_id["d"][0], by_id["d1"]) == (RELABEL, (DROP, 0.0))


def test_signals_are_written_beside_the_verdicts_and_have_no_say(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    probability = EVEN.copy()
    probability[3] = (0.875, 0.125)  # d, whose label the classifier supports
    result = cleanse(samples, near, probability, {"d": 1.0}, RULE, {}, **NAMES)
    assert {row["id"]: row["action"] for row in result.verdicts.to_pylist()}["d"] == RELABEL
    (signals,) = (row for row in result.signals.to_pylist() if row["id"] == "d")
    assert (signals["classifier"], signals["label_quality"], signals["support"]) == (0.875, 1.0, 0.0)


# --- by planted faults --------------------------------------------------------------------------------------------

BY_SUPPORT = dataclasses.replace(RULE, by="support")
SOUND, ANOTHER, UNUSUAL = (1.0, -1.0), (-1.0, 1.0), (-0.6, -0.9)  # scores of i and ii


def planted(scores: list[tuple[float, float]], *, faults: float) -> ByPlanted:
    """With the support 0.5 as the threshold, which a score of -0.5 has."""
    as_given = Scores([np.array(scores)], [Scale(middle=0.0, spread=1.0)])
    found = Planted(as_given, distribution(np.linspace(-1, 0, 11)), distribution(np.linspace(0, 1, 11)), faults, 0.5)
    return ByPlanted(found, dataclasses.replace(SUPPORT, relabel=0.8))


def test_by_support_neighbours_have_no_say(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    scores = [ANOTHER, SOUND, SOUND, SOUND, ANOTHER, ANOTHER, SOUND, ANOTHER]  # of a alone those of ii
    result = cleanse(samples, near, EVEN, {}, BY_SUPPORT, {}, **NAMES, by_planted=planted(scores, faults=0.2))
    told = {row["id"]: (row["action"], row["label_after"]) for row in result.verdicts.to_pylist()}
    assert told["a"] == (RELABEL, "ii")
    assert {one for one, (action, _) in told.items() if action != KEEP} == {"a"}
    assert result.estimate.touched == pytest.approx(1 / 6)  # of the source images
    assert (result.estimate.faults, result.estimate.stopped) == (0.2, False)


def test_a_new_label_that_is_not_confirmed_drops_the_image_and_its_copies(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    scores = [SOUND, SOUND, SOUND, UNUSUAL, ANOTHER, ANOTHER, SOUND, ANOTHER]
    for renamed, action in ((["d"], DROP), (["a"], DROP)):
        result = cleanse(
            samples, near, EVEN, {}, BY_SUPPORT, {}, **NAMES, by_planted=planted(scores, faults=0.2), renamed=renamed
        )
        told = {row["id"]: (row["action"], row["reason"]) for row in result.verdicts.to_pylist()}
        assert told["d"][0] == told["d1"][0] == action
        assert told["d"][1].startswith("new label i not confirmed" if renamed == ["d"] else "support 0.45 for i")
        assert told["a"][0] == KEEP  # confirmed
        assert not {"d", "d1"} & set(result.samples["id"].to_pylist())
        assert result.estimate.touched == pytest.approx(0.0 if renamed == ["d"] else 1 / 5)  # a new label is not found


def test_a_cleansing_that_stops_still_wants_its_new_labels_confirmed(neighbours) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    scores = [ANOTHER, SOUND, SOUND, UNUSUAL, ANOTHER, ANOTHER, SOUND, ANOTHER]  # a would be relabelled
    result = cleanse(
        samples, near, EVEN, {}, BY_SUPPORT, {}, **NAMES, by_planted=planted(scores, faults=0.001), renamed=["d"]
    )
    told = {row["id"]: (row["action"], row["reason"]) for row in result.verdicts.to_pylist()}
    assert result.estimate.stopped
    assert told["a"][0] == KEEP
    assert told["a"][1].startswith("ranked only, ")
    assert (told["d"][0], told["d1"][0]) == (DROP, DROP)
    assert told["d1"][1].startswith("as its source image; ")
    assert set(result.samples["id"].to_pylist()) == {"a", "b", "c", "e", "f", "t"}


def test_relabelled_names_what_a_verdict_table_renamed(neighbours, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    samples, near = neighbours
    write_table(tmp_path / "verdicts.parquet", cleanse(samples, near, EVEN, {}, RULE, {}, **NAMES).verdicts)
    assert set(relabelled(tmp_path / "verdicts.parquet")) == {"d", "d1"}


def test_no_class_ends_even_if_all_its_images_are_doubted() -> None:
    samples = rows(
        ("a", "i", None, "train"), ("b", "ii", None, "train"), ("c", "i", None, "val"), ("d", "ii", None, "val")
    )
    index = np.array([[[1, 3], [0, 2], [1, 3], [0, 2]]])
    result = cleanse(samples, Neighbours(index, np.full(index.shape, 0.1, np.float32)), EVEN[:4], {}, RULE, {}, **NAMES)
    assert {row["action"] for row in result.verdicts.to_pylist()} == {KEEP}
    assert result.samples.num_rows == 4
