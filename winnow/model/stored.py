"""Labelled images that are read where they are wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.model.inputs import Inputs
from winnow.training.training import Labelled


@dataclass(frozen=True)
class Stored:
    """Of a dataset; a job that carries them carries paths and ids."""

    inputs: Inputs
    dataset: Path
    ids: Sequence[str]  # N
    labels: npt.NDArray[np.int64]  # (N,)

    def read(self) -> Labelled:
        """In memory, as the model that is judged takes them."""
        return Labelled(self.inputs.trained_on(self.dataset, self.ids), self.labels)
