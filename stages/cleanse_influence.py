"""The first verdict on every delivered image: kept, relabelled or dropped by what the ensemble says of its label.

Influence is the evidence that a verdict shows; as published, it decides alone, and drops.

What an earlier round dropped is judged again. Once that is decided, most validation images become training images,
since few of them can choose an epoch.

Reads   --dataset     dataset that came into the round, with splits train, val and label_book
        --delivered   dataset that the first round started from, with what an earlier one dropped
        --scores      table: id, one column of removal effects per label-book id or class, label_quality in [0, 1],
                      others
        --classes     table of the ensemble: id, probability of each class
        --planted     table of the ensemble: label, probability of planted junk
        --model       JSON: the model
        --pixels      arrays of the source images at its size
        --features    arrays of their features
        --user-signals  folder with the predictions and embeddings of the user's own model
        --overrides   table: id, label, reason, by; they apply whatever the rule says
        --round       name of the round
Writes  --cleansed    the dataset without the dropped images and without copies of an earlier round, labels as judged
                      and overridden, few validation images a class; image shards are passed on unchanged
        --verdicts    table: one row per train or val image, with the label-book ids that it harms as evidence
        --estimate    JSON: the estimated share of faults, the share touched, and whether it only ranked
        --sheet       PNG for people: what was dropped or relabelled, the least supported first
Params  cleanse_influence, support
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.cleansing.cleanse import counts_text
from winnow.cleansing.influence_rule import harmful_votes
from winnow.cleansing.planted_rule import Estimate, judge_by_planted, within_estimate
from winnow.dataset.delivered import read_judged
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import (
    QUALITY_SCHEMA,
    class_names,
    column,
    label_indices,
    only_splits,
)
from winnow.dataset.streaming import read_thumbnails
from winnow.dataset.validation import deal_validation
from winnow.influence.columns import CLASS_PREFIX, BookColumns, book_columns
from winnow.influence.harm_evidence import evidence_of_harm
from winnow.model.inputs import read_inputs
from winnow.pictures.contact_sheet import contact_sheet
from winnow.pipeline.checksums import DamagedError
from winnow.pipeline.fields import Count, NoneOrFew, Seed, section
from winnow.pipeline.files import open_parquet, read_table, write_bytes, write_json, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.planted_faults import Planted
from winnow.representation.predictions import Points
from winnow.representation.support import Support, read_support
from winnow.verdicts.apply import apply_verdicts, settle, verdict_table
from winnow.verdicts.ledger import DROP, KEEP, Verdict
from winnow.verdicts.overrides import count_text, overrides_on, read_overrides

FALSE_DISCOVERIES = 0.05  # expected share of the images whose harm is called significant that do none

Effects = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

SHEET_IMAGES = 160


@section
class Params:
    """Section `cleanse_influence`."""

    by: Literal["support", "influence"]  # support: by section `support`; influence: as published, by what follows
    votes: Count  # label-book images, or classes, that must vote against an image before it is dropped
    guard: bool  # demand a negative effect as well; false is the method as published
    validation: NoneOrFew  # images of a class that stay in val, the others being trained on; 0: all stay
    seed: Seed  # of their draw


def main(
    params: Params,
    support: Support,
    *,
    dataset: Path,
    delivered: Path,
    scores: Path,
    classes: Path,
    planted: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user_signals: Path,
    overrides: Path,
    round: str,
    cleansed: Path,
    verdicts: Path,
    estimate: Path,
    sheet: Path,
) -> None:
    """Run the stage on the files given."""
    resolved = read_overrides(overrides)
    samples = read_judged(dataset, delivered)  # a round makes its copies anew
    suspects = only_splits(samples, "train", "val")  # N rows
    names = class_names(samples)
    book = only_splits(samples, "label_book")
    columns = book_columns(book["id"].to_pylist(), label_indices(book), names, by_class=_by_class(scores))
    effect, p = _effects(scores, suspects["id"].to_pylist(), columns)  # (N, M), (N,)
    if params.by == "influence":
        judged, harmed, found = _by_influence(params, label_indices(suspects), effect, columns)
    else:
        everyone = only_splits(samples, "train", "val", "label_book")  # whom the ensemble judged
        measured, probability = read_support(
            read_inputs(model, pixels, features),
            dataset,
            everyone,
            support,
            classes=classes,
            planted=planted,
            user_signals=user_signals,
        )
        judged, found = _by_support(everyone, names, measured, probability, support)
        shown = evidence_of_harm(effect, label_indices(suspects), p, columns, rate=FALSE_DISCOVERIES)
        judged = [replace(one, reason=f"{one.reason}; {its.sentence}") for one, its in zip(judged, shown, strict=True)]
        harmed = [its.harmed for its in shown]
    overridden = overrides_on(suspects, resolved)
    free = np.array([one is None for one in overridden])  # (N,)
    final = settle(judged, suspects, overridden)
    evidence = [ids if own else [] for ids, own in zip(harmed, free.tolist(), strict=True)]
    table = verdict_table(suspects, final, names, evidence, round_name=round, stage="cleanse_influence")
    write_table(verdicts, table)
    left = apply_verdicts(samples, table, names)
    left = deal_validation(left, per_class=params.validation, seed=params.seed)
    write_dataset(cleansed, left, shards_from=[dataset, delivered])
    write_json(estimate, found.figures())
    changed = table.filter(pa.array(column(table, "action") != KEEP))
    write_bytes(sheet, _sheet(delivered, changed.slice(0, SHEET_IMAGES)))
    last = [one.action != other.action for one, other in zip(judged, final, strict=True)]
    print(
        f"cleanse_influence: {counts_text(table)}, kept {np.sum(last & free)} as the last of their class"
        f"{count_text(resolved)}"
    )


def _by_influence(
    params: Params, labels: Indices, effect: Effects, columns: BookColumns
) -> tuple[list[Verdict], list[list[str]], Estimate]:
    """The published rule, enough label-book images vote against an image; who voted; and no estimate."""
    against = harmful_votes(effect, guard=params.guard)  # (N, M)
    verdicts = []
    for label, voters, lowest in zip(
        labels.tolist(), against.sum(axis=1).tolist(), effect.min(axis=1).tolist(), strict=True
    ):
        reason = f"harms {columns.counted(voters)} beyond min + std"
        drops = voters >= params.votes
        verdicts.append(Verdict(DROP if drops else KEEP, None if drops else label, reason, lowest))
    counted = np.ones(len(verdicts), dtype=bool)
    judged, found = within_estimate(verdicts, labels, planted=None, counted=counted, stop=np.inf)
    return judged, [_voters(one, its, columns.shown) for one, its in zip(against, effect, strict=True)], found


def _by_support(
    everyone: pa.Table, names: list[str], measured: Planted, probability: Points, settings: Support
) -> tuple[list[Verdict], Estimate]:
    """The verdicts on train and val, and what they rest on."""
    rows = np.flatnonzero(column(everyone, "split") != "label_book")
    labels = label_indices(everyone)[rows]
    verdicts = judge_by_planted(
        labels,
        rows,
        planted=measured,
        probability=probability,
        classes=names,
        settings=settings,
        copies=np.zeros(len(rows), dtype=bool),
    )
    counted = np.ones(len(rows), dtype=bool)
    return within_estimate(verdicts, labels, planted=measured, counted=counted, stop=settings.stop)


def _sheet(dataset: Path, verdicts: pa.Table) -> bytes:
    """PNG bytes: the images with their labels before and after."""
    pictures = read_thumbnails(dataset, verdicts["id"].to_pylist())
    captions = [f"{row['label_before']} > {row['label_after'] or '-'}" for row in verdicts.to_pylist()]
    return contact_sheet(list(pictures.values()), captions, columns=16, tile=64)


def _by_class(scores: Path) -> bool:
    """Whether the effects have one column a class; a file that cannot be read is reported where it is read."""
    try:
        with open_parquet(scores) as file:
            return any(name.startswith(CLASS_PREFIX) for name in file.schema_arrow.names)
    except (FileNotFoundError, DamagedError):
        return False


def _effects(scores: Path, suspects: list[str], columns: BookColumns) -> tuple[Effects, npt.NDArray[np.float64]]:
    """(N, M) removal effects in the order of the dataset's rows and of the columns, and (N,) p-values of harm."""
    fields = [pa.field(name, pa.from_numpy_dtype(columns.dtype), nullable=False) for name in columns.names]
    harm_p = pa.field("harm_p", pa.float64(), nullable=False)
    table = read_table(scores, pa.schema([*QUALITY_SCHEMA, *fields, harm_p]))
    if sorted(table["id"].to_pylist()) != sorted(suspects):
        raise UserError(f"{scores} does not value the images of this dataset; run `dvc repro` to value them anew")
    order = {identifier: row for row, identifier in enumerate(table["id"].to_pylist())}
    rows = np.array([order[identifier] for identifier in suspects])
    effect = np.empty((len(rows), len(columns)), columns.dtype)
    for position, name in enumerate(columns.names):
        effect[:, position] = table[name].to_numpy()[rows]
    return effect, table["harm_p"].to_numpy()[rows]


def _voters(against: npt.NDArray[np.bool_], effect: Effects, book: list[str]) -> list[str]:
    """The label-book ids that voted against one image, or stand for the classes that did, the worst harmed first."""
    return [book[j] for j in np.flatnonzero(against)[np.argsort(effect[against], kind="stable")]]


SECTIONS: Sections = {"params": ("cleanse_influence", Params), "support": ("support", Support)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
