"""The min + std rule against ten lines of plain Python."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from winnow.cleansing.influence_rule import harmful_votes


def written_out(effect: npt.NDArray[np.float64], *, guard: bool) -> list[list[bool]]:
    votes = [[False] * effect.shape[1] for _ in range(effect.shape[0])]
    for j in range(effect.shape[1]):
        values = [float(effect[i, j]) for i in range(effect.shape[0])]
        mean = math.fsum(values) / len(values)
        std = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
        for i, value in enumerate(values):
            votes[i][j] = value < min(values) + std and (value < 0 or not guard)
    return votes


# Multiples of 1/8 far from each other's rounding, so that both sides decide alike.
matrices = arrays(
    np.float64,
    st.tuples(st.integers(1, 9), st.integers(1, 4)),
    elements=st.integers(-20, 20).map(lambda v: v + v**3 / 8),
)


@given(matrices, st.booleans())
def test_rule_equals_the_written_one(effect: npt.NDArray[np.float64], guard: bool) -> None:
    assert harmful_votes(effect, guard=guard).tolist() == written_out(effect, guard=guard)


def test_without_guard_every_column_loses_its_minimum_even_when_all_help() -> None:
    effect = np.array([[1.0], [1.5], [4.0]])
    assert harmful_votes(effect, guard=False).tolist() == [[True], [True], [False]]
    assert not harmful_votes(effect, guard=True).any()


@pytest.mark.parametrize("effect", [np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(3)])
def test_empty_input_is_refused(effect: npt.NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"effect must be \(N, M\)"):
        harmful_votes(effect, guard=True)


def test_a_diverged_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 effects are not finite"):
        harmful_votes(np.array([[1.0, np.nan], [0.0, 1.0]]), guard=True)
