"""Pictures inside a page: small, and written into the page itself as data URIs."""

import base64
import io

from PIL import Image

SIDE = 96  # pixels of the longer side, at most; a card shows no more
PNG_BYTES = 4096  # line art and small greys stay as they are; a photograph shrinks to a fifth as WebP
QUALITY = 80


def picture_uri(png: bytes) -> str:
    """Data URI of an image of a dataset: the PNG itself where it is small, else a WebP of at most SIDE pixels."""
    image = Image.open(io.BytesIO(png), formats=("PNG",))  # whatever a damaged shard holds: some formats start programs
    if len(png) <= PNG_BYTES and max(image.size) <= SIDE:
        return png_uri(png)
    image.thumbnail((SIDE, SIDE))
    sink = io.BytesIO()
    image.convert("RGB").save(sink, format="WEBP", quality=QUALITY)
    return _uri("image/webp", sink.getvalue())


def png_uri(png: bytes) -> str:
    """Data URI of a PNG, whole."""
    return _uri("image/png", png)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
