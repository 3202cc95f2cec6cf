"""A comparison as Markdown for a pull request: figures with their intervals, counts of images by class, links.

Names, labels and revisions are text from anywhere. Each stands in a code span that it cannot leave: in one, GitHub
renders no HTML, notifies nobody and links nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

from winnow.history.changes import KINDS, Change, Changes
from winnow.history.figures import FigureRow
from winnow.pipeline.messages import UserError, natural_order

LONGEST = 80  # characters of a name that are shown
SHORT = 20  # characters of a value
CLASSES_SHOWN = 30  # those with the most changes; a comment holds 65,536 characters
FIGURES_SHOWN = 40


def code(text: str) -> str:
    """A name as a code span of one line; what is invisible, backticks and the bars of a table are written out."""
    kept = text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]}"
    readable = "".join(
        letter if letter.isprintable() and letter not in "`|" else _written_out(letter) for letter in kept
    )
    return f"`{readable}`" if readable.strip() else f"`{kept!r}`"


def _written_out(letter: str) -> str:
    return f"\\x{ord(letter):02x}" if letter in "`|" else letter.encode("unicode_escape").decode()


def link(text: str, target: str) -> str:
    """A link to a web address; a path is named as it is, since a comment cannot lead to it.

    Args:
        text: plain words.
        target: address or path.

    Raises:
        UserError: the address is of another kind than http and https.
    """
    if "://" not in target:
        return f"{text}: {code(target)}"
    if urlsplit(target).scheme not in ("http", "https"):
        raise UserError(f"a link must begin with https:// or http://, got {target[:80]!r}; name such an address")
    return f"[{text}](<{quote(target, safe=':/?#@!$&*+,;=%~')}>)"


def as_markdown(
    old: str,
    new: str,
    dataset: str,
    *,
    figures: Sequence[FigureRow],
    changes: Changes | None,
    why_not: str = "",
    links: Iterable[str] = (),
) -> str:
    """The comparison.

    Args:
        old: name of the older revision.
        new: of the newer one.
        dataset: its folder.
        figures: of both.
        changes: of the images; None where they could not be compared.
        why_not: a sentence on what is missing, if anything is.
        links: as ``link`` makes them.
    """
    blocks = [f"### What changed: {code(old)} → {code(new)}", *_figures(figures)]
    blocks += [f"#### Images of {code(dataset)}"]
    blocks += _images(changes) if changes else []
    return "\n\n".join([*blocks, *([why_not] if why_not else []), *links])


def _figures(figures: Sequence[FigureRow]) -> list[str]:
    if not figures:
        return ["Neither side has metrics in git."]
    if not any(row.differs for row in figures):
        return ["The metrics are the same on both sides."]
    shown = [row for row in figures if row.differs or row.always][:FIGURES_SHOWN]
    rows = [(_name(row), row.before, row.after, row.change) for row in shown]
    notes = ["Intervals are 95 %; a change is the difference of two means, which may be chance where they overlap."]
    notes += [f"Not comparable: {code(row.arm)}, {_unlike(row)}." for row in shown if row.unlike]
    more = sum(row.differs or row.always for row in figures) - len(shown)
    notes += [f"{more} more figures: `dvc metrics diff`."] if more else []
    return [_table(("figure", "before", "after", "change"), rows), " ".join(notes)]


def _name(row: FigureRow) -> str:
    return f"{row.figure}, {code(row.arm)}" if row.arm else row.figure


def _unlike(row: FigureRow) -> str:
    pairs = [f"{name} {code(before[:SHORT])} and {code(after[:SHORT])}" for name, before, after in row.unlike]
    return " and ".join(pairs)


def _images(changes: Changes) -> list[str]:
    copies = [sum(getattr(group, side) for group in changes.augmented) for side in ("before", "after", "new", "gone")]
    words = f"{changes.sources_before:,} → {changes.sources_after:,} images"
    words += f" and {copies[0]:,} → {copies[1]:,} augmented copies ({copies[2]:,} new, {copies[3]:,} gone)."
    if changes.same:
        return [f"The same images under the same labels: {words}"]
    counted = {kind: len(getattr(changes, kind)) for kind in KINDS}
    counts = ", ".join(f"{number:,} {kind}" for kind, number in counted.items() if number) or "no image differs"
    return [f"**{counts}**: {words}", *_by_class(changes)]


def _by_class(changes: Changes) -> list[str]:
    """Images dropped and added of each class, those relabelled from it and to it, and those moved to another split."""
    counts: dict[str, Counter[str]] = {}

    def count(label: str | None, column: str) -> None:
        counts.setdefault(label or "", Counter())[column] += 1

    for change in changes.dropped:
        count(change.label_before, "dropped")
    for change in changes.added:
        count(change.label_after, "added")
    for change in changes.relabelled:
        count(change.label_before, "relabelled from it")
        count(change.label_after, "relabelled to it")
    for change in changes.moved:
        count(change.label_after, "moved")
    if not counts:
        return []
    columns = ("dropped", "added", "relabelled from it", "relabelled to it", "moved")
    most = sorted(counts, key=lambda label: (-counts[label].total(), natural_order(label)))
    shown = sorted(most[:CLASSES_SHOWN], key=natural_order)
    rows = [(code(label), *(_number(counts[label][column]) for column in columns)) for label in shown]
    if others := most[CLASSES_SHOWN:]:
        total = sum((counts[label] for label in others), Counter[str]())
        rows.append((f"{len(others):,} other classes", *(_number(total[column]) for column in columns)))
    return [_table(("class", *columns), rows)]


def _number(count: int) -> str:
    return f"{count:,}" if count else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures, set to the right."""
    lines = [header, ("---", *["---:"] * (len(header) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown_changes(changes: Changes, most: int) -> list[tuple[str, Change]]:
    """At most so many changes with their kinds, of every kind alike, those that the least support stands behind first.

    Args:
        changes: as compared.
        most: how many.
    """
    kinds = {kind: sorted(getattr(changes, kind), key=_support) for kind in KINDS}
    ranked = [(rank, place, kind) for place, kind in enumerate(KINDS) for rank in range(len(kinds[kind]))]
    chosen = Counter(kind for _, _, kind in sorted(ranked)[:most])
    return [(kind, change) for kind in KINDS for change in kinds[kind][: chosen[kind]]]


def pictured(changes: Changes, kind: str, most: int) -> list[Change]:
    """The changes of a kind that a page of so many pictures shows, in their order: those with the least support."""
    of_kind: list[Change] = getattr(changes, kind)
    chosen = {change.id for name, change in shown_changes(changes, most) if name == kind}
    return [change for change in of_kind if change.id in chosen]


def _support(change: Change) -> float:
    support = change.verdict.support if change.verdict else None
    return support if support is not None and support == support else float("inf")
