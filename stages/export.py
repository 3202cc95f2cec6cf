"""Write a dataset as folders of images, for any trainer that reads one folder per class, with what describes it.

Reads   --dataset   dataset: train, val and others, with its ledger
        --prepared  dataset as delivered: names and labels of what was dropped, and the parents of copies
        --scores    data/<round>/value/scores.parquet of the rounds, in their order
        --model     the model's card
        --counts    metrics of prepare
        --gate      metrics of the last round's gate
        --estimate  of the first cleansing stage
        --checked   checked.csv: what people said of the label book
Writes  --export    folder: train/<class>/<file>, val/<class>/<file>, manifest.parquet (one row per file: id, name,
                    label, given label, origin, parent, label quality, the last verdict on it, and a checksum),
                    corrections.csv (what was dropped or relabelled, the worst first), README.md (a dataset card as
                    Hugging Face reads it) and croissant.json (the same for programs, in the Croissant format)
Params  export

Source images are written byte for byte as delivered, under their own file names, or, where export.strip_metadata is
true, without what their files say beside pixels and colours. Copies are written as they are stored
where the model is the competition's, and else rendered at their parent's resolution, if at all (export.copies). All
images are written, also those of a dataset that the judge took a sample of. The manifest lies beside train and val,
where neither torchvision's ImageFolder nor Hugging Face's imagefolder looks. A class whose name is no safe folder name
is called class_<index>; the manifest has both.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from winnow.backbone.card import read_card
from winnow.dataset.samples import both_sides, only_source, read_samples
from winnow.dataset.streaming import every_image
from winnow.export.closing import closing
from winnow.export.copies import copy_format, format_of, rendered_copies
from winnow.export.corrections import corrections, corrections_csv
from winnow.export.croissant import CORRECTIONS, MANIFEST, croissant
from winnow.export.dataset_card import dataset_card
from winnow.export.delivered import label_quality, odd_formats, read_verdicts
from winnow.export.facts import Facts, gather
from winnow.export.manifest import manifest, missing_classes, with_checksums
from winnow.export.metadata import Metadata
from winnow.pipeline.fields import section
from winnow.pipeline.files import write_bytes, write_table
from winnow.pipeline.json_files import read_json
from winnow.pipeline.kept_folder import KeptFolder
from winnow.pipeline.messages import shown
from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.checked_csv import label_book_checks


@section
class Params:
    """Section `export`."""

    copies: Literal["auto", "files", "none"]  # auto: files in the competition, none elsewhere
    strip_metadata: bool  # write source images without EXIF, XMP, IPTC and comments; their pixels are not coded anew
    title: str  # of the dataset, in its card
    license: str  # of the images, as Hugging Face's Hub or SPDX names it


def main(
    params: Params,
    *,
    dataset: Path,
    prepared: Path,
    scores: list[Path],
    model: Path,
    counts: Path,
    gate: Path,
    estimate: Path,
    checked: Path,
    export: Path,
) -> None:
    """Run the stage on the files given."""
    card = read_card(model)
    delivered, refined = read_samples(prepared), read_samples(dataset)
    samples = both_sides(refined, dataset)
    if params.copies == "none" or (params.copies == "auto" and not card.competition):
        samples = only_source(samples)
    stored = samples if card.competition else only_source(samples)  # as files already; the other copies are rendered
    copies = samples.filter(samples["parent"].is_valid())
    ledger = read_verdicts(dataset)
    quality = label_quality({path.parts[-3]: path for path in scores}, ledger, delivered)
    formats = dict(odd_formats(stored, dataset))
    if card.competition:
        formats |= dict.fromkeys(copies["id"].to_pylist(), "PNG")
    else:
        formats |= _copy_formats(copies, prepared)
    listed = manifest(samples, ledger, formats=formats, label_quality=quality)

    metadata = Metadata(strip=params.strip_metadata)
    images = every_image(dataset, stored["id"].to_pylist())
    rendered = iter(()) if card.competition else _rendered(copies, prepared, formats)
    hashes = _write_images(export, listed, samples["pixel_hash"], images, rendered, metadata)
    listed = with_checksums(listed, hashes)
    corrected = corrections(delivered, refined, ledger, quality)
    facts = gather(
        *(listed, delivered, refined, ledger),
        *(params.title, params.license, card.model),
        prepare=read_json(counts),
        gate=read_json(gate),
        estimate=read_json(estimate),
        checked=label_book_checks(checked, delivered),
    )
    _describe(export, listed, corrected, facts)
    print(f"export: {closing(listed, export, corrected=len(corrected))}")
    for line in metadata.lines():
        print(f"export: {line}")
    for split, name in missing_classes(samples):
        print(
            f"export: warning: {split} has no image of class {shown(name)}; give its loader the other's class numbers"
        )


def _write_images(
    root: Path,
    listed: pa.Table,
    pixels: pa.ChunkedArray,
    stored: Iterator[tuple[str, bytes]],
    rendered: Iterator[tuple[str, bytes]],
    metadata: Metadata,
) -> pa.Array:
    """Write images by id to the files that the manifest has for them, one after another.

    Args:
        root: of the export.
        listed: manifest, N rows.
        pixels: (N,) hash of the pixels of each.
        stored: id and bytes of the images that are files already.
        rendered: of the others.
        metadata: of the stored ones.

    Returns:
        (N,) hex SHA-256 of each file.
    """
    files, sums = listed["file"].combine_chunks(), np.zeros((len(listed), 32), np.uint8)
    row_of = {identifier: row for row, identifier in enumerate(listed["id"].to_pylist())}
    folder, hashes = KeptFolder(root, files.to_pylist()), pixels.combine_chunks()

    def write(row: int, file: str, content: bytes) -> None:
        folder.write(file, content)
        sums[row] = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)

    for identifier, content in stored:
        row = row_of[identifier]
        file = files[row].as_py()
        write(row, file, metadata.written(content, file, hashes[row].as_py()))
    for identifier, content in rendered:
        write(row_of[identifier], files[row_of[identifier]].as_py(), content)
    folder.sync()
    return pa.array((one.tobytes().hex() for one in sums), pa.string(), size=len(sums))


def _describe(root: Path, listed: pa.Table, corrected: list[list[str]], facts: Facts) -> None:
    """Write what describes the images; croissant.json last, since it has checksums of the tables."""
    write_bytes(root / CORRECTIONS, corrections_csv(corrected))
    write_table(root / MANIFEST, listed)
    write_bytes(root / "README.md", dataset_card(facts))
    contents = {name: (root / name).read_bytes() for name in (CORRECTIONS, MANIFEST)}
    tables = {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
    write_bytes(root / "croissant.json", croissant(facts, (file.as_py() for file in listed["file"]), tables))


def _copy_formats(copies: pa.Table, prepared: Path) -> dict[str, str]:
    """By id of a copy that is rendered the format of its file, which its parent's has."""
    wanted = _parents(copies)
    return {
        copy: copy_format(format_of(content, parent))
        for parent, content in every_image(prepared, wanted)
        for copy, _ in wanted[parent]
    }


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


SECTIONS: Sections = {"params": ("export", Params)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS, edited_by_people=["checked"])
