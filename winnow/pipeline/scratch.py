"""Large arrays outside of memory: each maps a temporary file without a name.

The system keeps such an array in memory while there is room, and else on the disk. A file without a name is gone with
the process, however that ends.
"""

import mmap
import os
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

FROM_BYTES = 2**28  # of an array; smaller ones are held in memory


def scratch_array(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of any content, to be written to; in memory where it is small, or the disk has no room.

    The file lies in the system's folder for temporary files, ``TMPDIR``.

    Args:
        shape: of the array.
        dtype: of its values.
    """
    size = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=np.int64))
    if size < FROM_BYTES:
        return np.empty(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            # Without room set aside, a disk that fills up later would end the process by a signal.
            os.posix_fallocate(file.fileno(), 0, size)
            return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)
    except (OSError, AttributeError):  # the latter on macOS
        return np.empty(shape, dtype)
