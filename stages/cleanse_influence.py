"""Drop the images whose influence harms the label book.

Reads   --dataset     dataset with splits train, val and label_book
        --scores      table: id, one column of removal effects per label-book id, label_quality in [0, 1], others
        --overrides   table: id, label, reason, by; they apply whatever the votes are
        --round       name of the round
Writes  --cleansed    the dataset without the dropped images and without copies of an earlier round, labels as
                      overridden; image shards are passed on unchanged
        --verdicts    table: one row per train or val image, with the label-book ids that voted as evidence
        --sheet       PNG for people: the dropped images, the most harmful first, with their labels
Params  cleanse_influence
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.cleansing.influence_rule import harmful_votes
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import (
    QUALITY_SCHEMA,
    class_names,
    column,
    label_indices,
    only_source,
    only_splits,
    read_samples,
)
from winnow.dataset.streaming import read_thumbnails
from winnow.pictures.contact_sheet import contact_sheet
from winnow.pipeline.fields import Count, Share, section
from winnow.pipeline.files import read_table, write_bytes, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.apply import apply_verdicts, settle, verdict_table
from winnow.verdicts.ledger import DROP, KEEP, Verdict
from winnow.verdicts.overrides import count_text, overrides_on, read_overrides

SHEET_IMAGES = 160


@section
class Params:
    """Section `cleanse_influence`."""

    votes: Count  # label-book images that must vote against an image before it is dropped
    guard: bool  # demand a negative effect as well; false is the method as published
    label_quality: Share  # demand a label quality below it as well; 1.0 is the method as published


def main(
    params: Params,
    *,
    dataset: Path,
    scores: Path,
    overrides: Path,
    round: str,
    cleansed: Path,
    verdicts: Path,
    sheet: Path,
) -> None:
    """Run the stage on the files given."""
    resolved = read_overrides(overrides)
    samples = only_source(read_samples(dataset))  # a round makes its copies anew
    suspects = only_splits(samples, "train", "val")  # N rows
    book = only_splits(samples, "label_book")["id"].to_pylist()  # M ids
    effect, quality = _effects(scores, suspects["id"].to_pylist(), book)  # (N, M), (N,)
    against = harmful_votes(effect, guard=params.guard)  # (N, M)
    voted_out = against.sum(axis=1) >= params.votes  # (N,)
    # A harmless image of a sound class has a few effects in the tail as well; its label quality then keeps it.
    supported = voted_out & (quality >= params.label_quality) & (params.label_quality < 1)
    overridden = overrides_on(suspects, resolved)
    free = np.array([one is None for one in overridden])  # (N,)
    reasons = [
        _reason(int(voters), supported=float(quality[i]) if supported[i] else None)
        for i, voters in enumerate(against.sum(axis=1))
    ]
    judged = [
        Verdict(DROP, None, reason, lowest) if harmful else Verdict(KEEP, label, reason, lowest)
        for label, harmful, reason, lowest in zip(
            label_indices(suspects).tolist(), voted_out & ~supported, reasons, effect.min(axis=1).tolist(), strict=True
        )
    ]
    final = settle(judged, suspects, overridden)
    evidence = [_voters(against[i], effect[i], book) if free[i] else [] for i in range(len(free))]
    classes = class_names(samples)
    table = verdict_table(suspects, final, classes, evidence, round_name=round, stage="cleanse_influence")
    write_table(verdicts, table)
    write_dataset(cleansed, apply_verdicts(samples, table, classes), shards_from=[dataset])
    dropped = table.filter(pa.array(column(table, "action") == DROP))
    write_bytes(sheet, _sheet(dataset, dropped.slice(0, SHEET_IMAGES)))
    changed = [one.action != other.action for one, other in zip(judged, final, strict=True)]
    print(
        f"cleanse_influence: dropped {len(dropped)} of {len(table)} images ({100 * len(dropped) / len(table):.1f} %), "
        f"kept {np.sum(changed & free)} as the last of their class{count_text(resolved)}"
    )


def _sheet(dataset: Path, verdicts: pa.Table) -> bytes:
    """PNG bytes: the images with their labels."""
    pictures = read_thumbnails(dataset, verdicts["id"].to_pylist())
    return contact_sheet(list(pictures.values()), verdicts["label_before"].to_pylist(), columns=16, tile=64)


def _effects(
    scores: Path, suspects: list[str], book: list[str]
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """(N, M) removal effects in the order of the dataset's rows and of its label book, and (N,) label quality."""
    effects = [pa.field(name, pa.float64(), nullable=False) for name in book]
    table = read_table(scores, pa.schema([*QUALITY_SCHEMA, *effects]))
    if sorted(table["id"].to_pylist()) != sorted(suspects):
        raise UserError(f"{scores} does not value the images of this dataset; run `dvc repro` to value them anew")
    order = {identifier: row for row, identifier in enumerate(table["id"].to_pylist())}
    matrix = np.stack([table[name].to_numpy() for name in book], axis=1)
    rows = [order[identifier] for identifier in suspects]
    return matrix[rows], table["label_quality"].to_numpy()[rows]


def _voters(against: np.ndarray, effect: np.ndarray, book: list[str]) -> list[str]:
    """The label-book ids that voted against one image, the worst harmed first."""
    return [book[j] for j in np.flatnonzero(against)[np.argsort(effect[against], kind="stable")]]


def _reason(voters: int, *, supported: float | None) -> str:
    if voters == 0:
        return "harms no label-book image beyond min + std"
    text = f"harms {voters} label-book image{'s' if voters > 1 else ''} beyond min + std"
    return text if supported is None else f"{text}, but its label quality is {supported:.2f}"


SECTIONS: Sections = {"params": ("cleanse_influence", Params)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
