"""Our ranking of suspect labels beside cleanlab's, and beside published ones: ``python -m bench.peers SOURCE``.

All rank the train and val images of one source: our label quality; the support that our cleansing goes by; cleanlab's
scores on our out-of-fold class probabilities; and, with ``--published``, the out-of-fold probability of the given label
by other people's networks. Intervals are percentiles of a bootstrap over the images; a difference is paired.

Of the rankings the best F1 of any threshold is shown, found with the truth; that of our verdicts needs no threshold.
Nothing may be chosen by a source whose truth is a review that people made for reporting.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

import stages.embed
import stages.train_encoder
from bench.chain import Prepared, cleansed, prepare_with_features
from bench.results import markdown_table
from winnow.dataset.samples import label_indices, labels_by_id, only_splits, read_samples
from winnow.pipeline.files import ROOT, read_table, write_json
from winnow.representation.predictions import read_probabilities
from winnow.verdicts.fates import fates

WORK = ROOT / "build" / "photographs"
RESULT = ROOT / "build" / "peers.json"
RESAMPLES = 1000
LEVEL = 0.95
OURS = "Winnow: label quality"
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
NOT_NETWORKS = ("split", "file", "given_label", "review_error")  # columns of published predictions

Scores = npt.NDArray[np.float64]
Faulty = npt.NDArray[np.bool_]
Draws = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spread:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def text(self, sign: str = "") -> str:
        """The figure as a table shows it."""
        return f"{self.value:{sign}.3f} [{self.low:{sign}.3f}, {self.high:{sign}.3f}]"


def best_f1(faulty: Faulty, harm: Scores) -> float:
    """The greatest F1 of any threshold."""
    precision, recall, _ = precision_recall_curve(faulty, harm)
    both = precision + recall
    return float(np.max(np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)))


FIGURES: Mapping[str, Callable[[Faulty, Scores], float]] = {
    "AUC": lambda faulty, harm: float(roc_auc_score(faulty, harm)),
    "average precision": lambda faulty, harm: float(average_precision_score(faulty, harm)),
    "best F1": best_f1,
}


def draws(faulty: Faulty, *, count: int, seed: int) -> Draws:
    """(count, N) rows of a bootstrap over the images; a resample without faults, or without sound images, is redrawn.

    Args:
        faulty: (N,), of both kinds.
        count: how many resamples.
        seed: of the draws.
    """
    if not 0 < faulty.sum() < len(faulty):
        raise SystemExit("the images have no faults, or nothing else: there is nothing to rank")
    rng = np.random.default_rng(seed)
    found: list[npt.NDArray[np.int64]] = []
    while len(found) < count:
        rows = rng.integers(len(faulty), size=len(faulty))
        if 0 < faulty[rows].sum() < len(rows):
            found.append(rows)
    return np.stack(found)


def spreads(faulty: Faulty, ranking: Scores, against: Scores, resamples: Draws) -> dict[str, tuple[Spread, Spread]]:
    """Of each figure, that of a ranking and its difference from another's.

    Args:
        faulty: (N,).
        ranking: (N,), lower is worse.
        against: (N,), likewise.
        resamples: of ``draws``.
    """
    found = {}
    for name, of in FIGURES.items():
        ours = np.array([of(faulty[rows], -ranking[rows]) for rows in resamples])
        theirs = np.array([of(faulty[rows], -against[rows]) for rows in resamples])
        value, other = of(faulty, -ranking), of(faulty, -against)
        found[name] = (_spread(value, ours), _spread(value - other, ours - theirs))
    return found


def verdict_f1(faulty: Faulty, touched: Faulty, resamples: Draws) -> Spread:
    """F1 of the images that the verdicts touched."""

    def f1(rows: npt.NDArray[np.int64] | slice) -> float:
        return 2 * float((faulty[rows] & touched[rows]).sum()) / max(1, int(faulty[rows].sum() + touched[rows].sum()))

    return _spread(f1(slice(None)), np.array([f1(rows) for rows in resamples]))


def _spread(value: float, resampled: Scores) -> Spread:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Spread(value, float(low), float(high))


@dataclass(frozen=True)
class Ranked:
    """One source, every ranking of its N images whose truth is known."""

    faulty: Faulty  # (N,)
    touched: Faulty  # (N,) by our verdicts
    rankings: dict[str, Scores]  # (N,), lower is worse


def rank(source: Path, published: Path | None, folder: Path) -> Ranked:
    """Cleanse a source with the default params, and rank its images in every way.

    Args:
        source: a folder or a zip; with a truth.csv, or reviewed in ``published``.
        published: CSV: split, file, given_label, review_error, and a column a network.
        folder: where everything is written.
    """
    prepared = prepare_with_features(source, folder, cache=WORK)
    samples = only_splits(read_samples(prepared.dataset), "train", "val")
    ids, given = samples["id"].to_pylist(), labels_by_id(samples, "given_label")
    scores, _, ledger = cleansed(prepared)
    quality = dict(zip(scores["id"].to_pylist(), scores["label_quality"].to_pylist(), strict=True))
    rankings = {OURS: np.array([quality[one] for one in ids])}
    rankings |= cleanlab_scores(probabilities(prepared, samples), label_indices(samples))
    if published is None:
        table = read_table(prepared.truth)
        truth = dict(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))
        faults = {one: given[one] != label for one, label in truth.items()}
    else:
        theirs, reviewed = published_scores(published, dict(zip(samples["name"].to_pylist(), ids, strict=True)))
        rankings |= {name: np.array([by_id.get(one, np.nan) for one in ids]) for name, by_id in theirs.items()}
        faults = reviewed
    known = np.array([one in faults for one in ids])
    fate = fates(given, ledger)
    return Ranked(
        np.array([faults[one] for one in ids if one in faults]),
        np.array([fate[one].touched for one in ids if one in faults]),
        {name: values[known] for name, values in rankings.items()},
    )


def probabilities(prepared: Prepared, samples: pa.Table) -> npt.NDArray[np.float64]:
    """(N, K) class probabilities out of fold, by the classifiers of the method's default params.

    They are trained on all images as delivered; those of the pipeline are trained without what influence has dropped.
    """
    chain, dataset = prepared.chain, prepared.dataset
    encoders = chain.run(stages.train_encoder, {"dataset": dataset})["encoders"]
    classes = chain.run(stages.embed, {"dataset": dataset, "encoders": encoders})["classes"]
    everything = read_samples(dataset)
    found = dict(zip(everything["id"].to_pylist(), read_probabilities(classes, everything), strict=True))
    return np.stack([found[one] for one in samples["id"].to_pylist()]).astype(np.float64)


def cleanlab_scores(probability: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> dict[str, Scores]:
    """cleanlab's label quality by each of its methods, from the same probabilities."""
    normed = probability / probability.sum(axis=1, keepdims=True)
    return {f"cleanlab: {method}": get_label_quality_scores(labels, normed, method=method) for method in CLEANLAB}


