"""Intervals over seeds and images: by hand, against a slow analysis of variance, and by how often they hold truth."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from tests.support.reference_intervals import anova
from winnow.evaluation.intervals import (
    Interval,
    accuracy_interval,
    crossed_interval,
    error_reduction_interval,
    gain_interval,
)


def test_by_hand() -> None:
    # Rows' means 5, 3; columns' means 1, 4, 7; mean 4; what is left is 1, 0, -1 and -1, 0, 1.
    # Squares: rows 3 (1 + 1) = 6 over 1; columns 2 (9 + 0 + 9) = 36 over 2; rest 4 over 2. So 6, 18 and 2.
    values = np.array([[3.0, 5.0, 7.0], [-1.0, 3.0, 7.0]])
    assert anova(values) == pytest.approx((6, 18, 2))
    variance = (6 + 18 - 2) / 6
    freedom = (6 + 18 - 2) ** 2 / (6**2 / 1 + 18**2 / 2 + 2**2 / 2)
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    found = crossed_interval(values)
    assert (found.mean, found.low, found.high) == pytest.approx((4, 4 - half, 4 + half))


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_slow_analysis_of_variance(seed: int) -> None:
    generator = np.random.default_rng(seed)
    s, n = int(generator.integers(2, 7)), int(generator.integers(2, 30))
    scale_s, scale_n = generator.choice([0.0, 0.3, 2.0], 2)
    values = (
        generator.normal(size=(s, n)) + scale_s * generator.normal(size=(s, 1)) + scale_n * generator.normal(size=n)
    )
    rows, columns, rest = anova(values)
    rows, columns = max(rows, rest), max(columns, rest)  # a negative component is none
    total = rows + columns - rest
    freedom = total**2 / (rows**2 / (s - 1) + columns**2 / (n - 1) + rest**2 / ((s - 1) * (n - 1)))
    half = stats.t.ppf(0.975, freedom) * (total / (s * n)) ** 0.5
    found = crossed_interval(values)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (values.mean(), values.mean() - half, values.mean() + half)
    )


def test_seeds_that_agree_give_the_interval_over_images() -> None:
    """S copies of one run say no more than the run: the t interval of its images."""
    answers = np.random.default_rng(0).random(50) < 0.7
    half = stats.t.ppf(0.975, 49) * answers.std(ddof=1) / 50**0.5
    expected = (answers.mean(), answers.mean() - half, answers.mean() + half)
    for seeds in (1, 2, 5):
        found = crossed_interval(np.tile(answers, (seeds, 1)))
        assert (found.mean, found.low, found.high) == pytest.approx(expected)


def test_images_that_agree_give_the_interval_over_seeds() -> None:
    means = np.array([0.2, 0.5, 0.6])
    half = stats.t.ppf(0.975, 2) * means.std(ddof=1) / 3**0.5
    found = crossed_interval(np.tile(means[:, None], (1, 40)))
    assert (found.low, found.high) == pytest.approx((means.mean() - half, means.mean() + half))


def test_order_of_seeds_and_images_does_not_matter() -> None:
    generator = np.random.default_rng(3)
    values = generator.random((4, 25)) < 0.6
    shuffled = values[generator.permutation(4)][:, generator.permutation(25)]
    one, other = crossed_interval(values), crossed_interval(shuffled)
    assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high))


def wider(values: np.ndarray, added: list[float]) -> tuple[float, float, float]:
    """Mean of a matrix, and the ends of the wider of its interval and that with columns added."""
    one, other = crossed_interval(values), crossed_interval(np.hstack([values, [added] * len(values)]))
    return one.mean, min(one.low, other.low), max(one.high, other.high)


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_an_accuracy_is_as_wide_as_with_two_more_right_and_two_more_wrong_images(seeds: int) -> None:
    answers = np.random.default_rng(5).random((seeds, 30)) < 0.9
    mean, low, high = wider(answers, [1, 1, 0, 0])
    found = accuracy_interval(answers)
    assert (found.mean, found.low, found.high) == pytest.approx((mean, low, min(high, 1)))


def test_images_that_are_all_right_do_not_prove_that_all_will_be() -> None:
    """As exact intervals have it: one binomial answer an image, all of N right."""
    for images in (10, 40, 200):
        found = accuracy_interval(np.ones((3, images), bool))
        assert (found.mean, found.high) == (1, 1)
        assert found.low == pytest.approx(0.025 ** (1 / images), abs=0.05)


def test_an_accuracy_stays_in_its_range() -> None:
    answers = np.ones((2, 4), bool)
    answers[0, 0] = False
    assert crossed_interval(answers).high > 1
    assert accuracy_interval(answers).high == 1
    assert accuracy_interval(~answers).low == 0


@pytest.mark.parametrize("shape", [(3,), (0, 5), (2, 1), (2, 2, 2)])
def test_refuses_what_is_no_matrix(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"values must be \(S, N\)"):
        crossed_interval(np.zeros(shape))


def test_gain_is_the_interval_of_paired_differences_with_one_more_each_way() -> None:
    generator = np.random.default_rng(1)
    before, right = generator.random((3, 40)) < 0.5, generator.random((3, 40)) < 0.8
    found = gain_interval(right, before)
    assert (found.mean, found.low, found.high) == pytest.approx(wider(right * 1.0 - before * 1.0, [1, -1]))


def test_error_reduction_holds_the_ratios_that_the_errors_do_not_contradict() -> None:
    """By trying many ratios, where the baseline makes errors enough that both ends are inside their bounds."""
    generator = np.random.default_rng(2)
    baseline, right = generator.random((3, 60)) < 0.6, generator.random((3, 60)) < 0.8
    errors, before = 1.0 - right, 1.0 - baseline
    ratios = np.linspace(0, 1 / before.mean(), 2001)
    intervals = [wider(errors - ratio * before, [1, -ratio]) for ratio in ratios]
    inside = [ratio for ratio, (_, low, high) in zip(ratios, intervals, strict=True) if low <= 0 <= high]
    found = error_reduction_interval(right, baseline)
    assert found is not None
    assert found.mean == pytest.approx(1 - (1 - right.mean()) / (1 - baseline.mean()))
    assert (found.low, found.high) == pytest.approx((1 - inside[-1], 1 - inside[0]), abs=2 * ratios[1])
    assert 0 < found.low < found.high < 1


def test_errors_are_fewer_exactly_where_the_gain_is_above_0() -> None:
    generator = np.random.default_rng(6)
    seen = set()
    for _ in range(300):
        images, seeds = int(generator.integers(5, 200)), int(generator.integers(1, 4))
        ease = generator.random(images)
        baseline, right = (generator.random((seeds, images)) * 0.2 + 0.8 * ease < generator.random() for _ in range(2))
        gain, reduction = gain_interval(right, baseline), error_reduction_interval(right, baseline)
        if reduction is None:
            continue
        sides = [(one.low > 1e-9) - (one.high < -1e-9) for one in (gain, reduction)]
        assert sides[0] == sides[1]
        assert reduction.low <= reduction.mean <= reduction.high <= 1
        seen.add(sides[0])
    assert seen == {-1, 0, 1}


@pytest.mark.parametrize("better", [True, False])
def test_errors_are_as_the_gain_says_also_where_seeds_differ_much(better: bool) -> None:
    """Of this baseline's seeds two are wrong about everything: ratios far beyond 1 are inside again."""
    few = np.array([[1] * 10, [1] * 10, [1, 1, 1, 1, 1, 0, 1, 1, 1, 1]], bool)
    many = np.array([[0] * 10, [0, 1, 1, 0, 1, 1, 1, 0, 0, 1], [0] * 10], bool)
    right, baseline = (few, many) if better else (many, few)
    gain, reduction = gain_interval(right, baseline), error_reduction_interval(right, baseline)
    assert reduction is not None
    assert (gain.low > 0, gain.high < 0) == (reduction.low > 0, reduction.high < 0) == (better, not better)


