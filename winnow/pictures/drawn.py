"""What a picture for people is written as: a small palette where all in it is drawn or grey, else all its colours."""

import io
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image


def drawn_png(drawing: Image.Image, shown: Iterable[npt.NDArray[np.uint8]], *, colours: int) -> bytes:
    """PNG bytes of a drawing with images in it.

    A palette makes a file of line art and grey images a quarter as large. Photographs in colour lose small areas of a
    rare colour even in 256 colours (median cut, with or without dithering), so that they keep all of theirs: at 96
    photographs of 88 pixels 0.80 MB instead of 0.27 MB.

    Args:
        drawing: RGB.
        shown: the images in it, each (H, W), (H, W, 1) or (H, W, 3).
        colours: of the palette, where all of the images are grey.
    """
    in_colour = any(pixels.ndim == 3 and (pixels != pixels[..., :1]).any() for pixels in shown)
    kept = drawing if in_colour else drawing.quantize(colours, dither=Image.Dither.NONE)
    sink = io.BytesIO()
    kept.save(sink, format="PNG", optimize=True)
    return sink.getvalue()
