"""How a model's weights want their input: size, normalisation and interpolation, from the weights' own metadata."""

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from winnow.backbone.card import Interpolation
from winnow.backbone.packaged import LITE0_MEAN, LITE0_STD, PACKAGE, packaged_model
from winnow.pipeline.messages import UserError

TORCHVISION, TIMM, PYTHON = "torchvision:", "timm:", "python:"
Colour = tuple[float, float, float]  # red, green, blue

IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)
PIXELS = 224  # of a model without metadata


@dataclass(frozen=True)
class Preprocessing:
    """What a model's weights were trained with."""

    pixels: int = PIXELS
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD
    interpolation: Interpolation = "bilinear"
    antialias: bool = True


def preprocessing_of(model: str, weights: str) -> Preprocessing:
    """From timm's ``pretrained_cfg`` or torchvision's ``weights.transforms()``; ImageNet's usual values without either.

    A file of weights is taken to want what the library's own weights of that model want. Nothing is downloaded and no
    network is built.

    Args:
        model: ``torchvision:NAME``, ``timm:NAME`` or ``python:MODULE:FACTORY``.
        weights: ``none``, ``default``, ``package:NAME`` or a path.

    Raises:
        UserError: no such model, or a package's weights are of another.
    """
    found = _of_library(model)
    if weights.startswith(PACKAGE):
        fitting = packaged_model(weights.removeprefix(PACKAGE))
        if model != fitting:
            raise UserError(f"params.yaml: weights {weights} are of model {fitting}, got model {model}")
        mean, std = (_colour((value,) * 3) for value in (LITE0_MEAN, LITE0_STD))
        return dataclasses.replace(found, mean=mean, std=std)
    return found


def rounded(value: float) -> float:
    """At the six digits that data/model.json keeps, so that the card of a run equals the one read back."""
    return float(f"{value:.6g}")


def known_torchvision() -> list[str]:
    """Names of torchvision's classifiers."""
    import torchvision  # takes seconds, as timm does: only where a model of theirs is wanted

    return torchvision.models.list_models(module=torchvision.models)  # type: ignore[no-any-return]


def _of_library(model: str) -> Preprocessing:
    if model.startswith(TORCHVISION):
        name = model.removeprefix(TORCHVISION)
        if name not in known_torchvision():
            raise _unknown(model, TORCHVISION, known_torchvision())
        import torchvision

        return _of_torchvision(torchvision.models.get_model_weights(name).DEFAULT.transforms())
    if model.startswith(TIMM):
        name = model.removeprefix(TIMM)
        import timm

        try:
            config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
        except RuntimeError:  # a tag that it does not know
            config = None
        if config is None:
            raise _unknown(model, TIMM, timm.list_models())
        return _of_timm(config)
    return Preprocessing()


def _of_torchvision(transforms: Any) -> Preprocessing:
    return Preprocessing(
        int(transforms.crop_size[0]),
        _colour(transforms.mean),
        _colour(transforms.std),
        "bicubic" if transforms.interpolation.value == "bicubic" else "bilinear",
        transforms.antialias is not False,
    )


def _of_timm(config: Any) -> Preprocessing:
    """Timm resizes with Pillow, which always antialiases."""
    return Preprocessing(
        int(config.input_size[-1]),
        _colour(config.mean),
        _colour(config.std),
        "bicubic" if config.interpolation == "bicubic" else "bilinear",
    )


def _colour(values: Sequence[float]) -> Colour:
    red, green, blue = map(rounded, values)
    return red, green, blue


def _unknown(model: str, prefix: str, known: Sequence[str]) -> UserError:
    near = [prefix + name for name in difflib.get_close_matches(model.removeprefix(prefix), known)]
    hint = f"did you mean {' or '.join(near)}?" if near else "see the library's list of models"
    return UserError(f"params.yaml: model must be one that {prefix[:-1]} knows, got {model!r}; {hint}")
