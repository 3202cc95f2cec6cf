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
    ENGINES,
    FOLDER,
    FUZZ,
    PAGE,
    PEERS,
    README,
    README_RECORD,
    REFINEMENT,
    SCALE,
    read_records,
    results_page,
    with_table,
)
from bench.results_record import CONTROLS, arms_of, parts_overview, readme_table, record_section, summary_row
from bench.results_text import amount
from winnow.evaluation.comparison_table import interval_text
from winnow.pipeline.files import ROOT
from winnow.pipeline.params import read_params

FACTS = {"title", "question", "source", "command", "commit", "date", "machine", "profile", "rounds", "seeds", "n_test"}


def committed(path: Path) -> dict[str, Any]:
    """The metrics as git's index has them: a run of one's own changes the file, and no page has to follow."""
    shown = subprocess.run(["git", "show", f":{path.as_posix()}"], cwd=ROOT, capture_output=True, check=False)
    content = shown.stdout if shown.returncode == 0 else (ROOT / path).read_bytes()
    figures: dict[str, Any] = json.loads(content)
    return figures


def test_the_page_is_what_the_metrics_give() -> None:
    more = {path.stem: committed(path) if (ROOT / path).exists() else None for path in (PEERS, FUZZ, SCALE, ENGINES)}
    page = results_page(read_records(ROOT), committed(COMPARISON), committed(REFINEMENT), **more)
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page, "run `make results` and commit what it writes"


def test_the_readme_holds_the_table_of_its_record() -> None:
    text = (ROOT / README).read_text(encoding="utf-8")
    assert text == with_table(text, readme_table(read_records(ROOT)[README_RECORD])), "run `make results`"


def test_the_readme_quotes_the_real_images_as_they_were_recorded() -> None:
    arms = arms_of(read_records(ROOT)["real-whole-method"])
    before, after = arms["baseline"]["accuracy"], arms["full"]["accuracy"]
    text = " ".join((ROOT / README).read_text(encoding="utf-8").split())
    quoted = [interval_text(figures) for figures in (before, after, arms["full"]["error_reduction"])]
    assert f"from {quoted[0]} to {quoted[1]}, an error reduction of {quoted[2]}" in text


def test_every_record_is_on_the_page_and_says_what_it_was_measured_with() -> None:
    records = read_records(ROOT)
    assert {path.stem for path in (ROOT / FOLDER).iterdir()} == set(records)
    for name, record in records.items():
        basis = record["provenance"]
        assert set(basis) == FACTS | {"note"}, name
        if "over_repeats" in record:
            assert record["over_repeats"]["seeds"] == basis["seeds"], name
        else:
            assert {row["accuracy"]["seeds"] for row in record["arms"].values()} == {basis["seeds"]}, name
        for row in arms_of(record).values():
            for key in {"accuracy", "error_reduction", "gain"} & set(row):
                assert row[key]["low"] <= row[key]["mean"] <= row[key]["high"], (name, key)


def test_figures_that_were_not_kept_are_empty_cells() -> None:
    record = {
        "provenance": dict.fromkeys(FACTS, "x") | {"note": "n", "seeds": 3, "n_test": 1000},
        "arms": {"baseline": {"accuracy": {"mean": 0.5, "low": 0.25, "high": 0.75, "seeds": 3}}},
    }
    assert "| baseline |  | 0.500 [0.250, 0.750] |  |  |" in readme_table(record)


def repeated() -> dict[str, Any]:
    """A record of three repeats of two seeds, with a control, and with one part of two measured."""
    spread = {"mean": 0.5, "low": 0.4, "high": 0.6}
    full = {"accuracy": {"mean": 0.9, "low": 0.85, "high": 0.95}, "error_reduction": spread, "gain": spread}
    control = {"accuracy": spread, "gain": {"mean": 0.123, "low": 0.1, "high": 0.2}, "n_train": [7, 7, 7]}
    summary = {
        "repeats": 3,
        "seeds": 2,
        "arms": {
            "baseline": {"accuracy": spread, "n_train": [100, 100, 100]},
            "full": full | {"n_train": [1001, 1003, 1005]},
            "quality-drop": control,
        },
        "refinement": {"images": [300, 300, 300], "dropped": [9, 12, 10], "relabelled": [4, 4, 5]},
        "contrasts": {
            "influence": {"with": "full", "without": "quality-drop", "gain": {"mean": 0.0, "low": -0.005, "high": 0.01}}
        },
    }
    gate: dict[str, Any] = {"accepted": True, "margin": 0.03, "images": 40}
    gate |= {key: {"mean": 0.01, "low": 0.0, "high": 0.02} for key in ("cleansing", "augmentation")}
    return {
        "provenance": dict.fromkeys(FACTS, "x") | {"note": "", "seeds": 2, "n_test": 1000, "machine": "Z: a machine"},
        "over_repeats": summary,
        "parts": {"influence": ["full", "quality-drop"], "inversion": ["full", "full-without-inversion"]},
        "margin": 0.01,
        "gates": {"r1": gate},
    }


