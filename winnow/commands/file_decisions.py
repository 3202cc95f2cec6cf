"""Take decisions over from files of the form of overrides.csv: with a report that came by mail, say.

Rows about train and val images go to overrides.csv, those about label-book and test images, which a reviewer's page may
hand out in the same form, to checked.csv. Every row is checked against data/prepared and data/test before any is
written: a file with one bad row changes nothing. A row that is there already is passed over, so that the same file may
be given twice. Of two decisions about an image the later one counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from winnow.dataset.samples import class_names, read_samples
from winnow.pipeline.csv_rows import row_limit
from winnow.pipeline.messages import UserError, shown
from winnow.pipeline.spreadsheet import spellings
from winnow.verdicts.checked_csv import SPLITS, resolve_checked
from winnow.verdicts.decision_rows import DecisionRow, composed, last_of, parse_decision_rows, read_decision_rows
from winnow.verdicts.decisions import Decision, Image, image_of, images_of, known_images, meant
from winnow.verdicts.decisions_file import append_decisions, with_times
from winnow.verdicts.overrides_csv import resolve_overrides

OVERRIDES, CHECKED, PREPARED, TEST = "overrides.csv", "checked.csv", "data/prepared", "data/test"
NAMED = 3  # images that a message names

Resolve = Callable[[Sequence[DecisionRow], str], dict[str, Decision]]  # of rows and of the file as messages name it


@dataclass(frozen=True)
class Taken:
    """What the files bring to one file of decisions."""

    name: str  # of that file
    own: Sequence[DecisionRow]  # that it has
    new: Sequence[DecisionRow]  # that it lacks
    given: int  # rows, with those that it has
    before: Mapping[str, Decision]  # that count, by id
    after: Mapping[str, Decision]


def take_over(files: Sequence[Path], root: Path) -> str:
    """Append the rows of the files that overrides.csv and checked.csv lack; what was done, in words.

    Raises:
        UserError: a file cannot be read, or a row, or all rows together, are not valid; nothing is written then.
    """
    samples = read_samples(root / PREPARED)
    tested = images_of(read_samples(root / TEST)) if (root / TEST).is_dir() else []
    images, classes = [*images_of(samples), *tested], class_names(samples)
    known = known_images(images)
    resolvers: dict[str, Resolve] = {
        OVERRIDES: lambda rows, where: resolve_overrides(rows, samples, where),
        CHECKED: lambda rows, where: resolve_checked(rows, images, classes, where),
    }
    given: dict[str, list[DecisionRow]] = {OVERRIDES: [], CHECKED: []}
    for file in files:
        rows = _read(file, row_limit(len(images)))
        for name, resolve in resolvers.items():
            part = [row for row in rows if _target(row, known) == name]
            resolve(part, str(file))
            given[name] += part
    names = {composed(name): name for name in [*classes, *(image[key] for image in images for key in ("id", "name"))]}
    wanted = [name for name in given if given[name]] or [OVERRIDES]
    taken = [_taken(root / name, given[name], names, resolvers[name], _listed(files)) for name in wanted]
    for one in taken:
        append_decisions(root / one.name, one.new)
    return "\n".join(line for one in taken for line in _told(one, known))


def _read(file: Path, most: int) -> list[DecisionRow]:
    try:
        with file.open("rb") as opened:
            return parse_decision_rows(opened, str(file), most=most)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); name a file of decisions") from None


def _target(row: DecisionRow, known: Mapping[str, Image]) -> str:
    """The file that a row belongs to; one about no image is reported as a row of overrides.csv."""
    image = image_of(row.sample, known)
    return CHECKED if image is not None and image["split"] in SPLITS else OVERRIDES


def _taken(file: Path, given: Sequence[DecisionRow], names: Mapping[str, str], resolve: Resolve, listed: str) -> Taken:
    """What the rows bring to a file, once it was checked that all hold together."""
    own = read_decision_rows(file) if file.exists() else []
    new = with_times(file, _lacking([_exact(row, names) for row in own], [_exact(row, names) for row in given]))
    before = resolve(own, file.name)
    after = resolve(_numbered([*own, *new]), f"{file.name} with the rows of {listed}")
    return Taken(file.name, own, new, len(given), before, after)


def _exact(row: DecisionRow, names: Mapping[str, str]) -> DecisionRow:
    """The row with its texts as they are meant, without the apostrophe that keeps a spreadsheet from running them."""
    sample, label = (
        next((names[one] for one in spellings(text) if one in names), text) for text in (row.sample, row.label)
    )
    by, note = (text.removeprefix("'") for text in (row.by, row.note))
    return replace(row, sample=sample, label=label, by=by, note=note)


def _lacking(own: Sequence[DecisionRow], given: Sequence[DecisionRow]) -> list[DecisionRow]:
    """The rows that are not there, each once; a row without a time is there whatever time it was given."""
    timed, untimed = {replace(row, line=0) for row in own}, {replace(row, line=0, time="") for row in own}
    new = []
    for row in given:
        key = replace(row, line=0)
        if key not in (timed if row.time else untimed):
            new.append(row)
            timed.add(key)
            untimed.add(replace(key, time=""))
    return new


def _numbered(rows: Sequence[DecisionRow]) -> list[DecisionRow]:
    """The rows with the lines that they will have, as far as none is longer than a line."""
    return [replace(row, line=line) for line, row in enumerate(rows, 2)]


def _counting(taken: Taken, known: Mapping[str, Image]) -> tuple[int, int]:
    """How many of the new rows count, and how many are older than what is there."""
    about: dict[str, list[DecisionRow]] = {}
    for row in [*taken.own, *taken.new]:
        about.setdefault(meant(row, known), []).append(row)
    last = {identifier: last_of(rows) for identifier, rows in about.items()}
    old = {id(row) for row in taken.own}
    return (
        sum(id(row) not in old for row in last.values()),
        sum(id(last[meant(row, known)]) in old for row in taken.new),
    )


def _told(taken: Taken, known: Mapping[str, Image]) -> list[str]:
    new, before, after = taken.new, taken.before, taken.after
    there = taken.given - len(new)
    added = {replace(row, line=0) for row in new}
    lines = [f"{taken.name}: {len(new):,} row{'' if len(new) == 1 else 's'} added, {there:,} there already"]
    counting, older = _counting(taken, known)
    if older:
        lines.append(f"older than what {taken.name} has, and so of no effect: {older:,}")
    if replaced := [one for one in before if one in after and before[one].label != after[one].label]:
        lines.append(f"other than what was decided before, and later: {_some(replaced, known)}")
    if removed := [one for one in before if one not in after]:
        lines.append(f"decided before, and now taken back: {_some(removed, known)}")
    if stale := [one for one in after if after[one].stale and replace(after[one].row, line=0) in added]:
        lines.append(f"decided on another picture than the image is now, look at them again: {_some(stale, known)}")
    return [*lines, *(["`winnow apply` carries them out"] if counting and taken.name == OVERRIDES else [])]


def _some(identifiers: Sequence[str], known: Mapping[str, Image]) -> str:
    more = f" and {len(identifiers) - NAMED:,} more" if len(identifiers) > NAMED else ""
    return ", ".join(shown(known[one]["name"]) for one in identifiers[:NAMED]) + more


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))
