"""The plain baseline against slow and obvious versions."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from bench.plain_baseline import FOLDS, NEIGHBOURS, STRENGTHS, best_cut, best_ranking, label_scores

GROUPS = 4


def clouds(*, dimensions: int = 6, per_class: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Features of four classes, well apart."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(GROUPS), per_class)
    return 4 * np.eye(GROUPS, dimensions)[labels] + rng.normal(size=(len(labels), dimensions)), labels


@pytest.mark.parametrize("levels", [1000, 7])
def test_the_best_cut_is_the_best_of_all(levels: int) -> None:
    rng = np.random.default_rng(levels)
    score, faulty = rng.integers(0, levels, 60) / levels, rng.random(60) < 0.3
    cut = best_cut(score, faulty)
    f1s = [f1_score(faulty, score <= threshold) for threshold in score]
    assert cut.f1 == pytest.approx(max(f1s))
    assert cut.f1 == pytest.approx(f1_score(faulty, cut.touched))
    assert cut.precision == pytest.approx(precision_score(faulty, cut.touched))
    assert cut.recall == pytest.approx(recall_score(faulty, cut.touched))
    assert np.array_equal(cut.touched, score <= score[cut.touched].max())


def test_every_score_is_named_and_low_where_a_label_is_wrong() -> None:
    features, labels = clouds()
    given = labels.copy()
    given[::20] = (labels[::20] + 1) % GROUPS
    scores = label_scores(features, given, seed=0)
    assert len(scores) == 1 + 2 * len(STRENGTHS)
    faulty = given != labels
    for name, score in scores.items():
        assert score[faulty].max() < score[~faulty].min(), name
    assert best_ranking(scores, faulty) == (1.0, 1.0)


def test_neighbours_and_regression_are_of_the_other_folds() -> None:
    features, labels = clouds(per_class=FOLDS)  # one image of each class a fold
    features = np.repeat(features, 2, axis=0)  # each image twice: its twin is in another fold or in its own
    labels = np.repeat(labels, 2)
    scores = label_scores(features, labels, seed=0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for others, held in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, labels):
        scaler = StandardScaler().fit(features[others])
        model = LogisticRegression(C=STRENGTHS[0], max_iter=1000)
        chances = model.fit(scaler.transform(features[others]), labels[others])
        for image in held:
            similarity = sorted(((float(unit[image] @ unit[one]), one) for one in others), reverse=True)
            near = [labels[one] for _, one in similarity[:NEIGHBOURS]]
            share = near.count(labels[image]) / NEIGHBOURS
            chance = chances.predict_proba(scaler.transform(features[[image]]))[0, labels[image]]
            assert scores[f"{NEIGHBOURS} nearest"][image] == pytest.approx(share)
            assert scores[f"logistic, C {STRENGTHS[0]:g}"][image] == pytest.approx(chance)
            assert scores[f"mean, C {STRENGTHS[0]:g}"][image] == pytest.approx((share + chance) / 2)
