"""Decisions that people took in Label Studio, read from its export in the format JSON.

A submitted annotation is a decision: to drop the image where ``drop`` is chosen, else that it has the class chosen. The
class may be the prediction's, which Label Studio fills in, so that ``drop`` wins over it. Annotations that were skipped
and those in which nothing is chosen are no decisions. Where an image has several, the latest counts.
"""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from winnow.export.decisions_in import Decided, Images, checked_hash, decision, read_foreign
from winnow.export.label_studio import ACTION, LABEL
from winnow.pipeline.messages import UserError, plain, shown
from winnow.verdicts.decision_rows import DecisionRow
from winnow.verdicts.ledger import DROP

REMEDY = "name what Label Studio exports as JSON (not JSON-MIN) of the tasks that `winnow export` wrote"


class Value(BaseModel):
    """What was chosen."""

    choices: list[str] = []


class Result(BaseModel):
    """One answer."""

    from_name: str = ""
    value: Value = Value()


class Person(BaseModel):
    """Who annotated."""

    id: int | None = None
    email: str = ""


class Annotation(BaseModel):
    """What one person said of a task."""

    result: list[Result]
    completed_by: int | Person | None = None
    was_cancelled: bool = False
    updated_at: str = ""
    created_at: str = ""


class Data(BaseModel):
    """What the task was imported with."""

    winnow_id: str
    name: str = ""
    pixel_hash: str = ""


class Task(BaseModel):
    """A task, as far as it is read here."""

    data: Data
    annotations: list[Annotation]


def from_label_studio(path: Path, images: Images, by: str) -> Decided:
    """The decisions of an export, the earliest first.

    Args:
        path: the file.
        images: of this run.
        by: who decided, where an annotation does not say it.

    Raises:
        UserError: the file cannot be read, or an annotation says what cannot be done; with the image's name.
    """
    found: list[Task] = read_foreign(path, list[Task], REMEDY)
    rows: list[DecisionRow] = []
    passed_over: Counter[str] = Counter()
    for task in found:
        where = f"{path}, {plain(task.data.name or task.data.winnow_id)}"
        if not task.annotations:
            passed_over["tasks without an annotation"] += 1
        for annotation in task.annotations:
            row = None if annotation.was_cancelled else _row(task.data, annotation, images, by, where)
            if row is not None:
                rows.append(row)
            else:
                passed_over["annotations skipped or empty"] += 1
    return Decided(sorted(rows, key=lambda row: row.time), dict(passed_over))


def _row(data: Data, annotation: Annotation, images: Images, by: str, where: str) -> DecisionRow | None:
    image = images.row(data.winnow_id, where)
    chosen = {name: _chosen(annotation, name) for name in (LABEL, ACTION)}
    if annotation.result and not any(one.from_name in chosen for one in annotation.result):
        names = ", ".join(sorted({shown(one.from_name) for one in annotation.result}))
        raise UserError(
            f"{where}: answers to {names}, not to {LABEL} or {ACTION}; use interface.xml of `winnow export`"
        )
    if unknown := [one for one in chosen[ACTION] if one != DROP]:
        raise UserError(f"{where}: {shown(unknown[0])} is no action; choose {DROP}, or none")
    if not chosen[LABEL] and not chosen[ACTION]:
        return None
    person = annotation.completed_by
    if isinstance(person, Person):
        by = person.email or by
    elif person is not None:
        by = f"Label Studio user {person}"
    digest = checked_hash(data.pixel_hash, where)
    more = {"by": by, "note": "from Label Studio", "time": _time(annotation, where), "hash": digest}
    if chosen[ACTION]:
        return decision(image, None, **more)
    if len(chosen[LABEL]) > 1:
        raise UserError(f"{where}: {len(chosen[LABEL])} classes are chosen; choose one, since an image has one label")
    return decision(image, images.label(chosen[LABEL][0], where), **more)


def _chosen(annotation: Annotation, name: str) -> list[str]:
    return [choice for one in annotation.result if one.from_name == name for choice in one.value.choices]


def _time(annotation: Annotation, where: str) -> str:
    """When it was last changed, ISO 8601 in UTC; empty where it does not say."""
    text = annotation.updated_at or annotation.created_at
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{where}: {shown(text)} is no time; {REMEDY}") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
