"""Which images of a source belong together, for whatever reason."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from winnow.intake.findings import Alike, Pair
from winnow.intake.ingest import delivered_images
from winnow.intake.near_duplicates import candidates, confirm, groups, same
from winnow.intake.perceptual_hash import CROPS
from winnow.intake.registration import thumbnail
from winnow.intake.sample import Sample
from winnow.intake.source import Source
from winnow.pictures.decode import decode


def find_groups(
    samples: Sequence[Sample],
    source: Source,
    *,
    listed: Mapping[str, str],
    near: bool,
    max_pixels: int,
    known: Mapping[Pair, bool],
) -> tuple[list[Sample], Alike]:
    """The samples with their groups: equal images, what groups.csv lists together, and near-duplicates.

    Beside them, the pairs of files that were candidates, and whether they are near-duplicates.

    Args:
        samples: N of them.
        source: where the candidates among them are read once more.
        listed: by name of a sample its group in groups.csv, if it has one.
        near: whether near-duplicates are looked for; of line art and tiny images only equal ones are alike enough.
        max_pixels: as for ``ingest``.
        known: pairs that an earlier run compared.
    """

    def thumbnails(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        contents = (content for _, content in delivered_images(source, [samples[row] for row in rows.tolist()]))
        return np.stack([thumbnail(decode(content, max_pixels=max_pixels)) for content in contents])

    hashes = [sample.pixel_hash for sample in samples]
    pairs = [same(hashes), same([listed.get(sample.name) for sample in samples])]
    alike: Alike = {}
    if near and samples:
        rows = np.sort(np.unique(hashes, return_index=True)[1])  # equal ones would fill the places of candidates
        bits = np.stack([np.frombuffer(samples[row].perceptual_hash, np.uint8) for row in rows.tolist()])
        found = np.sort(rows[candidates(bits.reshape(len(rows), len(CROPS), -1))], axis=1)
        keys = [(samples[one].content, samples[other].content) for one, other in found.tolist()]
        new = np.array([key not in known for key in keys], dtype=bool)
        confirmed = {tuple(pair) for pair in confirm(found[new], thumbnails).tolist()}
        alike = {key: known.get(key, tuple(pair) in confirmed) for key, pair in zip(keys, found.tolist(), strict=True)}
        pairs.append(found[[alike[key] for key in keys]].reshape(-1, 2))
    first = groups(len(samples), np.concatenate(pairs))
    grouped = [
        replace(sample, group=samples[row].id, listed=listed.get(sample.name, ""))
        for sample, row in zip(samples, first.tolist(), strict=True)
    ]
    return grouped, alike
