"""A user's CSV or parquet as a table, after checks that it takes no more memory than one about these images can need.

A few kilobytes of parquet, or of compressed CSV, can unpack to any size. So what is counted is what comes out: rows,
cells and bytes, from parquet's own lists or by reading a CSV through once.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from winnow.pipeline.messages import UserError, failure_of_the_machine, plain

MAX_COLUMNS = 32_768  # or values of a list
CELL_BYTES = 64  # of a number as text, at most
NAME_BYTES = 2048  # of a row's name and all that is passed over
TEXT_BYTES = 1024  # of one word; a dictionary could repeat a longer one in every row
CHUNK = 2**20

TEXTS = (pa.types.is_string, pa.types.is_large_string)


def read_bounded(path: Path, *, most: int, wanted: Callable[[str], bool], texts: tuple[str, ...]) -> pa.Table:
    """The table in a file.

    Args:
        path: CSV, or parquet by its suffix.
        most: rows allowed.
        wanted: whether a column of this name is needed; others of a parquet file are not read.
        texts: columns of a CSV that hold text, whatever it looks like.

    Raises:
        UserError: the file is missing, is neither, or holds more than it may.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for ever
            raise UserError(f"{path} is no file; correct its path in params.yaml")
        if path.suffix.lower() in (".parquet", ".pq"):
            table = _read_parquet(path, most, wanted)
        else:
            _reject_large_csv(path, most)
            table = pa.csv.read_csv(
                path, convert_options=pa.csv.ConvertOptions(column_types={name: pa.string() for name in texts})
            )
            _reject_large(path, most, rows=table.num_rows)
        table.validate(full=True)  # finds text that is not UTF-8
        pa.array(table.column_names)  # and a name that is not
        return table
    except FileNotFoundError:
        raise UserError(f"{path} is missing; correct its path in params.yaml, or put it there") from None
    except UserError:
        raise
    except Exception as error:  # damaged bytes make the readers raise errors of every kind
        if isinstance(error, OSError) and failure_of_the_machine(error):
            raise
        words = plain(" ".join(str(error).split())[:200] or type(error).__name__)  # they may quote the file
        raise UserError(f"{path} is neither CSV in UTF-8 nor parquet ({words}); save it as one") from None


def _read_parquet(path: Path, most: int, wanted: Callable[[str], bool]) -> pa.Table:
    schema = pq.read_schema(path)
    names = [name for name in schema.names if wanted(name)]
    words = [name for name in names if any(kind(schema.field(name).type) for kind in TEXTS) and names.count(name) == 1]
    with pq.ParquetFile(path, read_dictionary=words, page_checksum_verification=True) as file:
        counts = file.metadata
        _reject_large(path, most, rows=counts.num_rows)
        cells = size = 0
        for group in map(counts.row_group, range(counts.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                if column.path_in_schema.split(".")[0] in names:
                    cells, size = cells + column.num_values, size + column.total_uncompressed_size
        _reject_large(path, most, cells=cells, size=size)
        table = file.read(columns=names)
    for name in words:
        column = table[name]
        if any((pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0) > TEXT_BYTES for chunk in column.chunks):
            raise UserError(f"{path}: column {name} holds a word of more than {TEXT_BYTES:,} bytes; shorten it")
        table = table.set_column(table.column_names.index(name), name, column.cast(pa.string()))
    return table


def _reject_large_csv(path: Path, most: int) -> None:
    """Count lines and bytes, unpacked as pyarrow unpacks them, and stop at the first that is too many."""
    rows = size = columns = 0
    with pa.input_stream(str(path)) as stream:
        while chunk := stream.read(CHUNK):
            columns = columns or next((line for line in chunk.splitlines() if line.strip()), b"").count(b",") + 1
            rows, size = rows + max(chunk.count(b"\n"), chunk.count(b"\r")), size + len(chunk)
            _reject_large(path, most, rows=rows - 1, columns=columns, cells=columns * most, size=size)


def _reject_large(path: Path, most: int, *, rows: int = 0, columns: int = 0, cells: int = 0, size: int = 0) -> None:
    if rows > most:
        raise UserError(f"{path} has more than {most:,} rows, far more than images; keep the rows of these images")
    if columns > MAX_COLUMNS or cells > most * MAX_COLUMNS:
        raise UserError(f"{path} has more than {MAX_COLUMNS:,} values a row; keep those that are needed")
    if size > CELL_BYTES * cells + NAME_BYTES * most:
        raise UserError(f"{path} has {size:,} bytes or more, far more than numbers for these images take; shorten it")
