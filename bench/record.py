"""Record a finished run for docs/results.md: ``python -m bench.record NAME --folder PATH --title TEXT ...``.

The folder is a repository in which the run has ended: its metrics, and dvc.lock, which says with which arms, rounds and
contrasts they were made, and by which code. What was edited since is refused. Where metrics/repeats.json is there the
record has the means over the repeats, else the figures over the seeds. Nothing is typed but what no file knows.

Writes  metrics/results/NAME.json of this repository
"""

import argparse
import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from bench.finished import Finished
from bench.provenance import commit_of
from bench.results import FOLDER, RECORDS
from winnow.evaluation.repeats import unpacked
from winnow.pipeline.files import ROOT, write_json

TOLD = {  # option: what it says
    "title": "heading of the section",
    "question": "what the run answers",
    "source": "which images",
    "command": "that made the run",
    "machine": "a letter, a colon, and what it is",
}
REPEATS = Path("metrics/repeats.json")
ROUNDING = 1e-5  # of figures in metrics
OF_AN_ARM = ("n_train", "accuracy", "error_reduction", "gain")


def make_record(folder: Path, told: Mapping[str, str]) -> dict[str, Any]:
    """What docs/results.md shows of a run.

    Args:
        folder: repository in which it has ended.
        told: title, question, source, command, machine, note, date.

    Raises:
        SystemExit: the run has not ended, its files are of different runs, or its code is not what is committed.
    """
    run, commit = Finished(folder), commit_of(folder)
    compare, rounds = run.params("summarise", "compare"), run.params("report", "rounds")
    run.check_code(list(rounds))
    comparison = run.metrics("summarise", "metrics/comparison.json")
    refinement = run.metrics("summarise", "metrics/refinement.json")
    if comparison is None or refinement is None:
        raise SystemExit(f"{folder}: stage summarise has not run; finish the run")
    first = next(iter(comparison.values()))
    verdicts = {key: value for key, value in refinement.items() if isinstance(value, int | float)}
    gates = {name: run.metrics(f"gate@{name}", f"metrics/gate/{name}.json") for name in rounds}
    basis = {key: told[key] for key in (*TOLD, "date", "note")} | {
        "commit": commit,
        "profile": first["profile"],
        "rounds": len(rounds),
        "seeds": len(compare["seeds"]),
        "n_test": first["n_test"],
    }
    record: dict[str, Any] = {"provenance": basis}
    if (folder / REPEATS).exists():
        summary = json.loads((folder / REPEATS).read_bytes())
        check_repeats(folder, summary, comparison, verdicts)
        record["over_repeats"] = summary
    else:
        record["arms"] = {arm: {key: row[key] for key in OF_AN_ARM if key in row} for arm, row in comparison.items()}
        record["detection"] = verdicts
        record["contrasts"] = run.metrics("summarise", "metrics/contrasts.json") or {}
    record["gates"] = {name: figures for name, figures in gates.items() if figures is not None}
    if "contrasts" in compare:
        record |= {"parts": compare["contrasts"], "margin": compare["margin"]}
    return record


def check_repeats(folder: Path, summary: Mapping[str, Any], comparison: Mapping[str, Any], verdicts: Any) -> None:
    """Reject a summary of other runs than the last, which is repeat 0.

    Args:
        folder: where they are, for the message.
        summary: metrics/repeats.json.
        comparison: metrics/comparison.json.
        verdicts: the numbers of metrics/refinement.json.

    Raises:
        SystemExit: its arms, profile, seeds, training images or verdicts differ.
    """
    first = next(iter(comparison.values()))
    same = (
        {arm: row["n_train"][0] for arm, row in summary["arms"].items()}
        == {arm: row["n_train"] for arm, row in comparison.items()}
        and all(verdicts.get(key) == values[0] for key, values in summary["refinement"].items())
        and (summary["profile"], summary["n_test"]) == (first["profile"], first["n_test"])
        and summary["seeds"] == first["accuracy"]["seeds"]
        and _is_repeat_0(folder, comparison)
    )
    if not same:
        raise SystemExit(
            f"{folder / REPEATS} is not of the run that metrics/comparison.json is of; repeat that run "
            "(`make reproduce REPEATS=3`), or delete the file to record one run alone"
        )


def _is_repeat_0(folder: Path, comparison: Mapping[str, Any]) -> bool:
    """Whether metrics/repeats/0.json, of which the summary is, has the accuracies of metrics/comparison.json."""
    file = folder / "metrics/repeats/0.json"
    arms = json.loads(file.read_bytes())["arms"] if file.exists() else {}
    return all(
        arm in arms and abs(unpacked(arms[arm]["right"], row["n_test"]).mean() - row["accuracy"]["mean"]) < ROUNDING
        for arm, row in comparison.items()
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the record: small letters, digits and hyphens")
    parser.add_argument("--folder", type=Path, default=ROOT, help="repository in which the run ended (default: this)")
    for option, words in TOLD.items():
        parser.add_argument(f"--{option}", required=True, help=words)
    parser.add_argument("--note", default="", help="what a reader has to know besides")
    parser.add_argument("--date", default=date.today().isoformat(), help="of the run (default: today)")
    options = parser.parse_args()
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", options.name):
        raise SystemExit(f"NAME must be small letters, digits and hyphens, got {options.name}")
    path = FOLDER / f"{options.name}.json"
    write_json(ROOT / path, make_record(options.folder.resolve(), vars(options)))
    named = "" if options.name in RECORDS else "name it in RECORDS of bench/results.py, and "
    print(f"record: {path}; {named}run `make results`")


if __name__ == "__main__":
    main()
