"""The tables of the workspace that a sample's story is made of, each read as far as it is asked for."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import SCHEMA
from winnow.history.revision import Revision, read_columns
from winnow.history.verdicts import read_verdicts
from winnow.verdicts.states import combined

PREPARED, TEST = "data/prepared", "data/test"
LEAKS = f"{PREPARED}/leaks"  # a dataset of the images left out and those that they belong to; older runs have none

Row = dict[str, Any]  # of a samples table


class Records:
    """What the workspace holds about samples; of each table no more is read than is asked for."""

    def __init__(self, workspace: Revision, dataset: str) -> None:
        """The records.

        Args:
            workspace: the revision.
            dataset: read too, if it is there, although dvc.lock may not name it.
        """
        self._workspace, self._dataset = workspace, dataset
        known = dict.fromkeys([TEST, *workspace.outputs, dataset])
        there = [folder for folder in known if f"{folder}/samples.parquet" in workspace.files(folder)]
        self.folders = tuple(dict.fromkeys([PREPARED, *there]))  # datasets that exist, prepare's first
        workspace.file(f"{PREPARED}/samples.parquet")  # named first where all of them are missing
        self.leaks = read_columns(workspace, f"{PREPARED}/leaks.parquet")
        self.rejected = read_columns(workspace, f"{PREPARED}/rejected.parquet", ["name", "reason"])

    def column(self, folder: str, *names: str) -> pa.Table:
        """Some columns of a dataset's samples."""
        return read_columns(self._workspace, f"{folder}/samples.parquet", names)

    def rows(self, folder: str, column: str, values: pa.Array) -> list[Row]:
        """The samples of a dataset with one of the values in a column; others than these are read of it alone."""
        ids = self.column(folder, "id", column) if column != "id" else self.column(folder, "id")
        mine = combined(ids["id"].filter(pc.is_in(ids[column], values)))
        if not len(mine):
            return []
        path = f"{folder}/samples.parquet"
        found: list[Row] = read_columns(self._workspace, path, SCHEMA.names, ids=mine).to_pylist()
        return found

    def verdicts(self, identifier: str) -> pa.Table:
        """Every verdict on a sample, in order."""
        return read_verdicts(self._workspace, self._dataset, pa.array([identifier]))
