"""Pictures as a browser shows them: as delivered where it can, else as PNG; small ones; those that were decided on.

When a decision is stored, a small picture of what the person saw is kept in ``.winnow/seen`` under the hash that the
decision names, so that an image whose bytes changed since can be shown beside it.
"""

import functools
import io
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from winnow.dataset.images import encode_png
from winnow.pictures.decode import PIXEL_LIMIT, Pixels, check_header, decode, quiet
from winnow.pictures.thumbnail import thumbnail
from winnow.pipeline.durable import replace_file

SHOWN_AS_STORED = {  # by Pillow's name of a format, its content type; of others a browser gets a PNG
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with further pictures behind it, as telephones write it: the first is shown
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
}
PNG = "image/png"
THUMBNAIL_SIDE = 128  # pixels
THUMBNAILS_HELD = 20_000  # in memory, of some KB
SEEN = ".winnow/seen"
SEEN_SIDE = 512  # pixels: enough to see what the person saw
LOSSLESS_SIDE = 160  # up to it, line art most of all, a PNG is small
HASH = re.compile("[0-9a-f]{16,64}")


@dataclass(frozen=True)
class Picture:
    """The answer to a request for a picture."""

    content: bytes
    kind: str  # content type


class Pictures:
    """Pictures of images by dataset and id; safe to use from several threads."""

    def __init__(self, content: Callable[[str, str], bytes], root: Path) -> None:
        """Pictures.

        Args:
            content: bytes of the image of a dataset and an id.
            root: the repository.
        """
        self._content, self._seen = content, root / SEEN
        self._lock = threading.Lock()  # Pillow's warnings are suppressed for all threads at once
        self._thumbnail = functools.lru_cache(THUMBNAILS_HELD)(self._make_thumbnail)

    def whole(self, dataset: str, identifier: str) -> Picture:
        """The image at its full size.

        Raises:
            UnreadableError: the bytes give no pixels.
        """
        content = self._content(dataset, identifier)
        with self._lock, quiet():
            kind = check_header(io.BytesIO(content), max_pixels=PIXEL_LIMIT).format or ""
            if kind in SHOWN_AS_STORED:
                return Picture(content, SHOWN_AS_STORED[kind])
            return Picture(encode_png(decode(content, max_pixels=PIXEL_LIMIT)), PNG)

    def small(self, dataset: str, identifier: str) -> Picture:
        """The image with its longer side reduced to ``THUMBNAIL_SIDE``.

        Raises:
            UnreadableError: the bytes give no pixels.
        """
        return self._thumbnail(dataset, identifier)

    def _make_thumbnail(self, dataset: str, identifier: str) -> Picture:
        content = self._content(dataset, identifier)
        with self._lock:
            return _encoded(thumbnail(content, THUMBNAIL_SIDE))

    def keep_seen(self, dataset: str, identifier: str, pixel_hash: str) -> None:
        """Keep a small picture of the image under its hash, if there is none yet.

        Raises:
            OSError: it cannot be written.
            UnreadableError: the bytes give no pixels.
        """
        if not HASH.fullmatch(pixel_hash) or self.has_seen(pixel_hash):
            return
        content = self._content(dataset, identifier)
        with self._lock:
            picture = _encoded(thumbnail(content, SEEN_SIDE))
        replace_file(self._seen / pixel_hash, [picture.content], sync=False)

    def has_seen(self, pixel_hash: str) -> bool:
        """Whether the picture that a decision was about is kept."""
        return bool(HASH.fullmatch(pixel_hash)) and (self._seen / pixel_hash).is_file()

    def seen(self, pixel_hash: str) -> Picture | None:
        """The picture as it was when it was decided on; None where it is not kept."""
        if not self.has_seen(pixel_hash):
            return None
        content = (self._seen / pixel_hash).read_bytes()
        return Picture(content, PNG if content.startswith(b"\x89PNG") else "image/webp")


def _encoded(pixels: Pixels) -> Picture:
    """A small picture: PNG where that is small, else WebP."""
    if max(pixels.shape[:2]) <= LOSSLESS_SIDE and pixels.shape[-1] == 1:
        return Picture(encode_png(pixels), PNG)
    sink = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(sink, format="WEBP", quality=80)
    return Picture(sink.getvalue(), "image/webp")
