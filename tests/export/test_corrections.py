"""corrections.csv: what was dropped or relabelled, the worst first, and nothing else."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import Run, verdict
from winnow.dataset.samples import read_samples
from winnow.export.corrections import CORRECTIONS, corrections, corrections_csv
from winnow.verdicts.ledger import read_ledger


def of(run: Run, quality: dict[str, float]) -> list[list[str]]:
    run.write()
    prepared, refined = run.path("data/prepared"), run.path("data/refined")
    return corrections(read_samples(prepared), read_samples(refined), read_ledger(refined), quality)


def without(run: Run, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in run.refined if row not in rows]


def test_what_was_dropped_or_relabelled_is_listed_the_worst_first(tmp_path: Path) -> None:
    run = Run(tmp_path, gates={"r1": True, "r2": False})
    first, second, third, fourth, fifth = run.suspects[:5]
    book = next(row for row in run.samples if row["split"] == "label_book")
    copied = run.copy_of(second)
    run.refined = [
        row | ({"label": "iii"} if row is first else {}) for row in without(run, second, third, book, copied)
    ]
    run.verdicts["r1", "cleanse_influence"] = [verdict(row) for row in run.suspects]
    run.verdicts["r1", "cleanse_neighbours"] = [
        verdict(first, "relabel", label_after="iii", reason="all neighbours are iii"),
        verdict(second, "drop", reason="far"),
        verdict(copied, "drop", reason="its image was dropped"),
        verdict(third, "drop", reason='an odd one, "junk"'),
    ]
    run.verdicts["r2", "cleanse_final"] = [verdict(fourth, "drop"), verdict(fifth, "relabel", label_after="i")]
    assert of(run, {first["id"]: 0.125, third["id"]: 1 / 48, fourth["id"]: 0.0}) == [
        [third["name"], "iii", "drop", "", "0.0208333", 'an odd one, "junk"'],
        [first["name"], "i", "relabel", "iii", "0.125", "all neighbours are iii"],
        [second["name"], "ii", "drop", "", "", "far"],
    ]


def test_nothing_touched_is_a_header_alone(tmp_path: Path) -> None:
    run = Run(tmp_path, gates={})
    assert corrections_csv(of(run, {})) == b"name,given_label,action,new_label,label_quality,reason\n"
    assert list(CORRECTIONS) == ["name", "given_label", "action", "new_label", "label_quality", "reason"]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ('a, "b"\nc.png', 'a, "b"\nc.png'),
        ("名 é", "名 é"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+x", "'+x"),
        ("-x/1.png", "'-x/1.png"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("\x01=1", "'\x01=1"),
        ("\x7f=1", "'\x7f=1"),
        ("＝1+1", "'＝1+1"),
        ("＠SUM(A1)", "'＠SUM(A1)"),
        ("-٣", "'-٣"),
        ("", ""),
        ("'tis", "''tis"),
        ("-1", "-1"),
        ("+2.5", "+2.5"),
        ("-1+2", "'-1+2"),
        ("train/=x.png", "train/=x.png"),
    ],
)
def test_cells_come_back_from_the_csv_and_are_no_formulas(cell: str, written: str) -> None:
    content = corrections_csv([[cell, "x", "drop", "", "", cell]])
    header, row = csv.reader(io.StringIO(content.decode(), newline=""))
    assert header == list(CORRECTIONS)
    assert row == [written, "x", "drop", "", "", written]
    assert written.removeprefix("'") == cell
