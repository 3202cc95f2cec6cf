"""Support, share of faults and threshold by planted wrong labels, against their definitions and on known mixtures."""

from dataclasses import replace

import numpy as np
import pytest

from winnow.representation.planted_flips import plant_flips, scale_of, share_and_threshold


def signals(n: int, k: int, *, wrong: int, apart: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, K) of a signal that is higher for the true class, given labels, and which of them are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, k, n)
    signal = rng.normal(size=(n, k))
    signal[np.arange(n), true] += apart
    labels = true.copy()
    labels[:wrong] = (true[:wrong] + rng.integers(1, k, wrong)) % k
    return signal, labels, labels != true


def test_support_is_the_share_of_planted_labels_that_score_no_better() -> None:
    signal, labels, _ = signals(30, 4, wrong=3, apart=2.0, seed=0)
    judged = np.arange(30) < 25
    planted = plant_flips([signal], labels, judged, most_sound=1.0)
    given = signal[np.arange(30), labels][judged]
    scores = (signal - np.median(given)) / given.std()
    others = [scores[i, c] for i in range(25) for c in range(4) if c != labels[i]]
    expected = [np.mean([other <= scores[i, labels[i]] for other in others]) for i in range(30)]
    np.testing.assert_allclose(planted.support(labels), expected)
    usual = [np.mean([one <= scores[i, labels[i]] for one in scores[np.arange(30), labels][:25]]) for i in range(30)]
    np.testing.assert_allclose(planted.usual(scores[np.arange(30), labels]), usual)


def test_signals_count_equally_whatever_their_units() -> None:
    signal, labels, _ = signals(60, 3, wrong=6, apart=2.0, seed=1)
    other, _, _ = signals(60, 3, wrong=6, apart=2.0, seed=2)
    everyone = np.ones(60, dtype=bool)
    one = plant_flips([signal, other], labels, everyone, most_sound=0.02)
    scaled = plant_flips([1000 * signal + 7, 0.01 * other], labels, everyone, most_sound=0.02)
    np.testing.assert_allclose(one.scores, scaled.scores, atol=1e-9)
    assert one.threshold == scaled.threshold


def test_what_is_unknown_counts_as_usual() -> None:
    signal, labels, _ = signals(40, 3, wrong=0, apart=2.0, seed=3)
    signal[5] = np.nan
    planted = plant_flips([signal], labels, np.ones(40, dtype=bool), most_sound=0.02)
    assert (planted.scores[5] == 0).all()
    assert np.isfinite(planted.scores).all()
    assert scale_of(np.full(4, np.nan)).of(np.array([1.0, np.nan])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("wrong", "share"), [(0, 0.0), (80, 0.1), (240, 0.3)])
def test_the_share_of_wrong_labels_is_estimated(wrong: int, share: float) -> None:
    signal, labels, faults = signals(800, 5, wrong=wrong, apart=4.0, seed=4)
    planted = plant_flips([signal], labels, np.ones(800, dtype=bool), most_sound=0.02)
    assert planted.faults == pytest.approx(share, abs=0.04)
    touched = planted.support(labels) < planted.threshold
    assert (touched & ~faults).sum() <= 0.03 * (~faults).sum()
    assert (touched & faults).sum() >= 0.85 * faults.sum()


@pytest.mark.parametrize("apart", [0.0, 0.5, 1.0, 1.5])
def test_signals_that_tell_little_touch_nothing(apart: float) -> None:
    signal, labels, _ = signals(800, 5, wrong=80, apart=apart, seed=5)
    planted = plant_flips([signal], labels, np.ones(800, dtype=bool), most_sound=0.02)
    assert planted.threshold == 0


@pytest.mark.parametrize("apart", [2.0, 2.5, 3.0])
def test_few_sound_images_are_touched_however_well_the_signals_tell(apart: float) -> None:
    signal, labels, faults = signals(4000, 5, wrong=400, apart=apart, seed=6)
    planted = plant_flips([signal], labels, np.ones(4000, dtype=bool), most_sound=0.02)
    touched = planted.support(labels) < planted.threshold
    assert touched[~faults].mean() <= 0.05


def test_share_and_threshold_follow_their_formulas() -> None:
    rng = np.random.default_rng(6)
    planted = np.sort(rng.normal(-2, 1, 300))
    given = np.sort(np.concatenate([rng.normal(2, 1, 90), rng.normal(-2, 1, 10)]))
    faults, threshold = share_and_threshold(given, planted, most_sound=0.05)
    below = [np.mean(given <= t) / np.mean(planted <= t) for t in np.quantile(planted, np.linspace(0.5, 0.9, 17))]
    assert faults == pytest.approx(min(below))
    best, support = 0.0, 0.0
    for cut in given[1:]:
        g, f = np.mean(given < cut), np.mean(planted < cut)
        found = min(faults * f, g)
        if (g - found) / (1 - faults) <= 0.05 and 2 * found / (faults + g) > best:
            best, support = 2 * found / (faults + g), np.mean(planted <= cut)
    assert threshold == support


def test_few_labels_give_no_threshold() -> None:
    assert share_and_threshold(np.zeros(3), np.zeros(10), most_sound=0.02) == (0.0, 0.0)
    assert share_and_threshold(np.zeros(20), np.zeros(0), most_sound=0.02) == (0.0, 0.0)


def test_quality_keeps_the_ranking_and_puts_the_threshold_at_one_half() -> None:
    signal, labels, _ = signals(400, 4, wrong=40, apart=3.0, seed=7)
    planted = plant_flips([signal], labels, np.ones(400, dtype=bool), most_sound=0.02)
    support, quality = planted.support(labels), planted.quality(labels, stop=2.0)
    assert planted.threshold > 0
    np.testing.assert_array_equal(quality < 0.5, support < planted.threshold)
    order = np.argsort(support, kind="stable")
    assert (np.diff(quality[order]) >= 0).all()
    assert quality.min() >= 0
    assert quality.max() <= 1


def test_where_the_signals_cannot_tell_no_quality_is_below_one_half() -> None:
    signal, labels, _ = signals(400, 4, wrong=40, apart=0.0, seed=8)
    planted = plant_flips([signal], labels, np.ones(400, dtype=bool), most_sound=0.02)
    assert planted.quality(labels, stop=2.0).min() >= 0.5


def test_where_far_more_would_be_touched_than_estimated_no_quality_is_below_one_half() -> None:
    signal, labels, _ = signals(400, 4, wrong=40, apart=3.0, seed=7)
    planted = plant_flips([signal], labels, np.ones(400, dtype=bool), most_sound=0.02)
    stopped = replace(planted, faults=0.01).quality(labels, stop=2.0)
    np.testing.assert_allclose(stopped, 0.5 + 0.5 * planted.support(labels))


@pytest.mark.parametrize("seed", range(6))
def test_classes_that_are_plain_to_tell_lose_their_faults_alone(seed: int) -> None:
    """No planted label scores between the faults and the sound images: all of these have one support."""
    rng = np.random.default_rng(seed)
    true = np.arange(96) % 3
    signal = 100.0 * np.eye(3)[true] + rng.normal(size=(96, 3))
    labels = true.copy()
    wrong = rng.permutation(96)[:8]
    labels[wrong] = (labels[wrong] + rng.integers(1, 3, 8)) % 3
    planted = plant_flips([signal], labels, np.ones(96, dtype=bool), most_sound=0.02)
    touched = planted.support(labels) < planted.threshold
    assert not (touched & (labels == true)).any()
    assert touched.sum() >= 4
