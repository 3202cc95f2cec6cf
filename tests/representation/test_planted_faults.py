"""Support, share of faults and threshold by planted faults, against their definitions and on known mixtures."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.representation import planted_faults
from winnow.representation.planted_faults import distribution, plant_faults, scale_of, share_and_threshold


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
    planted = plant_faults([signal], labels, judged, most_sound=1.0)
    own = signal[np.arange(30), labels][judged]
    scores = (signal - np.median(own)) / own.std()
    others = [scores[i, c] for i in range(25) for c in range(4) if c != labels[i]]
    expected = [np.mean([other <= scores[i, labels[i]] for other in others]) for i in range(30)]
    np.testing.assert_allclose(planted.support(labels), expected)
    usual = [np.mean([one <= scores[i, labels[i]] for one in scores[np.arange(30), labels][:25]]) for i in range(30)]
    np.testing.assert_allclose(planted.usual(scores[np.arange(30), labels]), usual)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 5)), min_size=1, max_size=30))
def test_a_distribution_is_the_share_of_the_weight(drawn: list[tuple[int, int]]) -> None:
    drawn = [*drawn, (0, 1)]  # some weight at least
    values, weights = (np.array(side, dtype=np.float64) for side in zip(*drawn, strict=True))
    found, at = distribution(values, weights), np.arange(-5, 6) / 1.0
    for below, place in itertools.product((False, True), at):
        counted = [weight for value, weight in drawn if (value < place if below else value <= place)]
        (share,) = found.share(np.array([place]), below=below)
        assert share == pytest.approx(sum(counted) / weights.sum(), abs=1e-12)
    for share in (0.03, 0.5, 0.71, 1.0):
        least = min(v for v in values if weights[values <= v].sum() / weights.sum() >= share - 1e-12)
        assert found.quantiles(np.array([share])).tolist() == [least]


def test_equal_weights_change_nothing() -> None:
    values = np.random.default_rng(0).normal(size=50)
    same, other = distribution(values), distribution(values, np.full(50, 3.0))
    np.testing.assert_allclose(same.cumulative, other.cumulative)
    np.testing.assert_allclose(same.cumulative, np.arange(1, 51) / 50)


def likelihoods(signal: np.ndarray) -> np.ndarray:
    """(N, K) softmax."""
    exponentials = np.exp(signal)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_a_planted_label_weighs_as_much_as_the_image_is_like_it() -> None:
    signal, labels, _ = signals(40, 4, wrong=6, apart=2.0, seed=9)
    alike, judged = likelihoods(signal), np.arange(40) < 34
    alike[3, (labels[3] + 1) % 4] = np.nan  # unknown: it is never planted
    planted = plant_faults([signal], labels, judged, most_sound=1.0, alike=alike)
    weight = {
        (i, c): alike[i, c]
        for i in range(34)
        for c in range(4)
        if c != labels[i] and np.nanargmax(alike[i]) == labels[i] and np.isfinite(alike[i, c])
    }
    assert len({i for i, _ in weight}) < 34  # some are left out: their own label is not their likeliest
    scores = planted.scores.of_images(np.arange(40))
    for i in range(40):
        no_better = sum(share for (j, c), share in weight.items() if scores[j, c] <= scores[i, labels[i]])
        assert planted.support(labels)[i] == pytest.approx(no_better / sum(weight.values()), abs=1e-12)


def test_junk_has_half_of_the_weight_whatever_its_number() -> None:
    signal, labels, _ = signals(60, 3, wrong=5, apart=2.0, seed=10)
    everyone, junk = np.ones(60, dtype=bool), np.random.default_rng(11).normal(0.5, 1, 7)
    flips = plant_faults([signal], labels, everyone, most_sound=1.0, alike=likelihoods(signal))
    both = plant_faults([signal], labels, everyone, most_sound=1.0, alike=likelihoods(signal), junk=junk)
    own = signal[np.arange(60), labels]
    standard = (junk - np.median(own)) / own.std()
    at = np.linspace(-3, 3, 13)
    expected = [0.5 * flips.support_of(np.array([t]))[0] + 0.5 * np.mean(standard <= t) for t in at]
    np.testing.assert_allclose(both.support_of(at), expected, atol=1e-12)
    assert np.array_equal(both.scores.of_images(np.arange(60)), flips.scores.of_images(np.arange(60)))
    without = plant_faults([signal], labels, everyone, most_sound=1.0, alike=likelihoods(signal), junk=junk[:0])
    assert np.array_equal(without.planted.cumulative, flips.planted.cumulative)


def test_of_junk_the_other_signals_say_what_they_say_of_wrong_labels() -> None:
    signal, labels, _ = signals(50, 3, wrong=0, apart=2.0, seed=12)
    other, _, _ = signals(50, 3, wrong=0, apart=2.0, seed=13)
    junk = np.full(200, -1.0)
    found = plant_faults([signal, other], labels, np.ones(50, dtype=bool), most_sound=1.0, junk=junk)
    rows = np.arange(50)
    own = signal[rows, labels]
    beside = (other - np.median(other[rows, labels])) / other[rows, labels].std()
    wrong = np.array([beside[i, c] for i in range(50) for c in range(3) if c != labels[i]])
    mean = 0.5 * np.mean(wrong) + 0.5 * np.mean(found.scores.of_images(rows)[labels[:, None] != range(3)])
    weights = np.diff(found.planted.cumulative, prepend=0.0)
    expected = 0.5 * (-1.0 - np.median(own)) / own.std() + mean
    assert (weights * found.planted.values).sum() == pytest.approx(expected, abs=1e-9)


def ambiguous(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 5) probabilities, given labels and which are wrong: images between two classes, confused as often as alike.

    The others are plain, and none of them is confused.
    """
    rng, n, k = np.random.default_rng(seed), 4000, 5
    true, rows = rng.integers(0, k, n), np.arange(n)
    second = (true + rng.integers(1, k, n)) % k
    lean = np.where(rng.random(n) < 0.3, rng.uniform(0.3, 0.47, n), 0.0)  # towards the second class
    logits = np.zeros((n, k))
    logits[rows, true] = 10 * (1 - lean)
    logits[rows, second] = 10 * lean
    wrong = rng.random(n) < likelihoods(logits)[rows, second]
    return likelihoods(logits + rng.normal(0, 0.4, (n, k))), np.where(wrong, second, true), wrong


