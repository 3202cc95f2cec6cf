"""Decisions that people took in FiftyOne, read from an export of the dataset that ``winnow export`` wrote.

A sample's tag ``drop`` drops the image, ``keep`` keeps it under the class that ``ground_truth`` has, ``undo`` takes an
earlier decision back. A ``ground_truth`` other than that which was written is a new label. A sample with neither is no
decision. FiftyOne does not say who edited a sample.
"""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from winnow.export.decisions_in import Decided, Images, checked_hash, decision, read_foreign
from winnow.export.fiftyone import SAMPLES
from winnow.pipeline.messages import UserError, plain, shown
from winnow.verdicts.decision_rows import UNDO, DecisionRow
from winnow.verdicts.ledger import DROP, KEEP

REMEDY = "name the folder, or its samples.json, that FiftyOne wrote as a FiftyOneDataset of what `winnow export` wrote"
MARKS = (DROP, KEEP, UNDO)  # tags that decide


class Label(BaseModel):
    """A Classification."""

    label: str | None = None


class Date(BaseModel):
    """A time in MongoDB's extended JSON: text, or milliseconds since 1970."""

    date: str | int

    model_config = {"alias_generator": lambda name: f"${name}"}


class Sample(BaseModel):
    """A sample, as far as it is read here."""

    winnow_id: str
    winnow_name: str = ""
    winnow_label: str
    pixel_hash: str = ""
    tags: list[str] = []
    ground_truth: Label | None = None
    last_modified_at: Date | None = None


class Samples(BaseModel):
    """samples.json."""

    samples: list[Sample]


def from_fiftyone(path: Path, images: Images, by: str) -> Decided:
    """The decisions of an export.

    Args:
        path: samples.json, or the folder that has it.
        images: of this run.
        by: who decided.

    Raises:
        UserError: the file cannot be read, or a sample says two things, or what cannot be done; with its name.
    """
    file = path / SAMPLES if path.is_dir() else path
    found: Samples = read_foreign(file, Samples, REMEDY)
    decided = Decided()
    for sample in found.samples:
        where = f"{file}, {plain(sample.winnow_name or sample.winnow_id)}"
        row = _row(sample, images, by, where)
        if row is None:
            decided.passed_over["samples without a decision"] = (
                decided.passed_over.get("samples without a decision", 0) + 1
            )
        else:
            decided.rows.append(row)
    return decided


def _row(sample: Sample, images: Images, by: str, where: str) -> DecisionRow | None:
    image = images.row(sample.winnow_id, where)
    marks = [mark for mark in MARKS if mark in sample.tags]
    label = sample.ground_truth.label if sample.ground_truth else None
    corrected = label is not None and label != sample.winnow_label
    if len(marks) > 1 or (corrected and marks and marks != [KEEP]):
        said = " and ".join(
            [*(f"tag {mark}" for mark in marks), *([f"label {shown(label or '')}"] if corrected else [])]
        )
        raise UserError(f"{where}: {said} contradict each other; take one away in FiftyOne, and export again")
    if label is None and marks not in ([DROP], [UNDO]):
        raise UserError(f"{where}: ground_truth has no label; give it one in FiftyOne, or tag the sample drop")
    digest = checked_hash(sample.pixel_hash, where)
    more = {"by": by, "note": "from FiftyOne", "time": _time(sample.last_modified_at, where), "hash": digest}
    if marks == [UNDO]:
        return DecisionRow(0, image["text"], UNDO, **more)
    if marks == [DROP]:
        return decision(image, None, **more)
    return decision(image, images.label(label or "", where), **more) if corrected or marks else None


def _time(date: Date | None, where: str) -> str:
    """ISO 8601 in UTC; empty where there is none."""
    if date is None:
        return ""
    try:
        moment = (
            datetime.fromtimestamp(date.date / 1000, UTC)
            if isinstance(date.date, int)
            else datetime.fromisoformat(date.date)
        )
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        raise UserError(f"{where}: last_modified_at is no time, {shown(str(date.date))}; {REMEDY}") from None
