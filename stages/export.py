"""Write a dataset as folders of images, for any trainer that reads one folder per class, and a list of corrections.

Reads   --dataset   dataset: train, val and others, with its ledger
        --prepared  dataset as delivered: names and labels of what was dropped, and the parents of copies
        --scores    tables of the valuation, in the order of the rounds; the last that valued an image counts
        --model     the model's card
Writes  --export    folder: train/<class>/<file>, val/<class>/<file>, manifest.parquet (one row per file: id, name,
                    label, given label, origin, parent, label quality, and the last verdict on it) and corrections.csv
                    (what was dropped or relabelled, the worst first)
Params  export, judge.max_images

Source images are written byte for byte as delivered, under their own file names, or, where export.strip_metadata is
true, without what their files say beside pixels and colours. Copies are written as they are stored
where the model is the competition's, and else rendered at their parent's resolution, if at all (export.copies). In the
competition, a dataset with more images than the judge allows is rejected, as its arm is: what is exported is what was
judged. The manifest lies beside train and val, where neither torchvision's ImageFolder nor Hugging Face's imagefolder
looks. A class whose name is no safe folder name is called class_<index>; the manifest has both.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyarrow as pa

from winnow.backbone.card import read_card
from winnow.dataset.samples import QUALITY_SCHEMA, labels_by_id, only_source, read_samples, train_and_val
from winnow.dataset.streaming import every_image
from winnow.export.closing import closing
from winnow.export.copies import copy_format, format_of, rendered_copies
from winnow.export.corrections import corrections, corrections_csv
from winnow.export.manifest import manifest, missing_classes
from winnow.export.metadata import Metadata
from winnow.export.names import read_by_all
from winnow.pipeline.durable import sync_folder
from winnow.pipeline.fields import Count, section
from winnow.pipeline.files import fresh_folder, read_table, write_bytes, write_table
from winnow.pipeline.messages import shown
from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.ledger import read_ledger


@section
class Params:
    """Section `export`."""

    copies: Literal["auto", "files", "none"]  # auto: files in the competition, none elsewhere
    strip_metadata: bool  # write source images without EXIF, XMP, IPTC and comments; their pixels are not coded anew


def main(
    params: Params,
    max_images: int,
    *,
    dataset: Path,
    prepared: Path,
    scores: list[Path],
    model: Path,
    export: Path,
) -> None:
    """Run the stage on the files given."""
    competition = read_card(model).competition
    samples = train_and_val(dataset, max_images=max_images if competition else sys.maxsize)
    if params.copies == "none" or (params.copies == "auto" and not competition):
        samples = only_source(samples)
    copies = samples.filter(samples["parent"].is_valid())
    stored = samples if competition else only_source(samples)  # as files already; the other copies are rendered
    ledger, quality = read_ledger(dataset), label_quality(scores)
    formats = dict(_formats(stored, dataset))
    parents = {} if competition else {one: format_of(b, one) for one, b in every_image(prepared, _parents(copies))}
    for row in copies.to_pylist():
        formats[row["id"]] = "PNG" if competition else copy_format(parents[row["parent"]])
    listed = manifest(samples, ledger, formats=formats, label_quality=quality)
    files = dict(zip(listed["id"].to_pylist(), listed["file"].to_pylist(), strict=True))

    root, metadata = fresh_folder(export), Metadata(strip=params.strip_metadata)
    hashes = labels_by_id(stored, "pixel_hash")
    for identifier, content in every_image(dataset, stored["id"].to_pylist()):
        kept = metadata.written(content, files[identifier], hashes[identifier])
        write_bytes(root / files[identifier], kept, sync=False)
    if parents:
        for identifier, content in _rendered(copies, prepared, formats):
            write_bytes(root / files[identifier], content, sync=False)
    sync_folder(root)
    corrected = corrections(read_samples(prepared), read_samples(dataset), ledger, quality)
    write_bytes(root / "corrections.csv", corrections_csv(corrected))
    write_table(root / "manifest.parquet", listed)  # last, so that a folder with a manifest is a whole export
    print(f"export: {closing(listed, export, corrected=len(corrected))}")
    for line in metadata.lines():
        print(f"export: {line}")
    for split, name in missing_classes(samples):
        print(
            f"export: warning: {split} has no image of class {shown(name)}; give its loader the other's class numbers"
        )


def label_quality(scores: list[Path]) -> dict[str, float]:
    """By id the label quality of the last table that has it."""
    found: dict[str, float] = {}
    for path in scores:
        table = read_table(path, QUALITY_SCHEMA)
        found |= dict(zip(table["id"].to_pylist(), table["label_quality"].to_pylist(), strict=True))
    return found


def _formats(stored: pa.Table, dataset: Path) -> Iterator[tuple[str, str]]:
    """Id and format of the source images whose own suffix not every loader reads."""
    source = only_source(stored)
    names = zip(source["id"].to_pylist(), source["name"].to_pylist(), strict=True)
    odd = [identifier for identifier, name in names if not read_by_all(name)]
    for identifier, content in every_image(dataset, odd):
        yield identifier, format_of(content, identifier)


def _parents(copies: pa.Table) -> dict[str, list[tuple[str, str]]]:
    """By parent the id and the recorded operations of its copies."""
    found = defaultdict(list)
    for row in copies.to_pylist():
        found[row["parent"]].append((row["id"], row["operations"]))
    return found


def _rendered(copies: pa.Table, prepared: Path, formats: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Id and file of each copy, a parent at a time."""
    wanted = _parents(copies)
    for parent, content in every_image(prepared, wanted):
        yield from rendered_copies(content, parent, wanted[parent], file_format=formats[wanted[parent][0][0]])


SECTIONS: Sections = {"params": ("export", Params), "max_images": ("judge.max_images", Count)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
