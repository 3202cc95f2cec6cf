"""The columns of what became of all images equal the fates of single ones, whatever the verdicts are."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from winnow.verdicts.fates import fates
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, VERDICT_SCHEMA, by_stage
from winnow.verdicts.states import last_verdicts, states, states_in

IDS = ["a", "b", "c"]
GIVEN = dict(zip(IDS, ["i", "ii", "i"], strict=True))
VERDICTS = st.lists(
    st.tuples(
        st.sampled_from([*IDS, "copy"]), st.sampled_from([KEEP, DROP, RELABEL]), st.sampled_from(["i", "ii", "iii"])
    ),
    max_size=12,
)


def ledger(rows: list[tuple[str, str, str]]) -> pa.Table:
    fields = [
        {"id": one, "round": "r1", "stage": "s", "action": action, "label_after": None if action == DROP else label}
        for one, action, label in rows
    ]
    return pa.Table.from_pylist(fields, schema=VERDICT_SCHEMA)


def columns() -> tuple[pa.Array, pa.Array]:
    return pa.array(IDS), pa.array(list(GIVEN.values()))


@given(VERDICTS)
def test_labels_equal_those_of_the_fates(rows: list[tuple[str, str, str]]) -> None:
    fate, found = fates(GIVEN, ledger(rows)), states(*columns(), ledger(rows))
    assert found.label.to_pylist() == [image.label for image in fate.values()]
    assert found.touched.tolist() == [image.touched for image in fate.values()]
    assert found.dropped.tolist() == [image.label is None for image in fate.values()]
    assert found.relabelled.tolist() == [image.touched and image.label is not None for image in fate.values()]


@given(VERDICTS)
def test_the_last_verdict_among_some(rows: list[tuple[str, str, str]]) -> None:
    drops = np.array([action == DROP for _, action, _ in rows], bool)
    last = [
        max((number for number, (one, action, _) in enumerate(rows) if one == name and action == DROP), default=-1)
        for name in IDS
    ]
    assert last_verdicts(columns()[0], ledger(rows)["id"], drops).tolist() == last


def test_a_dataset_lacks_what_was_dropped() -> None:
    samples = pa.table({"id": ["copy", "c", "a"], "label": ["i", "iii", "i"]})
    assert states_in(*columns(), samples).label.to_pylist() == ["i", None, "iii"]


@given(st.lists(st.tuples(st.sampled_from("rst"), st.sampled_from("uv")), max_size=10))
def test_the_tables_of_a_ledger_hold_its_rows_in_order(pairs: list[tuple[str, str]]) -> None:
    rows = [{"id": f"{number}", "round": one, "stage": stage} for number, (one, stage) in enumerate(pairs)]
    found = by_stage(pa.Table.from_pylist(rows, schema=VERDICT_SCHEMA))
    expected: dict[tuple[str, str], list[str]] = {}
    for number, pair in enumerate(pairs):
        expected.setdefault(pair, []).append(f"{number}")
    assert {pair: table["id"].to_pylist() for pair, table in found.items()} == expected
    assert list(found) == list(expected)
