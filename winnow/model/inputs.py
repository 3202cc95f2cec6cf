"""What a model is trained on: pixels at its size, or features of its frozen backbone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.backbone.card import Card, read_card
from winnow.dataset.arrays import ArrayStore
from winnow.dataset.images import read_features, read_images
from winnow.pictures.decode import stretch


@dataclass(frozen=True)
class Inputs:
    """The card of a source's model, and where its inputs are."""

    card: Card
    pixels: Path  # of the stage `pixels`
    features: Path  # of the stage `features`

    @property
    def on_features(self) -> bool:
        """Whether images are valued and compared by features of a backbone that was trained on none of them."""
        return not self.card.competition

    def images(self, dataset: Path, ids: Sequence[str]) -> npt.NDArray[np.uint8]:
        """(N, S, S, C) pixels; see ``read_images``."""
        return read_images(dataset, ids, self.pixels)

    def vectors(self, dataset: Path, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """(N, D) features; see ``read_features``."""
        return read_features(dataset, ids, self.features)

    def small(self, dataset: Path, ids: Sequence[str], side: int) -> npt.NDArray[np.uint8]:
        """(N, side, side, C) of source images; in the competition as they are analysed."""
        if self.card.competition:
            return self.images(dataset, ids)
        store = ArrayStore(self.pixels)  # one at a time: the squares of many photographs would fill the memory
        small = [stretch(store.row(one), side=side) for one in ids]
        channels = max((one.shape[-1] for one in small), default=1)
        return np.stack([np.broadcast_to(one, (side, side, channels)) for one in small])

    def trained_on(self, dataset: Path, ids: Sequence[str]) -> npt.NDArray[np.generic]:
        """What the model that is judged reads: features where its backbone is frozen, else pixels."""
        return self.vectors(dataset, ids) if self.card.frozen else self.images(dataset, ids)


def read_inputs(model: Path, pixels: Path, features: Path) -> Inputs:
    """The inputs of a source.

    Args:
        model: data/model.json.
        pixels: folder of the stage ``pixels``.
        features: folder of the stage ``features``.

    Raises:
        UserError: the card is missing or damaged.
    """
    return Inputs(read_card(model), pixels, features)