def test_a_record_of_repeats_says_so_and_shows_what_they_differ_by() -> None:
    text = " ".join(record_section(repeated()).split())
    assert "the mean over 3 repeats of the whole pipeline (2 seeds each)" in text
    assert "| full | 1,003 (1,001 to 1,005) | 0.900 [0.850, 0.950] | 0.500 [0.400, 0.600] | +0.500 " in text
    assert "| quality-drop | 7 | 0.500 [0.400, 0.600] | | |" in text  # the row above is no measure of a control
    assert "Of 300 train and val images 10 (9 to 12) were dropped and 4 (4 to 5) relabelled." in text
    assert "In repeat 0 the gate accepted round r1 (margin 0.03): on 40 images, each held out, cleansing gains" in text
    assert summary_row(repeated())[1] == "x, 3 repeats of 2"


def test_every_part_has_its_gain_and_reading_or_is_said_not_to_be_measured() -> None:
    record = repeated()
    lines = record_section(record).split("\n")
    assert "### What each part of the method is worth" in lines
    assert "| influence | full | quality-drop | +0.000 [-0.005, +0.010] | non-inferior by 0.01 |" in lines
    assert "| inversion | full | full-without-inversion |  | not measured |" in lines
    contrasts = record["over_repeats"].pop("contrasts")
    single = {**record, "arms": record["over_repeats"]["arms"], "contrasts": contrasts, "margin": 0.002}
    del single["over_repeats"]
    lines = record_section(single).split("\n")
    assert "| influence | full | quality-drop | +0.000 [-0.005, +0.010] | not shown |" in lines
    del single["parts"]
    assert "worth" not in record_section(single)


def test_the_parts_of_several_runs_stand_side_by_side() -> None:
    first, second = repeated(), repeated()
    second["provenance"] = first["provenance"] | {"title": "Other"}
    second["parts"] = {"valuation": ["hydra", "baseline"]} | {"influence": second["parts"]["influence"]}
    assert parts_overview([first]) == []
    assert parts_overview([first, {"arms": {}}]) == []
    _, table = parts_overview([first, second])
    assert table.split("\n") == [
        "| part | x | Other |",
        "|---|---|---|",
        "| influence | non-inferior by 0.01: +0.000 [-0.005, +0.010] | non-inferior by 0.01: +0.000 [-0.005, +0.010] |",
        "| inversion | not measured |  |",
        "| valuation |  | not measured |",
    ]


def test_the_readme_may_have_the_means_over_repeats_and_leaves_controls_out() -> None:
    table = readme_table(repeated())
    assert table.endswith("\n\nMean over 3 repeats of 2 seeds; commit x, machine Z.")
    assert "| full | 1,003 (1,001 to 1,005) | 0.900" in table
    assert "quality-drop" not in table


def test_one_seed_is_not_called_seeds() -> None:
    record = repeated()
    record["provenance"]["seeds"] = 1
    assert readme_table(record).endswith("\n\nMean over 3 repeats of one seed; commit x, machine Z.")
    assert "3 repeats of the whole pipeline (one seed each)" in " ".join(record_section(record).split())


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (1234, ",.0f", "1,234"),
        ([0.25, 0.5], ".2f", "0.38 (0.25 to 0.50)"),
        ([3, 3], ",.0f", "3"),
        ([0.5], ".1%", "50.0%"),
    ],
)
def test_an_amount_by_repeat_is_its_mean_with_the_least_and_the_greatest(value: Any, form: str, text: str) -> None:
    assert amount(value, form) == text


def test_spoilt_inputs_are_counted_with_what_they_found() -> None:
    fuzz = {
        "inputs": 2000,
        "seconds": 90.0,
        "by_format": {"PNG": {"inputs": 1500, "accepted": 20}, "AVIF": {"inputs": 500, "accepted": 3}},
        "findings": {"hangs": 2},
        "limits": {"seconds": 20.0, "megabytes": 1500},
        "provenance": {"seed": 7, "commit": "abc", "date": "2026-01-01", "machine": {"cpu": "a processor"}},
    }
    page = " ".join(results_page(read_records(ROOT), committed(COMPARISON), committed(REFINEMENT), fuzz=fuzz).split())
    assert "`make fuzz INPUTS=2000 SEED=7`, commit abc, 2026-01-01: 2,000 spoilt images" in page
    assert "20 s and 1,500 MB. Findings: hangs (2)." in page
    assert "| AVIF | 500 | 3 | | PNG | 1,500 | 20 |" in page


def test_engines_are_shown_against_local() -> None:
    engines = {
        "commit": "abc",
        "machine": "Z: a machine",
        "jobs": 6,
        "workers": 2,
        "seconds": {"local": 60.0, "ray": 75.0},
        "efficiency": {"local": 1.0, "ray": 0.8},
        "processor_seconds": {"local": 110.0, "ray": 121.4},
    }
    page = results_page(read_records(ROOT), committed(COMPARISON), committed(REFINEMENT), engines=engines)
    assert "`make engine-demo`, commit abc, machine Z: a machine: 6 jobs" in " ".join(page.split())
    assert "| local | 60.0 | 1.00 | 110.0 |\n| ray | 75.0 | 0.80 | 121.4 |" in page


def test_the_table_goes_between_its_markers() -> None:
    text = with_table(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert text == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert with_table(text, "new") == text


@pytest.mark.parametrize("text", ["", BEGIN, END + BEGIN, f"{BEGIN}{END}{END}", f"{BEGIN}{BEGIN}{END}"])
def test_a_text_without_both_markers_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="results:begin"):
        with_table(text, "new")


def test_every_control_of_the_params_is_described() -> None:
    assert set(read_params()["compare"]["controls"]) <= set(CONTROLS)  # older records have others
