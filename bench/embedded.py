"""The embedded source, synthesised and prepared apart from the pipeline, whose runs then do not change the figures."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import stages.pixels
import stages.prepare
import stages.synthesise
from winnow.backbone.card import COMPETITION
from winnow.pipeline.params import load_params


def draw_source(folder: Path, *, train_per_class: int | None = None, test_per_class: int | None = None) -> Path:
    """A zip of the source in ``folder``, with params.yaml's counts where none are given."""
    params = load_params("synthesise", stages.synthesise.Params)
    if train_per_class is not None:
        params = replace(params, train_counts=[train_per_class] * len(params.train_counts))
    if test_per_class is not None:
        params = replace(params, test_per_class=test_per_class)
    with contextlib.redirect_stdout(io.StringIO()):
        stages.synthesise.main(params, source=folder / "source.zip", sheet=folder / "sheet.png")
    return folder / "source.zip"


def prepare_source(source: Path, folder: Path) -> Path:
    """The prepared dataset of a source, below ``folder``."""
    params = load_params("prepare", stages.prepare.Params)
    with contextlib.redirect_stdout(io.StringIO()):
        stages.prepare.main(
            str(source),
            params,
            COMPETITION,
            "default",
            0,
            True,
            "letterbox",
            prepared=folder / "prepared",
            test=folder / "test",
            truth=folder / "truth.parquet",
            model=folder / "model.json",
            facts=folder / "facts",
            metrics=folder / "prepare.json",
        )
    return folder / "prepared"


def decoded(prepared: Path) -> Path:
    """The images of a prepared dataset at the size of the fixed model, in arrays beside it."""
    pixels = prepared.with_name("pixels")
    with contextlib.redirect_stdout(io.StringIO()):
        made = pixels.with_name("pixels_made.json")
        stages.pixels.main(prepared=prepared, model=prepared.with_name("model.json"), pixels=pixels, made=made)
    return pixels
