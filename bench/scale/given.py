"""What trains is not measured; its outputs are given: ``python -m bench.scale.given STEP`` in the repository measured.

Predictions follow the truth of truth.csv, as those of an ensemble do that is right about 95 % of the images; networks
have random weights, effects are random. Each has the form of the stage's own, so that the next stages run on it.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from bench.scale.clone import WIDTH
from winnow.backbone.card import read_card
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import class_names, column, label_indices, only_splits, read_samples
from winnow.evaluation.gate import decide
from winnow.evaluation.seed_files import PREDICTIONS, SeedFiles
from winnow.pipeline.files import read_table, write_bytes, write_json, write_table
from winnow.pipeline.params import load_params
from winnow.policy_search.candidates import Candidate, policies_of
from winnow.representation.ensemble import Ensemble, deal_source
from winnow.representation.files import write_networks
from winnow.representation.network import Encoder
from winnow.representation.predictions import Points, write_planted, write_probabilities
from winnow.verdicts.ledger import VERDICT_SCHEMA, extend_ledger, write_ledger

DATA, MODELS, METRICS = Path("data"), Path("models"), Path("metrics")
ROUND = "r1"
CLEANSINGS = ("cleanse_influence", "cleanse_neighbours", "cleanse_final")
MARGIN = 2.0  # of the logit of what an image shows over what the greatest of the others may be
SPREAD = 1.5  # of logits
BLOCK = 10_000  # images whose logits are drawn at once
RIGHT = 0.9  # share of the test images
JUDGED = 100  # images that the gate is said to have asked about


def ensemble() -> None:
    """Predictions of the source images, planted junk, and untrained networks with their folds."""
    params, dataset = load_params("ensemble", Ensemble), DATA / "decided"
    judged = only_splits(read_samples(dataset), "train", "val", "label_book")
    rng = np.random.default_rng(params.seed)
    dealt = deal_source(judged, params, rng, dataset)
    _predictions(DATA / ROUND / "ensemble", judged, params.junk, rng)
    states = [_network(len(class_names(judged)), fold) for fold in range(params.folds)]
    write_networks(MODELS / ROUND / "ensemble", judged, dealt, {"class": [states] * params.repeats})


def embed() -> None:
    """Predictions in the place of those of the untrained networks, copies' too."""
    params = load_params("ensemble", Ensemble)
    samples = read_samples(DATA / ROUND / "augment/inverted")
    _predictions(DATA / ROUND / "embed", samples, params.junk, np.random.default_rng(params.seed))


def value() -> None:
    """Random effects on the label book, a column an image or, above `value.columns` images, a class."""
    samples = read_samples(DATA / "decided")
    suspects, book = only_splits(samples, "train", "val"), only_splits(samples, "label_book")["id"].to_pylist()
    most = load_params("value", dict[str, Any]).get("columns", len(book))
    by_class = [f"class:{name}" for name in class_names(samples)]
    kind, names = (pa.float64(), book) if len(book) <= most else (pa.float32(), by_class)
    rng, count = np.random.default_rng(0), len(suspects)
    table = {"id": suspects["id"].combine_chunks()}
    total, least = np.zeros(count), np.full(count, np.inf)
    for name in names:
        effect = rng.standard_normal(count)
        total, least = total + effect, np.minimum(least, effect)
        table[name] = pa.array(effect, kind)
    quality = rng.random(count)
    means = {"min": least, "mean": total / len(names), "label_quality": quality, "score": quality}
    means |= {"harm": least, "harm_p": rng.random(count)}
    write_table(DATA / ROUND / "value/scores.parquet", pa.table(table | {k: pa.array(v) for k, v in means.items()}))


def search_policy() -> None:
    """The policy of the fixed candidate, whose every operation is within every class's limits."""
    settings = load_params("search_policy", dict[str, Any])
    names = class_names(read_samples(DATA / "decided"))
    operations = settings["search"]["operations"]
    limits = {operation: dict.fromkeys(names, 1.0) for operation in operations}
    fixed = settings["fixed"]
    candidate = Candidate(**settings["candidates"][fixed])
    count, seed = settings["halving"]["sub_policies"], settings["seed"]
    policy = policies_of({fixed: candidate}, operations, limits, sub_policies=count, seed=seed)[fixed]
    write_json(MODELS / ROUND / "policy.json", policy.to_json())
    write_bytes(METRICS / "plots" / ROUND / "policy.png", encode_png(np.full((64, 64, 1), 255, np.uint8)))


def gate() -> None:
    """The round's dataset, accepted."""
    accepted, candidate = DATA / ROUND / "gate/dataset", DATA / ROUND / "cleanse_final/dataset"
    write_dataset(accepted, read_samples(candidate), shards_from=[candidate])
    tables = [read_table(DATA / ROUND / stage / "verdicts.parquet", VERDICT_SCHEMA) for stage in CLEANSINGS]
    write_ledger(accepted, extend_ledger(VERDICT_SCHEMA.empty_table(), tables))
    answers = np.random.default_rng(0).random((1, JUDGED)) < RIGHT
    folds, groups = np.arange(JUDGED)[None] % 3, np.arange(JUDGED).astype(np.str_)
    decision = decide(incoming=answers, candidate=answers, folds=folds, groups=groups, margin=0.03)
    write_json(METRICS / "gate" / f"{ROUND}.json", decision.figures(images=JUDGED, seeds=1))


