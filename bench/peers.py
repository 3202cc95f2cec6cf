"""Our ranking of suspect labels beside cleanlab's, and beside published ones: ``python -m bench.peers SOURCE``.

All rank the train and val images of one source: our label quality; the support that our cleansing goes by; cleanlab's
scores on our out-of-fold class probabilities; and, with ``--published``, the out-of-fold probability of the given label
by other people's networks. Intervals are percentiles of a bootstrap over the images; a difference is paired.

Of the rankings the best F1 of any threshold is shown, found with the truth; that of our verdicts needs no threshold.
Nothing may be chosen by a source whose truth is a review that people made for reporting.
"""

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
from cleanlab.rank import get_label_quality_scores

import stages.embed
import stages.train_encoder
from bench.bootstrap import Faulty, Scores, draws, spreads, verdict_f1
from bench.chain import Prepared, cleansed, prepare_with_features
from bench.provenance import commit_of
from bench.results_peers import LESS_OURS, add_source, peers_table
from bench.timing import machine
from winnow.dataset.samples import label_indices, labels_by_id, only_splits, read_samples
from winnow.pipeline.files import ROOT, read_table, write_json
from winnow.representation.predictions import read_probabilities
from winnow.verdicts.fates import fates

WORK = ROOT / "build" / "photographs"
RESULT = ROOT / "build" / "peers.json"
RECORD = ROOT / "metrics" / "peers.json"  # which `make results` reads
RESAMPLES = 1000
OURS = "Winnow: label quality"
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
NOT_NETWORKS = ("split", "file", "given_label", "review_error")  # columns of published predictions


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


def figures(ranked: Ranked, *, seed: int = 0) -> dict[str, Any]:
    """Every ranking's figures, and its average precision against ours, as metrics/peers.json has them of a source."""
    resamples = draws(ranked.faulty, count=RESAMPLES, seed=seed)
    rankings = {}
    for name, ranking in ranked.rankings.items():
        found = spreads(ranked.faulty, ranking, ranked.rankings[OURS], resamples)
        rankings[name] = {key: asdict(figure) for key, (figure, _) in found.items()}
        if name != OURS:
            rankings[name][LESS_OURS] = asdict(found["average precision"][1])
    return {
        "images": len(ranked.faulty),
        "faults": int(ranked.faulty.sum()),
        "rankings": rankings,
        "verdicts": asdict(verdict_f1(ranked.faulty, ranked.touched, resamples)),
    }


def provenance(options: argparse.Namespace) -> dict[str, str]:
    """What the figures of a source are recorded with; files without their folders."""
    theirs = f" --published {options.published.name}" if options.published else ""
    return {
        "title": options.title or options.record,
        "command": f"python -m bench.peers {options.source.name}{theirs}",
        "commit": commit_of(ROOT, "params.yaml", "models/user"),
        "date": date.today().isoformat(),
        "machine": machine()["cpu"],
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder or a zip with a truth.csv, or one that --published reviews")
    parser.add_argument("--published", type=Path, help="CSV: split, file, given_label, review_error, networks ...")
    parser.add_argument("--record", metavar="NAME", help=f"the source's name in {RECORD.relative_to(ROOT)}")
    parser.add_argument("--title", help="what the page calls the source; --record's NAME otherwise")
    options = parser.parse_args()
    basis = provenance(options) if options.record else {}
    with tempfile.TemporaryDirectory() as name:
        ranked = rank(options.source.resolve(), options.published, Path(name))
    found = figures(ranked)
    scores = {key: values.tolist() for key, values in ranked.rankings.items()}
    write_json(RESULT, {"faulty": ranked.faulty.tolist(), "touched": ranked.touched.tolist(), "rankings": scores})
    if options.record:
        add_source(RECORD, options.record, {"provenance": basis, **found})
    print(f"{found['images']:,} images, {found['faults']:,} of them faults\n\n{peers_table(found)}")


if __name__ == "__main__":
    main()
