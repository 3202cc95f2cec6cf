"""Code of the user's own: a factory in models/user that gives a network."""

import contextlib
import importlib
import symtable
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
    file = _module_file(model, user_folder)
    with _importable(user_folder):
        try:
            loaded = importlib.import_module(module)
            if not Path(str(loaded.__file__)).resolve().is_relative_to(user_folder.resolve()):
                own = file.parent if file.name == "__init__.py" else file
                raise UserError(f"model {model}: another module is called {module} too; rename {own}")
            if not callable(getattr(loaded, factory, None)):
                raise _no_factory(model)
            network = getattr(loaded, factory)()
        except UserError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise UserError(f"model {model}: {_said(error, user_folder)}; correct it") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"model {model}: {factory}() must return a torch.nn.Module, got {type(network).__name__}")
    return network


def demand_factory(model: str, *, user_folder: Path) -> None:
    """Stop where the module of ``python:MODULE:FACTORY`` is missing or names no FACTORY; none of its code runs.

    Args:
        model: ``python:MODULE:FACTORY``.
        user_folder: models/user.

    Raises:
        UserError: the module is not there, is no Python, or neither defines nor imports the factory.
    """
    file = _module_file(model, user_folder)
    try:
        names = symtable.symtable(file.read_text(encoding="utf-8"), str(file), "exec")
    except (SyntaxError, ValueError) as error:  # ValueError: not in UTF-8, or a null byte in it
        raise UserError(f"model {model}: {file} is no Python ({error}); correct it") from None
    bound = {one.get_name() for one in names.get_symbols() if one.is_assigned() or one.is_imported()}
    anything = "__getattr__" in bound or "import *" in file.read_text(encoding="utf-8")
    if model.rpartition(":")[2] not in bound and not anything:
        raise _no_factory(model)


def _module_file(model: str, user_folder: Path) -> Path:
    file = user_folder.joinpath(*model.split(":")[1].split("."))
    for one in (file / "__init__.py", file.with_suffix(".py")):  # as Python looks for them
        if one.is_file():
            return one
    raise UserError(f"model {model}: {file.with_suffix('.py')} is missing; put it there, or correct params.yaml")


def _no_factory(model: str) -> UserError:
    _, module, factory = model.split(":")
    return UserError(f"model {model}: {module} has no function {factory}; define it, or correct params.yaml")


def _said(error: Exception, folder: Path) -> str:
    """The error on one line, with the innermost line of the user's code."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename).resolve()
        if file.is_relative_to(folder.resolve()):
            return f"{said} ({file.relative_to(folder.resolve())}, line {frame.lineno})"
    return said


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