def judge() -> None:
    """Every judged arm's answers to the test images."""
    compare = load_params("compare", dict[str, Any])
    test = only_splits(read_samples(DATA / "test"), "test")
    names, labels = np.array(class_names(test)), label_indices(test)
    for arm in compare["judged"]:
        for seed in compare["seeds"]:
            rng = np.random.default_rng(seed)
            said = np.where(rng.random(len(labels)) < RIGHT, labels, rng.integers(len(names), size=len(labels)))
            accuracy = float((said == labels).mean())
            figures = {"seed": seed, "profile": "given", "accuracy": accuracy, "loss": 0.3, "n_test": len(labels)}
            figures |= {"n_train": 1, "n_val": 1, "best_epoch": 1, "val_accuracy": accuracy, "fingerprint": "given"}
            figures |= {"recall": dict.fromkeys(names.tolist(), accuracy)}
            figures |= {"curve": [{"train_loss": 0.3, "val_accuracy": accuracy}]}
            answers = pa.table([test["id"], names[labels], names[said]], schema=PREDICTIONS)
            files = SeedFiles(MODELS / "judge" / arm, METRICS / "judge" / arm, seed)
            files.write("given", weights=b"", predictions=answers, figures=figures)


def diff() -> None:
    """A commit whose refined dataset is the source, with the first verdict: the workspace is then compared with it."""
    refined, kept = DATA / "refined", DATA / "refined-kept"
    if not kept.exists():
        refined.rename(kept)
    write_dataset(refined, read_samples(DATA / "decided"), shards_from=[DATA / "decided"])
    write_ledger(refined, read_table(DATA / ROUND / CLEANSINGS[0] / "verdicts.parquet", VERDICT_SCHEMA))
    subprocess.run([sys.executable, "-m", "dvc", "commit", "--quiet", "--force", "refined"], check=True)
    author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    subprocess.run(
        ["git", *author, "commit", "--quiet", "--no-verify", "--allow-empty", "-m", "before", "dvc.lock"], check=True
    )
    subprocess.run(["rm", "-r", refined], check=True)
    kept.rename(refined)


STEPS: dict[str, Callable[[], None]] = {
    one.__name__: one for one in (ensemble, embed, value, search_policy, gate, judge, diff)
}


def _network(classes: int, fold: int) -> dict[str, torch.Tensor]:
    """An untrained classifier: a network, or a head on features."""
    generator = torch.Generator().manual_seed(fold)
    if read_card(DATA / "model.json").competition:
        return {name: tensor.contiguous() for name, tensor in Encoder(classes, generator).state_dict().items()}
    weight = torch.randn(classes, WIDTH + 1, generator=generator)
    return {"mean": torch.zeros(WIDTH), "spread": torch.ones(WIDTH), "weight": weight}


def _predictions(folder: Path, samples: pa.Table, junk: int, rng: np.random.Generator) -> None:
    """Write what the out-of-fold classifiers say of samples and of planted junk."""
    names = class_names(samples)
    write_probabilities(folder / "classes.parquet", samples, probabilities(_shown(samples, names), len(names), rng))
    if not read_card(DATA / "model.json").competition:
        junk = 0
    suspects = samples.filter(pa.array(np.isin(column(samples, "split"), ("train", "val"))))
    nothing = np.full(junk, -1)
    write_planted(folder / "planted.parquet", probabilities(nothing, len(names), rng), suspects, rng)


def _shown(samples: pa.Table, names: list[str]) -> npt.NDArray[np.int64]:
    """(N,) the class that each sample shows, a copy that of its source image; -1 for junk."""
    truth = read_table(DATA / "truth.parquet", columns=["id", "label"])
    place = {name: number for number, name in enumerate(names)} | {None: -1}
    known = dict(zip(truth["id"].to_pylist(), map(place.__getitem__, truth["label"].to_pylist()), strict=True))
    roots = np.where(column(samples, "parent") == "", column(samples, "id"), column(samples, "parent")).tolist()
    labels = label_indices(samples).tolist()
    return np.array([known.get(root, label) for root, label in zip(roots, labels, strict=True)], dtype=np.int64)


def probabilities(shown: npt.NDArray[np.int64], classes: int, rng: np.random.Generator) -> Points:
    """(N, K) probabilities that favour what an image shows, and nothing in particular where that is -1."""
    found = np.empty((len(shown), classes), np.float32)
    for start in range(0, len(shown), BLOCK):
        part = shown[start : start + BLOCK]
        logits = SPREAD * rng.standard_normal((len(part), classes), dtype=np.float32)
        rows = np.flatnonzero(part >= 0)
        logits[rows, part[rows]] += MARGIN + SPREAD * np.sqrt(2 * np.log(classes))
        logits -= logits.max(axis=1, keepdims=True)
        found[start : start + BLOCK] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=STEPS)
    STEPS[parser.parse_args().step]()


if __name__ == "__main__":
    main()
