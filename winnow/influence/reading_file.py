"""What influence needs of a trajectory in a file of tensors, for the jobs that value the images by it."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from winnow.influence.hydra import Reading
from winnow.influence.trajectory import State
from winnow.pipeline.files import write_bytes

END, RATES, WEIGHTS = "end", "rates", "weights"  # of the last weights, and of what is no weights of a network


def save_reading(reading: Reading, into: Path) -> None:
    """Write a reading, whole or not at all: a job that is thought to be lost may write beside the one after it."""
    tensors = {RATES: torch.tensor(reading.rates, dtype=torch.float64), WEIGHTS: reading.weights}
    states = {END: reading.state} | {str(number): state for number, state in enumerate(reading.checkpoints)}
    for place, state in states.items():
        tensors |= {f"{place}/{name}": tensor.contiguous() for name, tensor in state.items()}
    write_bytes(into, save(tensors), sync=False)


def load_reading(path: Path) -> Reading:
    """The reading that ``save_reading`` wrote."""
    tensors = load_file(path)
    checkpoints = [_state(tensors, str(number)) for number in range(len(tensors[WEIGHTS]))]
    return Reading(_state(tensors, END), tensors[RATES].tolist(), checkpoints, tensors[WEIGHTS])


def _state(tensors: dict[str, Tensor], place: str) -> State:
    return {name.removeprefix(f"{place}/"): one for name, one in tensors.items() if name.startswith(f"{place}/")}
