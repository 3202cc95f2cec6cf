"""Every number of params.yaml has bounds, and what passes the check is not refused after hours."""

import copy
import dataclasses
import importlib
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import annotated_types
import pytest
import yaml
from pydantic.fields import FieldInfo

from tests.support.imports import ROOT
from winnow.commands import consistency  # noqa: F401  (before a test replaces what it imports)
from winnow.commands.checks import check_params
from winnow.pipeline import params
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import load_params

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
Place = tuple[str | int, ...]


def constraints(annotations: tuple[Any, ...]) -> Iterator[Any]:
    for one in annotations:
        yield from one.metadata if isinstance(one, FieldInfo) else [one]


def numbers(kind: Any, place: str) -> Iterator[tuple[str, list[Any]]]:
    """Each numeric type below a section's, and its constraints."""
    if dataclasses.is_dataclass(kind):
        for name, inner in typing.get_type_hints(kind, include_extras=True).items():
            yield from numbers(inner, f"{place}.{name}")
    elif typing.get_origin(kind) is typing.Annotated:
        inner, *annotations = typing.get_args(kind)
        if inner in (int, float):
            yield place, list(constraints(tuple(annotations)))
        else:
            yield from numbers(inner, place)
    elif typing.get_origin(kind) is not typing.Literal and typing.get_args(kind):
        for inner in typing.get_args(kind):
            yield from numbers(inner, f"{place}[]")
    elif kind in (int, float):
        yield place, []


def declared() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for file in sorted((ROOT / "stages").glob("[a-z]*.py")):
        for section, kind in importlib.import_module(f"stages.{file.stem}").SECTIONS.values():
            for place, limits in numbers(kind, section):
                found[f"{file.stem}: {place}"] = limits
    return found


def test_every_number_of_every_section_has_both_bounds() -> None:
    found = declared()
    assert len(found) > 100
    low, high = (annotated_types.Ge, annotated_types.Gt), (annotated_types.Le, annotated_types.Lt)
    for place, limits in found.items():
        assert any(isinstance(one, low) for one in limits), f"{place} has no lower bound"
        # Where .inf is a value, the section itself bounds the others; the tests below see whether it does.
        unbounded = any(getattr(one, "allow_inf_nan", False) for one in limits)
        assert unbounded == (place.rpartition(".")[2] == "far"), place
        assert unbounded or any(isinstance(one, high) for one in limits), f"{place} has no upper bound"


