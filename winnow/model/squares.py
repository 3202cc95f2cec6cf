"""Delivered images as the squares that a model takes, streamed; and the content inside a square."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from winnow.backbone.card import Card
from winnow.backbone.resize import fit
from winnow.dataset.arrays import ARRAY_BYTES, Rows
from winnow.dataset.images import decode_stored
from winnow.dataset.streaming import each_image
from winnow.pictures.decode import quiet

Pixels = npt.NDArray[np.uint8]

AT_ONCE, BYTES_AT_ONCE = 64, 2**25  # delivered images in memory, and their bytes before they are decoded


def squares(dataset: Path, ids: Sequence[str], card: Card) -> Iterator[Rows]:
    """Parts of at most ``ARRAY_BYTES``, of grey and of coloured images apart: ids and (n, S, S, 1 or 3) squares.

    Args:
        dataset: whose shards hold the images.
        ids: that are wanted.
        card: of the model.

    Raises:
        UserError: an image is damaged.
    """
    most = max(1, ARRAY_BYTES // (3 * card.pixels**2))
    waiting: dict[int, tuple[list[str], list[Pixels]]] = {1: ([], []), 3: ([], [])}

    def square(item: tuple[str, bytes]) -> tuple[str, Pixels]:
        return item[0], as_square(decode_stored(item[1], dataset, item[0]), card)

    images = tqdm(each_image(dataset, ids), total=len(ids), desc="pixels: images", disable=None)
    with quiet(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for some in _some(images):
            for identifier, pixels in pool.map(square, some):
                names, held = waiting[pixels.shape[-1]]
                names.append(identifier)
                held.append(pixels)
                if len(held) == most:
                    yield names, np.stack(held)
                    waiting[pixels.shape[-1]] = [], []
    for names, held in waiting.values():
        if held:
            yield names, np.stack(held)


def _some(images: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """The images, some at once: ``AT_ONCE``, or fewer large ones."""
    some: list[tuple[str, bytes]] = []
    for image in images:
        some.append(image)
        if len(some) == AT_ONCE or sum(len(content) for _, content in some) >= BYTES_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def as_square(pixels: Pixels, card: Card) -> Pixels:
    """(S, S, C) of one (H, W, C) image, as the card says."""
    return fit(
        pixels,
        card.pixels,
        card.resize,
        interpolation=card.interpolation,
        antialias=card.antialias,
        fill=card.fill(pixels.shape[-1]),
    )


def batches(rows: Iterable[Pixels], size: int) -> Iterator[Pixels]:
    """Rows of equal shape in stacks of at most ``size``; grey ones in three channels, so that all are alike."""
    waiting = iter(rows)
    while some := list(islice(waiting, size)):
        yield np.stack([row if row.shape[-1] == 3 else np.repeat(row, 3, axis=-1) for row in some])
