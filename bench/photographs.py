"""Faults found among photographs, against a plain baseline's best: ``python -m bench.photographs``, or `make bench`.

A source of known truth is made clean and planted anew with each seed: as many wrong labels and as much junk as it had.
The default cleansing, with thresholds that it sets by itself, is compared with the best of logistic regression and
nearest neighbours on the same features, whose threshold is chosen with the truth.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import stdtrit

from bench.chain import Prepared, cleansed, prepare_with_features
from bench.plain_baseline import best_cut, best_ranking, label_scores
from bench.plant import Shares, plant_source
from bench.timing import Figure, figure
from winnow.dataset.arrays import ArrayStore, gather
from winnow.dataset.samples import label_indices, labels_by_id, only_splits, read_samples
from winnow.evaluation.detection import against_truth, faults_of, ranking_against_truth
from winnow.pipeline.files import ROOT, read_table, write_json
from winnow.verdicts.states import places, states

SOURCE = ROOT.parent / "shared" / "data" / "trash-photos.zip"
WORK = ROOT / "build" / "photographs"
SHARES = Shares(wrong=0.09, junk=0.06, test=0.0)
LEVEL = 0.95
MOST_SOUND = 0.03  # share of the sound photographs that may be touched


@dataclass(frozen=True)
class Outcome:
    """What one way found in one planted source."""

    precision: float  # of the images touched, dropped or relabelled
    recall: float
    f1: float
    sound_touched: float  # share of the sound images
    ranking_auc: float  # of label_quality
    ranking_average_precision: float
    relabels_right: float | None = None  # share of the relabelled images that have their true class now, if any


@dataclass(frozen=True)
class Comparison:
    """Both ways, by seed."""

    ours: list[Outcome]
    plain: list[Outcome]

    def values(self, way: str, name: str) -> list[float | None]:
        """A figure by seed, where there is one: of ours, of plain, or the difference of the two."""
        if way == "difference":
            pairs = zip(self.values("ours", name), self.values("plain", name), strict=True)
            return [None if a is None or b is None else a - b for a, b in pairs]
        return [getattr(outcome, name) for outcome in getattr(self, way)]

    def known(self, way: str, name: str) -> list[float]:
        """The same without the seeds that have none."""
        return [value for value in self.values(way, name) if value is not None]


def measure(*, images: int, rounds: int) -> list[Figure]:
    """Both ways over ``rounds`` plantings; ``images`` is for the other benchmarks."""
    if not SOURCE.exists():
        print(f"  skipped: {SOURCE} is absent")
        return []
    found = compare(SOURCE, range(rounds))
    interval = mean_interval(found.known("difference", "f1"))
    titles: list[tuple[str, str, dict[str, float]]] = [
        ("precision", "share", {}),
        ("recall", "share", {}),
        ("sound_touched", "share", {"at_most": MOST_SOUND}),
        ("relabels_right", "share", {}),
        ("ranking_auc", "AUC", {}),
        ("ranking_average_precision", "AP", {}),
    ]
    return [
        figure("photographs: F1 of their faults", found.known("ours", "f1"), "F1"),
        figure("the plain baseline's best, threshold by the truth", found.known("plain", "f1"), "F1"),
        Figure("mean difference, 95 % interval over plantings", *interval, "F1", at_least=0.0),
        *(
            figure(f"photographs: {name.replace('_', ' ')}", values, unit, **target)
            for name, unit, target in titles
            if (values := found.known("ours", name))
        ),
    ]


def compare(source: Path, seeds: Sequence[int], *, shares: Shares = SHARES) -> Comparison:
    """Plant a source anew with every seed, and see what both ways find.

    Args:
        source: clean, or with a truth.csv.
        seeds: of the plantings.
        shares: of faults.
    """
    found = Comparison([], [])
    for seed in seeds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            plant_source(source, folder / "planted.zip", shares=shares, seed=seed)
            prepared = prepare_with_features(folder / "planted.zip", folder, cache=WORK)
            found.plain.append(plain(prepared, seed=seed))
            found.ours.append(ours(prepared))
    return found


def plain(prepared: Prepared, *, seed: int) -> Outcome:
    """The plain baseline's best; each figure of its ranking is the best of any score."""
    samples = only_splits(read_samples(prepared.dataset), "train", "val")
    truth = _truth(prepared)
    known = [one in truth for one in samples["id"].to_pylist()]
    features = gather([ArrayStore(prepared.features)], samples["id"].to_pylist(), where=prepared.features)
    scores = label_scores(features.astype(np.float64), label_indices(samples), seed=seed)
    scores = {name: score[known] for name, score in scores.items()}
    given = labels_by_id(samples, "given_label")
    faulty = np.array([given[one] != truth[one] for one in samples["id"].to_pylist() if one in truth])
    cut = max((best_cut(score, faulty) for score in scores.values()), key=lambda one: one.f1)
    touched = float(cut.touched[~faulty].mean())
    return Outcome(cut.precision, cut.recall, cut.f1, touched, *best_ranking(scores, faulty))


