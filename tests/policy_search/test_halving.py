"""Successive halving with scores that are known: who goes on, who wins, and what is asked of whom."""

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.imports import ROOT
from winnow.policy_search.halving import TRIALS, Trial, halve, winner

STRENGTHS = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0}


def constant(**values: float) -> Callable[[Sequence[str], int, int], list[float]]:
    return lambda names, rung, updates: [values[name] for name in names]


def test_the_better_half_goes_on_to_a_longer_run() -> None:
    asked: list[tuple[list[str], int, int]] = []
    by_rung = [{"a": 0.1, "b": 0.5, "c": 0.2, "d": 0.3, "e": 0.4}, {"b": 0.1, "d": 0.2, "e": 0.3}, {"d": 0.9, "e": 0.8}]

    def score(names: Sequence[str], rung: int, updates: int) -> list[float]:
        asked.append((list(names), rung, updates))
        return [by_rung[rung - 1][name] for name in names]

    trials = halve(STRENGTHS, score, [10, 20, 40])
    assert asked == [(["a", "b", "c", "d", "e"], 1, 10), (["b", "d", "e"], 2, 20), (["d", "e"], 3, 40)]
    assert [(one.rung, one.candidate, one.goes_on) for one in trials] == [
        *((1, name, True) for name in "bed"),
        *((1, name, False) for name in "ca"),
        (2, "e", True),
        (2, "d", True),
        (2, "b", False),
        (3, "d", True),
        (3, "e", False),
    ]
    assert winner(trials) == "d"  # the longest run decides, whatever the shorter ones said


def test_of_equal_scores_the_milder_is_better_and_then_the_first() -> None:
    equal = halve({"strong": 3.0, "mild": 1.0, "also mild": 1.0}, lambda names, *_: [0.5] * len(names), [1])
    assert [one.candidate for one in equal] == ["mild", "also mild", "strong"]
    assert winner(equal) == "mild"
    assert winner(halve({"strong": 3.0, "mild": 1.0}, constant(strong=0.51, mild=0.5), [1])) == "strong"


def test_one_that_is_left_alone_has_won_and_is_not_run_again() -> None:
    trials = halve({"a": 1.0, "b": 1.0}, constant(a=0.2, b=0.1), [1, 2, 3])
    assert [one.rung for one in trials] == [1, 1]
    assert winner(trials) == "a"
    assert [one.rung for one in halve({"a": 1.0}, constant(a=0.2), [1, 2])] == [1]


@given(st.dictionaries(st.sampled_from("abcdefghij"), st.floats(0, 1), min_size=1), st.integers(1, 4))
def test_the_best_of_all_wins_where_scores_do_not_change(values: dict[str, float], rungs: int) -> None:
    trials = halve(dict.fromkeys(values, 1.0), constant(**values), list(range(1, rungs + 1)))
    assert values[winner(trials)] == max(values.values())
    assert sum(one.goes_on for one in trials if one.rung == trials[-1].rung) == 1


def test_nothing_to_try_or_no_rung_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0 and 1"):
        halve({}, constant(), [1])
    with pytest.raises(ValueError, match="got 1 and 0"):
        halve({"a": 1.0}, constant(a=0.0), [])


def test_a_row_has_the_columns_of_the_table() -> None:
    row = Trial(1, 150, "mild", 0.712345, True).row()
    assert dict(zip(TRIALS, row, strict=True)) == {
        "rung": 1,
        "updates": 150,
        "candidate": "mild",
        "score": "0.7123",
        "goes_on": "yes",
    }


def test_the_plots_template_names_columns_of_the_table() -> None:
    text = (ROOT / ".dvc/plots/by_candidate.json").read_text()
    assert set(re.findall(r'"field": "([a-z_]+)"', text)) - {"rev"} == {"candidate"}  # DVC adds the version's name
    assert "candidate" in TRIALS
