"""Which model a source is valued, cleansed and judged by: as params.yaml says, or by what its images are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from winnow.backbone.card import COMPETITION, Card, Word
from winnow.backbone.packaged import LITE0, LITE0_MODEL, PACKAGE
from winnow.backbone.preprocessing import PYTHON, TIMM, TORCHVISION, preprocessing_of, rounded
from winnow.pictures.line_art import SMALL
from winnow.pipeline.fields import FieldError, Side, checked, section
from winnow.pipeline.messages import UserError

AUTO = "auto"
FORMS = "auto, competition, torchvision:NAME, timm:NAME or python:MODULE:FACTORY"

COMPETITION_PIXELS = 64
CAFFE_MEAN = (123.68, 116.779, 103.939)  # red, green, blue of 0..255; the fixed model subtracts them by itself

MAJORITY = 0.5  # above this share of small images or line art, auto chooses competition


@section
class Request:
    """Params `model`, `weights`, `pixels`, `frozen` and `resize`."""

    model: Word
    weights: Word
    pixels: Side  # 0: as the model's own preprocessing says
    frozen: bool
    resize: Literal["letterbox", "centre"]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|competition|torchvision:\w+|timm:[\w.]+|python:\w+(\.\w+)*:\w+", self.model):
            raise ValueError(f"model must be {FORMS}, got {self.model!r}")
        if self.model in (AUTO, COMPETITION) and self.weights != "default":
            raise ValueError(f"weights must be default where model is {self.model}, got {self.weights!r}")
        if self.model == COMPETITION and self.pixels not in (0, COMPETITION_PIXELS):
            raise ValueError(f"pixels must be 0 or {COMPETITION_PIXELS} where model is competition, got {self.pixels}")
        if self.frozen and self.weights == "none":
            raise ValueError("frozen needs pretrained weights, got weights none; set frozen to false, or weights")


@dataclass(frozen=True)
class Facts:
    """What decides where model is auto."""

    images: int
    small: float  # share with both sides at most ``SMALL`` pixels
    line_art: float  # share that is grey with few levels
    either: float  # share that is one or the other, or both

    @property
    def suit_competition(self) -> bool:
        """Whether most images are small or line art, as the competition's are."""
        return self.either > MAJORITY


def request_of(params: Mapping[str, Any]) -> Request:
    """The request in params.yaml, checked.

    Args:
        params: of which model, weights, pixels, frozen and resize are read.

    Raises:
        UserError: a value is missing, out of range, or does not go with the others.
    """
    names = ("model", "weights", "pixels", "frozen", "resize")
    try:
        request: Request = checked({name: params[name] for name in names if name in params}, Request)
    except FieldError as error:
        raise UserError(f"params.yaml: {error}") from None
    return request


def facts_of(widths: Sequence[int], heights: Sequence[int], line_art: Sequence[bool]) -> Facts:
    """The facts of a source.

    Args:
        widths: (N) in pixels, as delivered and upright.
        heights: (N) likewise.
        line_art: (N) what ``winnow.pictures.line_art.few_levels`` says of each image.
    """
    if not len(widths):
        return Facts(0, 0.0, 0.0, 0.0)
    small = np.maximum(widths, heights) <= SMALL  # (N,)
    lines = np.asarray(line_art, bool)  # (N,)
    return Facts(len(small), float(small.mean()), float(lines.mean()), float((small | lines).mean()))


def resolve(request: Request, facts: Facts | None = None) -> Card:
    """The model that the source is analysed with, and why.

    Args:
        request: as params.yaml has it.
        facts: of the source; needed where the model is auto alone.

    Raises:
        ValueError: the model is auto and there are no facts.
        UserError: no such model or package.
    """
    if request.model == COMPETITION:
        return _competition(request, "params.yaml: model is competition")
    if request.model != AUTO:
        return _chosen(request, request.model, request.weights, f"params.yaml: model is {request.model}")
    if facts is None:
        raise ValueError("model auto needs the facts of the source")
    if facts.suit_competition:
        why = (
            f"auto: {_percent(facts.either)} of {facts.images:,} images are at most {SMALL} pixels wide and high "
            f"({_percent(facts.small)}) or line art ({_percent(facts.line_art)}), "
            "so the competition's pipeline, which trains on the data alone"
        )
        return _competition(request, why)
    why = (
        f"auto: {_percent(1 - facts.either)} of {facts.images:,} images are larger than {SMALL} pixels and not line "
        "art, so EfficientNet-Lite0, pretrained on photographs"
    )
    return _chosen(request, LITE0_MODEL, PACKAGE + LITE0, why)


def _competition(request: Request, why: str) -> Card:
    red, green, blue = (rounded(value / 255) for value in CAFFE_MEAN)
    std = rounded(1 / 255)
    return Card(
        model=COMPETITION,
        requested=request.model,
        weights="none",
        pixels=COMPETITION_PIXELS,
        resize="stretch",
        frozen=False,
        mean=(red, green, blue),
        std=(std, std, std),
        interpolation="bilinear",
        antialias=True,
        why=why,
    )


def _chosen(request: Request, model: str, weights: str, why: str) -> Card:
    wanted = preprocessing_of(model, weights)
    if weights == "default" and model.startswith((TORCHVISION, TIMM)):
        why += ", with its library's own weights"
    elif model.startswith(PYTHON) and weights == "default":
        why += ", with the weights that its factory gives it"
    return Card(
        model=model,
        requested=request.model,
        weights=weights,
        pixels=request.pixels or wanted.pixels,
        resize=request.resize,
        frozen=request.frozen,
        mean=wanted.mean,
        std=wanted.std,
        interpolation=wanted.interpolation,
        antialias=wanted.antialias,
        why=why,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
