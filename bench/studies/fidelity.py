"""Does influence foretell what retraining does? The linear datamodelling score: ``python -m bench.studies.fidelity``.

For random sets of removed training images, the sum of their removal effects on a label-book sample against the change
of its loss in a real retraining without them; Spearman's correlation over the sets, mean over the label book.

Source: Park et al. (2023), "TRAK", definition 2.3. Differs: sets leave a tenth out instead of half, and a removed
sample keeps its place in its batch with weight 0 (bench/studies/retraining.py says why).

Both sides are averaged over the seeds, so that what one seed's chaos does to a loss weighs less; the line "measured,
seed by seed" says how far two seeds' measured changes agree with each other, which no prediction made from one of
them can be expected to pass. The interval is a bootstrap over label-book samples and sets alike.
"""

import argparse
import dataclasses
import itertools
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.embedded import decoded, draw_source, prepare_source
from bench.ranks import Array, rank_correlation
from bench.studies.retraining import Subset, predict, retrain
from bench.timing import machine
from stages.value import Params
from winnow.dataset.images import read_images
from winnow.dataset.samples import class_names, column, label_indices, only_splits, read_samples
from winnow.engine.jobs import run_jobs
from winnow.pipeline.files import write_json
from winnow.pipeline.params import load_params

RESULT = Path("build/fidelity.json")
RESAMPLES = 1000
LEAST_SETS = 10
SETTINGS: dict[str, tuple[dict[str, str], dict[str, float]]] = {  # changes to params.yaml's value and value.sgd
    "as value trains": ({}, {}),
    # Where dropping the Hessian costs little: what is lost to the step size is the difference between the two.
    "float32, a tenth of the rate, no momentum": (
        {"precision": "float32"},
        {"learning_rate": 0.002, "momentum": 0.0},
    ),
}


@dataclass(frozen=True)
class Score:
    """Mean rank correlation over the label book, with a 95 % interval."""

    mean: float
    low: float
    high: float


def main() -> None:
    """Measure every setting and write the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-class", type=int, default=25, help="training images of each class (default: 25)")
    parser.add_argument("--epochs", type=int, default=12, help="of every training (default: 12)")
    parser.add_argument("--sets", type=int, default=24, help="sets of removed images (default: 24)")
    parser.add_argument("--removed", type=float, default=0.1, help="share of a set in the images (default: 0.1)")
    parser.add_argument("--seeds", type=int, default=2, help="runs averaged (default: 2)")
    options = parser.parse_args()
    if options.sets < LEAST_SETS:
        parser.error(f"--sets must be at least {LEAST_SETS}, got {options.sets}: fewer cannot be resampled")
    rng = np.random.default_rng(0)
    subset = embedded_subset(options.per_class, rng)
    n = len(subset.labels)
    removed = [rng.permutation(n)[: round(options.removed * n)] for _ in range(options.sets)]
    params = dataclasses.replace(load_params("value", Params), epochs=options.epochs)
    scores = {}
    for name, (changes, sgd_changes) in SETTINGS.items():
        changed = dataclasses.replace(params, sgd=dataclasses.replace(params.sgd, **sgd_changes), **changes)
        scores[name] = {
            how: dataclasses.asdict(score)
            for how, score in measure(subset, changed, removed, options.seeds, name).items()
        }
        for how, score in scores[name].items():
            print(f"fidelity: {name}: {how}: {score['mean']:.3f} [{score['low']:.3f}, {score['high']:.3f}]", flush=True)
    facts = {**vars(options), "images": n, "label_book": len(subset.trusted_labels), **machine()}
    write_json(RESULT, {"scores": scores, "facts": facts})
    print(f"fidelity: {options.sets} sets of {len(removed[0])} of {n} images, {options.seeds} seeds; in {RESULT}")


def embedded_subset(per_class: int, rng: np.random.Generator) -> Subset:
    """As many training images of every class of the embedded source, faults included, and its label book."""
    with tempfile.TemporaryDirectory() as name:
        dataset = prepare_source(draw_source(Path(name), test_per_class=1), Path(name))
        samples, pixels = read_samples(dataset), decoded(dataset)
        train, book = only_splits(samples, "train"), only_splits(samples, "label_book")
        labels = label_indices(train)
        chosen = np.concatenate([rng.permutation(np.flatnonzero(labels == k))[:per_class] for k in np.unique(labels)])
        ids = [str(identifier) for identifier in column(train, "id")[chosen]]
        return Subset(
            images=read_images(dataset, ids, pixels),
            labels=labels[chosen],
            trusted=read_images(dataset, book["id"].to_pylist(), pixels),
            trusted_labels=label_indices(book),
            classes=len(class_names(samples)),
        )


def measure(
    subset: Subset, params: Params, removed: list[npt.NDArray[np.int64]], seeds: int, label: str
) -> dict[str, Score]:
    """Score by method of one setting, and the agreement of the seeds among themselves."""
    whole = run_jobs(
        predict,
        [(subset, params, seed) for seed in range(seeds)],
        steps=2 * seeds * params.epochs,
        label=f"fidelity, {label}: predicting",
    )
    cells = list(itertools.product(range(seeds), range(len(removed))))
    losses = run_jobs(
        retrain,
        [(subset, params, seed, removed[number]) for seed, number in cells],
        steps=len(cells) * params.epochs,
        label=f"fidelity, {label}: retraining",
    )
    changes = np.array(losses).reshape(seeds, len(removed), -1) - np.stack([one.losses for one in whole])[:, None]
    scores = {}
    for method in whole[0].effects:
        effects = [one.effects[method] for one in whole]
        predicted = np.array([[effect[gone].sum(axis=0) for gone in removed] for effect in effects])  # (seeds, S, M)
        scores[method] = agreement(predicted.mean(axis=0), changes.mean(axis=0))
        alone = [agreement(*pair) for pair in zip(predicted, changes, strict=True)]
        scores[f"{method}, one seed"] = _mean(alone)
    if seeds > 1:
        scores["measured, seed by seed"] = _mean([agreement(*pair) for pair in itertools.combinations(changes, 2)])
    return scores


def agreement(predicted: Array, measured: Array) -> Score:
    """Mean over the columns of the rank correlation of two (S, M) tables, and its bootstrap interval."""
    rng = np.random.default_rng(0)
    sets, book = predicted.shape
    means = []
    for _ in range(RESAMPLES):
        cells = np.ix_(rng.integers(sets, size=sets), rng.integers(book, size=book))
        means.append(rank_correlation(predicted[cells], measured[cells]).mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return Score(float(rank_correlation(predicted, measured).mean()), float(low), float(high))


def _mean(scores: list[Score]) -> Score:
    return Score(*(statistics.fmean(getattr(s, field) for s in scores) for field in ("mean", "low", "high")))


if __name__ == "__main__":
    main()