def test_one_error_less_proves_nothing() -> None:
    """The baseline makes one error in 40 images, the arm none: of the ratio nothing is known."""
    baseline = np.ones((2, 40), bool)
    baseline[:, 7] = False
    found = error_reduction_interval(np.ones((2, 40), bool), baseline)
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((1, 1 - 40, 1))


def test_error_reduction_at_its_ends() -> None:
    answers = np.tile(np.random.default_rng(4).random(30) < 0.7, (2, 1))
    perfect = error_reduction_interval(np.ones_like(answers), answers)
    assert perfect is not None
    assert (perfect.mean, perfect.high) == (1, 1)
    assert 0 < perfect.low < 1
    assert error_reduction_interval(answers, np.ones_like(answers)) is None


# --- coverage ---------------------------------------------------------------------------------------------------

RUNS = 1500
# Binomial standard error at 1,500 runs: 0.0056. Three of them around 0.95, and one point for the approximation.
LOW, HIGH = 0.95 - 0.027, 0.95 + 0.027


def answers(generator: np.random.Generator, at: float, images: np.ndarray, *, seeds: int, spread: float) -> np.ndarray:
    """(S, N) right or wrong: a seed's skill, an image's ease and chance together above 0."""
    skill = generator.normal(0, spread, (seeds, 1))
    return at + skill + images + generator.normal(0, 0.5, (seeds, images.size)) > 0


