"""What became of an image: which verdict decided, which confirmed, and what a refused round leaves as it was."""

import pyarrow as pa

from winnow.verdicts.fates import Fate, fates
from winnow.verdicts.ledger import VERDICT_SCHEMA


def ledger(*rows: tuple[str, str, str | None]) -> pa.Table:
    """Verdicts of (id, action, label_after), each of a stage numbered from 0."""
    told = [
        {"id": one, "round": "r1", "stage": f"{number}", "action": action, "label_after": after}
        for number, (one, action, after) in enumerate(rows)
    ]
    return pa.Table.from_pylist(told, schema=VERDICT_SCHEMA)


def stages(fate: Fate) -> tuple[str | None, str | None]:
    """Of the deciding and of the confirming verdict."""
    deciding, confirming = (verdict.stage if verdict else None for verdict in (fate.deciding, fate.confirming))
    return deciding, confirming


def test_the_last_verdict_that_made_it_so_decides_and_a_later_keep_confirms() -> None:
    told = fates({"a": "i", "b": "i", "c": "i", "d": "i"}, ledger(
        ("a", "relabel", "ii"), ("a", "keep", "ii"), ("b", "relabel", "ii"), ("b", "drop", None), ("c", "keep", "i"),
        ("copy", "drop", None),
    ))  # fmt: skip
    assert {key: (fate.given, fate.label, fate.touched) for key, fate in told.items()} == {
        "a": ("i", "ii", True),
        "b": ("i", None, True),
        "c": ("i", "i", False),
        "d": ("i", "i", False),
    }
    assert [stages(fate) for fate in told.values()] == [("0", "1"), ("3", None), (None, "4"), (None, None)]
    assert [len(fate.verdicts) for fate in told.values()] == [2, 2, 1, 0]


def test_a_later_round_may_keep_what_an_earlier_one_dropped() -> None:
    told = fates({"a": "i", "b": "i"}, ledger(("a", "drop", None), ("b", "drop", None), ("a", "keep", "i")))
    assert {key: (fate.label, fate.touched, stages(fate)) for key, fate in told.items()} == {
        "a": ("i", False, (None, "2")),
        "b": (None, True, ("1", None)),
    }


def test_the_label_in_the_dataset_counts_where_it_is_known() -> None:
    """The second verdict on each is of a round that the gate refused."""
    rows = ledger(("a", "relabel", "ii"), ("a", "drop", None), ("b", "keep", "i"), ("b", "relabel", "ii"))
    told = fates({"a": "i", "b": "i", "c": "i"}, rows, {"a": "ii", "b": "i"})
    assert {key: fate.label for key, fate in told.items()} == {"a": "ii", "b": "i", "c": None}
    assert [stages(fate) for fate in told.values()] == [("0", "0"), (None, "2"), (None, None)]
    drop = told["a"].last(None)
    assert drop is not None
    assert drop.stage == "1"
