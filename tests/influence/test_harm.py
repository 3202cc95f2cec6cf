"""The harm score against its definition, and its p-values on made-up effects with and without planted harm."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from tests.support.influence import standardised, valued_by_head
from winnow.influence import harm
from winnow.influence.harm import lowest_mean, measure_harm, surely_harmful
from winnow.training.head import HeadProfile

RATE = 0.05


def coherent(
    rng: np.random.Generator, *, images: int = 600, classes: int = 4, book: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """(N, M) effects with a strong pattern of every class, columns of unequal scale, deviations unrelated; labels."""
    labels = rng.integers(classes, size=images)
    pattern = np.where(np.arange(book) % classes == np.arange(classes)[:, None], 3.0, -2.0)  # (K, M)
    deviations = rng.standard_t(4, size=(images, book))
    return (pattern[labels] + deviations) * 10.0 ** rng.uniform(-4, 2, size=book), labels


def written_out(effect: np.ndarray, labels: np.ndarray, image: int) -> float:
    """The score of one image by the formula."""
    deviations = []
    for j in range(effect.shape[1]):
        column = [effect[i, j] for i in range(len(effect)) if labels[i] == labels[image]]
        mean = sum(column) / len(column)
        spread = (sum((value - mean) ** 2 for value in column) / len(column)) ** 0.5
        deviations.append((effect[image, j] - mean) / spread)
    lowest = sorted(deviations)[:5]
    return sum(lowest) / len(lowest)


@pytest.mark.parametrize("book", [3, 24])
def test_the_score_is_the_mean_of_the_five_lowest_deviations_from_the_class(book: int) -> None:
    rng = np.random.default_rng(1)
    effect, labels = coherent(rng, images=40, book=book)
    score = measure_harm(effect, labels, rng=rng, draws=10).score
    np.testing.assert_allclose(score, [written_out(effect, labels, i) for i in range(40)], rtol=1e-9)


def test_p_values_are_the_share_of_all_composite_rows_of_the_class() -> None:
    """Every row that permutation within the columns can give, of a class of 4 and 4 columns: 256 of them."""
    rng = np.random.default_rng(2)
    effect = rng.normal(size=(7, 4))
    labels = np.array([0, 1, 0, 0, 1, 0, 1])
    own = standardised(effect, labels)[labels == 0]
    every = np.array([[own[a, 0], own[b, 1], own[c, 2], own[d, 3]] for a, b, c, d in np.ndindex(4, 4, 4, 4)])
    exact = [(every.mean(axis=1) <= row.mean() + 1e-12).mean() for row in own]
    p = measure_harm(effect, labels, rng=rng, draws=50_000).p[labels == 0]
    np.testing.assert_allclose(p, exact, atol=0.01)


def test_unrelated_effects_have_uniform_p_values_however_coherent_the_class() -> None:
    rng = np.random.default_rng(3)
    effect, labels = coherent(rng, images=2000)
    p = measure_harm(effect, labels, rng=rng, draws=20_000).p
    for level in (0.01, RATE, 0.5):
        called = int((p <= level).sum())
        assert binom.ppf(0.001, 2000, level) <= called <= binom.ppf(0.999, 2000, level)


def test_of_null_data_no_more_than_the_rate_call_any_image_harmful() -> None:
    """Where every image is harmless, a set with any discovery is a false one: at most the rate of the sets."""
    rng = np.random.default_rng(4)
    sets = 60
    any_called = 0
    for _ in range(sets):
        effect, labels = coherent(rng, images=60)
        harm = measure_harm(effect, labels, rng=rng, draws=2000)
        any_called += bool(surely_harmful(harm.p, rate=RATE).any())
    assert any_called <= binom.ppf(0.999, sets, RATE)


def test_planted_harm_is_found_at_the_rate() -> None:
    """Images that harm the label book's images of another class than theirs, as one with a wrong label does."""
    rng = np.random.default_rng(5)
    effect, labels = coherent(rng, images=1200, classes=8, book=40)
    planted = rng.permutation(1200)[:60]
    shown = (labels[planted] + rng.integers(1, 8, size=60)) % 8
    effect[planted] -= 4.0 * np.median(np.abs(effect), axis=0) * (np.arange(40) % 8 == shown[:, None])
    harm = measure_harm(effect, labels, rng=rng, draws=10_000)
    called = surely_harmful(harm.p, rate=RATE)
    assert called[planted].mean() > 0.8
    assert np.delete(called, planted).sum() <= 0.1 * called.sum()


