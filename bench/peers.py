"""Our ranking of suspect labels beside cleanlab's, and beside published ones: ``python -m bench.peers SOURCE``.

All rank the train and val images of one source: our label quality; the support that our cleansing goes by; cleanlab's
scores on our out-of-fold class probabilities; and, with ``--published``, the out-of-fold probability of the given label
by other people's networks. Intervals are percentiles of a bootstrap over the images; a difference is paired.

With ``--run`` SOURCE is a copy of this repository in which the pipeline has run: the valuation and the verdicts are
those of its first round, and the classifiers alone are trained, by its own params.

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

import stages.cleanse_neighbours
import stages.embed
import stages.ensemble
import stages.train_encoder
from bench.bootstrap import Faulty, Scores, draws, spreads, verdict_f1
from bench.chain import Prepared, cleansed, finished, prepare_with_features
from bench.provenance import commit_of
from bench.results_peers import LESS_OURS, add_source, peers_table
from bench.timing import machine
from winnow.dataset.samples import label_indices, labels_by_id, only_splits, read_samples
from winnow.pipeline.files import ROOT, read_table, write_json, write_table
from winnow.representation.predictions import read_probabilities
from winnow.verdicts.fates import fates
from winnow.verdicts.ledger import VERDICT_SCHEMA

WORK = ROOT / "build" / "photographs"
RESULT = ROOT / "build" / "peers.json"
RECORD = ROOT / "metrics" / "peers.json"  # which `make results` reads
RESAMPLES = 1000
OURS, SUPPORT = "Winnow: label quality", "Winnow: support"
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
NOT_NETWORKS = ("split", "file", "given_label", "review_error")  # columns of published predictions


@dataclass(frozen=True)
class Ranked:
    """One source, every ranking of its N images whose truth is known."""

    faulty: Faulty  # (N,)
    touched: Faulty  # (N,) by our verdicts
    rankings: dict[str, Scores]  # (N,), lower is worse


def rank(source: Path, published: Path | None, folder: Path, *, run: bool = False) -> Ranked:
    """Cleanse a source with the default params, or take what a run made of one, and rank its images in every way.

    Args:
        source: a folder or a zip; with a truth.csv, or reviewed in ``published``.
        published: CSV: split, file, given_label, review_error, and a column a network.
        folder: where everything is written.
        run: ``source`` is a repository in which the pipeline has run.
    """
    if run:
        prepared, scores, ledger = finished(source, folder)
    else:
        prepared = prepare_with_features(source, folder, cache=WORK)
        scores, _, ledger = cleansed(prepared)
    samples = only_splits(read_samples(prepared.dataset), "train", "val")
    ids, given = samples["id"].to_pylist(), labels_by_id(samples, "given_label")
    probability, support = classified(prepared, samples, scores)
    rankings = {OURS: _column(scores, "label_quality", ids), SUPPORT: support}
    rankings |= cleanlab_scores(probability, label_indices(samples))
    if published is None:
        table = read_table(prepared.truth)
        truth = dict(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))
        faults = {one: given[one] != label for one, label in truth.items()}
    else:
        theirs, faults = published_scores(published, dict(zip(samples["name"].to_pylist(), ids, strict=True)), given)
        rankings |= {name: np.array([by_id.get(one, np.nan) for one in ids]) for name, by_id in theirs.items()}
    known = np.array([one in faults for one in ids])
    fate = fates(given, ledger)
    return Ranked(
        np.array([faults[one] for one in ids if one in faults]),
        np.array([fate[one].touched for one in ids if one in faults]),
        {name: values[known] for name, values in rankings.items()},
    )


def classified(prepared: Prepared, samples: pa.Table, scores: pa.Table) -> tuple[npt.NDArray[np.float64], Scores]:
    """(N, K) class probabilities out of fold, and (N,) support of the labels, by the stages of the method.

    All images as delivered are trained on and judged; in the pipeline those that the first verdict dropped are not.

    Args:
        prepared: a source.
        samples: N of its train and val samples.
        scores: of the valuation.
    """
    chain, dataset = prepared.chain, prepared.dataset
    valued, earlier = chain.folder / "scores.parquet", chain.folder / "earlier.parquet"
    write_table(valued, scores)
    write_table(earlier, VERDICT_SCHEMA.empty_table())  # nothing was relabelled before
    expected = chain.folder / "expected.json"
    write_json(expected, {})  # and nothing was estimated
    networks = chain.run(stages.ensemble, {"dataset": dataset, "delivered": dataset})["networks"]
    encoders = chain.run(stages.train_encoder, {"dataset": dataset, "networks": networks})["encoders"]
    seen = chain.run(stages.embed, {"dataset": dataset, "encoders": encoders})
    given = {"dataset": dataset, "scores": valued, "earlier": earlier, "expected": expected}
    judged = chain.run(stages.cleanse_neighbours, {**given, **seen})["signals"]
    everything, ids = read_samples(dataset), samples["id"].to_pylist()
    found = dict(zip(everything["id"].to_pylist(), read_probabilities(seen["classes"], everything), strict=True))
    return np.stack([found[one] for one in ids]).astype(np.float64), _column(read_table(judged), "support", ids)


def _column(table: pa.Table, name: str, ids: list[str]) -> Scores:
    """(N,) values of some ids, in their order."""
    by_id = dict(zip(table["id"].to_pylist(), table[name].to_pylist(), strict=True))
    return np.array([by_id[one] for one in ids], dtype=np.float64)


def cleanlab_scores(probability: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> dict[str, Scores]:
    """cleanlab's label quality by each of its methods, from the same probabilities."""
    normed = probability / probability.sum(axis=1, keepdims=True)
    return {f"cleanlab: {method}": get_label_quality_scores(labels, normed, method=method) for method in CLEANLAB}


