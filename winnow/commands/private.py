"""What travels with the images of a source, said before somebody else has it."""

from pathlib import Path

from winnow.pictures.metadata import private_text
from winnow.pipeline.files import ROOT
from winnow.pipeline.json_files import read_json
from winnow.pipeline.messages import UserError

PREPARED = ROOT / "metrics/prepare.json"


def private_warning(metrics: Path = PREPARED) -> str:
    """A sentence where prepare counted files with positions, serial numbers or names; else empty.

    Args:
        metrics: of prepare; one that is missing, no JSON, or older than the counts says nothing.
    """
    try:
        counts = read_json(metrics)
        told = private_text(counts["images_with_gps"], counts["images_with_serial_number"])
    except (UserError, LookupError, TypeError):
        return ""
    if not told:
        return ""
    return f"warning: {told}, and whoever can read the remote gets these with the images; take them out of the source"
