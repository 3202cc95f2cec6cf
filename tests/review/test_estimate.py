"""The random sample and the interval that follows from it."""

import random

import pytest
from scipy.stats import binom, binomtest

from winnow.review.estimate import count_faults, draw_sample, estimate_faults, sample_size

IDS = [f"{number:016x}" for number in range(1000)]


def test_the_sample_depends_on_no_order() -> None:
    shuffled = random.Random(0).sample(IDS, len(IDS))
    assert draw_sample(shuffled) == draw_sample(IDS)


def test_a_new_image_takes_the_place_of_one_at_most() -> None:
    before = draw_sample(IDS, most=100)
    after = draw_sample([*IDS, "f" * 16], most=100)
    assert len(set(before) - set(after)) <= 1


def test_every_part_of_the_ids_is_sampled_alike() -> None:
    sample = set(draw_sample(IDS, most=200))
    shares = [sum(one in sample for one in IDS[start : start + 250]) / 250 for start in range(0, 1000, 250)]
    assert all(0.12 < share < 0.28 for share in shares)  # 0.2 each, with a deviation of 0.022


@pytest.mark.parametrize(("kept", "sampled"), [(0, 0), (7, 7), (20, 20), (150, 20), (1000, 100), (10_000, 200)])
def test_the_size_of_a_sample(kept: int, sampled: int) -> None:
    assert sample_size(kept) == sampled


@pytest.mark.parametrize(("n", "k"), [(1, 0), (1, 1), (20, 0), (20, 3), (50, 50), (200, 7)])
def test_the_interval_is_clopper_and_pearsons(n: int, k: int) -> None:
    """By its definition: each end is the share at which the observation, or a more extreme one, has 2.5 %."""
    found = estimate_faults(IDS[:n], {one: place < k for place, one in enumerate(IDS[:n])})
    assert (found.of, found.sampled, found.faults, found.share) == (n, n, k, k / n)
    assert found.low is not None
    assert found.high is not None
    expected = binomtest(k, n).proportion_ci(confidence_level=0.95, method="exact")
    assert [found.low, found.high] == pytest.approx([expected.low, expected.high])
    if k:
        assert binom.sf(k - 1, n, found.low) == pytest.approx(0.025, abs=1e-8)
    else:
        assert found.low == 0
    if k < n:
        assert binom.cdf(k, n, found.high) == pytest.approx(0.025, abs=1e-8)
    else:
        assert found.high == 1


def test_what_is_not_decided_or_not_sampled_does_not_count() -> None:
    found = estimate_faults(IDS[:4], {IDS[0]: True, IDS[3]: False, IDS[9]: True})
    assert (found.of, found.sampled, found.faults, found.later) == (4, 1, 1, 1)


def test_only_the_beginning_of_the_sample_counts() -> None:
    """Those after the first gap may have been chosen by a doubt."""
    faults = dict.fromkeys(IDS[:10], False) | dict.fromkeys(IDS[11:20], True)
    found = estimate_faults(IDS[:20], faults)
    assert (found.sampled, found.faults, found.later) == (10, 0, 9)
    assert estimate_faults(IDS[:20], faults | {IDS[10]: False}).faults == 9


def test_a_count_has_a_share_once_all_are_seen_and_no_interval() -> None:
    faults = {IDS[0]: True, IDS[3]: False}
    some = count_faults(IDS[:4], faults)
    assert (some.of, some.sampled, some.faults) == (4, 2, 1)
    assert (some.share, some.low, some.high) == (None, None, None)
    every = count_faults(IDS[:2] + IDS[3:4], faults | {IDS[1]: False})
    assert (every.share, every.low, every.high) == (1 / 3, None, None)
    assert count_faults([], {}).share is None


def test_nothing_decided_gives_no_share() -> None:
    found = estimate_faults(IDS[:4], {})
    assert (found.sampled, found.share, found.low, found.high) == (0, None, None, None)
