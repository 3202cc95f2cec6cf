"""Tell one sample's story in the workspace: how it came, every verdict with its evidence, its children, where it is.

    winnow why NAME-or-ID [--dataset PATH] [--html FILE]

NAME is the path inside the source, or the end of it (3.png, v/3.png) where only one file ends so. Files that prepare
rejected or left out have a story too. Exit code 0: found, 2: trouble.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from winnow.commands.diff import DATASET
from winnow.commands.terminal import aligned, run_command, support_text, write_page
from winnow.history.page import Picture, Section, gallery
from winnow.history.pictures import read_pictures
from winnow.history.records import LEAKS, Records, Row
from winnow.history.revision import WORKSPACE, Revision, open_revision, repository_path
from winnow.history.story import Story, tell
from winnow.pictures.embed import Picture as Shown
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import plain
from winnow.verdicts.ledger import VerdictRow

BELONGING = {"exact": "the same pixels", "near": "nearly the same picture", "group": "an image of the same group"}


def as_text(story: Story, dataset: str) -> str:
    """The story for a terminal.

    Args:
        story: of the sample.
        dataset: where it was looked for.
    """
    lines = [_title(story), *_delivery(story)]
    for verdict in story.fate.verdicts:
        lines += ["", _words(verdict), *_evidence(story, verdict)]
    if story.children:
        lines += ["", f"children: {_summary(story)}", *aligned(_children(story, dataset))]
    return "\n".join([*lines, "", f"now: {where_now(story, dataset)}"])


def as_html(story: Story, dataset: str, shown: dict[str, Shown]) -> bytes:
    """The story with the pictures of the sample and of the evidence.

    Args:
        story: of the sample.
        dataset: where it was looked for.
        shown: pictures by id; a sample that is not in it is shown without a picture.
    """
    file = story.file
    sections = [Section("delivered", _delivery(story), [Picture(plain(file.name), [], shown.get(file.id or ""))])]
    if file.kept_id in shown:
        sections.append(Section(f"kept in {file.kept_in}", [], [Picture(file.kept_id, [], shown[file.kept_id])]))
    for verdict in story.fate.verdicts:
        known = [story.evidence[other] for other in verdict.evidence if other in story.evidence]
        pictures = [
            Picture(plain(row["name"]), [plain(row["label"]), row["id"]], shown.get(row["id"])) for row in known
        ]
        unknown = [f"evidence {plain(other)}, in no dataset here" for other in _unknown(story, verdict)]
        sections.append(Section(verdict.where, [_words(verdict), *unknown], pictures))
    if story.children:
        header = ("name", "operations", f"in {dataset}")
        sections.append(Section("children", [_summary(story)], table=[header, *_children(story, dataset)]))
    return gallery(_title(story), [], [*sections, Section("now", [where_now(story, dataset)])])


def where_now(story: Story, dataset: str) -> str:
    """Where the sample is now, in words."""
    file = story.file
    if file.rejected:
        return f"rejected at prepare: {file.rejected}"
    if file.kept_in:
        same = BELONGING.get(file.kind, file.kind)
        return f"left out at prepare: {file.kept_in} holds {same}, and keeps {'them' if file.kind == 'exact' else 'it'}"
    if file.split == "test":
        return "in the test set, which is never refined"
    drop = story.fate.last(None)
    dropped = f"dropped by {drop.where}" if drop else "dropped by no verdict"
    if not story.exists:
        return f"{dropped}; {dataset} is not in the workspace: run `dvc repro`, or name another with --dataset"
    if story.fate.label is not None:
        back = story.fate.restoring
        although = f", brought back by {back.where}" if back else f", although {drop.where} drops it" if drop else ""
        return f"in {dataset} as {plain(story.fate.label)}{although}"
    return f"not in {dataset}, {dropped}"


def _title(story: Story) -> str:
    return plain(story.file.name) + (f" ({story.file.id})" if story.file.id else "")


def _delivery(story: Story) -> list[str]:
    """How the sample came to be."""
    file, row = story.file, story.row
    if file.rejected:
        return ["delivered as a file that is no sample"]
    lines = [f"delivered as {plain(file.label)}, split {file.split}"]
    if row is not None and row["parent"] is not None:
        parent = plain(story.parent["name"]) if story.parent else "no dataset here"
        lines = [f"made from {row['parent']} ({parent}) by {row['origin']}: {_operations(row)}", f"split {file.split}"]
    return lines + [f"the same pixels as {_named(copy)}" for copy in story.copies]


def _words(verdict: VerdictRow) -> str:
    labels = plain(verdict.label_before)
    if verdict.action == "relabel":
        labels = f"{labels} > {plain(verdict.label_after or '')}"
    return f"{verdict.where}: {verdict.action} {labels}: {plain(verdict.reason)}{support_text(verdict.support)}"


def _evidence(story: Story, verdict: VerdictRow) -> list[str]:
    """A line for each sample that decided."""
    return [
        f"  evidence {_named(story.evidence[other])}"
        if other in story.evidence
        else f"  evidence {plain(other)}, in no dataset here"
        for other in verdict.evidence
    ]


def _unknown(story: Story, verdict: VerdictRow) -> list[str]:
    return [other for other in verdict.evidence if other not in story.evidence]


def _named(row: Row) -> str:
    return f"{row['id']}  {plain(row['name'])}  {plain(row['label'])}"


def _summary(story: Story) -> str:
    """Children by origin."""
    return ", ".join(f"{count} {origin}" for origin, count in Counter(c["origin"] for c in story.children).items())


def _children(story: Story, dataset: str) -> list[tuple[str, ...]]:
    """Name, operations and whereabouts of every child."""
    return [
        (
            plain(child["name"]),
            _operations(child),
            f"as {plain(story.now[child['id']]['label'])}" if child["id"] in story.now else f"not in {dataset}",
        )
        for child in story.children
    ]


def _operations(row: Row) -> str:
    """Operations with their magnitudes, in order."""
    steps = json.loads(row["operations"] or "[]")
    return ", ".join(f"{plain(str(step['operation']))} {step['magnitude']}" for step in steps) or "no operation"


def _pictures(story: Story, workspace: Revision) -> dict[str, Shown]:
    """Pictures by id, of the sample and of the evidence."""
    shown: dict[str, Shown] = {}
    for folder in dict.fromkeys(story.homes.values()):
        shown |= read_pictures(workspace, folder, [other for other, home in story.homes.items() if home == folder])
    if story.file.kept_in:
        wanted = [one for one in (story.file.id, story.file.kept_id) if one]
        shown |= read_pictures(workspace, LEAKS, wanted)
    return shown


def answer(arguments: Sequence[str] | None, root: Path) -> tuple[str, int]:
    """Text and exit code for a command line."""
    parser = argparse.ArgumentParser(
        prog="winnow why", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sample", metavar="NAME-or-ID", help="the path inside the source, the end of it, or an id")
    parser.add_argument("--dataset", default=DATASET, help=f"where it is looked for now, {DATASET} if left out")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with the pictures")
    options = parser.parse_args(arguments)
    workspace, dataset = open_revision(WORKSPACE, root), repository_path(options.dataset, root)
    story = tell(options.sample, Records(workspace, dataset), dataset)
    if options.html:
        write_page(options.html, as_html(story, dataset, _pictures(story, workspace)))
    return as_text(story, dataset), 0


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow why``."""
    run_command(command, lambda: answer(words, ROOT))