def accuracy(at: float, spread: float) -> float:
    """The expected share of right answers of that model, over all seeds and images there could be."""
    return float(stats.norm.cdf(at / np.sqrt(spread**2 + 1 + 0.5**2)))


def coverage(interval: Callable[[np.random.Generator], Interval | None], truth: float) -> float:
    generator = np.random.default_rng(20)
    found = [interval(generator) for _ in range(RUNS)]
    return float(np.mean([one is not None and one.low <= truth <= one.high for one in found]))


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.05), (5, 0.0), (5, 0.1), (10, 0.2)])
def test_an_accuracy_lies_inside_19_times_of_20(seeds: int, spread: float) -> None:
    def one(generator: np.random.Generator) -> Interval:
        images = generator.normal(size=300)
        return accuracy_interval(answers(generator, 0.8, images, seeds=seeds, spread=spread))

    assert LOW < coverage(one, accuracy(0.8, spread)) < HIGH


@pytest.mark.parametrize("kind", ["gain", "error reduction"])
def test_a_comparison_lies_inside_19_times_of_20(kind: str) -> None:
    before, after, seeds, spread = 0.5, 1.1, 5, 0.07
    first, second = accuracy(before, spread), accuracy(after, spread)

    def one(generator: np.random.Generator) -> Interval | None:
        images = generator.normal(size=300)
        changed = 0.8 * images + 0.6 * generator.normal(size=300)  # what is easy changes with the training data
        baseline = answers(generator, before, images, seeds=seeds, spread=spread)
        right = answers(generator, after, changed, seeds=seeds, spread=spread)
        return gain_interval(right, baseline) if kind == "gain" else error_reduction_interval(right, baseline)

    truth = second - first if kind == "gain" else 1 - (1 - second) / (1 - first)
    assert LOW < coverage(one, truth) < HIGH


@pytest.mark.parametrize(("images", "before", "after"), [(40, 0.95, 0.98), (40, 0.98, 0.98), (100, 0.95, 0.95)])
def test_few_images_and_few_errors_lie_inside_at_least_19_times_of_20(images: int, before: float, after: float) -> None:
    generator = np.random.default_rng(21)
    held = np.zeros((RUNS, 3), bool)
    claimed = 0
    for run in range(RUNS):
        ease = generator.random(images)
        other = np.where(generator.random(images) < 0.5, ease, generator.random(images))
        baseline, right = (
            np.where(generator.random((2, images)) < 0.95, one, generator.random((2, images))) < accuracy
            for one, accuracy in ((ease, before), (other, after))
        )
        reduction = error_reduction_interval(right, baseline)
        truths = (before, after - before, 1 - (1 - after) / (1 - before))
        for place, (one, truth) in enumerate(
            zip((accuracy_interval(baseline), gain_interval(right, baseline), reduction), truths, strict=True)
        ):
            held[run, place] = one is None or one.low <= truth <= one.high
        claimed += reduction is not None and reduction.low > 0
    assert held.mean(axis=0).min() > LOW
    assert after > before or claimed / RUNS < 0.04


def test_taking_every_answer_as_independent_would_be_too_narrow() -> None:
    """Why the layout matters: the usual binomial interval over S x N answers misses far more often than 1 in 20."""
    generator, truth, misses = np.random.default_rng(20), accuracy(0.8, 0.1), 0
    for _ in range(400):
        right = answers(generator, 0.8, generator.normal(size=300), seeds=5, spread=0.1)
        half = 1.96 * right.std() / right.size**0.5
        misses += abs(right.mean() - truth) > half
    assert misses / 400 > 0.2
