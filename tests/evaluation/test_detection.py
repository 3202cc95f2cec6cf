"""Verdicts against the truth: by hand, and against a ten-line reference on random verdicts."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.evaluation.detection import against_truth, count_actions, ranking_against_truth, refine
from winnow.verdicts.ledger import VERDICT_SCHEMA
from winnow.verdicts.states import States, states

LABELS = ["i", "ii", "iii"]


def verdicts(*rows: tuple[str, str, str | None]) -> pa.Table:
    """A verdict table of (id, action, label_after)."""
    fields: list[dict[str, Any]] = [
        {"id": i, "action": action, "label_after": after, "support": 0.0, "evidence": [], "by": "winnow"}
        for i, action, after in rows
    ]
    return pa.Table.from_pylist(fields, schema=VERDICT_SCHEMA)


def texts(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


def of(given_labels: dict[str, str], table: pa.Table) -> States:
    """What the verdicts make of the images."""
    return states(texts(*given_labels), texts(*given_labels.values()), table)


def judged(image: tuple[str, str | None], truth: str | None) -> dict[str, float | int]:
    """The figures of one image, its label as delivered and now."""
    return against_truth(States(texts("a"), texts(image[0]), texts(image[1])), texts(truth))


def test_by_hand() -> None:
    given_labels = {"a": "i", "b": "i", "c": "ii", "d": "ii", "e": "iii", "f": "iii"}
    truth = texts("i", "ii", None, "ii", "i", None)  # b, c, e, f are faults
    table = verdicts(("a", "drop", None), ("b", "relabel", "ii"), ("c", "drop", None), ("d", "keep", "ii"),
                     ("e", "relabel", "ii"), ("f", "keep", "iii"))  # fmt: skip
    images = of(given_labels, table)
    assert images.label.to_pylist() == [None, "ii", None, "ii", "ii", "iii"]
    assert against_truth(images, truth) == {
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
    images = of({"a": "i", "b": "i", "c": "i"}, pa.concat_tables([first, second]))
    assert images.label.to_pylist() == ["i", None, "ii"]
    assert images.touched.tolist() == [False, True, True]
    assert (images.dropped.tolist(), images.relabelled.tolist()) == ([False, True, False], [False, False, True])


def test_figures_that_would_divide_by_zero_are_left_out() -> None:
    assert against_truth(States(texts(), texts(), texts()), texts()) == {}
    assert judged(("i", "i"), "i") == {"faults": 0, "touched": 0, "precision": 0.0}
    assert judged(("i", None), "i") == {"faults": 0, "touched": 1, "precision": 0.0}
    nothing_found = {"faults": 1, "touched": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert judged(("i", "i"), None) == nothing_found


def test_junk_that_is_relabelled_is_found_but_not_right() -> None:
    figures = judged(("i", "ii"), None)
    assert (figures["precision"], figures["recall"], figures["relabels_right"]) == (1, 1, 0)


def test_ranking_by_hand() -> None:
    # From the most harmful: a fault, a sound image, a fault, and two sound ones. Of the 2 x 3 pairs one is the wrong
    # way round. Precision is 1/1 at the first fault and 2/3 at the second.
    quality, faulty = np.array([0.0, -5.0, -4.0, -3.0, 2.0]), np.array([False, True, False, True, False])
    assert ranking_against_truth(quality, faulty) == {
        "ranking_auc": pytest.approx(5 / 6),
        "ranking_average_precision": pytest.approx((1 + 2 / 3) / 2),
    }
    assert ranking_against_truth(quality, np.zeros(5, bool)) == {}
    assert ranking_against_truth(np.zeros(0), np.zeros(0, bool)) == {}


def test_a_ranking_is_judged_by_the_images_of_which_it_and_the_truth_are_known() -> None:
    """Not by those that people corrected before the first round, which were valued under another label.

    The signals are measured after the first verdict besides: an image that it relabelled has another label by then.
    """
    names = ["a", "b", "c", "d", "e", "unknown truth", "corrected", "unscored"]
    decided = verdicts(("corrected", "relabel", "i")).to_pylist()
    overridden = verdicts(("c", "drop", None)).to_pylist()  # the round was refused, so that its verdicts are not there
    ledger = pa.Table.from_pylist(
        [
            *(row | {"round": "r0", "stage": "decided"} for row in decided),
            *(row | {"round": "r1", "stage": "refined", "by": "mia"} for row in overridden),
        ],
        schema=VERDICT_SCHEMA,
    )
    truth = {"a": None, "b": "i", "c": "ii", "d": "i", "e": "i", "corrected": "i", "unscored": None}
    quality = {"a": -5.0, "b": -4.0, "c": -3.0, "d": 0.0, "e": 2.0, "unknown truth": -9.0, "corrected": -8.0, "x": 1.0}
    figures = refine(
        samples=pa.table({"id": names, "given_label": ["i"] * len(names)}),
        truth=pa.table({"id": texts(*truth), "label": texts(*truth.values())}),
        scores=pa.table({"id": list(quality), "label_quality": list(quality.values())}),
        signals=pa.table({"id": ["c", "b", "a", "x", "e", "corrected"], "near": [0.5, 0.2, np.nan, 0.9, 0.1, 0.0]}),
        first_verdicts=verdicts(("c", "keep", "i"), ("e", "relabel", "ii")),
        ledger=ledger,
        prepare={"rejected_total": 0, "leaks_total": 0},
        estimates={},
    )
    assert figures["ranking_auc"] == pytest.approx(5 / 6)
    assert figures["signals"]["near"]["ranking_auc"] == 0.0  # of b, sound, and c, a fault that it ranks above it
    assert (figures["decisions"], figures["overridden"]) == (
        {"before": 1, "at_end": 1},
        {"keep": 0, "drop": 1, "relabel": 0},
    )


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
    known = {str(n): image for n, image in enumerate(images) if image["truth"] != "unknown"}
    found_states = of(
        {name: image["given"] for name, image in known.items()}, pa.concat_tables([verdicts(*s) for s in stages])
    )
    truth = [image["truth"] for image in known.values()]
    figures = against_truth(found_states, texts(*truth))
    assert bool(figures) == bool(truth)
    if truth:
        assert (figures["faults"], figures["touched"]) == (faults, found)
        assert figures["precision"] == (hits / found if found else 0)
        assert figures.get("recall") == (hits / faults if faults else None)
        precision = hits / found if found else 0
        harmonic = 2 * precision * hits / faults / (precision + hits / faults) if hits else 0
        assert figures.get("f1") == (pytest.approx(harmonic) if faults else None)
        assert figures.get("relabels_right") == (right / relabelled if relabelled else None)
