"""What became of the images, read again whenever the refined dataset is another one: ``winnow apply`` rewrites it."""

import contextlib
import os
import threading
from pathlib import Path

from winnow.pipeline.messages import UserError
from winnow.review.records import REFINED, Outcome, read_outcome
from winnow.verdicts.ledger import LEDGER


class Refined:
    """The outcome of a run as it is now; safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        """The outcome.

        Args:
            root: the repository.

        Raises:
            UserError: the refined dataset is missing, or damaged.
        """
        self._root = root
        self._lock = threading.Lock()
        self._stamp = self._seen()
        self._outcome = read_outcome(root)

    def now(self) -> Outcome:
        """The outcome; while the dataset is being written, the one before."""
        with self._lock:
            stamp = self._seen()
            if stamp is not None and stamp != self._stamp:
                with contextlib.suppress(UserError):  # half of it is there: the next look reads it again
                    self._outcome, self._stamp = read_outcome(self._root), stamp
            return self._outcome

    def _seen(self) -> list[tuple[int, int]] | None:
        """What tells one state of the dataset from another; None: it has no table, which is written last."""
        files = [self._root / REFINED / name for name in ("samples.parquet", LEDGER)]
        found = [_stat(file) for file in files]
        return [(one.st_ino, one.st_mtime_ns) for one in found if one is not None] if found[0] is not None else None


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # a dataset without verdicts has no ledger
        return None