def test_what_all_images_of_a_class_do_is_not_harm() -> None:
    """A class whose images all harm the label book: over all images at once, each of them would be called."""
    rng = np.random.default_rng(6)
    effect, labels = coherent(rng)
    effect[labels == 2] -= 100 * effect.std(axis=0)
    harm = measure_harm(effect, labels, rng=rng, draws=20_000)
    assert not surely_harmful(harm.p, rate=RATE)[labels == 2].any()


def test_equal_effects_and_single_images_of_a_class_are_no_evidence() -> None:
    rng = np.random.default_rng(7)
    effect = rng.normal(size=(9, 6))
    labels = np.array([0, 0, 0, 0, 1, 2, 2, 2, 2])
    effect[labels == 2] = 0.1  # equal, with a mean that rounding may put beside them
    effect[:, 3] = -7.0
    harm = measure_harm(effect, labels, rng=rng, draws=100)
    assert harm.p[4:].tolist() == [1.0] * 5
    assert harm.score[4:].tolist() == [0.0] * 5
    assert standardised(effect, labels)[:, 3].tolist() == [0.0] * 9


def test_the_same_seed_gives_the_same_p_values_and_memory_does_not_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    effect, labels = coherent(np.random.default_rng(8), images=50)
    p = measure_harm(effect, labels, rng=np.random.default_rng(0), draws=500).p
    monkeypatch.setattr("winnow.influence.harm.BLOCK", 24 * 7)
    assert measure_harm(effect, labels, rng=np.random.default_rng(0), draws=500).p.tolist() == p.tolist()
    assert measure_harm(effect, labels, rng=np.random.default_rng(1), draws=500).p.tolist() != p.tolist()


def test_benjamini_hochberg_by_its_definition() -> None:
    p = np.array([0.001, 0.03, 0.5, 0.012, 0.026, 0.9])  # sorted, the largest k with p_(k) <= 0.05 k / 6 is 4, not 2
    assert surely_harmful(p, rate=RATE).tolist() == [True, True, False, True, True, False]
    assert not surely_harmful(np.ones(4), rate=RATE).any()


def test_fewer_than_five_columns_are_all_taken() -> None:
    assert lowest_mean(np.array([[3.0, 1.0, 2.0], [0.0, 0.0, 3.0]])).tolist() == [2.0, 1.0]


def test_shapes_and_values_are_checked() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"got shapes \(3, 2\) and \(2,\)"):
        measure_harm(np.zeros((3, 2)), np.zeros(2, int), rng=rng)
    with pytest.raises(ValueError, match="1 effects are not finite"):
        measure_harm(np.array([[0.0, np.nan]]), np.zeros(1, int), rng=rng)


def test_a_wrong_label_is_harmful_by_the_influence_on_heads(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    truth, book_labels = np.arange(240) % 3, np.arange(24) % 3
    features, book = (2 * np.eye(3, 6)[k] + rng.normal(size=(len(k), 6)) / 2 for k in (truth, book_labels))
    wrong = rng.permutation(240)[:6]
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + 1) % 3
    given = (features.astype(np.float32), labels, book.astype(np.float32), book_labels)
    profile = HeadProfile(epochs=5, most_steps=0, batch=16, learning_rate=0.5, momentum=0.9, ridge=1.0)
    effect = valued_by_head(*given, np.ones(240, dtype=bool), 3, profile, 0, tmp_path / "effect.npy")
    harm = measure_harm(effect, labels, rng=rng, draws=20_000)
    assert set(np.argsort(harm.score)[:6]) == set(wrong)
    assert surely_harmful(harm.p, rate=RATE)[wrong].all()


def test_of_many_classes_fewer_rows_are_drawn_but_never_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    effect, labels = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 4
    asked: list[int] = []

    def recorded(standard: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
        asked.append(draws)
        return np.zeros(draws)

    monkeypatch.setattr(harm, "_null", recorded)
    for values in (10**9, 40_000, 10):
        monkeypatch.setattr(harm, "VALUES", values)
        harm.measure_harm(effect, labels, rng=np.random.default_rng(0))
    assert asked == [harm.DRAWS] * 4 + [40_000 // 20] * 4 + [harm.LEAST_DRAWS] * 4


def test_effects_in_single_precision_are_measured_in_double() -> None:
    """Of classes: the same figures as from the same effects in double precision, to the last bit."""
    effect, labels = coherent(np.random.default_rng(10), images=40)
    narrow = effect.astype(np.float32)
    one, other = (
        measure_harm(e, labels, rng=np.random.default_rng(0), draws=50) for e in (narrow, narrow.astype(float))
    )
    assert one.score.dtype == np.float64
    assert one.score.tolist() == other.score.tolist()
    assert one.p.tolist() == other.p.tolist()
