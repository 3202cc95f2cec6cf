"""The decisions of a file as they are now, and appending to it, while other tabs, people and editors write to it too.

The file is the truth: it is read again whenever it is another one than at the last look. Where rows were only appended,
these alone are read, since a file of thousands of rows is looked at with every key.
"""

import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from winnow.pipeline.durable import replace_file
from winnow.pipeline.messages import UserError
from winnow.review.reading import State, cells, content, key, sample_row, stamp, without_apostrophes, words
from winnow.review.records import Image
from winnow.verdicts.decision_rows import HEADER, UNDO, DecisionRow, composed, last_of, parse_decision_rows
from winnow.verdicts.decisions import Decision, image_of, known_images, resolve_decisions
from winnow.verdicts.decisions_file import append_decision
from winnow.verdicts.ledger import KEEP, RELABEL

TITLES = (",".join(HEADER) + "\n").encode()
START = (",".join(HEADER[:5]) + "\n").encode()  # of a file that is not there
REPLACED = ".winnow/replaced"
AHEAD = timedelta(microseconds=1)
NO_ROW = "none"  # in place of the time of a row, where none counts


class OvertakenError(Exception):
    """The row that is to be taken back or overwritten counts no longer; the message is one sentence."""


class Decisions:
    """The decisions on some images, as their file has them; safe to use from several threads."""

    def __init__(
        self, path: Path, images: Sequence[Image], classes: Sequence[str], *, by: str, journal: list[str]
    ) -> None:
        """Decisions.

        Args:
            path: of overrides.csv or checked.csv; it need not be there.
            images: that rows may be about.
            classes: names that an image may be given.
            by: who decides here.
            journal: to which the ids of images are appended whenever decisions on them change.
        """
        self._path, self._by, self._classes = path, by, classes
        self._images = {one.id: one for one in images}
        self._known = known_images(sample_row(one) for one in images)
        self._lock = threading.RLock()
        self._stamp: tuple[int, ...] | None = None
        self._state = State()
        self._journal = journal
        self.replaced: list[str] = []  # copies of the file as it was before another program left rows out

    def now(self) -> Mapping[str, Decision]:
        """The decisions by id, as the file has them.

        Raises:
            UserError: the file cannot be read or has an invalid row; what was read before stays.
        """
        with self._lock:
            self._refresh()
            return dict(self._state.decisions)

    @property
    def unknown(self) -> int:
        """Rows that are about none of the images, as of the last look."""
        return self._state.unknown

    def decide(
        self, identifier: str, action: str, label: str | None, note: str, *, former: str | None = None
    ) -> Decision | None:
        """Append a decision; when this returns, it is as lasting as the disk.

        What counts already is not written again: it may be the same request, whose answer was lost.

        Args:
            identifier: of one of the images.
            action: keep, drop, relabel or undo; undo without a decision changes nothing.
            label: of the image from now on, where it is relabelled.
            note: of the person.
            former: time of the row that counted when the person decided, or ``NO_ROW``, if it must still be so; None:
                whichever counts is overwritten.

        Returns:
            The decision that now holds; None: none.

        Raises:
            OvertakenError: another row counts by now; nothing was written.
            UserError: the file cannot be read, or the row is not valid; nothing was written.
        """
        image = self._images[identifier]
        if action == RELABEL and label == image.given:
            action, label = KEEP, None
        with self._lock:
            self._refresh()
            now = self._state.decisions.get(identifier)
            if action == UNDO and now is None:
                return None
            row = DecisionRow(0, self.name_of(image), action, label or "", self._by, note, "", image.pixel_hash)
            is_written = now is not None and words(now.row) == words(row)
            if not is_written and former not in (None, NO_ROW if now is None else now.row.time):
                raise self._overtaken(image, "this decision was not written")
            return self._append(identifier, row)

    def take_back(self, identifier: str, time: str, *, restored: str | None) -> Decision | None:
        """Take back a row if it is still the one that counts.

        Where a decision said what counted already, it has no row of its own: both times are those of the earlier row,
        which stays.

        Args:
            identifier: of one of the images.
            time: of the row, as it stands there; empty where it has none.
            restored: time of the row that the person had overwritten with it, and which counts again; None: none.

        Returns:
            The decision that now holds; None: none.

        Raises:
            OvertakenError: another row counts by now; nothing was written.
            UserError: the file cannot be read, or the row is not valid; nothing was written.
        """
        image = self._images[identifier]
        with self._lock:
            self._refresh()
            now = self._state.decisions.get(identifier)
            if restored == time:
                return now
            rows = self._state.rows.get(identifier, [])
            former = next((row for row in reversed(rows) if row.time == restored and row.action != UNDO), None)
            if now is None and former is None:
                return None  # somebody took it back, or the same request did
            if now is not None and former is not None and words(now.row) == words(former) and now.row.time != time:
                return now  # the same request did it
            if now is None or now.row.time != time:
                raise self._overtaken(image, "nothing was taken back")
            if former is None:
                former = DecisionRow(0, self.name_of(image), UNDO, by=self._by, hash=image.pixel_hash)
            return self._append(identifier, without_apostrophes(former))

    def _overtaken(self, image: Image, consequence: str) -> OvertakenError:
        """The error that names who decided on an image."""
        rows = self._state.rows.get(image.id)
        who = (last_of(rows).by if rows else "") or "Somebody"
        return OvertakenError(f"{who} decided on {image.name} since; {consequence}")

    def _append(self, identifier: str, row: DecisionRow) -> Decision | None:
        """Append a row, as of now, unless one that says the same counts; the decision that then holds."""
        now = self._state.decisions.get(identifier)
        if now is None or words(now.row) != words(row):
            append_decision(self._path, replace(row, time=self._time(identifier)))
            self._refresh()
        return self._state.decisions.get(identifier)

    def name_of(self, image: Image) -> str:
        """What a row here calls an image: its name, by which people and a changed picture are found; else its id."""
        return image.name if self._known[composed(image.name)]["id"] == image.id else image.id

    def _time(self, identifier: str) -> str:
        """The present time, or one just after the image's last decision, whose machine's clock may be ahead."""
        moments = [row.moment for row in self._state.rows.get(identifier, []) if row.moment is not None]
        moment = max([datetime.now(UTC), *(one + AHEAD for one in moments)])
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _refresh(self) -> None:
        """Read what is new in the file."""
        found = stamp(self._path)
        if found == self._stamp:
            return
        now = START if found is None else content(self._path)
        before = self._state
        touched = self._appended(now)
        if touched is None:
            fresh = State(now)
            self._file(self._parse(now), fresh)
            self._keep_replaced(before, fresh)
            touched = [
                one
                for one in {**before.decisions, **fresh.decisions}
                if key(before.decisions.get(one)) != key(fresh.decisions.get(one))
            ]
            self._state = fresh
        self._journal.extend(touched)
        self._stamp = found

    def _appended(self, now: bytes) -> list[str] | None:
        """Read rows that were only appended; None: the file must be read whole, which tells the line of a fault."""
        state = self._state
        if not (state.content.endswith((b"\n", b"\r")) and now.startswith(state.content)):
            return None  # its last row may go on
        try:
            touched = self._file(self._parse(TITLES + now[len(state.content) :]), state)
        except UserError:
            return None
        state.content = now
        return touched

    def _keep_replaced(self, before: State, now: State) -> None:
        """Keep a copy of the file as it was where another program left rows out.

        An editor does that which opened the file before they were appended; whether it was meant, people know.
        """
        lacking = {cells(row) for rows in before.rows.values() for row in rows}
        lacking -= {cells(row) for rows in now.rows.values() for row in rows}
        if lacking:
            moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
            copy = self._path.parent / REPLACED / f"{self._path.stem}-{moment}{self._path.suffix}"
            replace_file(copy, [before.content])
            self.replaced.append(copy.relative_to(self._path.parent).as_posix())

    def _parse(self, text: bytes) -> list[DecisionRow]:
        return parse_decision_rows(io.BytesIO(text), self._path.name)

    def _file(self, rows: Sequence[DecisionRow], state: State) -> list[str]:
        """Put rows into a state; the ids of the images that they are about.

        Raises:
            UserError: a row that counts has a label that is no class; the state is as it was.
        """
        found: dict[str, list[DecisionRow]] = {}
        lost = 0
        for row in rows:
            image = image_of(row.sample, self._known)
            if image is None:
                lost += 1
            else:
                found.setdefault(image["id"], list(state.rows.get(image["id"], []))).append(row)
        decided = {one: self._resolved(one, about) for one, about in found.items()}
        state.rows |= found
        state.unknown += lost
        for one, decision in decided.items():
            state.decisions.pop(one, None)
            if decision is not None:
                state.decisions[one] = decision
        return list(decided)

    def _resolved(self, identifier: str, rows: Sequence[DecisionRow]) -> Decision | None:
        last, image = last_of(rows), self._known[identifier]
        found = resolve_decisions(
            [last], [image], self._classes, self._path.name, splits=(image["split"],), unknown=lambda sample, _: sample
        )
        return found.get(identifier)
