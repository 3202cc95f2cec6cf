"""Verdicts against the truth: by hand, and against a ten-line reference on random verdicts."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.evaluation.detection import against_truth, count_actions, ranking_against_truth
from winnow.verdicts.fates import Fate, fates
from winnow.verdicts.ledger import VERDICT_SCHEMA

LABELS = ["i", "ii", "iii"]


def verdicts(*rows: tuple[str, str, str | None]) -> pa.Table:
    """A verdict table of (id, action, label_after)."""
    fields: list[dict[str, Any]] = [
        {"id": i, "action": action, "label_after": after, "support": 0.0, "evidence": [], "by": "winnow"}
        for i, action, after in rows
    ]
    return pa.Table.from_pylist(fields, schema=VERDICT_SCHEMA)


def test_by_hand() -> None:
    given_labels = {"a": "i", "b": "i", "c": "ii", "d": "ii", "e": "iii", "f": "iii"}
    truth = {"a": "i", "b": "ii", "c": None, "d": "ii", "e": "i", "f": None}  # b, c, e, f are faults
    table = verdicts(("a", "drop", None), ("b", "relabel", "ii"), ("c", "drop", None), ("d", "keep", "ii"),
                     ("e", "relabel", "ii"), ("f", "keep", "iii"))  # fmt: skip
    fate = fates(given_labels, table)
    assert (fate["b"].given, fate["b"].label) == ("i", "ii")
    assert (fate["c"].given, fate["c"].label) == ("ii", None)
    assert against_truth(fate, truth) == {
        "faults": 4,
        "touched": 4,  # a, b, c, e
        "precision": 3 / 4,
        "recall": 3 / 4,
        "f1": 3 / 4,
        "relabels_right": 1 / 2,
    }
    assert count_actions(table["action"].to_pylist()) == {"keep": 2, "drop": 2, "relabel": 2}


def test_the_last_word_counts() -> None:
    first = verdicts(("a", "relabel", "ii"), ("b", "relabel", "ii"), ("c", "relabel", "ii"), ("copy", "drop", None))
    second = verdicts(("a", "relabel", "i"), ("b", "drop", None), ("c", "keep", "ii"))
    fate = fates({"a": "i", "b": "i", "c": "i"}, pa.concat_tables([first, second]))
    assert {key: (image.given, image.label) for key, image in fate.items()} == {
        "a": ("i", "i"),
        "b": ("i", None),
        "c": ("i", "ii"),
    }
    assert [image.touched for image in fate.values()] == [False, True, True]


def test_figures_that_would_divide_by_zero_are_left_out() -> None:
    untouched, dropped = {"a": Fate("i", "i")}, {"a": Fate("i", None)}
    assert against_truth(untouched, {}) == {}
    assert against_truth(untouched, {"unknown": "i"}) == {}
    assert against_truth(untouched, {"a": "i"}) == {"faults": 0, "touched": 0, "precision": 0.0}
    assert against_truth(dropped, {"a": "i"}) == {"faults": 0, "touched": 1, "precision": 0.0}
    nothing_found = {"faults": 1, "touched": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert against_truth(untouched, {"a": None}) == nothing_found


def test_junk_that_is_relabelled_is_found_but_not_right() -> None:
    figures = against_truth({"a": Fate("i", "ii")}, {"a": None})
    assert (figures["precision"], figures["recall"], figures["relabels_right"]) == (1, 1, 0)


def test_ranking_by_hand() -> None:
    given_labels = dict.fromkeys("abcde", "i")
    truth = {"a": None, "b": "i", "c": "ii", "d": "i", "e": "i", "not scored": None}
    # From the most harmful: a (fault), b, c (fault), then d and e. Of the 2 x 3 pairs one, (c, b), is the wrong way
    # round. Precision is 1/1 at the first fault and 2/3 at the second.
    score = {"a": -5.0, "b": -4.0, "c": -3.0, "d": 0.0, "e": 2.0, "no truth": -9.0}
    assert ranking_against_truth(score, given_labels, truth) == {
        "ranking_auc": pytest.approx(5 / 6),
        "ranking_average_precision": pytest.approx((1 + 2 / 3) / 2),
    }
    assert ranking_against_truth(score, given_labels, {"a": "i", "b": "i"}) == {}
    assert ranking_against_truth(score, given_labels, {}) == {}


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(ValueError, match="an action must be one of keep, drop, relabel, got 'hide'"):
        count_actions(["keep", "hide"])


IMAGES = st.fixed_dictionaries(
    {
        "given": st.sampled_from(LABELS),
        "truth": st.sampled_from([*LABELS, None, "unknown"]),
        "verdicts": st.lists(
            st.one_of(
                st.just(("keep", None)), st.just(("drop", None)), st.tuples(st.just("relabel"), st.sampled_from(LABELS))
            ),
            max_size=2,
        ),
    }
)


@given(st.lists(IMAGES, max_size=12))
def test_equals_the_reference(images: list[dict]) -> None:  # type: ignore[type-arg]
    stages: list[list[tuple[str, str, str | None]]] = [[], []]
    hits = found = faults = right = relabelled = 0
    for number, image in enumerate(images):
        label: str | None = image["given"]
        for stage, (action, after) in enumerate(image["verdicts"]):
            stages[stage].append((str(number), action, after))
            label = {"keep": label, "drop": None, "relabel": after}[action]
            if action == "drop":
                break
        if image["truth"] == "unknown":
            continue
        fault, touched = image["truth"] != image["given"], label != image["given"]
        hits, found, faults = hits + (fault and touched), found + touched, faults + fault
        relabelled += touched and label is not None
        right += touched and label is not None and label == image["truth"]
    fate = fates(
        {str(number): image["given"] for number, image in enumerate(images)},
        pa.concat_tables([verdicts(*s) for s in stages]),
    )
    truth = {str(n): image["truth"] for n, image in enumerate(images) if image["truth"] != "unknown"}
    figures = against_truth(fate, truth)
    assert bool(figures) == bool(truth)
    if truth:
        assert (figures["faults"], figures["touched"]) == (faults, found)
        assert figures["precision"] == (hits / found if found else 0)
        assert figures.get("recall") == (hits / faults if faults else None)
        precision = hits / found if found else 0
        harmonic = 2 * precision * hits / faults / (precision + hits / faults) if hits else 0
        assert figures.get("f1") == (pytest.approx(harmonic) if faults else None)
        assert figures.get("relabels_right") == (right / relabelled if relabelled else None)
