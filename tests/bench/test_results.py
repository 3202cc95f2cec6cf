"""The committed pages are what the committed metrics give, and a record says what it was measured with."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.results import (
    BEGIN,
    COMPARISON,
    END,
    FUZZ,
    PAGE,
    README,
    README_RECORD,
    REFINEMENT,
    read_records,
    readme_table,
    results_page,
    with_table,
)
from winnow.pipeline.files import ROOT

FACTS = {"title", "question", "source", "command", "commit", "date", "machine", "profile", "rounds", "seeds", "n_test"}


def committed(path: Path) -> dict[str, Any]:
    """The metrics as git's index has them: a run of one's own changes the file, and no page has to follow."""
    shown = subprocess.run(["git", "show", f":{path.as_posix()}"], cwd=ROOT, capture_output=True, check=False)
    content = shown.stdout if shown.returncode == 0 else (ROOT / path).read_bytes()
    figures: dict[str, Any] = json.loads(content)
    return figures


def test_the_page_is_what_the_metrics_give() -> None:
    fuzz = committed(FUZZ) if (ROOT / FUZZ).exists() else None
    page = results_page(read_records(ROOT), committed(COMPARISON), committed(REFINEMENT), fuzz)
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page, "run `make results` and commit what it writes"


def test_the_readme_holds_the_table_of_its_record() -> None:
    text = (ROOT / README).read_text(encoding="utf-8")
    assert text == with_table(text, readme_table(read_records(ROOT)[README_RECORD])), "run `make results`"


def test_every_record_is_on_the_page_and_says_what_it_was_measured_with() -> None:
    records = read_records(ROOT)
    assert {path.stem for path in (ROOT / "metrics" / "results").iterdir()} == set(records)
    for name, record in records.items():
        basis = record["provenance"]
        assert set(basis) == FACTS | {"note"}, name
        assert {row["accuracy"]["seeds"] for row in record["arms"].values()} == {basis["seeds"]}, name
        for row in record["arms"].values():
            for key in {"accuracy", "error_reduction", "gain"} & set(row):
                assert row[key]["low"] <= row[key]["mean"] <= row[key]["high"], (name, key)


def test_figures_that_were_not_kept_are_empty_cells() -> None:
    record = {
        "provenance": dict.fromkeys(FACTS, "x") | {"note": "n", "seeds": 3, "n_test": 1000},
        "arms": {"baseline": {"accuracy": {"mean": 0.5, "low": 0.25, "high": 0.75, "seeds": 3}}},
    }
    assert "| baseline |  | 0.500 [0.250, 0.750] |  |  |" in readme_table(record)


def test_spoilt_inputs_are_counted_with_what_they_found() -> None:
    fuzz = {
        "inputs": 2000,
        "seconds": 90.0,
        "by_format": {"PNG": {"inputs": 1500, "accepted": 20}, "AVIF": {"inputs": 500, "accepted": 3}},
        "findings": {"hangs": 2},
        "limits": {"seconds": 20.0, "megabytes": 1500},
        "provenance": {"seed": 7, "commit": "abc", "date": "2026-01-01", "machine": {"cpu": "a processor"}},
    }
    page = " ".join(results_page(read_records(ROOT), committed(COMPARISON), committed(REFINEMENT), fuzz).split())
    assert "`make fuzz INPUTS=2000 SEED=7`, commit abc, 2026-01-01: 2,000 spoilt images" in page
    assert "20 s and 1,500 MB. Findings: hangs (2)." in page
    assert "| AVIF | 500 | 3 | | PNG | 1,500 | 20 |" in page


def test_the_table_goes_between_its_markers() -> None:
    text = with_table(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert text == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert with_table(text, "new") == text


@pytest.mark.parametrize("text", ["", BEGIN, END + BEGIN, f"{BEGIN}{END}{END}", f"{BEGIN}{BEGIN}{END}"])
def test_a_text_without_both_markers_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="results:begin"):
        with_table(text, "new")
