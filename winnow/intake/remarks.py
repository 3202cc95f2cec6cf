"""What a person should know of a source that a run can use: classes that splits lack, names alike, crowded groups."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from winnow.intake.sample import Sample
from winnow.intake.splits import PRECEDENCE
from winnow.pipeline.messages import shown

NAMED = 3  # classes that a remark names
CROWDED = 0.5  # share of a class's images in one group of near-duplicates above which it is remarked on
FEW = 10  # images of a group that is not remarked on


def remarks(samples: Sequence[Sample], classes: Sequence[str], *, near: bool) -> list[str]:
    """A sentence for each thing to know.

    Args:
        samples: of every split, the drawn ones included.
        classes: of the source.
        near: whether near-duplicates were looked for.
    """
    return [*_lacking(samples, classes), *_alike(classes), *(_crowded(samples) if near else ())]


def _lacking(samples: Sequence[Sample], classes: Sequence[str]) -> Iterator[str]:
    there = {(sample.split, sample.label) for sample in samples}
    for split in PRECEDENCE[1:]:  # without training images nothing begins
        without = [name for name in classes if (split, name) not in there]
        if without:
            yield f"{split} has no image of {_some(without)}, and says nothing of them; add some to the source"


def _alike(classes: Sequence[str]) -> Iterator[str]:
    folded: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        folded[" ".join(name.casefold().split())].append(name)
    for names in folded.values():
        if len(names) > 1:
            yield f"{_some(names)} differ in case or blanks alone; if they are one class, join their folders"


def _crowded(samples: Sequence[Sample]) -> Iterator[str]:
    """Classes of which most images are in one group that looks alone have joined."""
    of_class = Counter(sample.label for sample in samples)
    members: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        members[sample.label, sample.group].append(sample)
    for (label, _), alike in members.items():
        different = len({sample.pixel_hash for sample in alike})
        joined = any(not sample.listed for sample in alike)
        if different > FEW and joined and different > CROWDED * of_class[label]:
            yield (
                f"{different} of the {of_class[label]} images of class {shown(label)} look like one and stay in one "
                "split; if a fixed camera took them, set prepare.near_duplicates to false"
            )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{'class' if len(names) == 1 else 'classes'} {', '.join(map(shown, names[:NAMED]))}{more}"
