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
import pyarrow.compute as pc
from pydantic import NonNegativeInt

from winnow.dataset.images import stored_images
from winnow.dataset.samples import class_names, labels_by_id, only_splits, read_samples
from winnow.pictures.contact_sheet import picture_uri, png_uri
from winnow.pipeline.fields import Count, section
from winnow.pipeline.files import read_table, write_bytes
from winnow.pipeline.stage import Sections, run_stage
from winnow.report.chapters import Chapter, chapters_of
from winnow.report.figures import class_balance, outcome
from winnow.report.page import Known, Plane, Report, Sheet, render
from winnow.report.plane import report_plane
from winnow.verdicts.fates import fates
from winnow.verdicts.ledger import LEDGER, by_stage, read_ledger


@section
class Params:
    """Section `report`."""

    cards: Count  # images shown per stage and action, the worst; the others are counted
    evidence: NonNegativeInt  # pictures of evidence shown per image


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
    ledger = read_ledger(refined)
    chapters = chapters_of(by_stage(ledger), known=labels_by_id(samples), cap=params.cards)
    given, left = (labels_by_id(only_splits(side, "train", "val")) for side in (samples, now))
    report = Report(
        comparison=json.loads(comparison.read_bytes()),
        refinement=json.loads(refinement.read_bytes()),
        outcome=outcome(fates(given, ledger, left), now),
        balance=class_balance(samples, now),
        chapters=chapters,
        known=_known(chapters, params.evidence, [(refined, now), (prepared, samples)]),
        ledger_files=dict.fromkeys(by_stage(ledger), (refined / LEDGER).as_posix()),
        plane=_plane(round, embeddings, prepared, samples, list(rounds), ledger, chapters),
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
    """What the cards show, by id; the first dataset that has an image gives its label.

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
    ledger: pa.Table,
    chapters: list[Chapter],
) -> Plane:
    """The plane of the round that an embeddings table belongs to, of the images delivered."""
    embeddings = read_table(path, columns=["id", "x", "y"])
    ids = set(embeddings["id"].to_pylist())
    delivered = {identifier: label for identifier, label in labels_by_id(samples).items() if identifier in ids}
    earlier = rounds[: rounds.index(round_name)]
    before = fates(delivered, ledger.filter(pc.is_in(ledger["round"], pa.array(earlier, pa.string()))))
    labels = {identifier: image.label or image.given for identifier, image in before.items()}
    return report_plane(
        round_name,
        embeddings,
        fate=fates(labels, ledger.filter(pc.equal(ledger["round"], round_name))),
        pngs=stored_images(prepared, labels),
        classes=class_names(samples),
        chapters=[chapter for chapter in chapters if chapter.round_name == round_name],
    )


SECTIONS: Sections = {"params": ("report", Params), "rounds": ("rounds", dict[str, dict[str, str]])}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
