"""Contact sheets: many captioned images in one picture for people."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from winnow.pictures.drawn import drawn_png

MARGIN = 3  # pixels around a tile


CAPTION = 13  # pixels of height under a tile


FONT_HEIGHT = 10


BACKGROUND, TEXT, FRAME = "white", "black", "lightgrey"


COLOURS = 64  # of the palette of grey images: line art needs no more


def contact_sheet(
    images: Sequence[npt.NDArray[np.uint8]],
    captions: Sequence[str],
    *,
    columns: int,
    tile: int,
    frames: Sequence[str] = (),
) -> bytes:
    """PNG bytes of the images row by row, each fitted into a square and captioned below.

    Args:
        images: each (H, W), (H, W, 1) or (H, W, 3) uint8, of any size.
        captions: one an image; what does not fit is cut off.
        columns: images a row, at least 1.
        tile: side of a square, pixels.
        frames: one colour name an image; none gives every image the same grey frame.

    Raises:
        ValueError: the lengths differ, or columns or tile is below 1.
    """
    if len(captions) != len(images) or (frames and len(frames) != len(images)):
        raise ValueError(f"{len(images)} images need as many captions and frames: {len(captions)}, {len(frames)}")
    if columns < 1 or tile < 1:
        raise ValueError(f"columns and tile must be at least 1, got {columns} and {tile}")
    across, down = tile + 2 * MARGIN, tile + 2 * MARGIN + CAPTION
    rows = max(1, -(-len(images) // columns))
    sheet = Image.new("RGB", (columns * across, rows * down), BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_HEIGHT)
    for number, (pixels, caption) in enumerate(zip(images, captions, strict=True)):
        left, top = number % columns * across + MARGIN, number // columns * down + MARGIN
        fitted = _fitted(pixels, tile)
        x, y = left + (tile - fitted.width) // 2, top + (tile - fitted.height) // 2
        sheet.paste(fitted, (x, y))
        frame = frames[number] if frames else FRAME
        pen.rectangle((x - 1, y - 1, x + fitted.width, y + fitted.height), outline=frame)
        pen.text((left, top + tile + 1), _cut(caption, tile, font), fill=TEXT, font=font)
    return drawn_png(sheet, images, colours=COLOURS)


def _fitted(pixels: npt.NDArray[np.uint8], tile: int) -> Image.Image:
    """The image scaled so that its longer side is the tile's."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1:] == (1,) and pixels.ndim == 3 else pixels).convert("RGB")
    scale = tile / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _cut(caption: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of the caption as fits."""
    while caption and font.getlength(caption) > width:
        caption = caption[:-1]
    return caption
