"""The arms of `winnow reproduce`: with the fair controls, without them again, and params.yaml as it was."""

import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from tests.support.imports import ROOT
from winnow.commands import edited_params
from winnow.commands.arms import chosen_arms
from winnow.commands.checks import check_params
from winnow.commands.edited_params import changed_params, with_changes
from winnow.commands.presets import preset_changes
from winnow.commands.repeats import shifted
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


def asked(*, preset: str = "", **options: Any) -> dict[str, Any]:
    """What `winnow reproduce` changes beside a preset's values."""
    params = with_changes(read_params(), preset_changes(preset, read_params()) if preset else {})
    return requested_changes(Namespace(profile="quick", **options), params)


def comments(text: str) -> list[str]:
    return re.findall(r"# .*", text)


def test_with_all_the_controls_are_arms_that_are_made_and_judged(file: Path) -> None:
    with changed_params(asked(seeds=3, rounds=2, repeats=1, arms="all"), file):
        pass
    params = read_params(file)
    assert list(params["compare"]["arms"].items()) == list(BOTH.items())
    assert params["compare"]["judged"] == list(BOTH)
    assert params["controls"] == {"r1": {"input": "data/decided"}}  # whose steps the other arms are
    assert params["compare"]["controls"] == GIVEN["controls"]
    assert comments(file.read_text()) == comments(PARAMS.decode())
    assert "*id" not in file.read_text()  # each value is written out
    check_params(file)


def test_with_the_methods_arms_nothing_else_changes() -> None:
    changes = asked(seeds=3, rounds=1, repeats=1, arms="method")
    assert set(changes) == {"compare.seeds", "compare.judged", "judge.profile", "rounds", "refined.round"}
    assert changes["compare.judged"] == list(GIVEN["arms"])


def test_another_choice_is_refused() -> None:
    with pytest.raises(UserError, match="--arms must be method or all, got fair"):
        asked(seeds=3, rounds=1, repeats=1, arms="fair")


def test_the_methods_arms_come_back_after_all_of_them(file: Path) -> None:
    with changed_params(chosen_arms("all", ROUNDS, read_params(file))[1], file):
        pass
    assert chosen_arms("all", ROUNDS, read_params(file)) == (list(BOTH), {})
    judged, changes = chosen_arms("method", ROUNDS, read_params(file))
    with changed_params(changes, file):
        pass
    assert judged == list(GIVEN["arms"])
    assert read_params(file) == read_params()


def test_an_arm_that_was_added_by_hand_stays(file: Path) -> None:
    with changed_params({"compare.arms": GIVEN["arms"] | {"mine": "data/r1/augment/affine"}}, file):
        pass
    assert chosen_arms("method", ROUNDS, read_params(file)) == ([*GIVEN["arms"], "mine"], {})
    assert set(chosen_arms("all", ROUNDS, read_params(file))[0]) == {*BOTH, "mine"}


def test_controls_are_taken_back_even_if_somebody_emptied_their_section(file: Path) -> None:
    with changed_params({**chosen_arms("all", ROUNDS, read_params(file))[1], "controls": {}}, file):
        pass
    assert chosen_arms("method", ROUNDS, read_params(file)) == (list(GIVEN["arms"]), {"compare.arms": GIVEN["arms"]})


def test_a_preset_keeps_its_arms_among_all_of_them(file: Path) -> None:
    """Else its row "+ inversion" would be that of the default, and another one the next time."""
    once = {
        **preset_changes("published", read_params()),
        **asked(preset="published", seeds=1, rounds=1, repeats=1, arms="all"),
    }
    with changed_params(once, file):
        pass
    arms = read_params(file)["compare"]["arms"]
    assert arms == BOTH | {"hydra-faa-inversion": "data/r1/augment_inversion/dataset"}
    again = asked(preset="published", seeds=1, rounds=1, repeats=1, arms="all")
    with changed_params(again, file):
        pass
    assert read_params(file)["compare"]["arms"] == arms


def test_a_run_of_all_that_fails_puts_every_byte_back(file: Path) -> None:
    def fails() -> None:
        with changed_params(asked(seeds=1, rounds=1, repeats=1, arms="all"), file):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert file.read_bytes() == PARAMS


def test_a_repeat_of_all_has_the_controls_and_its_own_seeds(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edited_params, "KEPT", tmp_path / "kept.json")
    changes = asked(seeds=2, rounds=1, repeats=3, arms="all")
    wanted = with_changes(read_params(), changes)
    seeds = shifted(wanted, 1)
    assert not [key for key in seeds if key.startswith("controls")]
    seen: list[dict[str, Any]] = []
    with changed_params({**changes, **seeds}, file, keep=False):
        seen.append(read_params(file))
        check_params(file)
    assert seen == [with_changes(wanted, seeds)]
    assert seen[0]["augment"]["seed"] == read_params()["augment"]["seed"] + 1000
    assert file.read_bytes() == PARAMS
