"""What the exported files say beside their pixels: removed if that is wished, else counted and told."""

from collections.abc import Iterator

from winnow.pictures.decode import PIXEL_LIMIT, UnreadableError, decode, quiet
from winnow.pictures.metadata import private_metadata, private_text, without_metadata
from winnow.pictures.pixel_hash import pixel_hash
from winnow.pipeline.messages import shown

EXAMPLES = 3  # files named of those that keep theirs


class Metadata:
    """The source images of one export, as they are written one after another."""

    def __init__(self, *, strip: bool) -> None:
        """With ``strip``, without metadata."""
        self._strip = strip
        self._positions = self._names = 0  # of the files as they are written
        self._kept: list[str] = []

    def written(self, content: bytes, file: str, pixels: str) -> bytes:
        """The file to write for an image.

        Args:
            content: as delivered.
            file: its name in the export.
            pixels: hash of its pixels, which those of the file to write have too.
        """
        if self._strip:
            without = without_metadata(content)
            if without is not None and (without == content or _pixels_of(without) == pixels):
                content = without
            else:
                self._kept.append(file)
        private = private_metadata(content)
        self._positions += private.position
        self._names += private.name
        return content

    def lines(self) -> Iterator[str]:
        """What a person should know at the end."""
        if self._kept:
            some = ", ".join(map(shown, self._kept[:EXAMPLES]))
            yield (
                f"warning: {len(self._kept)} images keep their metadata, which cannot be taken out of their formats "
                f"(TIFF, AVIF, JPEG 2000 and others) without coding the pixels anew: {some}"
            )
        if told := private_text(self._positions, self._names):
            remedy = "convert those that keep theirs" if self._strip else "export.strip_metadata: true removes them"
            yield f"warning: {told}, and whoever gets the export gets these too; {remedy}"


def _pixels_of(content: bytes) -> str:
    try:
        with quiet():
            return pixel_hash(decode(content, max_pixels=PIXEL_LIMIT))
    except UnreadableError:
        return ""
