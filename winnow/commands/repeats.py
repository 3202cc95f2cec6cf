"""``winnow reproduce --repeats R``: the whole pipeline from R sets of seeds, on the same source and splits.

Repeat 0 has params.yaml's seeds; repeat n has all of them shifted by n thousand, those of the source's synthesis and of
the splits excepted. Each leaves metrics/repeats/<n>.json, and one whose inputs are unchanged is not run again, so that
a command that was stopped continues. The last to run is repeat 0: data/, models/ and dvc.lock are its own.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from winnow.commands.edited_params import with_changes
from winnow.evaluation.comparison import read_arm
from winnow.evaluation.comparison_table import contrast_lines, interval_text
from winnow.evaluation.repeats import Basis, over_repeats, record
from winnow.evaluation.seed_files import SeedFiles
from winnow.pipeline.files import ROOT, digest, write_json
from winnow.pipeline.json_files import read_json
from winnow.pipeline.messages import UserError

FOLDER, SUMMARY = ROOT / "metrics/repeats", ROOT / "metrics/repeats.json"
SAME = ("synthesise", "prepare")  # sections whose seeds make the source and its splits: the same in every repeat
CODE = (
    "winnow",
    "stages",
    "winnow.lock",  # stands for the code in a repository of the user's own
    "dvc.yaml",
    "overrides.csv",
    "decided.csv",
    "models/user",
    "requirements.txt",
)  # what outputs depend on
APART = 1000  # between the seeds of two repeats


def shifted(params: Mapping[str, Any], repeat: int) -> dict[str, Any]:
    """The seeds of a repeat, by dotted key of params.yaml; nothing for repeat 0."""
    return dict(_seeds(params, "", repeat * APART)) if repeat else {}


def _seeds(values: Mapping[str, Any], place: str, by: int) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if not place and key in SAME:
            continue
        if isinstance(value, Mapping):
            yield from _seeds(value, f"{place}{key}.", by)
        elif key == "seed":
            yield f"{place}{key}", value + by
        elif key == "seeds":
            yield f"{place}{key}", [one + by for one in value]


def inputs_of(params: Mapping[str, Any], source: Path, root: Path = ROOT) -> str:
    """Digest of everything that a repeat's figures depend on.

    Args:
        params: with the repeat's seeds.
        source: a folder or a zip.
        root: of the repository.
    """
    told = [root / params[name] for name in ("predictions", "embeddings") if name in params]
    code = digest([root / name for name in CODE] + told)
    # The embedded source is made by the pipeline itself, from params and code.
    given = "" if source == root / "data/synthetic.zip" else digest([source])
    text = f"{json.dumps(params, sort_keys=True, default=str)}{code}{given}"
    return hashlib.sha256(text.encode()).hexdigest()


def run_repeats(
    count: int, run: Callable[[Mapping[str, Any]], None], params: Mapping[str, Any], asked: Mapping[str, Any]
) -> None:
    """Run every repeat that is not there yet, the first one last, and write their summary.

    Args:
        count: how many.
        run: the pipeline, with these seeds while it runs.
        params: all of params.yaml.
        asked: what the command sets of them, by dotted key.
    """
    params = with_changes(params, asked)
    for repeat in reversed(range(count)):
        changes = shifted(params, repeat)
        file = FOLDER / f"{repeat}.json"
        wanted = with_changes(params, changes)
        source = ROOT / wanted["dataset"]["source"]
        inputs = inputs_of(wanted, source)
        if repeat and is_done(file, inputs):
            print(f"reproduce: repeat {repeat} is there already, {file.relative_to(ROOT)}")
            continue
        print(f"reproduce: repeat {repeat} of 0 to {count - 1}")
        run(changes)
        while (now := inputs_of(wanted, source)) != inputs:
            print(f"reproduce: repeat {repeat}: decisions or code changed meanwhile; what depends on them runs again")
            inputs = now
            run(changes)
        write_json(file, _record(repeat, inputs, wanted))
    records = [read_json(FOLDER / f"{repeat}.json") for repeat in range(count)]
    summary = over_repeats(records, params["compare"]["contrasts"])
    write_json(SUMMARY, summary)
    print(summary_text(summary, params["compare"]["margin"]))


def is_done(file: Path, inputs: str) -> bool:
    """Whether a repeat's file is there, whole, and of these inputs."""
    try:
        return read_json(file).get("inputs") == inputs
    except UserError:
        return False


def _record(repeat: int, inputs: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the pipeline that has just run leaves of this repeat."""
    models, metrics = ROOT / "models/judge", ROOT / "metrics/judge"
    arms = {
        arm: read_arm([SeedFiles(models / arm, metrics / arm, seed) for seed in params["compare"]["seeds"]])
        for arm in params["compare"]["judged"]
    }
    ids = next(iter(arms.values())).test_ids
    basis = Basis(repeat, inputs, hashlib.sha256("\0".join(ids).encode()).hexdigest()[:16])
    return record(basis, arms, read_json(ROOT / "metrics/refinement.json"))


def summary_text(summary: Mapping[str, Any], margin: float) -> str:
    """The figures over all repeats, as a run prints them."""
    width = max(map(len, summary["arms"]))
    shown = {
        arm: (interval_text(row["accuracy"]), interval_text(row.get("error_reduction")))
        for arm, row in summary["arms"].items()
    }
    lines = [f"{arm.ljust(width)}  {one}  error reduction {other}" for arm, (one, other) in shown.items()]
    over = f"{summary['repeats']} repeats of {summary['seeds']} seeds and {summary['n_test']:,} test images"
    return "\n".join(["", *lines, f"Intervals over {over}.", *contrast_lines(summary["contrasts"], margin)])
