"""What a request about a decision may say."""

from collections.abc import Collection

from winnow.verdicts.decision_rows import UNDO
from winnow.verdicts.ledger import DROP, KEEP, RELABEL

ACTIONS = (KEEP, DROP, RELABEL, UNDO)
MOST_NOTE = 2000  # characters


class InvalidError(ValueError):
    """A request that makes no sense; the message is one sentence."""


def check_decision(action: str, label: str | None, note: str, classes: Collection[str]) -> None:
    """Check what is decided of an image.

    Args:
        action: that is asked for.
        label: that the image is to have.
        note: of the person.
        classes: that an image may be given.

    Raises:
        InvalidError: the action or the label is none, they do not go together, or the note is too long.
    """
    if action not in ACTIONS:
        raise InvalidError(f"the action must be one of {', '.join(ACTIONS)}, got {action[:40]!r}")
    if (action == RELABEL) != (label is not None):
        raise InvalidError("a label goes with relabel, and with nothing else")
    if label is not None and label not in classes:
        raise InvalidError(f"{label[:40]!r} is no class of this source")
    if len(note) > MOST_NOTE:
        raise InvalidError(f"the note may have {MOST_NOTE} characters, got {len(note)}")
