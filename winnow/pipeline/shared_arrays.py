"""Large arrays among the arguments of jobs: written once, and mapped by every worker instead of copied."""

import io
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.pipeline.messages import DISK_FULL, WAY_BACK, UserError

SHARED_FROM = 2**20  # bytes of an array from which workers map a file instead of receiving a copy

Array = npt.NDArray[Any]
Written = dict[int, tuple[Array, Path]]  # by id() of an array, it and its file


class SharingPickler(pickle.Pickler):
    """Leaves large arrays in files, each written once for all jobs."""

    def __init__(self, file: io.BytesIO, folder: Path, written: Written) -> None:
        super().__init__(file)
        self.folder, self.written = folder, written

    def reducer_override(self, value: object) -> Any:
        """Copy on write: PyTorch takes an array as it is only where it can be written."""
        if type(value) is not np.ndarray or value.nbytes < SHARED_FROM or value.dtype.hasobject:
            return NotImplemented
        if id(value) not in self.written:
            path = self.folder / str(len(self.written))
            _write(path, np.ascontiguousarray(value))
            self.written[id(value)] = value, path  # kept with its path, so that no other array gets its id
        return np.memmap, (self.written[id(value)][1], value.dtype, "c", 0, value.shape)


def _write(path: Path, array: Array) -> None:
    try:
        path.write_bytes(array.data)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno not in DISK_FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        why = f"{array.nbytes:,} bytes needed, {free:,} free on its disk ({error.strerror})"
        temporary = tempfile.gettempdir()
        raise UserError(f"no room in {temporary} for what the workers read: {why}; {WAY_BACK}") from error
