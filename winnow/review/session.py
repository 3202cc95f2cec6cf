"""One run under review: its queues with the decisions, and the estimates that follow from them."""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from winnow.pictures.decode import UnreadableError
from winnow.review.decisions import Decisions
from winnow.review.evidence import Evidence
from winnow.review.items import fixed, shown
from winnow.review.nearest import Nearest
from winnow.review.pictures import Pictures
from winnow.review.progress import decided, progress
from winnow.review.queue import Place, build_queues
from winnow.review.records import LABEL_BOOK, REFINE, TEST_SET, Image, read_records
from winnow.review.refined import Refined
from winnow.review.requests import InvalidError, check_decision
from winnow.review.shards import Shards
from winnow.verdicts.decision_rows import UNDO
from winnow.verdicts.decisions import Decision

OVERRIDES, CHECKED = "overrides.csv", "checked.csv"
TITLES = {
    REFINE: "Training and validation images",
    LABEL_BOOK: "Label book",
    TEST_SET: "Sample of the test images",
}
MOST_OPEN = 10_000  # images of a queue without a decision that the page holds at once


class Session:
    """A run under review; safe to use from several threads."""

    def __init__(self, root: Path, *, by: str) -> None:
        """Read the run.

        Args:
            root: the repository.
            by: name of the person, of the rows that are written here.

        Raises:
            UserError: the run lacks its datasets, or a file is damaged.
        """
        self._by = by
        self._repository = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
        self.records = read_records(root)
        self.shards = Shards(root)
        self.pictures = Pictures(self.shards.content, root)
        self._queues = build_queues(self.records)
        self._refined = Refined(root)
        ids = [one.id for one in self.records.images.values() if one.task != TEST_SET]
        self._evidence = Evidence(self.records, Nearest(root, ids).of)
        self._journal: list[str] = []
        images = list(self.records.images.values())
        overrides, checked = (
            Decisions(
                root / name,
                [one for one in images if (one.task == REFINE) == (name == OVERRIDES)],
                self.records.classes,
                by=by,
                journal=self._journal,
            )
            for name in (OVERRIDES, CHECKED)
        )
        self._files = {REFINE: overrides, LABEL_BOOK: checked, TEST_SET: checked}

    def image(self, identifier: str) -> Image:
        """The image of an id.

        Raises:
            KeyError: there is none.
        """
        return self.records.images[identifier]

    def state(self) -> dict[str, Any]:
        """The classes, the person, the tasks with how far they are, and the estimate of the faults left.

        ``repository`` tells this repository from others: a page keeps what waits in the browser under it.

        Raises:
            UserError: a file of decisions cannot be read.
        """
        tasks = [
            {
                "name": task,
                "title": TITLES[task],
                "items": len(queue.places),
                **self._progress(task),
            }
            for task, queue in self._queues.items()
        ]
        return {
            "repository": self._repository,
            "classes": list(self.records.classes),
            "by": self._by,
            "tasks": tasks,
            "estimate": next((one["estimate"] for one in tasks if one["name"] == REFINE), None),
            "since": len(self._journal),
            "missing": list(self.records.missing),
            "replaced": [*self._files[REFINE].replaced, *self._files[TEST_SET].replaced],
            "unknown_rows": {OVERRIDES: self._files[REFINE].unknown, CHECKED: self._files[TEST_SET].unknown},
        }

    def queue(self, task: str, linked: str | None = None) -> dict[str, Any]:
        """The first images of a task, in the order in which people are asked about them.

        There are ``MOST_OPEN`` that nobody decided on as they are, with the decided ones between them; the others are
        counted.

        Args:
            task: its name.
            linked: id of an image that is wanted wherever it stands.

        Raises:
            InvalidError: there is no such task.
            UserError: the file of decisions cannot be read.
        """
        self._check_task(task)
        decisions = self._files[task].now()
        labels = self._refined.now().labels
        places = self._queues[task].places
        done = decided((place.id for place in places), decisions)
        is_open = (number for number, place in enumerate(places) if place.id not in done)
        end = next(islice(is_open, MOST_OPEN, None), len(places))
        listed = [*places[:end], *(place for place in places[end:] if place.id == linked)]
        listed_done = sum(place.id in done for place in listed)
        return {
            "items": [self._item(place, decisions.get(place.id), labels) for place in listed],
            "more": {"items": len(places) - len(listed), "decided": len(done) - listed_done},
        }

    def evidence(self, identifier: str) -> dict[str, Any]:
        """What stands beside an image."""
        return self._evidence.of(self.image(identifier), self._refined.now())

    def decide(
        self,
        task: str,
        identifier: str,
        action: str,
        label: str | None,
        note: str,
        *,
        former: str | None = None,
        taken: str | None = None,
        restored: str | None = None,
    ) -> dict[str, Any]:
        """Store a decision; when this returns, it is as lasting as the disk.

        ``former`` is the time of the row that a decision which waited overwrites, and which must still count, or
        ``NO_ROW``; None: whichever counts. With undo, ``taken`` is the time of the row that is taken back, which must
        still count, and ``restored`` that of the row which it had overwritten and which counts again; None: whichever
        counts, and none.

        Raises:
            OvertakenError: another row counts by now; nothing was written.
            InvalidError: the task, the image, the action or the label is none; nothing was written.
            UserError: the file of decisions cannot be read or written; nothing was written.
        """
        self._check_task(task)
        image = self.records.images.get(identifier)
        if image is None or image.task != task:
            raise InvalidError(f"there is no image {identifier[:40]!r} in the task {task}; load the page again")
        check_decision(action, label, note, self.records.classes)
        file = self._files[task]
        before = action == UNDO and identifier in file.now()
        if action == UNDO and taken is not None:
            decision = file.take_back(identifier, taken, restored=restored)
        else:
            decision = file.decide(identifier, action, label, note, former=former)
        return {
            **self._as_now(decision),
            "undone": before,
            **self._progress(task),
        }

    def keep_seen(self, identifier: str) -> None:
        """Keep a small picture of an image that was decided on; where the disk refuses it, the decision stays."""
        image = self.image(identifier)
        with contextlib.suppress(OSError, UnreadableError):
            self.pictures.keep_seen(image.folder, identifier, image.pixel_hash)

    def changes(self, since: int) -> dict[str, Any]:
        """The decisions that changed, here or elsewhere, and the number to give at the next call.

        Where any did, also how far the tasks are by now.

        Args:
            since: the number that the state or an earlier call gave; another server's gives all changes.

        Raises:
            UserError: a file of decisions cannot be read.
        """
        for file in self._files.values():
            file.now()
        now = len(self._journal)  # before the decisions are taken: what is decided in between comes with the next call
        decisions = {task: file.now() for task, file in self._files.items()}
        ids = dict.fromkeys(self._journal[since if 0 <= since <= now else 0 : now])
        found = {one: decisions[self.records.images[one].task].get(one) for one in ids}
        current = {one: self._as_now(decision) for one, decision in found.items()}
        return {
            "decisions": {one: new["decision"] for one, new in current.items()},
            "stale": {one: new["seen"] for one, new in current.items() if new["stale"]},  # the picture then, if kept
            "tasks": {task: self._progress(task) for task in self._queues} if ids else {},
            "since": now,
        }

    def _progress(self, task: str) -> dict[str, Any]:
        return progress(task, self._queues[task], self._files[task].now(), self.records.images)

    def _check_task(self, task: str) -> None:
        if task not in self._queues:
            raise InvalidError(f"the task must be one of {', '.join(self._queues)}, got {task[:40]!r}")

    def _item(self, place: Place, decision: Decision | None, labels: Mapping[str, str]) -> dict[str, Any]:
        """An image of a queue as it is now."""
        image = self.records.images[place.id]
        label = image.given if image.task == TEST_SET else labels.get(image.id)
        file = self._files[image.task]
        return {**fixed(image, place.why, file.name_of(image)), "label": label, **self._as_now(decision)}

    def _as_now(self, decision: Decision | None) -> dict[str, Any]:
        """A decision with whether the picture changed since, and which one was seen, if it was kept."""
        stale = decision is not None and decision.stale
        seen = decision.row.hash if decision is not None and stale else ""
        return {
            "decision": shown(decision),
            "stale": stale,
            "seen": seen if seen and self.pictures.has_seen(seen) else None,
        }
