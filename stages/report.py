"""Write the report: one page with the figures and pictures of a run, which needs no server and no network.

Reads   --comparison  by arm: accuracy, error reduction, gain, with intervals
        --contrasts   by part of the method: the arms with it and without it, its gain with the interval
        --refinement  counts of verdicts; figures against the truth where it is known
        --model       JSON: the model that values, cleanses and judges, and why it
        --prepared    dataset as delivered; rejected.parquet and leaks.parquet beside it, and in leaks/ the leaked
                      images with those that they belong to, if stored
        --refined     dataset as it is now, with its ledger
        --round       name of the round whose map and sheets are shown
        --embeddings  table: id, embedding, x, y; of this round
        --gates       folder with the gate's figures: <round>.json
        --sheets      PNGs of this round, named by their titles
Writes  --page        HTML; every picture is inside it, and one script that filters, sorts, and takes decisions
        --classes     CSV: class, its train and val images as delivered and now, and how many of these are copies
Params  report, rounds, compare.controls, compare.margin
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import class_names, only_splits, read_samples
from winnow.evaluation.contrasts import shown
from winnow.pictures.embed import Picture
from winnow.pipeline.fields import Few, NoneOrFew, Share, section
from winnow.pipeline.files import read_table, write_bytes
from winnow.pipeline.json_files import read_json
from winnow.pipeline.stage import Sections, run_stage
from winnow.report.chapters import Chapter, chapters_of
from winnow.report.decisions import source_key
from winnow.report.figures import Part, balance_csv, class_balance, outcome
from winnow.report.leaks import read_leaks
from winnow.report.page import FILES_SHOWN, Known, Plane, Rejected, Report, Sheet, render
from winnow.report.pictures import both_sizes, limits, pictures_of, sheet_uri, shown_verdicts
from winnow.report.plane import PICTURE_BYTES, PIXELS, report_plane
from winnow.verdicts.ledger import BEFORE, LEDGER, by_stage, read_ledger
from winnow.verdicts.states import STATE_COLUMNS, combined, states, states_in


@section
class Params:
    """Section `report`."""

    cards: Few  # images shown per stage and action, the worst; the others are counted
    evidence: NoneOrFew  # pictures of evidence shown per image


def main(
    params: Params,
    rounds: dict[str, dict[str, str]],
    controls: dict[str, str],
    margin: float,
    *,
    comparison: Path,
    contrasts: Path,
    refinement: Path,
    model: Path,
    prepared: Path,
    refined: Path,
    round: str,
    embeddings: Path,
    gates: Path,
    sheets: list[Path],
    page: Path,
    classes: Path,
) -> None:
    """Run the stage on the files given."""
    samples, now = read_samples(prepared), read_samples(refined)
    ledger = read_ledger(refined)
    chapters = chapters_of(by_stage(ledger), known=combined(samples["id"]), cap=params.cards)
    given, left = (only_splits(side, "train", "val") for side in (samples, now))
    balance = class_balance(samples, now)
    rejected = read_table(prepared / "rejected.parquet", columns=["name", "reason"])
    at_most = _limits(chapters, params.evidence)
    report = Report(
        comparison=read_json(comparison),
        controls=list(controls),
        parts=_parts(contrasts, margin),
        refinement=read_json(refinement),
        model=read_json(model),
        outcome=outcome(states_in(given["id"], given["label"], left), now),
        balance=balance,
        classes_file=classes.as_posix(),
        chapters=chapters,
        known=_known(chapters, params.evidence, [(refined, now), (prepared, samples)], at_most),
        source=source_key(given["id"].to_pylist()),
        ledger_files=dict.fromkeys(by_stage(ledger), (refined / LEDGER).as_posix()),
        plane=_plane(round, embeddings, prepared, samples, list(rounds), ledger, chapters),
        sheets=[Sheet(round, path.stem, sheet_uri(path.read_bytes())) for path in sheets],
        gates={name: read_json(gates / f"{name}.json") for name in rounds},
        rejected=Rejected(rejected.slice(0, FILES_SHOWN).to_pylist(), rejected.num_rows),
        leaks=read_leaks(prepared, samples, limit=at_most[0]),
        prepared=prepared.as_posix(),
        evidence_shown=params.evidence,
    )
    html = render(report)
    write_bytes(page, html)
    write_bytes(classes, balance_csv(balance).encode())
    print(f"report: {page}, {len(html) / 2**20:.1f} MB, {len(shown_verdicts(chapters))} verdicts shown")


def _parts(contrasts: Path, margin: float) -> list[Part]:
    return [
        Part(name, row["with"], row["without"], row["gain"], shown(row["gain"], margin))
        for name, row in read_json(contrasts).items()
    ]


def _limits(chapters: list[Chapter], evidence: int) -> tuple[int, int]:
    """Bytes that a card's picture and one of evidence may take, so that the page stays small."""
    verdicts = shown_verdicts(chapters)
    witnesses = sum(len(verdict.evidence[:evidence]) for verdict in verdicts)
    return limits(len(verdicts) + 2 * FILES_SHOWN, witnesses)  # a leak has two pictures as large as a card's


def _known(
    chapters: list[Chapter], evidence: int, datasets: list[tuple[Path, pa.Table]], at_most: tuple[int, int]
) -> dict[str, Known]:
    """What the cards show, by id; the first dataset that has an image gives its label.

    Evidence that no dataset has any more, an augmented copy that was dropped, is left out.
    """
    verdicts = shown_verdicts(chapters)
    cards = {verdict.id for verdict in verdicts}
    witnesses = {identifier for verdict in verdicts for identifier in verdict.evidence[:evidence]}
    known: dict[str, Known] = {}
    for folder, samples in datasets:
        wanted = (cards | witnesses) - known.keys()
        there = samples.filter(pc.is_in(samples["id"], pa.array(sorted(wanted), pa.string())))
        rows = {row["id"]: row for row in there.to_pylist()}
        pictures = both_sizes(folder, cards & rows.keys(), witnesses & rows.keys(), at_most=at_most)
        known |= {one: _as_known(row, *pictures[one]) for one, row in rows.items()}
    return known


def _as_known(row: Mapping[str, str], picture: Picture, small: Picture) -> Known:
    return Known(row["name"], row["label"], row["split"], row["given_label"], row["pixel_hash"], picture, small)


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
    delivered = samples.filter(pc.is_in(samples["id"], combined(embeddings["id"])))
    earlier = [BEFORE, *rounds[: rounds.index(round_name)]]
    verdicts = ledger.select(["round", *STATE_COLUMNS])
    came = verdicts.filter(pc.is_in(verdicts["round"], pa.array(earlier, pa.string())))
    before = states(delivered["id"], delivered["label"], came)
    return report_plane(
        round_name,
        embeddings,
        images=states(
            before.ids,
            pc.coalesce(before.label, before.given),
            verdicts.filter(pc.equal(verdicts["round"], round_name)),
        ),
        pictures=lambda shown: pictures_of(prepared, shown, PIXELS, limit=PICTURE_BYTES),
        classes=class_names(samples),
        chapters=[chapter for chapter in chapters if chapter.round_name == round_name],
    )


SECTIONS: Sections = {
    "params": ("report", Params),
    "rounds": ("rounds", dict[str, dict[str, str]]),
    "controls": ("compare.controls", dict[str, str]),
    "margin": ("compare.margin", Share),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
