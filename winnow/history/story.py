"""One sample's story, gathered from the workspace: how it came, every verdict, its copies, where it is now.

A sample is found by its id, its name, or the end of its name.
"""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from winnow.history.records import PREPARED, TEST, Records, Row
from winnow.pipeline.messages import UserError, plain
from winnow.verdicts.fates import Fate, fates

SHOWN = 10  # candidates that a message names


EXACT = "exact"  # the kind of a leak that was recorded without one


NEAR = 3  # suggestions for an unknown name


@dataclass(frozen=True)
class Delivered:
    """A file of the source, as prepare found it."""

    name: str
    id: str | None = None  # None for a file that is no image
    split: str = ""
    label: str = ""
    kept_in: str = ""  # the split that holds the same image, where this one was left out for that
    kept_id: str | None = None  # of that image, where it was recorded
    kind: str = EXACT  # how both belong together: exact, near or group
    rejected: str = ""  # why the file is no image

    @property
    def is_sample(self) -> bool:
        """Whether prepare made a sample of it."""
        return not self.kept_in and not self.rejected


def find(wanted: str, files: Sequence[Delivered]) -> Delivered:
    """The one file meant: its id, else its name, else the end of its name in whole parts (``v/3.png``).

    A path that itself ends in a name, as a shell completes it, means that name.

    Raises:
        UserError: none is meant, or several are; the message names candidates.
    """
    wanted = unicodedata.normalize("NFC", wanted)  # as names are held; a shell may complete them otherwise
    for meant in (
        [file for file in files if wanted in (file.id, file.name)],
        [file for file in files if _ends(file.name, wanted)],
        [file for file in files if _ends(wanted, file.name)],
    ):
        if len(meant) == 1:
            return meant[0]
        if meant:
            names = ", ".join(plain(file.name) for file in meant[:SHOWN])
            more = f" and {len(meant) - SHOWN:,} more" if len(meant) > SHOWN else ""
            raise UserError(
                f"{plain(wanted)} fits {len(meant):,} files: {names}{more}; give more of the path, or the id"
            )
    near = suggest(wanted, [file.name for file in files])
    hint = f"did you mean {' or '.join(map(plain, near))}?" if near else "data/prepared/samples.parquet lists the names"
    raise UserError(f"{plain(wanted)} is no file of this source; {hint}")


def suggest(wanted: str, names: Sequence[str]) -> list[str]:
    """The names nearest to one, the nearest first; compared in as many of their last parts as it has itself."""
    parts = wanted.strip("/").count("/") + 1
    by_end: dict[str, str] = {}
    for name in names:
        by_end.setdefault("/".join(name.split("/")[-parts:]).casefold(), name)
    near = difflib.get_close_matches(wanted.strip("/").casefold(), by_end, n=NEAR, cutoff=0.6)
    return [by_end[end] for end in near]


def _ends(name: str, end: str) -> bool:
    return end.strip("/") != "" and name.endswith("/" + end.strip("/"))


@dataclass(frozen=True)
class Story:
    """What is known of one file of the source, or of one augmented sample."""

    file: Delivered
    row: Row | None = None  # as it was first; None for a file that became no sample
    parent: Row | None = None  # of an augmented sample
    copies: list[Row] = field(default_factory=list)  # delivered samples with the same pixels
    fate: Fate = field(default_factory=lambda: Fate("", None))  # with the label in the dataset asked about
    evidence: dict[str, Row] = field(default_factory=dict)  # by id, what the verdicts name
    children: list[Row] = field(default_factory=list)  # by origin and name
    exists: bool = True  # whether the dataset asked about is in the workspace
    now: dict[str, Row] = field(default_factory=dict)  # by id, the rows of it and of its children in that dataset
    homes: dict[str, str] = field(default_factory=dict)  # by id, the first dataset with it


