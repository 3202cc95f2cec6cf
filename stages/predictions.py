"""Resolve what the user's own model says of the images, for the signals of valuing and cleansing.

Reads   predictions and embeddings of params.yaml (no options: a path may hold anything): CSV or parquet, name or id,
        and one column a class with out-of-fold probabilities, or columns of an embedding; without rows they say nothing
        --prepared  dataset as prepared, whose images the rows name
Writes  --resolved  folder: classes.parquet (id, probability of each class), embeddings.parquet (id, embedding)
Params  predictions, embeddings
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.dataset.samples import class_names, read_samples
from winnow.intake.user_tables import ByImage, read_embeddings, read_predictions
from winnow.pipeline.files import ROOT, Columns, schema_of, write_table
from winnow.pipeline.stage import Sections, run_stage

USER_CLASSES: Columns = {
    "id": (pa.string(), "of the image"),
    "probability": (
        pa.list_(pa.float64()),
        "K values in the order of the classes, by the user's own model, out of fold",
    ),
}
USER_EMBEDDINGS: Columns = {
    "id": (pa.string(), "of the image"),
    "embedding": (pa.list_(pa.float64()), "D values, by the user's own model"),
}


def main(predictions: str, vectors: str, *, prepared: Path, resolved: Path) -> None:
    """Run the stage on the files given."""
    samples = read_samples(prepared)
    predicted = read_predictions(ROOT / predictions, samples, class_names(samples))
    embedded = read_embeddings(ROOT / vectors, samples)
    write_table(resolved / "classes.parquet", _table(predicted, USER_CLASSES))
    write_table(resolved / "embeddings.parquet", _table(embedded, USER_EMBEDDINGS))
    print(
        f"predictions: of {len(samples)} images {len(predicted.ids)} have predictions and {len(embedded.ids)} "
        f"embeddings of the user's own; {predicted.unknown} and {embedded.unknown} rows name no image of them"
    )


def _table(found: ByImage, columns: Columns) -> pa.Table:
    count, width = found.values.shape
    lists = pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32) * width, found.values.ravel())
    return pa.table([found.ids, lists], schema=schema_of(columns))


SECTIONS: Sections = {"predictions": ("predictions", str), "vectors": ("embeddings", str)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
