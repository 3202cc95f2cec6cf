"""Write the report: one page with the figures and pictures of a run, which needs no server and no network.

Reads   --comparison  by arm: accuracy, error reduction, gain, with intervals
        --refinement  counts of verdicts; figures against the truth where it is known
        --prepared    dataset as delivered; rejected.parquet and leaks.parquet beside it
        --refined     dataset as it is now, with its ledger
        --round       name of the round whose map and sheets are shown
        --embeddings  table: id, embedding, x, y; of this round
        --gates       folder with the gate's figures: <round>.json
        --sheets      PNGs of this round, named by their titles
Writes  --page        HTML; every picture is inside it
Params  report, rounds
"""

import json
from pathlib import Path

import pyarrow as pa
from pydantic import NonNegativeInt

from winnow.dataset.images import stored_images
from winnow.dataset.samples import class_names, read_samples
from winnow.pictures.contact_sheet import picture_uri, png_uri
from winnow.pipeline.fields import Count, section
from winnow.pipeline.files import read_table, write_bytes
from winnow.pipeline.stage import Sections, run_stage
from winnow.report.chapters import Chapter, chapters_of, label_ways
from winnow.report.figures import class_balance, outcome
from winnow.report.page import Known, Plane, Report, Sheet, render
from winnow.report.plane import report_plane
from winnow.verdicts.ledger import LEDGER, by_stage, read_ledger


@section
class Params:
    """Section `report`."""

    cards: Count  # images shown a stage and action, the worst; the others are counted
    evidence: NonNegativeInt  # pictures of evidence shown an image


def main(
    params: Params,
    rounds: dict[str, dict[str, str]],
    *,
    comparison: Path,
    refinement: Path,
    prepared: Path,
    refined: Path,
    round: str,
    embeddings: Path,
    gates: Path,
    sheets: list[Path],
    page: Path,
) -> None:
    """Run the stage on the files given."""
    samples, now = read_samples(prepared), read_samples(refined)
    delivered = dict(zip(samples["id"].to_pylist(), samples["label"].to_pylist(), strict=True))
    tables = by_stage(read_ledger(refined))
    chapters = chapters_of(tables, known=delivered, cap=params.cards)
    report = Report(
        comparison=json.loads(comparison.read_bytes()),
        refinement=json.loads(refinement.read_bytes()),
        outcome=outcome(samples, now),
        balance=class_balance(samples, now),
        chapters=chapters,
        known=_known(chapters, params.evidence, [(refined, now), (prepared, samples)]),
        ledger_files=dict.fromkeys(tables, (refined / LEDGER).as_posix()),
        planes=[_plane(round, embeddings, prepared, samples, list(rounds), tables, chapters)],
        sheets=[Sheet(round, path.stem, png_uri(path.read_bytes())) for path in sheets],
        gates={name: json.loads((gates / f"{name}.json").read_bytes()) for name in rounds},
        rejected=read_table(prepared / "rejected.parquet", columns=["name", "reason"]).to_pylist(),
        leaks=read_table(prepared / "leaks.parquet", columns=["name", "split", "label", "kept_in"]).to_pylist(),
        prepared=prepared.as_posix(),
        evidence_shown=params.evidence,
    )
    html = render(report)
    write_bytes(page, html)
    shown = sum(len(group.shown) for chapter in chapters for group in chapter.groups)
    print(f"report: {page}, {len(html) / 2**20:.1f} MB, {shown} verdicts shown")


def _known(chapters: list[Chapter], evidence: int, datasets: list[tuple[Path, pa.Table]]) -> dict[str, Known]:
    """What the cards show, by id; the first dataset that has an image tells its label.

    Evidence that no dataset has any more, an augmented copy that was dropped, is left out.
    """
    verdicts = [verdict for chapter in chapters for group in chapter.groups for verdict in group.shown]
    wanted = {identifier for verdict in verdicts for identifier in (verdict.id, *verdict.evidence[:evidence])}
    known: dict[str, Known] = {}
    for folder, samples in datasets:
        rows = [row for row in samples.to_pylist() if row["id"] in wanted - known.keys()]
        pictures = stored_images(folder, [row["id"] for row in rows])
        known |= {
            row["id"]: Known(row["name"], row["label"], row["split"], picture_uri(pictures[row["id"]])) for row in rows
        }
    return known


def _plane(
    round_name: str,
    path: Path,
    prepared: Path,
    samples: pa.Table,
    rounds: list[str],
    tables: dict[tuple[str, str], pa.Table],
    chapters: list[Chapter],
) -> Plane:
    """The plane of the round that an embeddings table belongs to, of the images delivered."""
    embeddings = read_table(path, columns=["id", "x", "y"])
    ids = set(embeddings["id"].to_pylist())
    earlier = rounds[: rounds.index(round_name)]
    ways_before = label_ways(table for (name, _), table in tables.items() if name in earlier)
    labels = {
        row["id"]: ways_before.get(row["id"], (None, None))[1] or row["label"]
        for row in samples.select(["id", "label"]).to_pylist()
        if row["id"] in ids
    }
    return report_plane(
        round_name,
        embeddings,
        labels=labels,
        pixels=stored_images(prepared, labels),
        ways=label_ways(table for (name, _), table in tables.items() if name == round_name),
        classes=class_names(samples),
        chapters=[chapter for chapter in chapters if chapter.round_name == round_name],
    )


SECTIONS: Sections = {"params": ("report", Params), "rounds": ("rounds", dict[str, dict[str, str]])}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
