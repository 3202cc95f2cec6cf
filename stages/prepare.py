"""Turn any source into the datasets that every later stage reads: checked, split, without leaks, bytes as delivered.

Reads   dataset.source of params.yaml (no option: a path may hold spaces, quotes and brackets): a folder or a zip,
        train/<class>/<image> with optional val/, label_book/, test/, truth.csv; or bare <class>/<image>
Writes  --prepared  dataset: train, val, label_book; beside it rejected.parquet (name, reason of files that are no
                    samples), leaks.parquet (images left out because a higher split holds one of their group) and
                    leaks/, a dataset of the pictures of both
        --test      dataset: test alone
        --model     JSON: the model that everything after is done with, and why it was chosen
        --truth     table: id, label (null for junk), noise; rows of train and val, none without truth.csv
        --metrics   counts of images, of rejected files by reason, of leaks by pair of splits, of duplicates
        --facts     what was found out about each image, by its content, which the next run need not find out again
Params  dataset.source, prepare, model, weights, pixels, frozen, resize

A split that the source lacks is drawn: test from train (where train/ exists too, since nothing can be judged without
one), then val from train, then the label book from val. A drawn label book is unverified, and a warning says so.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pyarrow as pa
from pydantic import Field

from winnow.backbone.choice import AUTO, facts_of, request_of, resolve
from winnow.dataset.images import write_dataset
from winnow.intake.findings import read_findings, write_findings
from winnow.intake.grouping import find_groups
from winnow.intake.groups import GROUPS
from winnow.intake.ingest import (
    Leak,
    complete,
    count,
    delivered_images,
    ingest,
    keep_apart,
)
from winnow.intake.remarks import remarks
from winnow.intake.sample import Sample, table_of
from winnow.intake.source import Source, open_source, resolve_source
from winnow.intake.splits import PRECEDENCE, SplitPlan
from winnow.intake.truth import TRUTH as TRUTH_FILE
from winnow.intake.truth import by_sample, unknown_labels
from winnow.pictures.decode import PIXEL_LIMIT
from winnow.pipeline.fields import BelowOne, Count, OpenShare, Seed, Side, section
from winnow.pipeline.files import Columns, schema_of, write_json, write_table
from winnow.pipeline.messages import UserError, shown
from winnow.pipeline.stage import Sections, run_stage

TEXT = pa.string()
REJECTED: Columns = {
    "name": (TEXT, "path inside the source"),
    "reason": (TEXT, "why the file gives no sample, the same words for the same fault"),
}
LEAKS: Columns = {
    "id": (TEXT, "of the image left out"),
    "name": (TEXT, "path inside the source"),
    "split": (TEXT, "split that it was delivered in"),
    "label": (TEXT, "class that it was delivered as"),
    "kept_in": (TEXT, "split that keeps one of its group"),
    "kept_id": (TEXT, "id of the first of these"),
    "kind": (TEXT, "exact: the same pixels; group: listed together in groups.csv; near: otherwise of one group"),
}
TRUTH: Columns = {
    "id": (TEXT, "of a train or val image"),
    "label": (TEXT, "true class; null for an image that shows none"),
    "noise": (pa.bool_(), "whether the image shows no class"),
}
REJECTED_SCHEMA, LEAKS_SCHEMA, TRUTH_SCHEMA = map(schema_of, (REJECTED, LEAKS, TRUTH))


@section
class Params:
    """Section `prepare`."""

    seed: Seed  # of the draws of missing splits
    val_fraction: OpenShare  # of a class's training images, where val/ is missing
    test_fraction: OpenShare  # of a class's images, where test/ is missing
    label_book_per_class: Count  # images drawn from val, where label_book/ is missing
    near_duplicates: bool  # whether photographs that are nearly equal belong together
    max_unreadable: BelowOne  # share of the images; a source with more stops the run
    # Width times height; a larger image is rejected by its header.
    max_image_pixels: Annotated[int, Field(ge=1, le=PIXEL_LIMIT)]


def main(
    source: str,
    params: Params,
    model_name: str,
    weights: str,
    pixels: int,
    frozen: bool,
    resize: str,
    *,
    prepared: Path,
    test: Path,
    truth: Path,
    model: Path,
    facts: Path,
    metrics: Path,
) -> None:
    """Run the stage on the source."""
    asked = {"model": model_name, "weights": weights, "pixels": pixels, "frozen": frozen, "resize": resize}
    request = request_of(asked)
    named = None if request.model == AUTO else resolve(request)  # before anything is read
    path, limit = resolve_source(source), params.max_image_pixels
    with open_source(path) as opened:
        names, wrapper = [entry.name for entry in opened.layout.entries], opened.layout.wrapper
        listed = opened.truth() or {}
        truths, truths_unknown = by_sample(listed, names, wrapper, TRUTH_FILE, opened.where)
        together, groups_unknown = by_sample(opened.groups(), names, wrapper, GROUPS, opened.where)
        known = read_findings(facts, max_pixels=limit)
        read, rejected = ingest(opened, max_pixels=limit, max_unreadable=params.max_unreadable, known=known)
        looks = facts_of(*zip(*((s.width, s.height, s.line_art) for s in read), strict=True))
        card = named or resolve(request, looks)
        # Line art of one class is all near-duplicates; photographs are not, whatever model is asked for.
        near = params.near_duplicates and not (card.competition and looks.suit_competition)
        read, alike = find_groups(read, opened, listed=together, near=near, max_pixels=limit, known=known.alike)
        delivered, leaks = keep_apart(read, opened)
        plan = SplitPlan(params.seed, params.val_fraction, params.test_fraction, params.label_book_per_class)
        samples = complete(delivered, plan, opened)
        _demand_unchanged(opened)
        _write_datasets(samples, leaks, opened, prepared=prepared, test=test)
    _demand_unchanged(opened)  # its images were read again to be written
    write_findings(facts, ((sample.content, sample.facts) for sample in read), alike, max_pixels=limit)
    drawn = [split for split in PRECEDENCE if not any(sample.split == split for sample in delivered)]

    write_table(prepared / "rejected.parquet", _table(REJECTED_SCHEMA, rejected))
    write_table(
        prepared / "leaks.parquet",
        _table(LEAKS_SCHEMA, [_leak_row(leak) for leak in leaks]),
    )
    listed_ones = [sample for sample in samples if sample.split in ("train", "val") and sample.name in truths]
    truth_rows = [(sample.id, truths[sample.name].label, truths[sample.name].noise) for sample in listed_ones]
    write_table(truth, _table(TRUTH_SCHEMA, truth_rows))
    counts = count(samples, rejected, leaks)
    counts |= {"label_book_verified": "label_book" not in drawn, "classes": len(opened.layout.classes)}
    counts |= {"groups_names_unknown": groups_unknown}
    counts |= {"truth_rows": len(truth_rows), "truth_names_unknown": truths_unknown}
    counts |= {"truth_labels_unknown": unknown_labels(listed.values(), opened.layout.classes, opened.where)}
    write_json(metrics, counts)
    write_json(model, card.to_json())
    announce(counts, rejected, drawn, prepared, remarks(samples, opened.layout.classes, near=near))
    print(f"prepare: judged by {card.model} at {card.pixels} pixels; {card.why}")
    _demand_unchanged(opened)  # DVC hashes the source after this, and would take the outputs for those of an edited one


def _demand_unchanged(source: Source) -> None:
    if source.container.changed():
        raise UserError(f"{source.where} was changed while it was read; run it again")


def _write_datasets(
    samples: Sequence[Sample], leaks: Sequence[Leak], source: Source, *, prepared: Path, test: Path
) -> None:
    """Write the samples by split; and both pictures of every leak, which the report shows side by side."""
    both = list({one.id: one for leak in leaks for one in (leak.sample, leak.kept)}.values())
    chosen = {
        prepared: [sample for sample in samples if sample.split != "test"],
        test: [sample for sample in samples if sample.split == "test"],
    }
    if both:
        chosen[prepared / "leaks"] = both
    for folder, members in chosen.items():
        table = table_of(members, source.layout.classes)
        write_dataset(folder, table, images=delivered_images(source, members))


def _leak_row(leak: Leak) -> tuple[str, ...]:
    left_out, kept = leak.sample, leak.kept
    return left_out.id, left_out.name, left_out.split, left_out.label, kept.split, kept.id, leak.kind


def announce(
    counts: dict[str, int | bool],
    rejected: Sequence[tuple[str, str]],
    drawn: Sequence[str],
    prepared: Path,
    remarked: Sequence[str],
) -> None:
    """Print what a person should know at the end."""
    images = ", ".join(f"{split} {counts[f'images_{split}']}" for split in PRECEDENCE)
    print(
        f"prepare: {images} images of {counts['classes']} classes ({counts['images_grey']} grey, "
        f"{counts['images_colour']} in colour); drawn here: {', '.join(drawn) or 'none'}; "
        f"{counts['leaks_total']} left out because a higher split holds the same image or one of its group; "
        f"{counts['images_in_groups']} images in {counts['groups']} groups"
    )
    if rejected:
        kinds = ", ".join(f"{n} {words}" for words, n in Counter(words for _, words in rejected).most_common())
        some = ", ".join(shown(name) for name, _ in rejected[:3])
        print(
            f"prepare: rejected {len(rejected)} files ({kinds}), {some} first; all in {prepared / 'rejected.parquet'}"
        )
    for file in ("groups", "truth"):
        if unknown := counts[f"{file}_names_unknown"]:
            print(f"prepare: warning: {file}.csv names {unknown} files that the source does not have")
    if counts["truth_labels_unknown"]:
        print(
            f"prepare: warning: truth.csv gives {counts['truth_labels_unknown']} images a label that is no class here; "
            "each counts as a fault"
        )
    if not counts["label_book_verified"]:
        lost = counts["leaks_label_book_in_test"]
        why = "test/ has every image of label_book/" if lost else "the source has no label_book/"
        print(
            f"prepare: warning: the label book is unverified: {why}, so "
            f"{counts['images_label_book']} images were drawn from val; wrong labels among them mislead the valuing, "
            "so look at them, or add a label_book/"
        )
    for remark in remarked:
        print(f"prepare: warning: {remark}")


def _table(schema: pa.Schema, rows: Sequence[Sequence[object]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


SECTIONS: Sections = {
    "source": ("dataset.source", str),
    "params": ("prepare", Params),
    "model_name": ("model", str),
    "weights": ("weights", str),
    "pixels": ("pixels", Side),
    "frozen": ("frozen", bool),
    "resize": ("resize", str),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
