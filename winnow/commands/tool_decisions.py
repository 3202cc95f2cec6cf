"""Decisions of another tool's file, taken over into overrides.csv: ``winnow decide --from``."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from winnow.commands.person import signature
from winnow.dataset.samples import labels_by_id, read_samples
from winnow.export.decisions_in import Decided, Images
from winnow.export.from_fiftyone import from_fiftyone
from winnow.export.from_label_studio import from_label_studio
from winnow.pipeline.messages import UserError
from winnow.verdicts.decision_rows import UNDO, DecisionRow, read_decision_rows
from winnow.verdicts.decisions import Decision, images_of, known_images, meant
from winnow.verdicts.decisions_file import append_decisions
from winnow.verdicts.ledger import DROP, KEEP
from winnow.verdicts.overrides_csv import resolve_overrides

TOOLS: dict[str, Callable[[Path, Images, str], Decided]] = {
    "fiftyone": from_fiftyone,
    "label-studio": from_label_studio,
}
OVERRIDES = "overrides.csv"
REPEATED, OLDER, REPLACED = "already there", f"older than {OVERRIDES} has", "replaced by a later one on the same image"


def take_over_from(tool: str, file: Path, root: Path, by: str | None) -> str:
    """Take over what people decided in a tool; what was done, in words.

    Args:
        tool: of TOOLS.
        file: what the tool exported of the images that `winnow export --to` wrote.
        root: of the repository.
        by: who decided, where the file does not say it; None: git's user.name.

    Raises:
        UserError: the file cannot be read or says what cannot be done, or overrides.csv would not be valid; nothing is
            written then.
    """
    name = signature(by, root)
    samples = read_samples(root / "data/prepared")
    return take_over(TOOLS[tool](file, Images.of(samples), name), samples, root / OVERRIDES, file)


def take_over(decided: Decided, samples: pa.Table, overrides: Path, file: Path) -> str:
    """Append the decisions that are new to overrides.csv, all of them or none; what was done, in words.

    Args:
        decided: rows in the order of the decisions.
        samples: as prepared.
        overrides: overrides.csv, which is made where it is missing.
        file: that the rows come from, as messages name it.

    Raises:
        UserError: overrides.csv is not valid, or would not be with these rows.
    """
    passed_over = Counter(decided.passed_over)
    present = read_decision_rows(overrides) if overrides.exists() else []
    before = resolve_overrides(present, samples, str(overrides))
    given = labels_by_id(samples, "given_label")
    first = present[-1].line + 1 if present else 2
    latest = {row.sample: replace(row, line=first + place) for place, row in enumerate(decided.rows)}
    known = known_images(images_of(samples))
    identifiers = {row.sample: meant(row, known) for row in latest.values()}

    def holds(row: DecisionRow, decisions: Mapping[str, Decision]) -> bool:
        identifier = identifiers[row.sample]
        return _holds(row, decisions.get(identifier), given[identifier])

    new = [row for row in latest.values() if not holds(row, before)]
    try:
        after = resolve_overrides([*present, *new], samples, str(overrides))
    except UserError as error:
        raise UserError(f"nothing of {file} was taken over, since with its decisions {error}") from None
    standing = [row for row in new if holds(row, after)]
    append_decisions(overrides, standing)
    passed_over[REPLACED] += len(decided.rows) - len(latest)
    passed_over[REPEATED] += len(latest) - len(new)
    passed_over[OLDER] += len(new) - len(standing)
    kinds = ", ".join(f"{count:,} {action}" for action, count in sorted(Counter(r.action for r in standing).items()))
    passed = "; ".join(f"{count:,} {what}" for what, count in passed_over.items() if count)
    told = f"decide: {len(standing):,} decisions of {file} are now in {overrides.name}{f': {kinds}' if kinds else ''}"
    end = "\n`winnow apply` carries them out" if standing else ""
    return told + (f"\npassed over: {passed}" if passed else "") + end


def _holds(row: DecisionRow, there: Decision | None, given: str) -> bool:
    """Whether the decision on the image says already what the row says."""
    if there is None or row.action == UNDO:
        return there is None and row.action == UNDO
    return there.label == {DROP: None, KEEP: given}.get(row.action, row.label)