@pytest.mark.parametrize("seed", range(3))
def test_the_share_of_faults_is_estimated_where_they_lie_on_ambiguous_images(seed: int) -> None:
    probability, labels, wrong = ambiguous(seed)
    everyone = np.ones(len(labels), dtype=bool)
    weighted = plant_faults([probability], labels, everyone, most_sound=0.02, alike=probability)
    assert weighted.faults == pytest.approx(wrong.mean(), rel=0.2)
    touched = weighted.support(labels) < weighted.threshold
    assert (touched & wrong).sum() >= 0.85 * wrong.sum()
    assert touched[~wrong].mean() <= 0.02
    # Planted uniformly they are too easy, and the share is not seen.
    assert plant_faults([probability], labels, everyone, most_sound=0.02).faults < 0.2 * wrong.mean()


@pytest.mark.parametrize("seed", range(4))
def test_of_clean_data_less_than_one_in_a_hundred_is_touched(seed: int) -> None:
    signal, labels, _ = signals(3000, 5, wrong=0, apart=7.0, seed=seed)
    probability, rng = likelihoods(signal), np.random.default_rng(seed)
    junk = rng.dirichlet(np.ones(5), 200)[:, 0]
    planted = plant_faults(
        [probability], labels, np.ones(3000, dtype=bool), most_sound=0.02, alike=probability, junk=junk
    )
    assert np.mean(planted.support(labels) < planted.threshold) < 0.01


def test_signals_count_equally_whatever_their_units() -> None:
    signal, labels, _ = signals(60, 3, wrong=6, apart=2.0, seed=1)
    other, _, _ = signals(60, 3, wrong=6, apart=2.0, seed=2)
    everyone = np.ones(60, dtype=bool)
    one = plant_faults([signal, other], labels, everyone, most_sound=0.02)
    scaled = plant_faults([1000 * signal + 7, 0.01 * other], labels, everyone, most_sound=0.02)
    rows = np.arange(60)
    np.testing.assert_allclose(one.scores.of_images(rows), scaled.scores.of_images(rows), atol=1e-9)
    assert one.threshold == scaled.threshold


