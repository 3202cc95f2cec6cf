"""Sections of params.yaml, read strictly: exactly the keys and types that a stage asks for, no hidden defaults."""

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any

import yaml

from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

PARAMS = ROOT / "params.yaml"


class ParamsError(UserError):
    """params.yaml does not say what a stage needs."""


def read_params(file: Path = PARAMS) -> dict[str, Any]:
    """The whole of params.yaml as plain Python values."""
    try:
        params = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{file.name} is missing; bring it back with `git checkout {file.name}`") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{file.name} is not UTF-8 ({error}); save it so") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{file.name} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(params, dict):
        raise ParamsError(f"{file.name} must hold sections, got {_describe(params)}")
    return params


def load_params(section: str, kind: Any, file: Path = PARAMS) -> Any:
    """One section of params.yaml, checked against ``kind``: exactly its keys, exactly its types.

    Args:
        section: a key of params.yaml, dotted for a nested one (``compare.seeds``).
        kind: a dataclass, or a plain type such as ``list[int]``.
        file: the params file.

    Raises:
        ParamsError: a key is missing or unknown, a type differs, or the dataclass's ``__post_init__`` refuses a value.
    """
    value: Any = read_params(file)
    for key in section.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ParamsError(f"{file.name}: section {section} is missing")
        value = value[key]
    return _typed(value, kind, where=f"{file.name}: {section}")


def _typed(value: Any, kind: Any, where: str) -> Any:
    """``value`` as ``kind``; bool is no int and int is no float, so that a slip is seen and not rounded."""
    if dataclasses.is_dataclass(kind):
        return _typed_dataclass(value, kind, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _typed(value, option, where)
            except ParamsError:
                continue
    elif origin is list and isinstance(value, list):
        return [_typed(item, arguments[0], f"{where}[{index}]") for index, item in enumerate(value)]
    elif origin is dict and isinstance(value, dict):
        return {_typed(k, arguments[0], where): _typed(v, arguments[1], f"{where}.{k}") for k, v in value.items()}
    elif origin is None and type(value) is kind and value == value:  # nan is no number, and would pass every check
        return value
    raise ParamsError(f"{where} must be {_name(kind)}, got {_describe(value)}")


def _typed_dataclass(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ParamsError(f"{where} must be a section, got {_describe(value)}")
    hints = typing.get_type_hints(kind)
    wanted = [field.name for field in dataclasses.fields(kind)]
    for key in value:
        if key not in wanted:
            raise ParamsError(f"{where}.{key} is unknown; known here: {', '.join(wanted)}")
    for key in wanted:
        if key not in value:
            raise ParamsError(f"{where}.{key} is missing; it must be {_name(hints[key])}")
    fields = {key: _typed(value[key], hints[key], f"{where}.{key}") for key in wanted}
    try:
        return kind(**fields)
    except ValueError as error:
        raise ParamsError(f"{where}.{error}") from None


def _name(kind: Any) -> str:
    return (
        "empty"
        if kind is type(None)
        else getattr(kind, "__name__", str(kind))
        if not typing.get_args(kind)
        else str(kind)
    )


def _describe(value: Any) -> str:
    return "nothing" if value is None else f"{value!r} ({type(value).__name__})"
