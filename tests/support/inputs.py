"""What stages read beside a dataset: the card of the model, and where its inputs are."""

from pathlib import Path
from typing import Any

from winnow.backbone.card import COMPETITION, Card
from winnow.backbone.choice import Request, resolve
from winnow.pipeline.files import write_json

CARD: Card = resolve(Request(COMPETITION, "default", 0, True, "letterbox"))


def competition_card(folder: Path) -> Path:
    """A model.json that names the competition's model."""
    write_json(folder / "model.json", CARD.to_json())
    return folder / "model.json"


def no_pixels(folder: Path) -> Path:
    """A folder of pixels that has none, so that images are decoded from the shards of their dataset."""
    return folder / "pixels"


def competition_inputs(folder: Path, *names: str) -> dict[str, Any]:
    """Options of a stage where the model is the competition's, which has no features and no code of the user's.

    Args:
        folder: where model.json is written.
        names: of the options, of model, pixels, features and user.
    """
    paths = {"model": competition_card(folder), "pixels": no_pixels(folder)}
    return {name: paths.get(name, folder / name) for name in names}
