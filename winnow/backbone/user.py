"""Code of the user's own: a factory in models/user that gives a network."""

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from winnow.pipeline.messages import UserError


def user_network(model: str, *, user_folder: Path) -> nn.Module:
    """What ``FACTORY()`` of ``python:MODULE:FACTORY`` returns.

    A user's factory takes no arguments and returns an ``nn.Module`` that takes (B, 3, S, S) float32 images. Where its
    features come from, in this order:

    1. a method ``features``: (B, 3, S, S) to (B, D), or to (B, D, h, w), which is averaged over h and w;
    2. timm's ``forward_features`` and ``forward_head(..., pre_logits=True)``;
    3. the (B, D) input of its last ``nn.Linear`` in the order of registration.

    The module's folder is on ``sys.path`` while it is imported and while the factory runs, not afterwards.

    Args:
        model: ``python:MODULE:FACTORY``; MODULE is a module or a dotted one of a package in the folder.
        user_folder: models/user.

    Raises:
        UserError: the module is not there, it or its factory fails, or what comes is no network.
    """
    _, module, factory = model.split(":")
    file = user_folder.joinpath(*module.split("."))
    if not file.with_suffix(".py").is_file() and not (file / "__init__.py").is_file():
        raise UserError(f"model {model}: {file.with_suffix('.py')} is missing; put it there, or correct params.yaml")
    with _importable(user_folder):
        try:
            loaded = importlib.import_module(module)
            if not Path(str(loaded.__file__)).resolve().is_relative_to(user_folder.resolve()):
                raise UserError(
                    f"model {model}: another module is called {module} too; rename {file.with_suffix('.py')}"
                )
            if not callable(getattr(loaded, factory, None)):
                raise UserError(f"model {model}: {module} has no function {factory}; define it, or correct params.yaml")
            network = getattr(loaded, factory)()
        except UserError:
            raise
        except Exception as error:  # the user's code may raise anything
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.relpath(place.filename, user_folder)}, line {place.lineno}"
            raise UserError(f"model {model}: {type(error).__name__}: {error} ({where}); correct it") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"model {model}: {factory}() must return a torch.nn.Module, got {type(network).__name__}")
    return network


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The folder first on ``sys.path``."""
    place = str(folder.resolve())
    importlib.invalidate_caches()
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)
