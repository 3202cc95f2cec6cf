"""What stages read beside a dataset: the card of the model, and where its inputs are."""

from pathlib import Path
from typing import Any

from stages.predictions import USER_CLASSES, USER_EMBEDDINGS
from winnow.backbone.card import COMPETITION, Card
from winnow.backbone.choice import Request, resolve
from winnow.pipeline.files import schema_of, write_json, write_table

CARD: Card = resolve(Request(COMPETITION, "default", 0, True, "letterbox"))


def competition_card(folder: Path) -> Path:
    """A model.json that names the competition's model."""
    write_json(folder / "model.json", CARD.to_json())
    return folder / "model.json"


def no_pixels(folder: Path) -> Path:
    """A folder of pixels that has none, so that images are decoded from the shards of their dataset."""
    return folder / "pixels"


def no_user_signals(folder: Path) -> Path:
    """A folder of the stage ``predictions`` where the user's own model said nothing."""
    resolved = folder / "user_signals"
    write_table(resolved / "classes.parquet", schema_of(USER_CLASSES).empty_table())
    write_table(resolved / "embeddings.parquet", schema_of(USER_EMBEDDINGS).empty_table())
    return resolved


def competition_inputs(folder: Path, *names: str) -> dict[str, Any]:
    """Options of a stage where the model is the competition's, which has no features and no code of the user's.

    Args:
        folder: where model.json is written.
        names: of the options, of model, pixels, features, user and user_signals.
    """
    made = {"model": competition_card, "pixels": no_pixels, "user_signals": no_user_signals}
    return {name: made[name](folder) if name in made else folder / name for name in names}
