"""What ``ingest`` keeps of an image, computed where it is decoded; the pixels stay there.

A decoding process imports this module, so that it needs to load quickly: neither PyTorch nor pyarrow.
"""

from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image

from winnow.intake.perceptual_hash import NO_HASH, perceptual_hash
from winnow.pictures.decode import upright_pixels
from winnow.pictures.line_art import SMALL, few_levels
from winnow.pictures.metadata import private_metadata
from winnow.pictures.pixel_hash import pixel_hash


@dataclass(frozen=True)
class Facts:
    """Of one image, as delivered and upright."""

    pixel_hash: str
    channels: int  # 1 or 3
    width: int
    height: int
    line_art: bool  # grey with few levels
    perceptual_hash: str  # hex, alike for images that look alike; all 0 of line art and tiny images
    has_position: bool  # whether its file says where it was taken
    has_name: bool  # or by which device, or whose it is


def facts(image: Image.Image, content: bytes) -> dict[str, Any]:
    """The fields of the ``Facts`` of an image whose header was read, and of its file.

    Raises:
        UnreadableError: it gives no pixels.
    """
    pixels = upright_pixels(image)  # (H, W, C)
    (height, width, channels), drawn = pixels.shape, few_levels(pixels)
    private = private_metadata(content)
    unlike = drawn or max(width, height) <= SMALL
    found = Facts(
        pixel_hash=pixel_hash(pixels),
        channels=channels,
        width=width,
        height=height,
        line_art=drawn,
        perceptual_hash=(NO_HASH if unlike else perceptual_hash(pixels)).tobytes().hex(),
        has_position=private.position,
        has_name=private.name,
    )
    return asdict(found)
