"""What anyone would try first for wrong labels: logistic regression and nearest neighbours on pretrained features.

Every choice is made with the truth, in the baseline's favour: which of the scores, which C, and which threshold.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

FOLDS = 5
NEIGHBOURS = 10
STRENGTHS = (0.001, 0.003, 0.01, 0.1)  # C of the logistic regression, on standardised features


@dataclass(frozen=True)
class Cut:
    """What lies at or below a threshold, against the truth."""

    touched: npt.NDArray[np.bool_]  # (N,)
    precision: float
    recall: float
    f1: float


def label_scores(features: npt.NDArray[np.floating], labels: Indices, *, seed: int) -> dict[str, Array]:
    """(N,) scores of the labels, each out of fold, in [0, 1]; lower is worse.

    The probability of the label by logistic regression, by C; the share of the 10 nearest of the other folds that have
    it, by cosine; and the means of both.

    Args:
        features: (N, D).
        labels: (N,) class indices, each of at least ``FOLDS`` images.
        seed: of the folds.
    """
    chances = {strength: np.zeros(len(labels)) for strength in STRENGTHS}
    share = np.zeros(len(labels))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for others, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, labels):
        nearest = np.argsort(-(unit[held] @ unit[others].T), axis=1, kind="stable")[:, :NEIGHBOURS]
        share[held] = (labels[others][nearest] == labels[held, None]).mean(axis=1)
        scaler = StandardScaler().fit(features[others])
        known, asked = scaler.transform(features[others]), scaler.transform(features[held])
        for strength, chance in chances.items():
            model = LogisticRegression(C=strength, max_iter=1000).fit(known, labels[others])
            chance[held] = model.predict_proba(asked)[
                np.arange(len(held)), np.searchsorted(model.classes_, labels[held])
            ]
    scores = {f"{NEIGHBOURS} nearest": share}
    for strength, chance in chances.items():
        scores |= {f"logistic, C {strength:g}": chance, f"mean, C {strength:g}": (chance + share) / 2}
    return scores


def best_cut(score: Array, faulty: npt.NDArray[np.bool_]) -> Cut:
    """The threshold of the greatest F1, found with the truth; of equal ones the lowest.

    Args:
        score: (N,), lower is worse.
        faulty: (N,), one of them true.
    """
    cuts = []
    for threshold in np.unique(score):
        touched = score <= threshold
        hits = int((touched & faulty).sum())
        f1 = 2 * hits / int(touched.sum() + faulty.sum())
        cuts.append(Cut(touched, hits / int(touched.sum()), hits / int(faulty.sum()), f1))
    return max(cuts, key=lambda cut: cut.f1)


def best_ranking(scores: Mapping[str, Array], faulty: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """The greatest area under the ROC curve of any score, and the greatest average precision of any."""
    return (
        max(float(roc_auc_score(faulty, -score)) for score in scores.values()),
        max(float(average_precision_score(faulty, -score)) for score in scores.values()),
    )
