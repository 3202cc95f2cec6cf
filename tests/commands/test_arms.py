"""The arms of `winnow reproduce`: with the fair controls, without them again, and params.yaml as it was."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.imports import ROOT
from winnow.commands import edited_params
from winnow.commands.arms import chosen_arms
from winnow.commands.checks import check_params
from winnow.commands.edited_params import changed_params
from winnow.commands.repeats import shifted, with_changes
from winnow.commands.run import requested_changes, unrolled
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import read_params

PARAMS = (ROOT / "params.yaml").read_bytes()
GIVEN = read_params()["compare"]
BOTH = GIVEN["arms"] | GIVEN["controls"]
ROUNDS = unrolled(2)["rounds"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_bytes(PARAMS)
    return tmp_path / "params.yaml"


def comments(text: str) -> list[str]:
    return re.findall(r"# .*", text)


def test_with_all_the_controls_are_arms_that_are_made_and_judged(file: Path) -> None:
    with changed_params(requested_changes(3, "quick", 2, 1, "all"), file):
        pass
    params = read_params(file)
    assert list(params["compare"]["arms"].items()) == list(BOTH.items())
    assert params["compare"]["judged"] == list(BOTH)
    assert params["controls"] == {"r1": {"input": "data/prepared"}}  # whose steps the other arms are
    assert params["compare"]["controls"] == GIVEN["controls"]
    assert comments(file.read_text()) == comments(PARAMS.decode())
    assert "*id" not in file.read_text()  # each value is written out
    check_params(file)


def test_with_the_methods_arms_nothing_else_changes() -> None:
    changes = requested_changes(3, "quick", 1, 1, "method")
    assert set(changes) == {"compare.seeds", "compare.judged", "judge.profile", "rounds", "refined.round"}
    assert changes["compare.judged"] == list(GIVEN["arms"])


def test_another_choice_is_refused() -> None:
    with pytest.raises(UserError, match="--arms must be method or all, got fair"):
        requested_changes(3, "quick", 1, 1, "fair")


def test_the_methods_arms_come_back_after_all_of_them(file: Path) -> None:
    with changed_params(chosen_arms("all", ROUNDS, file)[1], file):
        pass
    assert chosen_arms("all", ROUNDS, file) == (list(BOTH), {})
    judged, changes = chosen_arms("method", ROUNDS, file)
    with changed_params(changes, file):
        pass
    assert judged == list(GIVEN["arms"])
    assert read_params(file) == read_params()


def test_an_arm_that_was_added_by_hand_stays(file: Path) -> None:
    with changed_params({"compare.arms": GIVEN["arms"] | {"hydra-affine": GIVEN["controls"]["hydra-affine"]}}, file):
        pass
    assert chosen_arms("method", ROUNDS, file) == ([*GIVEN["arms"], "hydra-affine"], {})
    assert set(chosen_arms("all", ROUNDS, file)[0]) == set(BOTH)


def test_a_run_of_all_that_fails_puts_every_byte_back(file: Path) -> None:
    def fails() -> None:
        with changed_params(requested_changes(1, "quick", 1, 1, "all"), file):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert file.read_bytes() == PARAMS


def test_a_repeat_of_all_has_the_controls_and_its_own_seeds(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edited_params, "KEPT", tmp_path / "kept.json")
    asked = requested_changes(2, "quick", 1, 3, "all")
    wanted = with_changes(read_params(), asked)
    seeds = shifted(wanted, 1)
    assert not [key for key in seeds if key.startswith("controls")]
    seen: list[dict[str, Any]] = []
    with changed_params({**asked, **seeds}, file, keep=False):
        seen.append(read_params(file))
        check_params(file)
    assert seen == [with_changes(wanted, seeds)]
    assert seen[0]["augment"]["seed"] == read_params()["augment"]["seed"] + 1000
    assert file.read_bytes() == PARAMS
