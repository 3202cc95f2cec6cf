"""Compare a dataset between two revisions, sample by sample.

    winnow diff REV [REV2] [--dataset PATH] [--json | --md] [--html FILE] [--sheet FILE]

REV and REV2 are commits, branches, tags, experiments or `workspace`, which REV2 is where it is left out. The workspace
is what lies on disk; a commit's data comes from DVC's cache, or is pulled into it from the default remote. Names,
labels and splits are compared, not pixels. --md writes Markdown for a pull request, with the metrics in git; where the
data is not to be had, it has the metrics alone and says so. Exit code 0: the same, 1: different, 2: trouble.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from winnow.commands.terminal import aligned, run_command, support_text, write_page
from winnow.history.changes import COLUMNS, KINDS, Change, Changes, compare, differing
from winnow.history.figures import read_figures
from winnow.history.markdown import as_markdown, link, pictured, shown_changes
from winnow.history.page import Picture, Section, gallery
from winnow.history.pictures import read_pictures, read_thumbnails
from winnow.history.revision import (
    WORKSPACE,
    AbsentError,
    Revision,
    open_revision,
    read_columns,
    repository_path,
)
from winnow.history.sheet import LEGEND, PAIRS, TILES, beside, change_sheet, check_format
from winnow.history.verdicts import read_verdicts
from winnow.pictures.embed import Picture as Shown
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import plain

DATASET = "data/refined"


PICTURES_SHOWN = 1000  # on a page: more would be many MB


HEADER = ("class", "origin", "before", "after", "new", "gone")


def diff(old: Revision, new: Revision, dataset: str) -> Changes:
    """What differs in a dataset between two revisions.

    Raises:
        UserError: the dataset, or a verdict table, of one of them is not to be had.
    """
    before, after = (read_columns(side, f"{dataset}/samples.parquet", COLUMNS) for side in (old, new))
    ids = differing(before, after)
    return compare(before, after, read_verdicts(old, dataset, ids), read_verdicts(new, dataset, ids))


def as_text(changes: Changes, title: str) -> str:
    """The comparison for a terminal: a line a sample."""
    lines = [title, _totals(changes)]
    for kind in KINDS:
        of_kind: list[Change] = getattr(changes, kind)
        if of_kind:
            lines += ["", f"{kind} ({len(of_kind):,})"]
            lines += aligned([(plain(change.name), _labels(change, kind), _cause(change)) for change in of_kind])
    if changes.augmented and not changes.same:
        lines += ["", "augmented", *aligned(_table(changes))]
    return "\n".join(lines)


def as_json(changes: Changes, *, dataset: str, old: str, new: str) -> str:
    """The comparison for programs: every key is there in every answer, and what is unknown is null."""
    answer: dict[str, Any] = {"dataset": dataset, "old": old, "new": new, "same": changes.same}
    answer["sources"] = {"before": changes.sources_before, "after": changes.sources_after}
    for kind in KINDS:
        answer[kind] = [_record(change) for change in getattr(changes, kind)]
    answer["augmented"] = [asdict(group) for group in changes.augmented]
    return json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False)


def as_html(changes: Changes, title: str, shown: dict[str, Shown]) -> bytes:
    """The comparison with the pictures of what changed.

    Args:
        changes: as compared.
        title: of the page.
        shown: pictures by id; a sample that is not in it is shown without a picture.
    """
    sections = []
    for kind in KINDS:
        of_kind: list[Change] = getattr(changes, kind)
        listed = pictured(changes, kind, PICTURES_SHOWN)
        pictures = [
            Picture(plain(change.name), (_labels(change, kind), _cause(change)), shown.get(change.id))
            for change in listed
        ]
        cut = len(listed) < len(of_kind)
        lines = [f"The {len(listed):,} with the least support; `winnow diff` lists all."] if cut else []
        sections.append(Section(f"{kind} ({len(of_kind):,})", lines, pictures=pictures))
    sections.append(Section("augmented", table=_table(changes) if changes.augmented else ()))
    return gallery(title, [_totals(changes)], sections)


def _totals(changes: Changes) -> str:
    before, after = (sum(getattr(group, side) for group in changes.augmented) for side in ("before", "after"))
    verdict = "the same samples" if changes.same else "different samples"
    return f"{verdict}: source {changes.sources_before:,} > {changes.sources_after:,}, augmented {before:,} > {after:,}"


def _labels(change: Change, kind: str) -> str:
    """The classes, or for a sample that moved the splits, from > to."""
    pair = (change.split_before, change.split_after) if kind == "moved" else (change.label_before, change.label_after)
    return " > ".join(plain(name) for name in pair if name is not None)


def _cause(change: Change) -> str:
    if change.verdict is None:
        return ""
    verdict = change.verdict
    words = f"{verdict.where}: {plain(verdict.reason)}{support_text(verdict.support)}"
    return f"no longer: {words}" if change.undone else words


def _record(change: Change) -> dict[str, Any]:
    record = asdict(change)
    verdict, undone = record.pop("verdict") or {}, record.pop("undone")
    for key in ("round", "stage", "reason", "support", "evidence", "by"):
        record[key] = verdict.get(key)
    if record["support"] is not None and not math.isfinite(record["support"]):
        record["support"] = None  # JSON has no such number
    return {**record, "undone": undone}


def _table(changes: Changes) -> list[tuple[str, ...]]:
    rows = [
        (plain(group.label), *(f"{cell}" for cell in list(asdict(group).values())[1:])) for group in changes.augmented
    ]
    return [HEADER, *rows]


def _pictures(changes: Changes, old: Revision, new: Revision, dataset: str) -> dict[str, Shown]:
    """Pictures by id; the new side has most of them, since shards are handed on when samples are dropped."""
    ids = {change.id for kind in KINDS for change in pictured(changes, kind, PICTURES_SHOWN)}
    found = read_pictures(new, dataset, sorted(ids))
    return found | read_pictures(old, dataset, sorted(ids - found.keys()))


def _write_sheet(changes: Changes, old: Revision, new: Revision, dataset: str, file: Path) -> str:
    """Write the contact sheet; what it shows, in words. Without a change nothing is written, and nothing said."""
    suffix, chosen = check_format(file), shown_changes(changes, PAIRS)
    if not chosen:
        return ""
    samples = read_columns(new, f"{dataset}/samples.parquet", COLUMNS)
    references = beside(chosen, samples.filter(pc.equal(samples["split"], "label_book")).to_pylist())
    ids = {change.id for _, change in chosen} | {row["id"] for row in references if row}
    pictures = read_thumbnails(new, dataset, sorted(ids), TILES[0])
    pictures |= read_thumbnails(old, dataset, sorted(ids - pictures.keys()), TILES[0])
    write_page(file, change_sheet(chosen, references, pictures, suffix=suffix), option="--sheet")
    total = sum(len(getattr(changes, kind)) for kind in KINDS)
    return f"Contact sheet of {len(chosen)} of {total:,} changes. {LEGEND}"


def _write_pictures(
    options: argparse.Namespace, changes: Changes, old: Revision, new: Revision, dataset: str
) -> list[str]:
    """Write the page and the sheet, where they are asked for; links to them."""
    links = []
    if options.sheet and (words := _write_sheet(changes, old, new, dataset, options.sheet)):
        links.append(link(words, options.sheet_url or str(options.sheet)))
    if options.html:
        title = f"{plain(dataset)}: {plain(old.name)} > {plain(new.name)}"
        write_page(options.html, as_html(changes, title, _pictures(changes, old, new, dataset)))
        total = sum(len(getattr(changes, kind)) for kind in KINDS)
        words = "Every change" if total <= PICTURES_SHOWN else f"{PICTURES_SHOWN:,} of the {total:,} changes"
        links.append(link(f"{words} with its picture and reason", options.html_url or str(options.html)))
    return links


def _answer_markdown(options: argparse.Namespace, old: Revision, new: Revision, dataset: str) -> tuple[str, int]:
    """The Markdown, and the exit code: 0 where neither images nor metrics differ."""
    figures, changes, why_not, links = read_figures(old, new), None, "", list[str]()
    try:
        changes = diff(old, new, dataset)
        links = _write_pictures(options, changes, old, new, dataset)
    except AbsentError as error:  # its words may hold a remote's address, which is not for everybody to read
        print(f"diff: {'no pictures' if changes else 'only the metrics are compared'}: {error}", file=sys.stderr)
        why_not = "Pictures: not on this machine." if changes else _not_compared(old, new, dataset)
    text = as_markdown(old.name, new.name, dataset, figures=figures, changes=changes, why_not=why_not, links=links)
    same = changes.same if changes else _same_data(old, new, dataset)
    return text, 0 if same and not any(row.differs for row in figures) else 1


def _same_data(old: Revision, new: Revision, dataset: str) -> bool:
    """Whether dvc.lock names the same data on both sides."""
    before, after = (side.outputs.get(dataset) for side in (old, new))
    return before is not None and before == after


def _not_compared(old: Revision, new: Revision, dataset: str) -> str:
    """Why the images were not compared, and what dvc.lock says of them all the same."""
    if _same_data(old, new, dataset):
        return "The same on both sides, as dvc.lock has it."
    return (
        "Not the same on both sides, as dvc.lock has it. The images were not compared: their data is not on this "
        "machine and could not be pulled."
    )


def answer(arguments: Sequence[str] | None, root: Path) -> tuple[str, int]:
    """Text and exit code for a command line."""
    parser = argparse.ArgumentParser(
        prog="winnow diff", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rev", metavar="REV", help="the older revision")
    parser.add_argument("rev2", metavar="REV2", nargs="?", default=WORKSPACE, help="the newer one; else the workspace")
    parser.add_argument("--dataset", default=DATASET, help=f"its folder in the repository, {DATASET} if left out")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--md", action="store_true", help="Markdown for a pull request, with the metrics in git")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with the pictures")
    parser.add_argument("--html-url", metavar="URL", help="with --md: where that page will be found")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help=f"with --md: also write at most {PAIRS} changes as one PNG or JPEG"
    )
    parser.add_argument("--sheet-url", metavar="URL", help="with --md: where that picture will be found")
    options = parser.parse_args(arguments)
    if not options.md and (options.sheet or options.sheet_url or options.html_url):
        parser.error("--sheet, --sheet-url and --html-url belong to --md")
    if options.sheet:
        check_format(options.sheet)
    old, new = open_revision(options.rev, root), open_revision(options.rev2, root)
    dataset = repository_path(options.dataset, root)
    if options.md:
        return _answer_markdown(options, old, new, dataset)
    changes = diff(old, new, dataset)
    title = f"{plain(dataset)}: {plain(old.name)} > {plain(new.name)}"
    if options.html:
        write_page(options.html, as_html(changes, title, _pictures(changes, old, new, dataset)))
    text = as_json(changes, dataset=dataset, old=old.name, new=new.name) if options.json else as_text(changes, title)
    return text, 0 if changes.same else 1


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow diff``."""
    run_command(command, lambda: answer(words, ROOT))
