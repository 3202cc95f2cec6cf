"""What the user's own model says, as the rows of a dataset; NaN where it says nothing, as of copies."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import class_names
from winnow.pipeline.files import read_table
from winnow.pipeline.messages import UserError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class UserSignals:
    """By row of a dataset."""

    probability: Array | None  # (N, K); None where there are no predictions
    embedding: Array | None  # (N, D); None where there are no embeddings


NONE = UserSignals(None, None)


def read_user_signals(folder: Path, samples: pa.Table) -> UserSignals:
    """The predictions and embeddings of the stage ``predictions``, for the samples.

    Args:
        folder: its output.
        samples: N rows.

    Raises:
        UserError: a table is missing or damaged, or is about other classes.
    """
    probability = _rows(folder / "classes.parquet", "probability", samples)
    if probability is not None and probability.shape[1] != len(class_names(samples)):
        raise UserError(f"{folder} is about other classes than the dataset holds; run `dvc repro`")
    return UserSignals(probability, _rows(folder / "embeddings.parquet", "embedding", samples))


def _rows(path: Path, column: str, samples: pa.Table) -> Array | None:
    table = read_table(path, columns=["id", column])
    if not table.num_rows:
        return None
    values = table[column].combine_chunks().flatten().to_numpy().reshape(len(table), -1)  # (n, D)
    rows = {one: row for row, one in enumerate(table["id"].to_pylist())}
    found = np.full((len(samples), values.shape[1]), np.nan)
    for row, one in enumerate(samples["id"].to_pylist()):
        if one in rows:
            found[row] = values[rows[one]]
    return found
