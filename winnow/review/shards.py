"""Single images of a dataset's shards, at once: a shard is unpacked when one of it is wanted.

A shard is compressed in pieces, so that to read one image means to read those before it. Unpacked, it is a memory map
from which one image is a slice; what the memory lacks stays on the disk. The file below has no name once it is mapped,
so that the system frees it when the process ends, however it ends.
"""

import tempfile
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa

from winnow.dataset.images import SHARD_SCHEMA
from winnow.dataset.streaming import ids_in_shard
from winnow.pipeline.durable import TEMPORARY
from winnow.pipeline.files import read_table

UNPACKED = ".winnow"  # on the disk that has the data: the system's folder for temporary files may be in the memory


class Shards:
    """The stored images of some datasets, by folder and id."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._places: dict[str, dict[str, tuple[Path, int]]] = {}  # by dataset and id: shard, row
        self._unpacked: dict[Path, Any] = {}
        self._lock = threading.Lock()

    def content(self, dataset: str, identifier: str) -> bytes:
        """The bytes of an image as delivered.

        Args:
            dataset: folder, relative to the repository.
            identifier: of the image.

        Raises:
            KeyError: the dataset has no such image.
            UserError: a shard is damaged.
        """
        with self._lock:
            if dataset not in self._places:
                self._places[dataset] = self._index(dataset)
            shard, row = self._places[dataset][identifier]
            if shard not in self._unpacked:
                self._unpacked[shard] = self._unpack(shard)
            images = self._unpacked[shard]
        content: bytes = images[row].as_py() or b""
        return content

    def _index(self, dataset: str) -> dict[str, tuple[Path, int]]:
        folder = self._root / dataset
        return {
            identifier: (shard, row)
            for shard in sorted((folder / "images").glob("*.parquet"))
            for row, identifier in enumerate(ids_in_shard(shard, folder))
        }

    def _unpack(self, shard: Path) -> Any:
        """The bytes of a shard's images, by row, in a memory map."""
        table = read_table(shard, SHARD_SCHEMA)
        contents = pa.chunked_array([chunk.field("bytes") for chunk in table["image"].chunks], pa.binary())
        plain = pa.table({"bytes": contents})
        (self._root / UNPACKED).mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._root / UNPACKED, suffix=TEMPORARY) as file:
            with pa.ipc.new_file(file, plain.schema) as writer:
                writer.write_table(plain)
            file.flush()
            return pa.ipc.open_file(pa.memory_map(file.name)).read_all()["bytes"]
