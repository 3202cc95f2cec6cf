"""Texts of the report: figures, names of stages, the model that judges; and text from anywhere made visible."""

import math
from collections.abc import Mapping
from typing import Any

from winnow.report.figures import MINUS

RESIZED = {"letterbox": "letterboxed", "centre": "the centre cropped", "stretch": "stretched"}


CLEANSINGS = {  # stage: the heading of its verdicts
    "cleanse_influence": "first verdict",
    "cleanse_neighbours": "second cleansing",
    "cleanse_final": "last cleansing",
    "decided": "people's decisions before the first round",
    "refined": "people's overrides, applied at the end",
}
COMPETITION = "competition"  # `model` of data/model.json where the fixed model judges


def visible(text: str) -> str:
    """The text with control characters, and those that turn or hide text, written out; nothing else changes."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def percent(share: float, *, sign: bool = False, digits: int = 1) -> str:
    """A share as per cent."""
    return f"{100 * share:{'+' if sign else ''}.{digits}f} %".replace("-", MINUS)


def figure(value: float, *, sign: bool = False) -> str:
    """Three decimals."""
    return f"{value:{'+' if sign else ''}.3f}".replace("-", MINUS)


def support(value: float | None) -> str:
    """Three significant digits; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.3g}".replace("-", MINUS)


def model_text(model: Mapping[str, Any]) -> str:
    """The model that judges, what it starts from and what it sees, in words."""
    pixels, weights = model["pixels"], model.get("weights")
    parts = [
        str(model["model"]),
        f"weights {weights}" if weights and weights != "none" else "trained from scratch",
        *(["frozen"] if model["frozen"] else []),
        f"{pixels} x {pixels} pixels, {RESIZED.get(model['resize'], model['resize'])}",
    ]
    return ", ".join(parts)


def judge_text(model: Mapping[str, Any]) -> str:
    """What every arm trains, within a sentence."""
    if model["model"] == COMPETITION:
        return "the competition's fixed model"
    return f"a linear head on {model['model']}" if model["frozen"] else f"{model['model']}, fine-tuned,"


def words(name: str) -> str:
    """A stage's or a file's name as words; of a cleansing, whose name is older than what it does, its heading."""
    return CLEANSINGS.get(name, name.replace("_", " "))
