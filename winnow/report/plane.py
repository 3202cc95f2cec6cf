"""The t-SNE planes of the report: which points they show, and which card a marked point leads to."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from winnow.dataset.images import decode_png
from winnow.pictures.contact_sheet import png_uri
from winnow.pictures.plane import Floats, class_colours, plane_positions, plane_view
from winnow.report.chapters import Chapter
from winnow.report.page import Plane, Target, card_id


def report_plane(
    round_name: str,
    embeddings: pa.Table,
    *,
    labels: Mapping[str, str],
    pixels: Mapping[str, bytes],
    ways: Mapping[str, tuple[str, str | None]],
    classes: Sequence[str],
    chapters: Sequence[Chapter],
) -> Plane:
    """The plane of one round, of the images delivered: augmented copies would hide them.

    Args:
        round_name: the round.
        embeddings: id, x, y.
        labels: label at the start of the round, by id of every delivered image that was still there.
        pixels: their PNGs, by id.
        ways: by id, the label before and after the round's verdicts; an image without any keeps its own.
        classes: class names.
        chapters: of the round; a marked point leads to the card that one of them shows.
    """
    mine = [row for row, identifier in enumerate(embeddings["id"].to_pylist()) if identifier in labels]
    table = embeddings.take(pa.array(mine, pa.int64()))
    ids = table["id"].to_pylist()
    x, y = (table[axis].to_numpy().astype(np.float64) for axis in ("x", "y"))  # (N,)
    ends = [ways.get(identifier, (labels[identifier],) * 2) for identifier in ids]
    before, after = [end[0] for end in ends], [end[1] for end in ends]
    thumbnails = [decode_png(pixels[identifier]) for identifier in ids]
    picture = plane_view(x, y, before, classes, after, thumbnails, legend=False)
    return Plane(
        round_name=round_name,
        picture=png_uri(picture),
        legend=list(zip(classes, class_colours(len(classes)), strict=True)),
        images=len(ids),
        dropped=sum(label is None for label in after),
        relabelled=sum(new not in (None, old) for old, new in ends),
        targets=_targets(ids, x, y, chapters),
    )


def _targets(ids: Sequence[str], x: Floats, y: Floats, chapters: Sequence[Chapter]) -> list[Target]:
    cards = {
        verdict.id: (card_id(verdict.id, chapter), f"{verdict.label_before}: {verdict.reason}")
        for chapter in chapters
        for group in chapter.groups
        for verdict in group.shown
    }
    places = plane_positions(x, y).tolist()
    return [
        Target(100 * left, 100 * top, *cards[identifier])
        for identifier, (left, top) in zip(ids, places, strict=True)
        if identifier in cards
    ]
