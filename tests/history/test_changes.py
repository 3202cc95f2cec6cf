"""The comparison held against its definition, written slowly; the verdict that explains a change."""

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from winnow.history.changes import COLUMNS, Augmented, Change, compare
from winnow.verdicts.ledger import PIPELINE, VERDICT_SCHEMA, VerdictRow

Rows = list[dict[str, Any]]
LABELS = st.sampled_from(["a", "b", "a10", "a9"])
IDS = [f"{number:x}" for number in range(6)]
NONE = VERDICT_SCHEMA.empty_table()


def name_of(identifier: str) -> str:
    return f"train/{identifier}.png"


@st.composite
def states(draw: st.DrawFn) -> Rows:
    """Samples with distinct ids, in any order, some of them augmented."""
    rows = []
    for identifier in draw(st.lists(st.sampled_from(IDS), unique=True)):
        parent = draw(st.sampled_from([None, None, "p"]))
        origin = "source" if parent is None else draw(st.sampled_from(["random", "edge_case"]))
        row = {"id": identifier, "name": name_of(identifier), "split": draw(st.sampled_from(["train", "val"]))}
        rows.append({**row, "label": draw(LABELS), "origin": origin, "parent": parent})
    return rows


@st.composite
def ledgers(draw: st.DrawFn) -> Rows:
    """Verdicts of up to three stages, kept in the order of the rounds."""
    rows = []
    for where in (("r1", "cleanse_influence"), ("r1", "x"), ("r2", "x")):
        for identifier in draw(st.lists(st.sampled_from(IDS), unique=True)):
            action = draw(st.sampled_from(["keep", "drop", "relabel"]))
            after = None if action == "drop" else draw(LABELS)
            row: dict[str, Any] = {
                "id": identifier,
                "action": action,
                "label_before": "a",
                "label_after": after,
                "evidence": [],
            }
            row |= {"support": draw(st.none() | st.floats(-1, 1)), "by": PIPELINE}
            rows.append(row | {"round": where[0], "stage": where[1], "reason": f"{where} says so"})
    return rows


def samples(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in COLUMNS]))


def table(ledger: Rows) -> pa.Table:
    return pa.Table.from_pylist(ledger, schema=VERDICT_SCHEMA)


def find(rows: Rows, identifier: str, *, augmented: bool = False) -> dict[str, Any] | None:
    for row in rows:
        if row["id"] == identifier and (row["parent"] is not None) == augmented:
            return row
    return None


def explain(ledger: Rows, identifier: str, action: str, label: str | None) -> tuple[str, str] | None:
    """Where the last verdict that did it was given, and its reason."""
    answer = None
    for row in ledger:
        if row["id"] == identifier and row["action"] == action and row["label_after"] == label:
            answer = (f"{row['round']}/{row['stage']}", row["reason"])
    return answer


def expected(old: Rows, new: Rows, was: Rows, now: Rows) -> dict[str, set[tuple[Any, ...]]]:
    """(id, from, to, what explains it, whether undone), by kind."""
    answer: dict[str, set[tuple[Any, ...]]] = {"dropped": set(), "added": set(), "relabelled": set(), "moved": set()}
    for identifier in IDS:
        before, after = find(old, identifier), find(new, identifier)
        if before and not after:
            cause = explain(now, identifier, "drop", None)
            answer["dropped"].add((identifier, before["label"], None, cause, False))
        elif after and not before:
            cause = explain(was, identifier, "drop", None)
            answer["added"].add((identifier, None, after["label"], cause, cause is not None))
        elif before and after:
            pair = before["label"], after["label"]
            cause, undone = None, False
            if pair[0] != pair[1]:
                cause = explain(now, identifier, "relabel", pair[1])
                if cause is None:
                    cause = explain(was, identifier, "relabel", pair[0])
                    undone = cause is not None
                answer["relabelled"].add((identifier, *pair, cause, undone))
            if before["split"] != after["split"]:
                answer["moved"].add((identifier, *pair, cause, undone))
    return answer


def flat(change: Change) -> tuple[Any, ...]:
    verdict = change.verdict
    cause = (f"{verdict.round}/{verdict.stage}", verdict.reason) if verdict else None
    return change.id, change.label_before, change.label_after, cause, change.undone


@given(states(), states(), ledgers(), ledgers())
def test_the_comparison_equals_its_definition(old: Rows, new: Rows, was: Rows, now: Rows) -> None:
    changes = compare(samples(old), samples(new), table(was), table(now))
    for kind, wanted in expected(old, new, was, now).items():
        got = [flat(change) for change in getattr(changes, kind)]
        assert len(got) == len(wanted)
        assert set(got) == wanted
        assert [change.id for change in getattr(changes, kind)] == sorted(change[0] for change in got)
    assert changes.sources_before == sum(row["parent"] is None for row in old)
    assert changes.sources_after == sum(row["parent"] is None for row in new)
    for group in changes.augmented:
        before, after = (
            {r["id"] for r in rows if r["parent"] and (r["label"], r["origin"]) == (group.label, group.origin)}
            for rows in (old, new)
        )
        counts = (len(before), len(after), len(after - before), len(before - after))
        assert (group.before, group.after, group.new, group.gone) == counts
        assert group.before + group.after > 0
    groups = {(row["label"], row["origin"]) for row in old + new if row["parent"]}
    assert {(group.label, group.origin) for group in changes.augmented} == groups
    assert len(changes.augmented) == len(groups)


@given(states(), states())
def test_the_same_is_what_a_set_of_samples_says(old: Rows, new: Rows) -> None:
    def content(rows: Rows) -> set[tuple[Any, ...]]:
        # The split of an augmented sample is its parent's, whose move is told.
        last = {False: "split", True: "origin"}
        return {(r["id"], r["label"], r["parent"], r[last[r["parent"] is not None]]) for r in rows}

    assert compare(samples(old), samples(new), NONE, NONE).same == (content(old) == content(new))
    assert compare(samples(old), samples(list(reversed(old))), NONE, NONE).same


def test_classes_come_in_natural_order() -> None:
    rows = [
        {"id": n, "name": n, "split": "train", "label": label, "origin": "random", "parent": "p"}
        for n, label in (("0", "a10"), ("1", "a9"))
    ]
    assert compare(samples(rows), samples(rows), NONE, NONE).augmented == [
        Augmented("a9", "random", 1, 1, 0, 0),
        Augmented("a10", "random", 1, 1, 0, 0),
    ]


def test_a_verdict_of_a_refused_round_explains_nothing() -> None:
    """r1 relabels and is accepted; r2 relabels again and drops, and is refused."""
    sample = {"id": "0", "name": "0", "split": "train", "origin": "source", "parent": None}
    row = {"id": "0", "label_before": "a", "support": 0.5, "evidence": ["1"], "by": PIPELINE}
    ledger = table(
        [
            {**row, "round": "r1", "stage": "s", "action": "relabel", "label_after": "b", "reason": "first"},
            {**row, "round": "r2", "stage": "s", "action": "relabel", "label_after": "c", "reason": "second"},
            {**row, "round": "r2", "stage": "t", "action": "drop", "label_after": None, "reason": "third"},
        ]
    )
    changes = compare(samples([{**sample, "label": "a"}]), samples([{**sample, "label": "b"}]), NONE, ledger)
    assert [change.verdict for change in changes.relabelled] == [
        VerdictRow("0", "r1", "s", "relabel", "a", "b", "first", 0.5, ("1",), PIPELINE)
    ]