def published_scores(
    file: Path, ids: Mapping[str, str], given: Mapping[str, str]
) -> tuple[dict[str, dict[str, float]], dict[str, bool]]:
    """Probability of the given label by network and id, with the mean of the networks, and what the review says.

    Args:
        file: as ``rank`` takes it.
        ids: by name inside the source; files are matched by their own name.
        given: label as delivered, by id.

    Raises:
        SystemExit: two images have one file name, none is in the file, or one has another given label there.
    """
    by_file: dict[str, str] = {}
    for name, identifier in ids.items():
        if by_file.setdefault(PurePosixPath(name).name, identifier) != identifier:
            raise SystemExit(f"two images are called {PurePosixPath(name).name}; the published file tells no folders")
    rows = [row for row in pa.csv.read_csv(file).to_pylist() if row["file"] in by_file]
    if not rows:
        raise SystemExit(f"{file} is about none of the source's images")
    for row in rows:
        if row["given_label"] != given[by_file[row["file"]]]:
            ours, theirs = given[by_file[row["file"]]], row["given_label"]
            raise SystemExit(f"{row['file']} is a {ours} in the source and a {theirs} in {file}: these are other data")
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
        "command": f"python -m bench.peers {options.source.name}{' --run' if options.run else ''}{theirs}",
        "commit": commit_of(ROOT, "params.yaml", "models/user"),
        "date": date.today().isoformat(),
        "machine": machine()["cpu"],
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder or a zip with a truth.csv, or one that --published reviews")
    parser.add_argument("--published", type=Path, help="CSV: split, file, given_label, review_error, networks ...")
    parser.add_argument("--run", action="store_true", help="SOURCE is a repository in which the pipeline has run")
    parser.add_argument("--record", metavar="NAME", help=f"the source's name in {RECORD.relative_to(ROOT)}")
    parser.add_argument("--title", help="what the page calls the source; --record's NAME otherwise")
    options = parser.parse_args()
    basis = provenance(options) if options.record else {}
    with tempfile.TemporaryDirectory() as name:
        ranked = rank(options.source.resolve(), options.published, Path(name), run=options.run)
    found = figures(ranked)
    scores = {key: values.tolist() for key, values in ranked.rankings.items()}
    write_json(RESULT, {"faulty": ranked.faulty.tolist(), "touched": ranked.touched.tolist(), "rankings": scores})
    if options.record:
        add_source(RECORD, options.record, {"provenance": basis, **found})
    print(f"{found['images']:,} images, {found['faults']:,} of them faults\n\n{peers_table(found)}")


if __name__ == "__main__":
    main()
