"""Every file of a source as a sample, or as a name and the reason why it is rejected.

Files are read and decoded one at a time in as many threads as there are cores (PIL and zlib release the interpreter
lock); a PNG at the working size stays in memory, about 1 KB of line art or 6 KB of photograph.
"""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations

from tqdm import tqdm

from winnow.dataset.images import encode_png, pixel_hash
from winnow.dataset.samples import sample_id
from winnow.intake.container import DAMAGED_IN_ZIP, UNOPENED
from winnow.intake.layout import Entry, reject_untrained
from winnow.intake.source import NOT_AN_IMAGE, OUTSIDE, Source, reason, reject_unreadable
from winnow.intake.splits import PRECEDENCE, SplitPlan, count_duplicates, draw_missing, find_leaks
from winnow.pictures.decode import (
    DAMAGED,
    EMPTY,
    TOO_LARGE,
    UNKNOWN,
    UNSUPPORTED,
    UnreadableError,
    decode,
    quiet,
    stretch,
)
from winnow.pipeline.messages import UserError

REASONS = (EMPTY, UNKNOWN, DAMAGED, TOO_LARGE, UNSUPPORTED, UNOPENED, DAMAGED_IN_ZIP, NOT_AN_IMAGE, OUTSIDE)

COUNTS = {  # key of metrics/prepare.json: meaning
    "images_<split>": "images of the split, drawn ones included",
    "images_grey": "images that are grey as delivered",
    "images_colour": "images in colour",
    "rejected_total": "files that are no samples",
    "rejected_<reason>": "of these, by reason",
    "leaks_total": "images left out because a higher split holds the same pixels",
    "leaks_<split>_in_<split>": "of these, by the split of delivery and the split that keeps the pixels",
    "train_copies_with_one_label": "training images whose pixels occur more than once, always under one label",
    "train_copies_with_two_labels": "the same under labels that contradict each other",
    "label_book_verified": "whether the source brought the label book; one drawn from val is not verified",
    "classes": "classes of the source",
    "truth_rows": "train and val images whose truth is known",
    "truth_names_unknown": "rows of truth.csv that name no sample",
    "truth_labels_unknown": "rows whose label is no class of the source",
}


@dataclass(frozen=True)
class Sample:
    """One image at the working size."""

    id: str
    name: str
    split: str
    label: str
    png: bytes
    pixel_hash: str  # of the pixels as delivered
    channels: int  # 1 or 3, as delivered

    def row(self) -> dict[str, object]:
        """The sample as a row of a samples table."""
        return {
            **{name: getattr(self, name) for name in ("id", "name", "split", "label", "pixel_hash", "channels")},
            "given_label": self.label,
            "origin": "source",
        }


def ingest(
    source: Source, *, side: int, max_pixels: int, max_unreadable: float
) -> tuple[list[Sample], list[tuple[str, str]]]:
    """Samples and rejected files (name, reason), each by name.

    Args:
        source: opened.
        side: working size in pixels.
        max_pixels: a larger image is rejected by its header.
        max_unreadable: fraction of the images that may be unreadable; one more stops the run.

    Raises:
        UserError: too many images are unreadable.
    """
    samples: list[Sample] = []
    faults: list[tuple[str, str]] = []

    def convert(entry: Entry) -> Sample | str:
        try:
            content = source.container.read(entry.key)
            pixels = decode(content, max_pixels=max_pixels)  # (H, W, C)
        except UnreadableError as error:
            return reason(entry, error)
        png = encode_png(stretch(pixels, side=side))
        identifier = sample_id(entry.name, content)
        return Sample(identifier, entry.name, entry.split, entry.label, png, pixel_hash(pixels), pixels.shape[-1])

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with quiet(), tqdm(source.layout.entries, desc="reading images", disable=None) as bar:
            for entry, result in zip(bar, pool.map(convert, source.layout.entries), strict=True):
                if isinstance(result, Sample):
                    samples.append(result)
                else:
                    faults.append((entry.name, result))
                    reject_unreadable(source, faults, max_unreadable)
    finally:
        pool.shutdown(cancel_futures=True)
    return samples, sorted(faults + [(name, OUTSIDE) for name in source.layout.strays])


def keep_apart(samples: Sequence[Sample], source: Source) -> tuple[list[Sample], list[tuple[Sample, str]]]:
    """Samples whose pixels no higher split holds, and the leaks, each with the split that keeps its pixels.

    Raises:
        UserError: a class has no readable training image, or none but leaks.
    """
    where, classes = source.where, source.layout.classes
    reject_untrained(classes, {s.label for s in samples if s.split == "train"}, where, " that can be read")
    keepers = find_leaks([sample.split for sample in samples], [sample.pixel_hash for sample in samples])
    kept = [sample for sample, keeper in zip(samples, keepers, strict=True) if keeper is None]
    leaks = [(sample, keeper) for sample, keeper in zip(samples, keepers, strict=True) if keeper is not None]
    trained = {sample.label for sample in kept if sample.split == "train"}
    reject_untrained(classes, trained, where, " but copies of those in val/, label_book/ or test/")
    return kept, leaks


def complete(samples: Sequence[Sample], plan: SplitPlan, source: Source) -> list[Sample]:
    """The samples with every split present.

    Raises:
        UserError: there are too few images to draw a missing split.
    """
    labels, hashes = [sample.label for sample in samples], [sample.pixel_hash for sample in samples]
    splits = draw_missing([sample.split for sample in samples], labels, hashes, plan)
    for split in PRECEDENCE:
        if split not in splits:
            raise UserError(
                f"{source.where} has too few different images to draw {split} from; add images, or a {split}/ folder"
            )
    if splits.count("test") < 2:
        raise UserError(f"{source.where} has 1 test image, an interval needs 2; add some, or remove test/")
    return [replace(sample, split=split) for sample, split in zip(samples, splits, strict=True)]


def count(
    samples: Sequence[Sample], rejected: Sequence[tuple[str, str]], leaks: Sequence[tuple[Sample, str]]
) -> dict[str, int | bool]:
    """The counts of metrics/prepare.json; every key is present in every run, so that two runs can be compared."""
    splits, reasons = Counter(sample.split for sample in samples), Counter(words for _, words in rejected)
    pairs = Counter((leak.split, keeper) for leak, keeper in leaks)
    train = [sample for sample in samples if sample.split == "train"]
    agreeing, contradicting = count_duplicates([s.label for s in train], [s.pixel_hash for s in train])
    return {
        **{f"images_{split}": splits[split] for split in PRECEDENCE},
        "images_grey": sum(sample.channels == 1 for sample in samples),
        "images_colour": sum(sample.channels == 3 for sample in samples),
        "rejected_total": len(rejected),
        **{f"rejected_{words.replace(' ', '_')}": reasons[words] for words in REASONS},
        "leaks_total": len(leaks),
        **{f"leaks_{low}_in_{high}": pairs[low, high] for low, high in combinations(PRECEDENCE, 2)},
        "train_copies_with_one_label": agreeing,
        "train_copies_with_two_labels": contradicting,
    }
