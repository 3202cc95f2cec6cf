"""How often the gate accepts planted harm and planted help: ``python -m bench.studies.gate_power SOURCE``.

A share of the sound labels of a source is made wrong. A round that does so to what came in is a harm; taken the other
way round, it is a help. What either is worth is the mean gain over all draws; single draws are judged by the gate, with
its default params. Heads on a backbone's features learn in seconds, so that there are many draws.
"""

import argparse
import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import stages.gate
from bench.chain import prepare_with_features
from bench.results_text import markdown_table
from stages.gate import Side, cross_fitted
from winnow.dataset.arrays import ArrayStore, gather
from winnow.dataset.samples import class_names, column, label_indices, only_splits, read_samples
from winnow.evaluation.gate import Decision, decide
from winnow.model.learner import HeadLearner
from winnow.pipeline.files import ROOT, read_table
from winnow.pipeline.params import load_params
from winnow.training.head import HeadProfile
from winnow.training.training import Labelled

WORK = ROOT / "build" / "photographs"
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2)  # of the sound labels

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Material:
    """Images of a source as heads see them."""

    features: npt.NDArray[np.float32]  # (N, D)
    labels: Labels  # (N,) as delivered
    groups: npt.NDArray[np.str_]  # (N,)
    trained: npt.NDArray[np.bool_]  # (N,) train and val; the label book is classified alone
    sound: npt.NDArray[np.bool_]  # (N,) train and val images whose label is right
    classes: int


def material_of(source: Path, folder: Path) -> Material:
    """The images of a source of photographs with a truth.csv."""
    prepared = prepare_with_features(source, folder, cache=WORK)
    samples = only_splits(read_samples(prepared.dataset), "train", "val", "label_book")
    ids = samples["id"].to_pylist()
    truth = read_table(prepared.truth)
    known = dict(zip(truth["id"].to_pylist(), truth["label"].to_pylist(), strict=True))
    given = samples["label"].to_pylist()
    return Material(
        gather([ArrayStore(prepared.features)], ids, where=prepared.features).astype(np.float32),
        label_indices(samples),
        column(samples, "group"),
        column(samples, "split") != "label_book",
        np.array([known.get(one, "") == label for one, label in zip(ids, given, strict=True)]),
        len(class_names(samples)),
    )


def spoilt(material: Material, share: float, rng: np.random.Generator) -> Labels:
    """The labels with a share of the sound ones moved to another class."""
    sound = np.flatnonzero(material.sound)
    chosen = rng.choice(sound, size=round(share * len(sound)), replace=False)
    labels = material.labels.copy()
    labels[chosen] = (labels[chosen] + rng.integers(1, material.classes, len(chosen))) % material.classes
    return labels


def judge(material: Material, incoming: Labels, candidate: Labels, seed: int) -> Decision:
    """The gate's decision between two labellings of the same images, with seeds of its own."""
    params = load_params("gate", stages.gate.Params)
    # Without copies, what the cleansing does is all that the round does.
    params = dataclasses.replace(params, seeds=[seed * 1000 + one for one in params.seeds])
    everything, trained = np.arange(len(incoming)), np.flatnonzero(material.trained)

    def side(labels: Labels, rows: Labels) -> Side:
        data = Labelled(material.features[rows], labels[rows])
        return Side(data, np.arange(len(rows)), rows.astype(np.uint64), material.groups[rows])

    queried = side(incoming, everything)
    learner = HeadLearner(load_params("head", HeadProfile))
    sides = {"incoming": side(incoming, trained), "candidate": side(candidate, trained)}
    right, folds = cross_fitted(params, sides, queried, material.classes, learner)
    decision = decide(**right, folds=folds, groups=material.groups, margin=params.margin)
    return dataclasses.replace(decision, accept=params.accept)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder or a zip of photographs with a truth.csv")
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        material = material_of(options.source.resolve(), Path(name))
    rows = []
    for share in SHARES:
        for what in ("harm", "help"):
            found = []
            for seed in range(options.draws):
                wrong = spoilt(material, share, np.random.default_rng([seed, round(1000 * share)]))
                before, after = (material.labels, wrong) if what == "harm" else (wrong, material.labels)
                found.append(judge(material, before, after, seed))
            worth = float(np.mean([one.gain.mean for one in found]))
            half = float(np.mean([one.gain.mean - one.gain.low for one in found]))
            accepted = sum(one.accepted for one in found)
            rows.append((f"{share:.0%}", what, f"{worth:+.3f}", f"{half:.3f}", f"{accepted} of {options.draws}"))
            print("  ".join(rows[-1]), flush=True)
    header = ("labels made wrong", "as", "mean gain", "interval's half", "accepted")
    print(f"\n{len(material.labels)} images\n\n{markdown_table(header, rows)}")


if __name__ == "__main__":
    main()
