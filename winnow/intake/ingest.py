"""Every file of a source as a sample, or as a name and the reason why it is rejected.

Images are decoded in child processes (``sandbox``), as many as there are cores. No image stays in memory: what is
stored later is read once more, and must then be the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from winnow.dataset.samples import sample_id
from winnow.intake.container import UNOPENED
from winnow.intake.facts import Facts
from winnow.intake.layout import Entry, reject_untrained
from winnow.intake.near_duplicates import candidates, confirm, groups, same
from winnow.intake.perceptual_hash import CROPS
from winnow.intake.reading import read_images
from winnow.intake.registration import thumbnail
from winnow.intake.source import NOT_AN_IMAGE, OUTSIDE, Faults, Source, reason
from winnow.intake.splits import PRECEDENCE, SplitPlan, count_duplicates, draw_missing, find_leaks
from winnow.intake.truth import match_names
from winnow.intake.zipped import DAMAGED_IN_ZIP
from winnow.pictures.decode import (
    CRASHING,
    DAMAGED,
    EMPTY,
    TOO_LARGE,
    TOO_LONG,
    TOO_MUCH,
    UNKNOWN,
    UNSUPPORTED,
    UnreadableError,
    decode,
)
from winnow.pictures.metadata import NOTHING_PRIVATE, Private
from winnow.pipeline.messages import UserError

REASONS = (
    *(EMPTY, UNKNOWN, DAMAGED, TOO_LARGE, UNSUPPORTED, TOO_LONG, TOO_MUCH, CRASHING),
    *(UNOPENED, DAMAGED_IN_ZIP, NOT_AN_IMAGE, OUTSIDE),
)

EXACT = "exact"

COUNTS = {  # key of metrics/prepare.json: meaning
    "images_<split>": "images of the split, drawn ones included",
    "images_grey": "images that are grey as delivered",
    "images_colour": "images in colour",
    "images_with_gps": "images whose files say at which position they were taken, or what they show is (EXIF, XMP)",
    "images_with_serial_number": "images whose files carry a camera's or lens's serial number, or a person's name",
    "rejected_total": "files that are no samples",
    "rejected_<reason>": "of these, by reason",
    "leaks_total": "images left out because a higher split holds one of their group",
    "leaks_near": "of these, those that are not equal to it",
    "leaks_<split>_in_<split>": "of these, by the split of delivery and the split that keeps the group",
    "train_copies_with_one_label": "training images whose pixels occur more than once, always under one label",
    "train_copies_with_two_labels": "the same under labels that contradict each other",
    "groups": "groups of two or more images: equal ones, near-duplicates, and those that groups.csv lists together",
    "images_in_groups": "images in them",
    "label_book_verified": "whether the source brought the label book; one drawn from val is not verified",
    "classes": "classes of the source",
    "truth_rows": "train and val images whose truth is known",
    "truth_names_unknown": "rows of truth.csv that name no sample",
    "truth_labels_unknown": "rows whose label is no class of the source",
}


@dataclass(frozen=True)
class Sample:
    """One image of a source."""

    id: str
    name: str
    key: str  # inside the container
    split: str
    label: str
    pixel_hash: str  # of the pixels as delivered
    channels: int  # 1 or 3, as delivered
    width: int  # upright
    height: int
    line_art: bool  # grey with few levels
    perceptual_hash: (
        bytes  # alike for images that look alike; all 0 of line art and tiny images, which differ in little
    )
    group: str = ""  # id of the first image that it belongs together with
    listed: str = ""  # its group in groups.csv
    private: Private = NOTHING_PRIVATE  # what its file says of people

    def row(self) -> dict[str, object]:
        """The sample as a row of a samples table."""
        names = ("id", "name", "split", "label", "pixel_hash", "channels", "width", "height", "group")
        return {**{name: getattr(self, name) for name in names}, "given_label": self.label, "origin": "source"}


def ingest(source: Source, *, max_pixels: int, max_unreadable: float) -> tuple[list[Sample], list[tuple[str, str]]]:
    """Samples and rejected files (name, reason), each by name.

    Args:
        source: opened.
        max_pixels: a larger image is rejected by its header.
        max_unreadable: fraction of the images that may be unreadable; one more stops the run.

    Raises:
        UserError: too many images are unreadable.
    """
    samples: list[Sample] = []
    faults = Faults(source, max_unreadable)
    with closing(read_images(source.container, source.layout.entries, max_pixels=max_pixels)) as images:
        for entry, found in tqdm(images, "reading images", len(source.layout.entries), disable=None):
            if isinstance(found, UnreadableError):
                faults.add(entry.name, reason(entry, found))
            else:
                samples.append(_sample(entry, *found))
    return samples, sorted(faults.found + [(name, OUTSIDE) for name in source.layout.strays])


def _sample(entry: Entry, name: str, facts: Facts) -> Sample:
    return Sample(
        id=name,
        name=entry.name,
        key=entry.key,
        split=entry.split,
        label=entry.label,
        pixel_hash=facts.pixel_hash,
        channels=facts.channels,
        width=facts.width,
        height=facts.height,
        line_art=facts.line_art,
        perceptual_hash=bytes.fromhex(facts.perceptual_hash),
        private=Private(facts.has_position, facts.has_name),
    )


def delivered_images(source: Source, samples: Iterable[Sample]) -> Iterator[tuple[str, bytes]]:
    """Id and bytes as delivered of each sample, read once more.

    Raises:
        UserError: an image is no longer what it was.
    """
    for sample in samples:
        try:
            content = source.container.read(sample.key)
        except UnreadableError:
            content = b""
        if sample_id(sample.name, content) != sample.id:
            raise UserError(f"{source.where} was changed while it was read; run it again")
        yield sample.id, content


def find_groups(samples: Sequence[Sample], source: Source, *, near: bool, max_pixels: int) -> list[Sample]:
    """The samples with their groups: equal images, what groups.csv lists together, and near-duplicates.

    Args:
        samples: N of them.
        source: where the candidates among them are read once more.
        near: whether near-duplicates are looked for; of line art and tiny images only equal ones are alike enough.
        max_pixels: as for ``ingest``.
    """

    def thumbnails(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        contents = (content for _, content in delivered_images(source, [samples[row] for row in rows.tolist()]))
        return np.stack([thumbnail(decode(content, max_pixels=max_pixels)) for content in contents])

    listed = source.groups()
    named = match_names(listed, [sample.name for sample in samples], source.layout.wrapper)
    by_name = {name: listed[row] for row, name in named.items()}
    hashes = [sample.pixel_hash for sample in samples]
    pairs = [same(hashes), same([by_name.get(sample.name) for sample in samples])]
    if near and samples:
        rows = np.sort(np.unique(hashes, return_index=True)[1])  # equal ones would fill the places of candidates
        bits = np.stack([np.frombuffer(samples[row].perceptual_hash, np.uint8) for row in rows.tolist()])
        found = rows[candidates(bits.reshape(len(rows), len(CROPS), -1))]
        pairs.append(confirm(np.sort(found, axis=1), thumbnails))
    first = groups(len(samples), np.concatenate(pairs))
    return [
        replace(sample, group=samples[row].id, listed=by_name.get(sample.name, ""))
        for sample, row in zip(samples, first.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class Leak:
    """An image that is left out since a higher split holds one of its group."""

    sample: Sample
    kept: Sample  # the first of its group in that split

    @property
    def kind(self) -> str:
        """exact: equal pixels; group: listed together in groups.csv; near: near-duplicates."""
        if self.sample.pixel_hash == self.kept.pixel_hash:
            return EXACT
        return "group" if self.sample.listed and self.sample.listed == self.kept.listed else "near"


def keep_apart(samples: Sequence[Sample], source: Source) -> tuple[list[Sample], list[Leak]]:
    """Samples that share a group with none in a higher split, and the leaks.

    Raises:
        UserError: a class has no readable training image, or none but leaks.
    """
    where, classes = source.where, source.layout.classes
    reject_untrained(classes, {s.label for s in samples if s.split == "train"}, where, " that can be read")
    keepers = find_leaks([sample.split for sample in samples], [sample.group for sample in samples])
    kept = [sample for sample, keeper in zip(samples, keepers, strict=True) if keeper is None]
    holders = {(sample.group, sample.split): sample for sample in reversed(kept)}
    equal = {(sample.pixel_hash, sample.split): sample for sample in reversed(kept)}
    leaks = [
        Leak(sample, equal.get((sample.pixel_hash, keeper)) or holders[sample.group, keeper])
        for sample, keeper in zip(samples, keepers, strict=True)
        if keeper is not None
    ]
    trained = {sample.label for sample in kept if sample.split == "train"}
    reject_untrained(classes, trained, where, " but copies of those in val/, label_book/ or test/")
    return kept, leaks


def complete(samples: Sequence[Sample], plan: SplitPlan, source: Source) -> list[Sample]:
    """The samples with every split present.

    Raises:
        UserError: there are too few images to draw a missing split.
    """
    labels, hashes, together = zip(*((one.label, one.pixel_hash, one.group) for one in samples), strict=True)
    listed = [sample.listed for sample in samples]
    splits = draw_missing([sample.split for sample in samples], labels, hashes, together, plan, listed)
    for split in PRECEDENCE:
        if split not in splits:
            largest = max(Counter(together).values())
            why = f"; its largest group holds {largest} of {len(samples)}, and groups of several classes stay in train"
            raise UserError(
                f"{source.where} has too few different images to draw {split} from{why if largest > 1 else ''}; add "
                f"images, or a {split}/ folder"
            )
    if splits.count("test") < 2:
        raise UserError(f"{source.where} has 1 test image, an interval needs 2; add some, or remove test/")
    return [replace(sample, split=split) for sample, split in zip(samples, splits, strict=True)]


def count(
    samples: Sequence[Sample], rejected: Sequence[tuple[str, str]], leaks: Sequence[Leak]
) -> dict[str, int | bool]:
    """The counts of metrics/prepare.json; every key is present in every run, so that two runs can be compared."""
    splits, reasons = Counter(sample.split for sample in samples), Counter(words for _, words in rejected)
    pairs = Counter((leak.sample.split, leak.kept.split) for leak in leaks)
    sizes = Counter(sample.group for sample in samples)
    train = [sample for sample in samples if sample.split == "train"]
    agreeing, contradicting = count_duplicates([s.label for s in train], [s.pixel_hash for s in train])
    return {
        **{f"images_{split}": splits[split] for split in PRECEDENCE},
        "images_grey": sum(sample.channels == 1 for sample in samples),
        "images_colour": sum(sample.channels == 3 for sample in samples),
        "images_with_gps": sum(sample.private.position for sample in samples),
        "images_with_serial_number": sum(sample.private.name for sample in samples),
        "rejected_total": len(rejected),
        **{f"rejected_{words.replace(' ', '_')}": reasons[words] for words in REASONS},
        "leaks_total": len(leaks),
        "leaks_near": sum(leak.kind != EXACT for leak in leaks),
        **{f"leaks_{low}_in_{high}": pairs[low, high] for low, high in combinations(PRECEDENCE, 2)},
        "train_copies_with_one_label": agreeing,
        "train_copies_with_two_labels": contradicting,
        "groups": sum(size > 1 for size in sizes.values()),
        "images_in_groups": sum(size for size in sizes.values() if size > 1),
    }
