"""The images that a round judges: all that were delivered, those that an earlier round dropped included."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.dataset.samples import class_names, column, only_source, read_samples, samples_table


def read_judged(dataset: Path, delivered: Path) -> pa.Table:
    """The source images of a dataset under their labels now, and those that it lacks under the labels as delivered.

    One that is lacking is in the split in which the rest of its group is now.

    Args:
        dataset: what came into the round.
        delivered: the dataset from which the first round started.

    Returns:
        Rows in the order of the dataset, then of the delivered ones that it lacks.

    Raises:
        UserError: a table is missing or damaged.
    """
    here, first = only_source(read_samples(dataset)), only_source(read_samples(delivered))
    lacking = first.filter(pa.array(~np.isin(column(first, "id"), column(here, "id"))))
    split_of = dict(zip(here["group"].to_pylist(), here["split"].to_pylist(), strict=True))
    rows = [{**row, "split": split_of.get(row["group"], row["split"])} for row in lacking.to_pylist()]
    return pa.concat_tables([here, samples_table(rows, class_names(first))])
