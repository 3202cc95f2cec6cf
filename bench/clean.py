"""A source made clean by its truth.csv."""

from pathlib import PurePosixPath

from winnow.intake.source import Source
from winnow.intake.truth import match_names


def clean_of(source: Source) -> dict[str, str]:
    """The names of a source made clean by its truth.csv, each with the key of its bytes in the container.

    Junk is left out, and so is what shows something that is no class here; an image with a wrong label moves to the
    folder of its class. All else stays, as does all of a source without truth.csv.
    """
    entries = [entry for entry in source.layout.entries if entry.promises_image]
    listed = source.truth() or {}
    matched = match_names(listed, [entry.name for entry in entries], source.layout.wrapper)
    truths = {name: listed[row].label for row, name in matched.items()}
    clean = {one.name: one.key for one in entries if truths.get(one.name, one.label) == one.label}
    for entry in entries:
        label = truths.get(entry.name, entry.label)
        if label != entry.label and label in source.layout.classes:
            split = f"{entry.split}/" if entry.name.startswith(f"{entry.split}/{entry.label}/") else ""
            path = PurePosixPath(entry.name.removeprefix(f"{split}{entry.label}/"))
            name = f"{split}{label}/{path}"
            if name in clean:
                name = f"{split}{label}/{path.with_stem(f'{path.stem}-{entry.label}')}"
            clean[name] = entry.key
    return dict(sorted(clean.items()))
