"""Params that each are sound but do not go together: what a stage would reject only after others have run for hours."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from winnow.evaluation.seed_files import check_seeds
from winnow.pipeline.fields import Few, Seeds
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError, plain, shown
from winnow.pipeline.params import load_params, read_params

TAKEN = ("prepared", "decided", "test", "refined", "arms", "export")  # names below data/ that a round cannot have
LONGEST = 100  # characters of a name that becomes a folder


def check_consistency(params: Path, pipeline: Path) -> None:
    """Stop where params do not go together.

    Args:
        params: params.yaml, each section of which is valid.
        pipeline: dvc.yaml, which says what stages write.

    Raises:
        UserError: so many neighbours are not kept; no class could be judged; a seed occurs twice; a round or an arm
            has a name that is no folder's, or starts from what no stage writes; no such round is published.
    """
    kept, voting = (load_params(name, Few, params) for name in ("embed.neighbours", "cleanse_neighbours.k"))
    if voting > kept:
        raise UserError(
            f"params.yaml: cleanse_neighbours.k is {voting}, but embed.neighbours is {kept}: no more are kept; raise it"
        )
    check = read_params(params)["search_policy"]["label_check"]
    if check["least_images"] > check["images_per_class"]:
        raise UserError(
            f"params.yaml: search_policy.label_check.least_images is {check['least_images']}, but images_per_class is "
            f"{check['images_per_class']}: no class could be judged; lower the first"
        )
    check_seeds(load_params("compare.seeds", Seeds, params))
    rounds = load_params("rounds", dict[str, dict[str, str]], params)
    compared = {kind: load_params(f"compare.{kind}", dict[str, str], params) for kind in ("arms", "controls")}
    filled, made = (load_params(name, dict[str, dict[str, str]], params) for name in ("augment_inversion", "controls"))
    _check_names("rounds", rounds)
    _check_names("augment_inversion", filled)
    for kind, arms in compared.items():
        _check_names(f"compare.{kind}", arms)
    _check_rounds(rounds, load_params("refined.round", str, params))
    _check_controls(made, rounds)
    _check_keys("augment_inversion", filled, "dataset")
    judged = {kind: {f"compare.{kind}.{name}": path for name, path in arms.items()} for kind, arms in compared.items()}
    named = {f"rounds.{name}.input": one["input"] for name, one in rounds.items()}
    named |= {f"augment_inversion.{name}.dataset": one["dataset"] for name, one in filled.items()}
    repeated = {"${rounds}": list(rounds), "${augment_inversion}": list(filled), "${controls}": list(made)}
    _check_datasets(named | judged["arms"], repeated, pipeline)
    _check_datasets(judged["controls"], {**repeated, "${controls}": list(rounds)}, pipeline)


def _check_names(section: str, names: dict[str, Any]) -> None:
    for name in names:
        if len(name) > LONGEST or not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise UserError(
                f"params.yaml: {section} has the name {shown(name)}, which becomes a folder and part of a command; "
                f"begin with a letter or a digit, and use these, - and _, {LONGEST} of them at most"
            )
        if section == "rounds" and name in TAKEN:
            raise UserError(f"params.yaml: rounds has the name {name}, but data/{name} is another output; rename it")


def _check_controls(controls: dict[str, dict[str, str]], rounds: dict[str, dict[str, str]]) -> None:
    for name, one in controls.items():
        if rounds.get(name) != one:
            raise UserError(
                f"params.yaml: controls.{plain(name)} must be a round, as rounds has it; write controls: {{}}, and run "
                "`make reproduce ARMS=all`"
            )


def _check_keys(section: str, entries: dict[str, dict[str, str]], key: str) -> None:
    for name, one in entries.items():
        if list(one) != [key]:
            raise UserError(f"params.yaml: {section}.{name} must have one key, {key}, got {shown(', '.join(one))}")


def _check_rounds(rounds: dict[str, dict[str, str]], published: str) -> None:
    _check_keys("rounds", rounds, "input")
    if published not in rounds:
        known = ", ".join(rounds) or "none"
        raise UserError(f"params.yaml: refined.round must be one of rounds ({known}), got {shown(published)}")


def _check_datasets(named: dict[str, str], repeated: dict[str, list[str]], pipeline: Path) -> None:
    """Reject a dataset that neither is there nor is written by any stage; DVC notices when it comes to it."""
    written = set(_outputs(pipeline, repeated))
    for where, path in named.items():
        if os.path.normpath(path) not in written and not (ROOT / path).exists():
            raise UserError(
                f"params.yaml: {where} is {plain(path)}, which no stage writes and which is not there; correct it"
            )


def _outputs(pipeline: Path, repeated: dict[str, list[str]]) -> Iterator[str]:
    """What the stages of dvc.yaml write: once for each name that they are repeated for."""
    for stage in read_params(pipeline)["stages"].values():
        for out in stage.get("do", stage).get("outs", []):
            path = out if isinstance(out, str) else next(iter(out))
            yield from (path.replace("${key}", name) for name in repeated.get(stage.get("foreach", ""), [""]))
