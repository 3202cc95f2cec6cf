"""Write the delivered train and val images, with what was done with each, for another tool.

    winnow export --to fiftyone FOLDER
    winnow export --to label-studio FOLDER [--url PREFIX]
    winnow export --to datalab FILE.parquet|FILE.csv

For FiftyOne and Label Studio the folder gets the images as delivered, in data/, and the tool's JSON. It must be new or
empty. `winnow decide --from TOOL FILE` brings decisions back. Exit code 0: written, 2: trouble.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.commands.terminal import run_command
from winnow.dataset.samples import class_names, labels_by_id, read_samples
from winnow.dataset.streaming import every_image
from winnow.export import datalab, fiftyone, label_studio
from winnow.export.delivered import label_quality, odd_formats
from winnow.export.judged import Judged, judged_images
from winnow.export.metadata import Metadata
from winnow.pipeline.durable import sync_folder
from winnow.pipeline.files import ROOT, write_bytes, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import read_params
from winnow.representation.predictions import probabilities_by_id
from winnow.verdicts.ledger import read_ledger

FIFTYONE, LABEL_STUDIO, DATALAB = TOOLS = ("fiftyone", "label-studio", "datalab")
IMAGES = "data"  # folder of the images, in that of the JSON; FiftyOne's name for it


def answer(arguments: Sequence[str] | None, root: Path) -> tuple[str, int]:
    """Text and exit code for a command line."""
    parser = argparse.ArgumentParser(
        prog="winnow export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", required=True, choices=TOOLS, help="the tool")
    parser.add_argument("path", type=Path, metavar="PATH", help="a new folder; of datalab, a new file")
    parser.add_argument(
        "--url",
        metavar="PREFIX",
        default=label_studio.LOCAL_FILES,
        help="of Label Studio: what stands before an image's path in its address, %(default)s if left out, "
        "for a server whose LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is FOLDER",
    )
    options = parser.parse_args(arguments)
    params, prepared = read_params(root / "params.yaml"), root / "data/prepared"
    _demand_new(options.path, folder=options.to != DATALAB)
    samples = read_samples(prepared)
    images = _judged(samples, root, params)
    if options.to == DATALAB:
        return _write_issues(images, options.path), 0
    if options.to == FIFTYONE:
        files = {
            fiftyone.METADATA: _as_json(fiftyone.metadata(params["export"]["title"], class_names(samples))),
            fiftyone.SAMPLES: _as_json(fiftyone.samples(images, IMAGES)),
        }
    else:
        files = {
            label_studio.INTERFACE: label_studio.interface(class_names(samples)),
            label_studio.TASKS: _as_json(label_studio.tasks(images, options.url)),
        }
    metadata = Metadata(strip=params["export"]["strip_metadata"])
    _write_images(images, samples, prepared, options.path / IMAGES, metadata)
    for name, content in files.items():
        write_bytes(options.path / name, content)
    told = (
        f"export: {len(images):,} images for {options.to} in {options.path}; bring decisions back with `winnow decide"
    )
    return "\n".join([f"{told} --from {options.to} FILE`", *metadata.lines()]), 0


def _judged(samples: pa.Table, root: Path, params: dict[str, Any]) -> list[Judged]:
    """The images with what the rounds up to the refined one know of them."""
    rounds = list(params["rounds"])
    rounds = rounds[: rounds.index(params["refined"]["round"]) + 1]
    refined = root / "data/refined"
    ledger = read_ledger(refined)
    scores = {name: root / f"data/{name}/value/scores.parquet" for name in rounds}
    return judged_images(
        samples,
        read_samples(refined),
        ledger,
        label_quality=label_quality(scores, ledger, samples),
        probabilities=_probabilities(
            [root / f"data/{name}/ensemble/classes.parquet" for name in rounds], len(class_names(samples))
        ),
        formats=dict(odd_formats(samples, root / "data/prepared")),
    )


def _probabilities(tables: Sequence[Path], classes: int) -> dict[str, npt.NDArray[np.float32]]:
    """By id the class probabilities of the last table that has them."""
    found: dict[str, npt.NDArray[np.float32]] = {}
    for path in tables:
        ids, probability = probabilities_by_id(path)
        if probability.shape[1] != classes:
            raise UserError(f"{path} has other classes than data/prepared; run `dvc repro`")
        found |= dict(zip(ids, probability, strict=True))
    return found


def _demand_new(path: Path, *, folder: bool) -> None:
    """Raise where something would be written over.

    Raises:
        UserError: the folder has something in it, or there is such a file.
    """
    try:
        taken = any(path.iterdir()) if folder and path.is_dir() else path.exists()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); name another folder") from None
    if taken:
        raise UserError(f"{path} exists already, and nothing is written over it; name a new one, or remove it")


def _write_images(
    images: Sequence[Judged], samples: pa.Table, prepared: Path, folder: Path, metadata: Metadata
) -> None:
    files, hashes = {one.id: one.file for one in images}, labels_by_id(samples, "pixel_hash")
    for identifier, content in every_image(prepared, list(files)):
        kept = metadata.written(content, files[identifier], hashes[identifier])
        write_bytes(folder / files[identifier], kept, sync=False)
    sync_folder(folder)


def _write_issues(images: Sequence[Judged], path: Path) -> str:
    table = datalab.issues(images)
    if path.suffix.lower() == ".csv":
        write_bytes(path, datalab.as_csv(table))
    elif path.suffix.lower() == ".parquet":
        write_table(path, table)
    else:
        raise UserError(f"{path} must end in .parquet or .csv, which says how the table is written")
    return f"export: {len(images):,} images in {path}, with the columns of cleanlab's Datalab.get_issues"


def _as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow export``."""
    run_command(command, lambda: answer(words, ROOT))