def ours(prepared: Prepared) -> Outcome:
    """The default cleansing of a prepared source, against the truth."""
    scores, _, ledger = cleansed(prepared)
    samples, truth = only_splits(read_samples(prepared.dataset), "train", "val"), _truth(prepared)
    known = samples.filter(pc.is_in(samples["id"], pa.array(list(truth), pa.string())))
    images = states(known["id"], known["given_label"], ledger)
    true = pa.array([truth[one] for one in known["id"].to_pylist()], pa.string())
    faulty, quality = faults_of(images.given, true), scores.filter(pc.is_in(scores["id"], images.ids))
    figures = against_truth(images, true)
    ranking = ranking_against_truth(quality["label_quality"].to_numpy(), faulty[places(quality["id"], images.ids)])
    sound = images.touched[~faulty]
    return Outcome(
        sound_touched=float(np.mean(sound)),
        relabels_right=figures.get("relabels_right"),
        **{name: figures[name] for name in ("precision", "recall", "f1")},
        **ranking,
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of independent values, and the ends of its 95 % interval by Student's t; of one value, itself thrice."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, mean, mean
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * float(np.std(values, ddof=1)) / count**0.5
    return mean, mean - half, mean + half


def table(found: Comparison, seeds: Sequence[int]) -> list[str]:
    """Lines for people: every figure by seed and its mean, of both ways, and the difference with its interval."""
    lines = [f"{'':<40}" + "".join(f"{f'seed {seed}':>9}" for seed in seeds) + f"{'mean':>9}   95 % interval"]
    for name in _names():
        for way in ("ours", "plain", "difference"):
            known = found.known(way, name)
            if known:
                mean, low, high = mean_interval(known)
                values = "".join(f"{'-' if v is None else f'{v:.3f}':>9}" for v in [*found.values(way, name), mean])
                lines.append(f"{f'{name}, {way}':<40}{values}   [{low:.3f}, {high:.3f}]")
    return lines


def _names() -> list[str]:
    return [field.name for field in dataclasses.fields(Outcome)]


def _truth(prepared: Prepared) -> dict[str, str | None]:
    """True class by id of the train and val images; None is junk."""
    rows = read_table(prepared.truth)
    return dict(zip(rows["id"].to_pylist(), rows["label"].to_pylist(), strict=True))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=SOURCE, help="of known truth")
    parser.add_argument("--seeds", type=int, default=5, help="plantings (default: 5)")
    parser.add_argument("--wrong", type=float, default=SHARES.wrong, help=f"share (default: {SHARES.wrong})")
    parser.add_argument("--junk", type=float, default=SHARES.junk, help=f"share (default: {SHARES.junk})")
    options = parser.parse_args()
    if not options.source.exists():
        parser.exit(0, f"photographs: skipped, since {options.source} is absent\n")
    seeds = range(options.seeds)
    found = compare(options.source, seeds, shares=Shares(options.wrong, options.junk, SHARES.test))
    print("\n".join(table(found, seeds)))
    write_json(WORK / "result.json", dataclasses.asdict(found))


if __name__ == "__main__":
    main()
