"""Names in messages."""

from pathlib import Path


def shown(text: str | Path) -> str:
    """A name as one readable line: quoted, control characters escaped, the middle of a long one left out."""
    quoted = repr(str(text))
    return quoted if len(quoted) <= 120 else f"{quoted[:58]}...{quoted[-58:]}"