def test_what_is_unknown_counts_as_usual() -> None:
    signal, labels, _ = signals(40, 3, wrong=0, apart=2.0, seed=3)
    signal[5] = np.nan
    planted = plant_faults([signal], labels, np.ones(40, dtype=bool), most_sound=0.02)
    scores = planted.scores.of_images(np.arange(40))
    assert (scores[5] == 0).all()
    assert np.isfinite(scores).all()
    assert scale_of(np.full(4, np.nan)).of(np.array([1.0, np.nan])).tolist() == [1.0, 0.0]


def test_a_class_that_is_unknown_is_planted_nowhere() -> None:
    signal, labels, _ = signals(40, 3, wrong=0, apart=2.0, seed=3)
    signal[:20, 2] = np.nan
    labels[labels == 2] = 1
    planted = plant_faults([signal], labels, np.ones(40, dtype=bool), most_sound=0.02)
    assert len(planted.planted.values) == 40 * 2 - 20


def test_quality_is_of_the_rows_asked_for_and_their_share_alone_may_stop_it() -> None:
    signal, labels, _ = signals(400, 4, wrong=40, apart=3.0, seed=7)
    planted = plant_faults([signal], labels, np.ones(400, dtype=bool), most_sound=0.02)
    everyone = planted.quality(labels, np.arange(400), stop=2.0)
    rows = np.random.default_rng(0).permutation(400)
    np.testing.assert_array_equal(planted.quality(labels[rows], rows, stop=2.0), everyone[rows])
    low = np.flatnonzero(everyone < 0.5)
    assert len(low) > 10
    assert planted.quality(labels[low], low, stop=2.0).min() >= 0.5  # all of them would be far more than estimated


@pytest.mark.parametrize(("wrong", "share"), [(0, 0.0), (80, 0.1), (240, 0.3)])
def test_the_share_of_wrong_labels_is_estimated(wrong: int, share: float) -> None:
    signal, labels, faults = signals(800, 5, wrong=wrong, apart=4.0, seed=4)
    planted = plant_faults([signal], labels, np.ones(800, dtype=bool), most_sound=0.02)
    assert planted.faults == pytest.approx(share, abs=0.04)
    touched = planted.support(labels) < planted.threshold
    assert (touched & ~faults).sum() <= 0.03 * (~faults).sum()
    assert (touched & faults).sum() >= 0.85 * faults.sum()


@pytest.mark.parametrize("apart", [0.0, 0.5, 1.0, 1.5])
def test_signals_that_tell_little_touch_nothing(apart: float) -> None:
    signal, labels, _ = signals(800, 5, wrong=80, apart=apart, seed=5)
    planted = plant_faults([signal], labels, np.ones(800, dtype=bool), most_sound=0.02)
    assert planted.threshold == 0


@pytest.mark.parametrize("apart", [2.0, 2.5, 3.0])
def test_few_sound_images_are_touched_however_well_the_signals_tell(apart: float) -> None:
    signal, labels, faults = signals(4000, 5, wrong=400, apart=apart, seed=6)
    planted = plant_faults([signal], labels, np.ones(4000, dtype=bool), most_sound=0.02)
    touched = planted.support(labels) < planted.threshold
    assert touched[~faults].mean() <= 0.05


def test_share_and_threshold_follow_their_formulas() -> None:
    rng = np.random.default_rng(6)
    planted = np.sort(rng.normal(-2, 1, 300))
    labelled = np.sort(np.concatenate([rng.normal(2, 1, 90), rng.normal(-2, 1, 10)]))
    faults, threshold = share_and_threshold(distribution(labelled), distribution(planted), most_sound=0.05)
    at = [min(t for t in planted if np.mean(planted <= t) >= q) for q in np.linspace(0.5, 0.9, 17)]
    below = [np.mean(labelled <= t) / np.mean(planted <= t) for t in at]
    assert faults == pytest.approx(min(below))
    best, support = 0.0, 0.0
    for cut in labelled[1:]:
        g, f = np.mean(labelled < cut), np.mean(planted < cut)
        found = min(faults * f, g)
        if (g - found) / (1 - faults) <= 0.05 and 2 * found / (faults + g) > best:
            best, support = 2 * found / (faults + g), np.mean(planted <= cut)
    assert threshold == support


