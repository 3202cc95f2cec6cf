"""The export's README.md: a dataset card as Hugging Face reads it, with what a reader must know before using the data.

The YAML between the marks is for the Hub and for ``load_dataset``, which finds the images by it; the rest is for
people.
"""

import re
from collections.abc import Iterator

import yaml

from winnow.export.facts import FIGURES, Facts
from winnow.pipeline.messages import plain

# Licences that the Hub knows, of those that datasets have; it takes no other (huggingface.co/docs/hub, "Licenses").
LICENCES = {
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear",
    "bsl-1.0", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0",
    "cdla-permissive-1.0", "cdla-permissive-2.0", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "gfdl",
    "gpl", "gpl-2.0", "gpl-3.0", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "ms-pl", "ncsa", "odbl",
    "odc-by", "ofl-1.1", "openrail", "osl-3.0", "other", "pddl", "postgresql", "unknown", "unlicense", "wtfpl",
    "zlib",
}  # fmt: skip
SPDX = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl"}  # SPDX's name: the Hub's
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
SIZE_NAMES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M")
SPLITS = {"train": "train", "validation": "val"}  # Hugging Face's name: ours

ABOUT = """\
Every image stands for one class. `manifest.parquet` lists each file with its label as delivered and now, and the
verdict on it; `corrections.csv` lists what was dropped or relabelled, and why. `croissant.json` describes both for
programs.

```python
from datasets import load_dataset

dataset = load_dataset("path/to/this/folder")  # or torchvision.datasets.ImageFolder("path/to/this/folder/train")
```
"""


def dataset_card(facts: Facts) -> bytes:
    """README.md as UTF-8; equal facts give equal bytes."""
    front = yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True, width=10_000)
    sections = [
        f"# {_marked(facts.title)}",
        summary(facts),
        ABOUT.rstrip(),
        "## Classes",
        "\n".join(_classes(facts)),
        "## How it was refined",
        "\n".join(_refinement(facts)),
        "## Figures",
        "\n".join(_figures(facts)),
        "## Known limits",
        "\n".join(f"- {limit}" for limit in limits(facts)),
    ]
    return (f"---\n{front}---\n\n" + "\n\n".join(section for section in sections if section) + "\n").encode()


def front_matter(facts: Facts) -> dict[str, object]:
    """The card's metadata, by the Hub's names."""
    name = facts.license.strip().lower()
    known = SPDX.get(name, re.sub("-(only|or-later)$", "", name))  # SPDX's gpl-3.0-only is the Hub's gpl-3.0
    if known in LICENCES:
        licence = {"license": known}
    else:
        licence = {"license": "other", "license_name": "-".join(re.findall("[a-z0-9.]+", name)) or "unnamed"}
    files = sum(facts.counts.values())
    return {
        "pretty_name": facts.title,
        **licence,
        "task_categories": ["image-classification"],
        "size_categories": [next(text for size, text in zip(SIZES, SIZE_NAMES, strict=True) if files < size)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": theirs, "path": f"{ours}/**"} for theirs, ours in SPLITS.items()],
            }
        ],
    }


def summary(facts: Facts) -> str:
    """One sentence with the counts."""
    train, val = facts.total("train"), facts.total("val")
    copies = f", {facts.copies:,} of them augmented copies" if facts.copies else ""
    return f"{train:,} training and {val:,} validation images of {len(facts.classes)} classes{copies}."


def _classes(facts: Facts) -> Iterator[str]:
    yield from ("| class | folder | train | val |", "|---|---|---|---|")
    for name in facts.classes:
        folder = facts.folders.get(name)
        train, val = (facts.counts.get((split, name), 0) for split in SPLITS.values())
        yield f"| {_marked(plain(name))} | {_marked(folder) if folder else 'none'} | {train:,} | {val:,} |"


def _refinement(facts: Facts) -> Iterator[str]:
    people = f"; people decided about {facts.by_people:,} of them" if facts.by_people else ""
    yield (
        f"Winnow judged {facts.delivered:,} delivered images (model: {_marked(plain(facts.model))}): {facts.dropped:,}"
        f" were dropped, {facts.relabelled:,} relabelled, the others kept their label{people}."
    )
    if facts.stages:
        yield from ("", "| round | stage | dropped | relabelled |", "|---|---|---|---|")
    for (round_name, stage), counts in facts.stages.items():
        yield f"| {_marked(round_name)} | {_marked(stage)} | {counts.get('drop', 0):,} | {counts.get('relabel', 0):,} |"


def _figures(facts: Facts) -> Iterator[str]:
    yield from ("| figure | value |", "|---|---|")
    for name, meaning in FIGURES.items():
        if name in facts.figures:
            unit = "points" if name.startswith("gain") else "%"
            yield f"| {meaning} | {100 * facts.figures[name]:.1f} {unit} |"
    if not facts.figures:
        yield "| none was measured | |"


def limits(facts: Facts) -> Iterator[str]:
    """What a reader must know, one sentence each."""
    if facts.license.strip().lower() == "unknown":
        yield "The licence of the images is unknown."
    if facts.label_book_verified is False and facts.label_book_checked < facts.label_book:
        yield (
            f"The labels were judged by a label book of which people have checked {facts.label_book_checked:,} of "
            f"{facts.label_book:,} images."
        )
    if facts.label_book_wrong:
        yield f"People found {facts.label_book_wrong:,} images of the label book wrong, by which labels were judged."
    if facts.moved:
        yield (
            f"{facts.moved:,} images that were delivered as validation images are training images here: a model trained"
            " on this folder must not be evaluated on them."
        )
    if facts.accepted is False:
        yield "The last round of the refinement was rejected, because it may harm; what came before it is exported."
    yield (
        "The labels were judged by classifiers that learned from the same images. Faults that look like their label are"
        " still there, and rare images that are right may have been dropped."
    )
    yield "The shares of faults are estimates by planted faults; the accuracy is that of one model on these images."
    for split in SPLITS.values():
        without = [name for name in facts.classes if not facts.counts.get((split, name))]
        if without:
            yield f"No {split} image is left of {', '.join(_marked(plain(name)) for name in without)}."
    yield "Test images and the label book are not part of this folder."


def _marked(text: str) -> str:
    """A text as Markdown shows it letter for letter."""
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", text)
