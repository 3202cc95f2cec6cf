"""Large arrays among the arguments of jobs: mapped by every worker instead of copied.

One that maps a file of the repository is mapped from there; any other is written once.
"""

import io
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.pipeline.files import ROOT
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
        if not isinstance(value, np.ndarray) or type(value) not in (np.ndarray, np.memmap) or value.dtype.hasobject:
            return NotImplemented
        if value.nbytes < SHARED_FROM:
            return NotImplemented
        if (place := _place(value)) is not None:
            return np.memmap, (place[0], value.dtype, "c", place[1], value.shape)
        if id(value) not in self.written:
            path = self.folder / str(len(self.written))
            _write(path, np.ascontiguousarray(value))
            self.written[id(value)] = value, path  # kept with its path, so that no other array gets its id
        return np.memmap, (self.written[id(value)][1], value.dtype, "c", 0, value.shape)


def _place(array: Array) -> tuple[Path, int] | None:
    """The file of the repository that an array maps, and the byte that it begins at there; None where it maps none.

    A slice of a memory map keeps the offset of the whole in its own, so that addresses tell where it begins.
    """
    if not array.flags.c_contiguous:
        return None
    whole: Any = array
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    if (
        not isinstance(whole, np.memmap) or whole.mode != "r" or whole.filename is None
    ):  # others may have been written to
        return None
    path = Path(str(whole.filename)).absolute()
    if not path.is_relative_to(ROOT):
        return None
    return path, whole.offset + array.ctypes.data - whole.ctypes.data


def _write(path: Path, array: Array) -> None:
    try:
        path.write_bytes(array.data)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno not in DISK_FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        why = f"{array.nbytes:,} bytes needed, {free:,} free on its disk ({error.strerror})"
        raise UserError(f"no room in {path.parent.parent} for what the workers read: {why}; {WAY_BACK}") from error