def tell(wanted: str, records: Records, dataset: str) -> Story:
    """The story of one sample.

    Args:
        wanted: its id, its name, or the end of its name in the source.
        records: what the workspace holds.
        dataset: where it is looked for now.

    Raises:
        UserError: no file, or no single one, is meant.
    """
    files = _delivered(records, wanted)
    delivered = any(wanted in (file.id, file.name) for file in files)
    file = (None if delivered else _augmented(wanted, records)) or find(wanted, files)
    if not file.is_sample or file.id is None:
        return Story(file)
    every = records.folders
    children = {other: child for other, (_, child) in _first(records, every, "parent", [file.id]).items()}
    current = [dataset] if dataset in every else []
    now = {other: found for other, (_, found) in _first(records, current, "id", [file.id, *children]).items()}
    labels = {other: found["label"] for other, found in now.items()}
    fate = fates({file.id: file.label}, records.verdicts(file.id), labels)[file.id]
    evidence = {other for verdict in fate.verdicts for other in verdict.evidence}
    first = _first(records, every, "id", [file.id, *evidence])
    row = first[file.id][1]
    sources = [name for name in (PREPARED, TEST) if name in every]
    copies = [copy for _, copy in _first(records, sources, "pixel_hash", [row["pixel_hash"]]).values()]
    return Story(
        file=file,
        row=row,
        parent=next((parent for _, parent in _first(records, every, "id", [row["parent"]]).values()), None),
        copies=[copy for copy in copies if copy["id"] != file.id and row["parent"] is None],
        fate=fate,
        evidence={other: named for other, (_, named) in first.items() if other in evidence},
        children=sorted(children.values(), key=lambda child: (child["origin"], child["name"])),
        exists=dataset in every,
        now=now,
        homes={other: home for other, (home, _) in first.items()},
    )


def _delivered(records: Records, wanted: str) -> list[Delivered]:
    """The files of the source that prepare knows and that may be meant; all of them where none may be."""
    files = [_leak(row) for row in records.leaks.to_pylist()]
    files += [Delivered(file["name"], rejected=file["reason"]) for file in records.rejected.to_pylist()]
    columns = ["id", "name", "split", "given_label"]
    tables = [records.column(folder, *columns) for folder in (PREPARED, TEST) if folder in records.folders]
    likely = [table.filter(_may_mean(table, wanted)) for table in tables]
    found = [_file(row) for table in likely for row in table.to_pylist()]
    if not found and not any(_fits(file, wanted) for file in files):
        found = [_file(row) for table in tables for row in table.to_pylist()]  # of which messages suggest some
    return found + files


def _may_mean(table: pa.Table, wanted: str) -> pa.ChunkedArray:
    """Whether a text is a file's id, name, or the end of its name, or itself ends in the name."""
    text = unicodedata.normalize("NFC", wanted)
    parts = text.split("/")
    ends = pa.array(["/".join(parts[start:]) for start in range(len(parts))])
    fits = pc.or_(pc.equal(table["id"], text), pc.is_in(table["name"], ends))
    end = text.strip("/")
    return pc.or_(fits, pc.ends_with(table["name"], f"/{end}")) if end else fits


def _fits(file: Delivered, wanted: str) -> bool:
    text = unicodedata.normalize("NFC", wanted)
    return text in (file.id, file.name) or _ends(file.name, text) or _ends(text, file.name)


def _augmented(wanted: str, records: Records) -> Delivered | None:
    """The augmented sample of an id or a name, if there is one."""
    for column in ("id", "name"):
        for _, row in _first(records, records.folders, column, [wanted]).values():
            if row["parent"] is not None:
                return _file(row)
    return None


def _leak(row: Row) -> Delivered:
    """An image left out; older tables have neither the other's id nor the kind."""
    kind = row.get("kind") or EXACT
    return Delivered(row["name"], row["id"], row["split"], row["label"], row["kept_in"], row.get("kept_id"), kind)


def _file(row: Row) -> Delivered:
    return Delivered(row["name"], row["id"], row["split"], row["given_label"])


def _first(
    records: Records, folders: Sequence[str], column: str, values: Iterable[str | None]
) -> dict[str, tuple[str, Row]]:
    """By id, the first dataset and row of every sample with one of the values in a column."""
    wanted = {value for value in values if value is not None}
    found: dict[str, tuple[str, Row]] = {}
    for folder in folders:
        if column == "id":
            wanted -= found.keys()
        if not wanted:
            break
        for row in records.rows(folder, column, pa.array(sorted(wanted), pa.string())):
            found.setdefault(row["id"], (folder, row))
    return found
