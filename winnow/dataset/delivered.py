"""The images that a round judges: all that were delivered, those that an earlier round dropped included."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import SCHEMA, class_names, of_classes, only_source, read_samples


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
    lacking = first.filter(pc.invert(pc.is_in(first["id"], value_set=here["id"])))
    last_first = np.arange(len(here))[::-1]  # of a group in two splits, the last image's
    place = pc.index_in(lacking["group"], value_set=here["group"].take(last_first))
    splits = pc.coalesce(here["split"].take(last_first).take(place), lacking["split"])
    lacking = lacking.set_column(SCHEMA.get_field_index("split"), "split", splits)
    return pa.concat_tables([here, of_classes(lacking, class_names(first))])
