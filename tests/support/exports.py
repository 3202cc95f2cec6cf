"""The export stage on datasets of a test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from stages.export import Params, main
from winnow.backbone.card import COMPETITION, Card
from winnow.pipeline.files import write_json

Copies = Literal["auto", "files", "none"]
PHOTOGRAPHS = "timm:tf_efficientnet_lite0"


def exported(
    dataset: Path,
    prepared: Path,
    folder: Path,
    *,
    model: str = COMPETITION,
    copies: Copies = "auto",
    max_images: int = 1000,
    scores: Sequence[Path] = (),
) -> Path:
    """Run the stage; the folder that it wrote."""
    half = (0.5, 0.5, 0.5)
    card = Card(model, "auto", "none", 64, "letterbox", True, half, half, "bilinear", True, "a test")
    path = folder.with_name(f"{folder.name}-model.json")
    write_json(path, card.to_json())
    main(Params(copies), max_images, dataset=dataset, prepared=prepared, scores=list(scores), model=path, export=folder)
    return folder
