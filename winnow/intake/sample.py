"""One image of a source, and many of them as the table that later stages read."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from winnow.dataset.samples import samples_table
from winnow.intake.facts import Facts
from winnow.intake.layout import Entry
from winnow.intake.reading import Found
from winnow.pictures.metadata import NOTHING_PRIVATE, Private


@dataclass(frozen=True, slots=True)
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
    content: str  # digest of its file
    perceptual_hash: (
        bytes  # alike for images that look alike; all 0 of line art and tiny images, which differ in little
    )
    group: str = ""  # id of the first image that it belongs together with
    listed: str = ""  # its group in groups.csv
    private: Private = NOTHING_PRIVATE  # what its file says of people

    @property
    def facts(self) -> Facts:
        """What was read from its file."""
        return Facts(
            pixel_hash=self.pixel_hash,
            channels=self.channels,
            width=self.width,
            height=self.height,
            line_art=self.line_art,
            perceptual_hash=self.perceptual_hash.hex(),
            has_position=self.private.position,
            has_name=self.private.name,
        )


def table_of(samples: Sequence[Sample], classes: Sequence[str]) -> pa.Table:
    """The samples table, in columns: a row for each would take ten times its memory."""
    empty = samples_table([], classes)
    given = {"given_label": "label"}
    same = {"origin": "source", "parent": None, "operations": None}
    columns = [
        [same[name]] * len(samples) if name in same else [getattr(sample, given.get(name, name)) for sample in samples]
        for name in empty.column_names
    ]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, empty.schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=empty.schema)


def sample_of(entry: Entry, found: Found, same: dict[Private, Private]) -> Sample:
    """The sample of a file; ``same`` gives one object for equal ones, and is filled."""
    facts, private = found.facts, Private(found.facts.has_position, found.facts.has_name)
    return Sample(
        id=found.id,
        name=entry.name,
        key=entry.key,
        split=entry.split,
        label=entry.label,
        pixel_hash=facts.pixel_hash,
        channels=facts.channels,
        width=facts.width,
        height=facts.height,
        line_art=facts.line_art,
        content=found.content,
        perceptual_hash=bytes.fromhex(facts.perceptual_hash),
        private=same.setdefault(private, private),
    )
