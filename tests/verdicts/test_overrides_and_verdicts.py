"""Overrides are stronger than every verdict, and change no verdict on another image."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.decided import CLASSES, ROWS, RULE, SAMPLES, against, copy, silent
from winnow.cleansing.cleanse import cleanse
from winnow.dataset.samples import only_splits, samples_table
from winnow.verdicts.apply import apply_verdicts, verdict_table, with_overrides
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict
from winnow.verdicts.overrides import Override, apply_overrides, overrides_on

NAMES: dict[str, Any] = {"round_name": "r1", "stage": "cleanse_neighbours"}
FAMILY = samples_table([*ROWS, *(copy(row) for row in ROWS if row["split"] == "train")], CLASSES)
VERDICT = st.one_of(st.just((DROP, None)), st.sampled_from([(KEEP, None), (RELABEL, 0), (RELABEL, 1), (RELABEL, 2)]))


@given(
    st.lists(VERDICT, min_size=FAMILY.num_rows, max_size=FAMILY.num_rows),
    st.dictionaries(st.sampled_from("abcdefghpqr"), st.sampled_from([*CLASSES, None])),
)
def test_an_override_holds_whatever_the_verdicts_say(
    wishes: list[tuple[str, int | None]], labels: dict[str, str | None]
) -> None:
    suspects = only_splits(FAMILY, "train", "val")
    overrides = {identifier: Override(label, "override", "unnamed") for identifier, label in labels.items()}
    verdicts = [
        Verdict(action, CLASSES.index(row["label"]) if action == KEEP else label, "machine", 0.5)
        for (action, label), row in zip(wishes, suspects.to_pylist(), strict=False)
    ]

    def left(given: Iterable[Verdict]) -> dict[str, tuple[str, str | None]]:
        told = verdict_table(suspects, list(given), CLASSES, [[]] * suspects.num_rows, **NAMES)
        rows = apply_verdicts(FAMILY, told, CLASSES).to_pylist()
        return {row["id"]: (row["label"], row["parent"]) for row in rows}

    without, with_them = left(verdicts), left(apply_overrides(verdicts, suspects, overrides_on(suspects, overrides)))
    for row in FAMILY.to_pylist():
        override = overrides.get(row["parent"] or row["id"])
        if override is None:
            assert with_them.get(row["id"]) == without.get(row["id"])
        elif override.label is None:
            assert row["id"] not in with_them
        else:
            assert with_them[row["id"]][0] == override.label
    # Applied alone, twice is as once.
    once, told = with_overrides(FAMILY, overrides, **NAMES)
    again, kept = with_overrides(once, overrides, **NAMES)
    assert again.equals(once)
    assert set(told["id"].to_pylist()) == set(overrides)
    assert set(kept["action"].to_pylist()) <= {KEEP}


def test_the_last_of_a_class_is_still_kept_and_overrides_are_not() -> None:
    overrides = {"c": Override("v", "override", "unnamed"), "p": Override(None, "override by mia", "mia")}
    result = cleanse(SAMPLES, against(SAMPLES), silent(SAMPLES), {}, RULE, overrides, **NAMES)
    told = {row["id"]: row for row in result.verdicts.to_pylist()}
    assert (told["p"]["action"], told["p"]["reason"], told["p"]["evidence"]) == (DROP, "override by mia", [])
    assert (told["c"]["action"], told["c"]["label_after"]) == (RELABEL, "v")
    kept = [identifier for identifier in "abs" if told[identifier]["action"] == KEEP]
    assert kept == ["a", "b"]  # c leaves the class, so that the others stand for it
    assert told["a"]["reason"].endswith("one of the last of its class here")
    assert set(result.signals["id"].to_pylist()) == set("abdefghqrst")  # the signals of the others are of their labels


def test_copies_of_an_overridden_image_are_not_judged() -> None:
    rows = [row | ({"label": "v"} if row["id"] == "c" else {}) for row in ROWS]
    samples = samples_table([*rows, copy(rows[2]), copy(rows[11])], CLASSES)
    overrides = {"c": Override("v", "override by mia", "mia")}
    result = cleanse(samples, against(samples), silent(samples), {}, RULE, overrides, **NAMES)
    told = {row["id"]: (row["action"], row["reason"]) for row in result.verdicts.to_pylist()}
    assert told["c"] == told["c1"] == (KEEP, "override by mia")
    assert told["s"][0] == told["s1"][0] == RELABEL  # a and b stand for their class
    assert told["s1"][1].startswith("as its source image; ")
    left = {row["id"]: row["label"] for row in result.samples.to_pylist()}
    assert (left["c"], left["c1"]) == ("v", "v")
