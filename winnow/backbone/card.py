"""The model that a source is valued, cleansed and judged by, as ``prepare`` resolved it."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from winnow.pipeline.fields import Count, Rate, Share, section
from winnow.pipeline.json_files import read_section

COMPETITION = "competition"

Resize = Literal["letterbox", "centre", "stretch"]
Interpolation = Literal["bilinear", "bicubic"]
Word = Annotated[str, Field(min_length=1)]

CARD = {  # key of data/model.json: meaning
    "model": "competition, torchvision:NAME, timm:NAME or python:MODULE:FACTORY",
    "requested": "`model` of params.yaml, from which it was resolved",
    "weights": "none, default (of the library that the model comes from), package:NAME, or a file in models/user",
    "pixels": "side of the square that images are analysed at",
    "resize": "how an image becomes that square: letterbox (padded), centre (cropped), stretch (aspect not kept)",
    "frozen": "whether the backbone's weights stay as they are and heads are trained on its features",
    "mean[]": "red, green, blue: subtracted from pixels in [0, 1]",
    "std[]": "red, green, blue: what is left is divided by it",
    "interpolation": "of the resize: bilinear or bicubic",
    "antialias": "whether the resize filters when it shrinks",
    "why": "why it was chosen, with the numbers that decided",
}


@section
class Card:
    """The content of data/model.json."""

    model: Word
    requested: Word
    weights: Word
    pixels: Count  # side
    resize: Resize
    frozen: bool
    mean: tuple[Share, Share, Share]  # of red, green and blue in [0, 1]
    std: tuple[Rate, Rate, Rate]
    interpolation: Interpolation
    antialias: bool
    why: Word

    @property
    def competition(self) -> bool:
        """Whether it is the competition's pipeline: 64 x 64 pixels, stretched, and the fixed model."""
        return self.model == COMPETITION

    def fill(self, channels: int) -> tuple[int, ...]:
        """The padding of letterboxed images of 1 or 3 channels: the mean, which normalisation takes to 0 or near it."""
        colour = tuple(round(255 * value) for value in self.mean)
        return colour if channels == 3 else (round(255 * sum(self.mean) / 3),)

    def to_json(self) -> dict[str, Any]:
        """As ``write_json`` takes it."""
        return dataclasses.asdict(self)


def read_card(path: Path) -> Card:
    """The card of a data/model.json.

    Raises:
        UserError: the file is missing, no JSON, or no card.
    """
    return read_section(path, Card)
