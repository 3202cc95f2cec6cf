"""Copies of photographs rendered by worker processes, a part of them a job; equal to ``rendered_copies`` in one.

Every draw is made before (``draw_plan``), so that what a part renders depends on the part alone. Workers leave the
parts in files, which are read one after another: no more than one is held, whatever the number of copies.
"""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.augmentation.rendered import Plan, RenderedCopy, rendered_copies
from winnow.backbone.card import Card
from winnow.backbone.resize import content_box
from winnow.dataset.arrays import opened_once
from winnow.dataset.images import Copy
from winnow.dataset.samples import SCHEMA
from winnow.engine.folders import folder_for_all
from winnow.engine.jobs import Tick, run_jobs
from winnow.pipeline.files import read_table, write_table

PART = 256  # copies of a part, about: some seconds of work, and some megabytes


CONTENT = pa.field("content", pa.binary())  # of a part's table, beside the columns of a samples table


def spread_copies(origins: Sequence[str], plan: Plan, parents: pa.Table, *, pixels: Path, card: Card) -> Iterator[Copy]:
    """The copies as ``write_with_copies`` takes them, in order; the first is there when all are rendered.

    Until the last is taken, they lie in a temporary folder, M JPEGs.

    Args:
        origins: (M,) of each copy.
        plan: (M,) the operations of each, every draw made.
        parents: (M,) rows of a samples table, the source image of each, those of one image together.
        pixels: folder of arrays with the source images.
        card: of the model.

    Raises:
        ValueError: the copies of an image are apart.
    """
    parts = parts_of(parents)
    if len(parts) < 2:  # workers take longer to start
        rendered = _rendered(pixels, card, origins, plan, parents)
        yield from ((copy.row, (str(copy.row["id"]), copy.content)) for copy in rendered)
        return
    with folder_for_all() as place:
        files = [Path(place, f"{number}.parquet") for number in range(len(parts))]
        jobs = [
            (pixels, card, origins[part], plan[part], parents.take(np.arange(part.start, part.stop)), file)
            for part, file in zip(parts, files, strict=True)
        ]
        run_jobs(render_part, jobs, steps=len(plan), label="copies")
        del jobs
        for file in files:
            yield from _read_part(file)
            file.unlink()


def render_part(
    pixels: Path, card: Card, origins: Sequence[str], plan: Plan, parents: pa.Table, file: Path, tick: Tick
) -> None:
    """Write one part, in a worker process."""
    rows, contents = [], []
    for copy in _rendered(pixels, card, origins, plan, parents):
        rows.append(copy.row)
        contents.append(copy.content)
        tick()
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    write_table(file, table.append_column(CONTENT, pa.array(contents, pa.binary())))


def _rendered(
    pixels: Path, card: Card, origins: Sequence[str], plan: Plan, parents: pa.Table
) -> Iterator[RenderedCopy]:
    boxes = functools.partial(content_box, side=card.pixels, how=card.resize)
    return rendered_copies(origins, plan, parents.to_pylist(), opened_once(pixels).row, boxes)


def _read_part(file: Path) -> Iterator[Copy]:
    table = read_table(file)
    for row, content in zip(table.select(SCHEMA.names).to_pylist(), table[CONTENT.name], strict=True):
        yield row, (row["id"], content.as_py())


def parts_of(parents: pa.Table) -> list[slice]:
    """Parts of about ``PART`` copies, no image's copies in two, since they are numbered within one."""
    codes = parents["id"].combine_chunks().dictionary_encode().indices.to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))  # of each image's copies
    if len(starts) != len(np.unique(codes)):
        raise ValueError("the copies of an image are apart, so that they cannot be numbered by part")
    cuts, last = [0], 0
    for start in starts.tolist():
        if start - last >= PART:
            cuts.append(start)
            last = start
    return [slice(one, other) for one, other in zip(cuts, [*cuts[1:], len(codes)], strict=True)]
