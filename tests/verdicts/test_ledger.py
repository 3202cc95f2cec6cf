"""The ledger keeps the order of the verdicts and travels with its dataset."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.pipeline.messages import UserError
from winnow.verdicts.ledger import LEDGER, VERDICT_SCHEMA, extend_ledger, read_ledger, write_ledger


def verdict(identifier: str, round_name: str, stage: str, action: str) -> pa.Table:
    row = {
        "id": identifier,
        "round": round_name,
        "stage": stage,
        "action": action,
        "label_before": "i",
        "reason": "planted",
        "support": 0.5,
        "evidence": ["b"],
        "by": "winnow",
    }
    return pa.Table.from_pylist([{**row, "label_after": None if action == "drop" else "i"}], schema=VERDICT_SCHEMA)


def test_verdicts_are_appended_in_order_and_read_back(tmp_path: Path) -> None:
    assert read_ledger(tmp_path).num_rows == 0
    first = extend_ledger(
        read_ledger(tmp_path), [verdict("a", "r1", "influence", "keep"), verdict("a", "r1", "final", "drop")]
    )
    write_ledger(tmp_path, first)
    both = extend_ledger(read_ledger(tmp_path), [verdict("c", "r2", "influence", "keep")])
    told = [(row["round"], row["stage"], row["id"], row["action"]) for row in both.to_pylist()]
    assert told == [("r1", "influence", "a", "keep"), ("r1", "final", "a", "drop"), ("r2", "influence", "c", "keep")]
    assert both.to_pylist()[1]["evidence"] == ["b"]


def test_an_empty_ledger_is_no_file(tmp_path: Path) -> None:
    write_ledger(tmp_path, read_ledger(tmp_path))
    assert not (tmp_path / LEDGER).exists()


def test_a_damaged_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"PAR1 no")
    with pytest.raises(
        UserError, match="not a whole parquet table; run `dvc repro`, or bring it back with `dvc checkout"
    ):
        read_ledger(tmp_path)
    write_ledger(tmp_path, extend_ledger(read_ledger(tmp_path / "none"), []))
    (tmp_path / LEDGER).unlink()
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / LEDGER)
    with pytest.raises(UserError, match="has no column round; run"):
        read_ledger(tmp_path)