def test_few_labels_give_no_threshold() -> None:
    few, many, none = (distribution(np.zeros(count)) for count in (3, 20, 0))
    assert share_and_threshold(few, many, most_sound=0.02) == (0.0, 0.0)
    assert share_and_threshold(many, none, most_sound=0.02) == (0.0, 0.0)
    assert none.share(np.array([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.0, 0.0]


def test_quality_keeps_the_ranking_and_puts_the_threshold_at_one_half() -> None:
    signal, labels, _ = signals(400, 4, wrong=40, apart=3.0, seed=7)
    planted = plant_faults([signal], labels, np.ones(400, dtype=bool), most_sound=0.02)
    support, quality = planted.support(labels), planted.quality(labels, np.arange(len(labels)), stop=2.0)
    assert planted.threshold > 0
    np.testing.assert_array_equal(quality < 0.5, support < planted.threshold)
    order = np.argsort(support, kind="stable")
    assert (np.diff(quality[order]) >= 0).all()
    assert quality.min() >= 0
    assert quality.max() <= 1


def test_where_the_signals_cannot_tell_no_quality_is_below_one_half() -> None:
    signal, labels, _ = signals(400, 4, wrong=40, apart=0.0, seed=8)
    planted = plant_faults([signal], labels, np.ones(400, dtype=bool), most_sound=0.02)
    assert planted.quality(labels, np.arange(len(labels)), stop=2.0).min() >= 0.5


def test_where_far_more_would_be_touched_than_estimated_no_quality_is_below_one_half() -> None:
    signal, labels, _ = signals(400, 4, wrong=40, apart=3.0, seed=7)
    planted = plant_faults([signal], labels, np.ones(400, dtype=bool), most_sound=0.02)
    stopped = replace(planted, faults=0.01).quality(labels, np.arange(len(labels)), stop=2.0)
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
    planted = plant_faults([signal], labels, np.ones(96, dtype=bool), most_sound=0.02)
    touched = planted.support(labels) < planted.threshold
    assert not (touched & (labels == true)).any()
    assert touched.sum() >= 4


def test_scores_are_the_sum_of_the_signals_each_by_the_median_and_spread_of_the_given_labels() -> None:
    one, labels, _ = signals(50, 3, wrong=5, apart=2.0, seed=1)
    other, _, _ = signals(50, 3, wrong=5, apart=1.0, seed=2)
    one[7, 1] = np.nan
    judged, rows = np.arange(50) < 40, np.arange(50)
    planted = plant_faults([one.astype(np.float32), other], labels, judged, most_sound=0.02)
    expected = np.zeros((50, 3))
    for signal in (one, other):
        own = signal[rows, labels][judged]
        expected += np.nan_to_num((signal - np.nanmedian(own)) / np.nanstd(own))
    np.testing.assert_allclose(planted.scores.of_images(rows), expected, atol=1e-5)
    some = np.array([31, 7, 7, 49])
    np.testing.assert_array_equal(planted.scores.of_images(some), planted.scores.of_images(rows)[some])
    named = np.array([0, 1, 2, 1])
    np.testing.assert_array_equal(
        planted.scores.of_labels(some, named), planted.scores.of_images(some)[np.arange(4), named]
    )


def test_of_very_many_labels_a_sample_of_the_images_tells_about_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    signal, labels, _ = signals(4000, 5, wrong=200, apart=3.5, seed=1)
    judged, alike = np.arange(4000) % 7 != 0, likelihoods(signal)
    whole = plant_faults([alike], labels, judged, most_sound=0.02, alike=alike)
    monkeypatch.setattr(planted_faults, "PAIRS", 1500 * 5)
    some = plant_faults([alike.astype(np.float32)], labels, judged, most_sound=0.02, alike=alike)
    assert len(some.planted.values) < 0.5 * len(whole.planted.values)
    assert some.faults == pytest.approx(whole.faults, rel=0.1)
    assert np.abs(some.support(labels) - whole.support(labels)).max() < 0.05
