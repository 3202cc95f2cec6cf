"""Networks with their folds, as ensemble and train_encoder leave them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from winnow.dataset.samples import column
from winnow.pipeline.files import fresh_folder, read_table, write_bytes, write_table
from winnow.pipeline.messages import UserError
from winnow.representation.network import Encoder
from winnow.representation.predictions import Indices

FOLDS = pa.schema(
    [pa.field("id", pa.string(), nullable=False), pa.field("folds", pa.list_(pa.int64()), nullable=False)]
)


Folds = dict[str, list[int]]  # id of a source image: its fold by repeat


States = list[list[dict[str, Tensor]]]


@dataclass(frozen=True)
class Networks:
    """By repeat and fold, the states of the networks that left this fold out."""

    folds: Folds
    encoders: States  # none where the classifiers' features, or a backbone's, are the embedding
    classifiers: States


def write_networks(folder: Path, source: pa.Table, folds: Indices, networks: Mapping[str, States]) -> None:
    """Write networks and their folds.

    Args:
        folder: emptied first.
        source: N source images.
        folds: (R, N) fold of each by repeat.
        networks: by kind, class or space, their states by repeat and fold.
    """
    fresh_folder(folder)
    for kind, by_repeat in networks.items():
        for repeat, states in enumerate(by_repeat):
            for fold, state in enumerate(states):
                write_bytes(folder / f"{kind}-{repeat}-{fold}.safetensors", save(state))
    table = {"id": source["id"].combine_chunks(), "folds": pa.array(folds.T.tolist(), pa.list_(pa.int64()))}
    write_table(folder / "folds.parquet", pa.table(table))


def read_networks(folder: Path, *, classes: int, backbone: bool = False) -> Networks:
    """Everything that ``write_networks`` wrote.

    Args:
        folder: its output.
        classes: K of the dataset that the networks are applied to.
        backbone: whether there is one, whose features the classifiers may be heads on.

    Raises:
        UserError: a file is missing or damaged, or the classifiers have other classes.
    """
    table = read_table(folder / "folds.parquet", FOLDS)
    dealt = dict(zip(table["id"].to_pylist(), table["folds"].to_pylist(), strict=True))
    lengths = {len(row) for row in dealt.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise UserError(f"{folder / 'folds.parquet'} deals no image into folds; run `dvc checkout --force {folder}`")
    (repeats,) = lengths
    folds = 1 + max(fold for row in dealt.values() for fold in row)
    read = _state if backbone else _encoder_state
    spaces = bool(list(folder.glob("space-*"))) if folder.is_dir() else False
    encoders, classifiers = (
        [[read(folder / f"{kind}-{repeat}-{fold}.safetensors") for fold in range(folds)] for repeat in range(repeats)]
        if wanted
        else []
        for kind, wanted in (("space", spaces), ("class", True))
    )
    known = {_classes_of(state) for row in classifiers for state in row}
    if known != {classes}:
        raise UserError(f"{folder} has classifiers of {max(known)} classes, the dataset has {classes}; run `dvc repro`")
    return Networks(dealt, encoders, classifiers)


def _classes_of(state: dict[str, Tensor]) -> int:
    """K of a classifier: of a network, or of a head on features."""
    return len(state["head.bias"] if "head.bias" in state else state["weight"])


def _state(path: Path) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise UserError(f"{path} is missing or damaged ({error}); run `dvc checkout --force {path.parent}`") from None
    if not ({"head.bias"} <= state.keys() or state.keys() == {"mean", "spread", "weight"}):
        raise _other_weights(path)
    return state


def _encoder_state(path: Path) -> dict[str, Tensor]:
    state = _state(path)
    width = len(state["head.bias"]) if "head.bias" in state and state["head.bias"].ndim else 1
    expected = Encoder(width, torch.Generator()).state_dict()
    if {name: one.shape for name, one in state.items()} != {name: one.shape for name, one in expected.items()}:
        raise _other_weights(path)
    return state


def _other_weights(path: Path) -> UserError:
    back = f"run `dvc checkout --force {path.parent}`"
    return UserError(f"{path} holds other weights than ensemble and train_encoder write; {back}")


def folds_by_id(source: pa.Table, folds: Indices) -> Folds:
    """The (R, N) folds of N source images by id."""
    return dict(zip(source["id"].to_pylist(), folds.T.tolist(), strict=True))


def with_folds(samples: pa.Table, dealt: Folds, encoders: Path) -> tuple[Indices, Indices]:
    """(N,) row of each sample's source image, and (R, N) its fold by repeat.

    Args:
        samples: copies stand beside their source images.
        dealt: folds of the source images.
        encoders: where they come from, for messages.

    Raises:
        UserError: a source image was dealt into no fold.
    """
    ids, parents = column(samples, "id"), column(samples, "parent")
    root_ids = np.where(parents == "", ids, parents)
    row_of = {identifier: row for row, identifier in enumerate(ids.tolist())}
    unknown = [identifier for identifier in root_ids.tolist() if identifier not in dealt or identifier not in row_of]
    if unknown:
        raise UserError(f"{encoders} has no fold of image {unknown[0]} and {len(unknown) - 1} others; run `dvc repro`")
    roots = np.array([row_of[identifier] for identifier in root_ids.tolist()], dtype=np.int64)
    return roots, np.array([dealt[identifier] for identifier in root_ids.tolist()], dtype=np.int64).T
