"""The tensors of weights that come with a Python package, under the names of the model that takes them."""

from collections.abc import Mapping

from torch import Tensor

from winnow.backbone.packaged import packaged_file
from winnow.backbone.weights import read_state
from winnow.pipeline.messages import UserError


def packaged_state(package: str, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A package's weights under the names of the model that takes them.

    The package's implementation of EfficientNet names its modules in its own way, but registers them in the same order
    as timm's: the tensors map one to one in order. Batch norms' counters of steps are left as the model has them.

    Args:
        package: a known one.
        wanted: the state of the model as it was created.

    Raises:
        UserError: a tensor is missing or left over, or differs in kind or shape from the one in its place.
    """
    file = packaged_file(package)
    given = {name: tensor for name, tensor in read_state(file).items() if not _counter(name)}
    names = [name for name in wanted if not _counter(name)]
    if len(given) != len(names):
        raise UserError(f"{file} must hold {len(names)} tensors, got {len(given)}; install the pinned {package}")
    mapped = {}
    for (name, tensor), target in zip(given.items(), names, strict=True):
        shape = tuple(wanted[target].shape)
        if name.rpartition(".")[2] != target.rpartition(".")[2] or tuple(tensor.shape) != shape:
            got = f"{name} of shape {tuple(tensor.shape)}"
            raise UserError(f"{file} must hold {target} of shape {shape}, got {got}; install the pinned {package}")
        mapped[target] = tensor
    return mapped


def _counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")
