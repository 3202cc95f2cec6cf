"""Every file of a source as a sample, or as a name and the reason why it is rejected.

Images are decoded in child processes (``sandbox``), as many as there are cores. No image stays in memory: what is
stored later is read once more, and must then be the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import combinations

from tqdm import tqdm

from winnow.dataset.samples import sample_id
from winnow.intake.container import UNOPENED
from winnow.intake.findings import Findings
from winnow.intake.layout import reject_untrained
from winnow.intake.reading import read_images
from winnow.intake.sample import Sample, sample_of
from winnow.intake.source import NOT_AN_IMAGE, OUTSIDE, Faults, Source, reason
from winnow.intake.splits import PRECEDENCE, SplitPlan, count_duplicates, draw_missing, find_leaks
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
)
from winnow.pictures.metadata import Private
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
    "groups_names_unknown": "rows of groups.csv that name no image of the source",
    "truth_names_unknown": "rows of truth.csv that name no image of the source",
    "truth_labels_unknown": "rows whose label is no class of the source",
}


def ingest(
    source: Source, *, max_pixels: int, max_unreadable: float, known: Findings | None = None
) -> tuple[list[Sample], list[tuple[str, str]]]:
    """Samples and rejected files (name, reason), each by name.

    Args:
        source: opened.
        max_pixels: a larger image is rejected by its header.
        max_unreadable: fraction of the images that may be unreadable; one more stops the run.
        known: what earlier runs found.

    Raises:
        UserError: too many images are unreadable.
    """
    samples: list[Sample] = []
    same: dict[Private, Private] = {}  # one object for equal ones
    faults = Faults(source, max_unreadable)
    with closing(read_images(source.container, source.layout.entries, max_pixels=max_pixels, known=known)) as images:
        for entry, found in tqdm(images, "reading images", len(source.layout.entries), disable=None):
            if isinstance(found, UnreadableError):
                faults.add(entry.name, reason(entry, found))
            else:
                samples.append(sample_of(entry, found, same))
    return samples, sorted(faults.found + [(name, OUTSIDE) for name in source.layout.strays])


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


@dataclass(frozen=True)
class Leak:
    """An image that is left out since a higher split holds one of its group."""

    sample: Sample
    kept: Sample  # the first of its group in that split

    @property
    def kind(self) -> str:
        """exact: equal pixels; group: listed together in groups.csv; near: otherwise of one group."""
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
        remedy = "some, or remove test/" if any(sample.split == "test" for sample in samples) else "images"
        raise UserError(f"{source.where} has 1 test image, an interval needs 2; add {remedy}")
    return [
        sample if sample.split == split else replace(sample, split=split)
        for sample, split in zip(samples, splits, strict=True)
    ]


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
