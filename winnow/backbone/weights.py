"""Weight files: tensors by name, read without running code, and put into a network that they must fit."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from winnow.pipeline.messages import UserError

WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys under which checkpoints hold the weights
PARALLEL = "module."  # before every name that DataParallel saved
SHOWN = 4  # names in a message


def read_state(file: Path) -> dict[str, Tensor]:
    """The tensors of a .pt, .pth or .safetensors file; of a checkpoint those under ``state_dict`` or ``model``.

    Raises:
        UserError: the file is missing, of another kind, damaged, or holds more than tensors.
    """
    demand_weights(file)
    try:
        if file.suffix == ".safetensors":
            return dict(load_file(file))
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError):
        remedy = "save the network's `state_dict()` with torch.save, or with safetensors"
        raise UserError(f"weights {file} is damaged, or holds more than tensors; {remedy}") from None
    state = next((content[key] for key in WRAPPERS if isinstance(content, dict) and key in content), content)
    if not isinstance(state, dict) or not state or not all(isinstance(one, Tensor) for one in state.values()):
        raise UserError(f"weights {file} must hold tensors by name; save the network's `state_dict()`")
    return {str(name).removeprefix(PARALLEL): tensor for name, tensor in state.items()}


def demand_weights(file: Path) -> None:
    """Stop where a file of weights is missing, or of a kind that is not read.

    Raises:
        UserError: it is.
    """
    if file.suffix not in (".pt", ".pth", ".safetensors"):
        raise UserError(f"weights must be a .pt, .pth or .safetensors file, got {file}")
    if not file.is_file():
        raise UserError(f"weights {file} is missing; put the file there, or correct `weights` in params.yaml")


def put_state(network: nn.Module, state: Mapping[str, Tensor], *, heads: tuple[str, ...], file: Path) -> None:
    """Put weights into a network: all must fit, but for a classifier of another number of classes.

    Args:
        network: as created.
        state: of the file.
        heads: names of the network's classifiers, whose weights are left as they are where the file's differ in
            shape or are missing.
        file: named in messages.

    Raises:
        UserError: tensors are missing, left over, or differ in shape.
    """
    wanted = network.state_dict()
    of_head = {name for name in {*wanted, *state} if any(name.startswith(f"{head}.") for head in heads)}
    fits = all(name in wanted and wanted[name].shape == state[name].shape for name in of_head & set(state))
    taken = {name: tensor for name, tensor in state.items() if fits or name not in of_head}
    spare = {name for name in wanted if name.endswith("num_batches_tracked") or name in of_head}
    faults = {
        "lacks": sorted(set(wanted) - set(taken) - spare),
        "has unknown": sorted(set(taken) - set(wanted)),
        "has another shape of": sorted(n for n in set(taken) & set(wanted) if taken[n].shape != wanted[n].shape),
    }
    said = [f"{what} {_named(names)}" for what, names in faults.items() if names]
    if said:
        raise UserError(f"weights {file} do not fit the model: the file {', '.join(said)}; give weights of this model")
    network.load_state_dict(taken, strict=False)


def _named(names: list[str]) -> str:
    """Some of the names, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