def leaves(value: Any, place: Place = ()) -> Iterator[Place]:
    """The place of every number."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*place, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place


def with_value(place: Place, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(PARAMS)
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


LEAVES = list(leaves(PARAMS))
SECTIONS = [
    one
    for file in sorted((ROOT / "stages").glob("[a-z]*.py"))
    for one in importlib.import_module(f"stages.{file.stem}").SECTIONS.values()
]


def refused(file: Path, values: dict[str, Any]) -> str:
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.raises(UserError) as caught:
        check_params(file)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_all_numbers_are_found() -> None:
    assert len(LEAVES) > 120
    assert ("pixels",) in LEAVES
    assert ("judge", "profiles", "quick", "learning_rate") in LEAVES


def of_a_sentence(message: str, place: Place) -> None:
    named = ".".join(str(key) for key in place if isinstance(key, str))
    assert re.sub(r"\[\d+\]", "", message).startswith(f"params.yaml: {named}"), message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize("value", [10**29, 1e308])
def test_no_number_may_be_absurd(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    for place in LEAVES:
        monkeypatch.setattr(params, "read_params", lambda _, place=place: with_value(place, value))
        with pytest.raises(UserError) as caught:
            check_params()
        of_a_sentence(str(caught.value), place)


@pytest.mark.parametrize("value", [-(10**29), -1e308, float("nan"), 2**64, 10**10, 1e10, "x" * 1000, [1], None])
def test_each_section_refuses_what_is_none_of_its_numbers(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    for place in LEAVES:
        monkeypatch.setattr(params, "read_params", lambda _, place=place: with_value(place, value))
        section, kind = next(one for one in SECTIONS if tuple(one[0].split(".")) == place[: one[0].count(".") + 1])
        with pytest.raises(UserError) as caught:
            load_params(section, kind)
        of_a_sentence(str(caught.value), place)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("pixels",), 100_000, "pixels must be at most 1024, got 100000"),
        (("prepare", "max_image_pixels"), 1_000_000_000, "max_image_pixels must be at most 178000000, got 1000000000"),
        (("value", "seed"), 10**29, "value.seed must be at most 4294967295, got 1000"),
        (("judge", "max_images"), -5, "judge.max_images must be at least 1, got -5"),
        (("compare", "seeds"), [0, -1], "compare.seeds[1] must be at least 0, got -1"),
        (("gate", "seeds"), [2**32], "gate.seeds[0] must be at most 4294967295"),
        (("gate", "seeds"), list(range(1001)), "gate.seeds must have 1000 items or fewer, got [0, 1, 2"),
        (("cleanse_final", "far"), 1e7, "far must be at most 1,000,000, or .inf for no limit, got 10000000.0"),
        (("search_policy", "backbone_check", "magnitudes"), [0.5], "magnitudes must rise within (0, 1] and end at 1.0"),
        (("search_policy", "label_check", "least_images"), 101, "least_images is 101, but images_per_class is 100"),
        (("refined", "round"), "r9", "refined.round must be one of rounds (r1), got 'r9'"),
        (("rounds", "r1"), {"inptu": "data/prepared"}, "rounds.r1 must have one key, input, got 'inptu'"),
        (("rounds", "r1", "input"), "data/nowhere", "rounds.r1.input is data/nowhere, which no stage writes"),
        (("compare", "arms", "full"), "data/r2/gate/dataset", "compare.arms.full is data/r2/gate/dataset, which no"),
        (
            ("compare", "arms", "more"),
            "data/r1/control_steps/influence_drop",
            "more is data/r1/control_steps/influence_drop",
        ),
        (("compare", "controls", "more"), "data/r2/augment/affine", "compare.controls.more is data/r2/augment/affine,"),
        (("compare", "controls", "a b"), "data/refined", "compare.controls has the name 'a b', which becomes a folder"),
        (
            ("compare", "controls", "full"),
            "data/prepared",
            "compare.controls.full is data/prepared, but arms has data/r",
        ),
        (("compare", "contrasts", "more"), ["full", "fuller"], "compare.contrasts.more names fuller, which is none of"),
        (("compare", "margin"), -0.1, "compare.margin must be at least 0.0, got -0.1"),
        (("controls",), {"r9": {"input": "data/decided"}}, "controls.r9 must be a round, as rounds has it; write"),
        (("controls",), {"r1": {"input": "data/refined"}}, "controls.r1 must be a round, as rounds has it; write"),
        (("controls",), ["r1"], "controls must be dict[str, dict[str, str]], got ['r1'] (list)"),
        (("compare", "arms", "a" * 101), "data/refined", "100 of them at most"),
    ],
)
def test_what_would_fail_after_hours_is_refused_before(tmp_path: Path, place: Place, value: Any, message: str) -> None:
    assert message in refused(tmp_path / "params.yaml", with_value(place, value))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("cleanse_final", "far"), float("inf")),
        (("value", "seed"), 2**32 - 1),
        (("pixels",), 1024),
        (("compare", "arms", "more"), "data/r1/augment/affine"),
        (("compare", "arms", "more"), "docs"),  # whatever is there; the stage says whether it is a dataset
        (("compare", "controls", "more"), "data/r1/augment/affine"),
        (("controls",), {"r1": {"input": "data/decided"}}),
        (("rounds",), {"r1": {"input": "data/decided"}, "r2": {"input": "data/r1/gate/dataset"}}),
    ],
)
def test_what_goes_well_passes(tmp_path: Path, place: Place, value: Any) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(with_value(place, value)))
    check_params(tmp_path / "params.yaml")


STAGE = """
import pathlib
import winnow.pipeline.params as params
from winnow.pipeline.stage import run_stage

params.load_params.__defaults__ = (pathlib.Path("params.yaml"),)
run_stage(lambda votes: None, "", {"votes": ("cleanse_influence.votes", int)})
"""


def test_a_stage_says_it_in_one_line_too(tmp_path: Path) -> None:
    """As `dvc repro` starts it, without the checks of `winnow run`."""
    (tmp_path / "params.yaml").write_text("dataset: 2024-13-45\n")
    command = [sys.executable, "-c", STAGE]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    said = "params.yaml is not valid YAML: line 1, column 10 holds no valid timestamp (month must be in 1..12); "
    assert done.stderr == f"-c: {said}correct it, or bring it back with `git checkout params.yaml`\n"
    assert done.returncode == 1