def published_scores(file: Path, ids: Mapping[str, str]) -> tuple[dict[str, dict[str, float]], dict[str, bool]]:
    """Probability of the given label by network and id, with the mean of the networks, and what the review says.

    Args:
        file: as ``rank`` takes it.
        ids: by name inside the source; files are matched by their own name.

    Raises:
        SystemExit: two images have one file name, or none is in the file.
    """
    by_file: dict[str, str] = {}
    for name, identifier in ids.items():
        if by_file.setdefault(PurePosixPath(name).name, identifier) != identifier:
            raise SystemExit(f"two images are called {PurePosixPath(name).name}; the published file tells no folders")
    rows = [row for row in pa.csv.read_csv(file).to_pylist() if row["file"] in by_file]
    if not rows:
        raise SystemExit(f"{file} is about none of the source's images")
    networks = [name for name in rows[0] if name not in NOT_NETWORKS]
    found = {f"published: {name}": {by_file[row["file"]]: float(row[name]) for row in rows} for name in networks}
    found["published: mean of them"] = {
        by_file[row["file"]]: float(np.mean([row[name] for name in networks])) for row in rows
    }
    return found, {by_file[row["file"]]: bool(row["review_error"]) for row in rows}


def table(ranked: Ranked, *, seed: int = 0) -> str:
    """Every ranking's figures, and its average precision against ours, as Markdown."""
    resamples = draws(ranked.faulty, count=RESAMPLES, seed=seed)
    rows = []
    for name, ranking in ranked.rankings.items():
        found = spreads(ranked.faulty, ranking, ranked.rankings[OURS], resamples)
        ours = "" if name == OURS else found["average precision"][1].text("+")
        rows.append((name, *(figure.text() for figure, _ in found.values()), ours))
    rows.append(("Winnow: verdicts", "", "", verdict_f1(ranked.faulty, ranked.touched, resamples).text(), ""))
    return markdown_table(("ranking", *FIGURES, "average precision less ours"), rows)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder or a zip with a truth.csv, or one that --published reviews")
    parser.add_argument("--published", type=Path, help="CSV: split, file, given_label, review_error, networks ...")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        ranked = rank(options.source.resolve(), options.published, Path(name))
    shown = table(ranked)
    write_json(
        RESULT,
        {
            "faulty": ranked.faulty.tolist(),
            "touched": ranked.touched.tolist(),
            "rankings": {key: values.tolist() for key, values in ranked.rankings.items()},
        },
    )
    print(f"{len(ranked.faulty):,} images, {ranked.faulty.sum():,} of them faults\n\n{shown}")


if __name__ == "__main__":
    main()
