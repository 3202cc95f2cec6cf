"""Exponents are those of the power laws that the costs follow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scale.fit import exponent, extrapolated, slope

SIZES = st.lists(st.integers(100, 10**6), min_size=2, max_size=6, unique=True)


@given(SIZES, st.floats(0.1, 100), st.floats(-0.5, 3))
def test_a_power_law_has_its_exponent(sizes: list[int], factor: float, power: float) -> None:
    costs = {size: factor * size**power for size in sizes}
    assert slope(costs) == pytest.approx(power, abs=1e-6)
    assert exponent(costs) == pytest.approx(power, abs=1e-6)


@given(SIZES, st.floats(0.1, 100), st.floats(1, 3))
def test_a_power_law_goes_on_as_one(sizes: list[int], factor: float, power: float) -> None:
    further = 3 * max(sizes)
    costs = {size: factor * size**power for size in sizes}
    assert extrapolated(costs, further) == pytest.approx(factor * further**power, rel=1e-4)


def test_what_a_start_costs_is_not_taken_for_slow_growth() -> None:
    assert extrapolated({2_000: 5 + 2.0, 8_000: 5 + 8.0}, 70_000) == pytest.approx(5 + 70.0)


@given(st.dictionaries(st.integers(100, 10**6), st.floats(0.1, 1e6), min_size=2, max_size=6))
def test_the_slope_is_that_of_least_squares(costs: dict[int, float]) -> None:
    """No slope beside it leaves smaller squares, whatever the intercept."""

    def squares(at: float) -> float:
        left = [math.log(cost) - at * math.log(size) for size, cost in costs.items()]
        middle = sum(left) / len(left)
        return sum((one - middle) ** 2 for one in left)

    found = slope(costs)
    assert squares(found) <= min(squares(found - 0.01), squares(found + 0.01))


def test_a_start_that_flattens_the_whole_does_not_hide_the_end() -> None:
    costs = {2_000: 5 + 2.0, 20_000: 5 + 20.0, 70_000: 5 + 70.0}
    end = math.log(75 / 25) / math.log(3.5)
    assert slope(costs) < end
    assert exponent(costs) == pytest.approx(end)


def test_one_size_has_no_exponent_and_stays_what_it_is() -> None:
    assert math.isnan(slope({10: 1.0}))
    assert extrapolated({10: 3.0}, 10) == 3.0
    assert extrapolated({10: 3.0}, 70) == 3.0
    assert extrapolated({10: 3.0, 20: 2.0}, 70) == 2.0
    assert extrapolated({10: 1.0, 20: 4.0}, 40) == pytest.approx(16.0)
