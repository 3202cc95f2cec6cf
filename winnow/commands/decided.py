"""``winnow run --decided``: the decisions of overrides.csv become those from which the first round starts."""

from dataclasses import replace
from pathlib import Path

from winnow.commands.checks import DECIDED, OVERRIDES
from winnow.pipeline.files import ROOT

PREPARED, REFINED = ROOT / "data/prepared", ROOT / "data/refined"


def take_decisions(overrides: Path = OVERRIDES, decided: Path = DECIDED, prepared: Path = PREPARED) -> None:
    """Make the decisions of overrides.csv those from which the first round starts, and say so.

    Of the rows about an image the one that counts is taken. A decision that was given before stays where overrides.csv
    has no row about the image; where it takes the decision back, it goes.

    Args:
        overrides: file that is read.
        decided: file that is read and written.
        prepared: dataset whose images the rows name.

    Raises:
        UserError: a row is not valid, or the decisions together leave too few images; ``decided`` is as it was.
    """
    from winnow.dataset.samples import read_samples
    from winnow.verdicts.decision_rows import read_decision_rows
    from winnow.verdicts.decisions import images_of, known_images, meant
    from winnow.verdicts.decisions_file import write_decisions
    from winnow.verdicts.overrides_csv import read_overrides_csv, resolve_overrides

    samples = read_samples(prepared)
    known = known_images(images_of(samples))
    given = [decision.row for decision in read_overrides_csv(overrides, prepared).values()]
    about = {meant(row, known) for row in read_decision_rows(overrides)}
    before = read_decision_rows(decided)
    kept = [row for row in before if meant(row, known) not in about]
    first = max((row.line for row in kept), default=1) + 1
    rows = [*kept, *(replace(row, line=line) for line, row in enumerate(given, first))]
    found = resolve_overrides(rows, samples, f"{decided.name} with the decisions of {overrides.name}")
    write_decisions(decided, [decision.row for decision in found.values()])
    more = len(found) - len(given)
    old = f" and {more} that it had, on images of which {overrides.name} says nothing" if more else ""
    print(
        f"run: {decided.name} now has the {len(given)} decisions of {overrides.name}{old}; the first round starts from "
        "them"
    )


def taken_back(overrides: Path = OVERRIDES, refined: Path = REFINED, prepared: Path = PREPARED) -> int:
    """How many images the refined dataset has as people decided before the first round, and took back since.

    Args:
        overrides: file in which they took it back.
        refined: dataset whose ledger has the decisions that the first round started from.
        prepared: dataset whose images the rows name.

    Raises:
        UserError: a row of ``overrides`` is not valid.
    """
    from winnow.dataset.samples import column, read_samples
    from winnow.verdicts.decision_rows import read_decision_rows
    from winnow.verdicts.decisions import images_of, known_images, meant
    from winnow.verdicts.ledger import DECIDED as STAGE
    from winnow.verdicts.ledger import read_ledger
    from winnow.verdicts.overrides_csv import read_overrides_csv

    ledger = read_ledger(refined)
    before = set(column(ledger, "id")[column(ledger, "stage") == STAGE].tolist())
    if not before:
        return 0
    known = known_images(images_of(read_samples(prepared)))
    about = {meant(row, known) for row in read_decision_rows(overrides)}
    return len((before & about) - read_overrides_csv(overrides, prepared).keys())
