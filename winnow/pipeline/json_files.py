"""JSON files that stages write for other stages: read as plain values, or as a checked section."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from winnow.pipeline.fields import refusal
from winnow.pipeline.messages import UserError

DIGITS = 20  # of an integer: enough for 64 bits
REMEDY = "delete it and run `dvc repro`"
T = TypeVar("T")


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file, which holds an object.

    Raises:
        UserError: it is missing, no JSON or no object, or holds what no stage writes: NaN, or a huge integer.
    """
    value = _parsed(path, _content(path, "run `dvc repro`"), REMEDY, _no_constant)
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a JSON object, got {type(value).__name__}; {REMEDY}")
    return value


def read_section(path: Path, kind: type[T]) -> T:
    """The content of a JSON file as a ``section``, with every key, type and number checked.

    Raises:
        UserError: it is missing, no JSON, or does not fit.
    """
    remedy = f"run `dvc repro`, or `dvc checkout --force {path}` to bring back what a run made"
    content = _content(path, remedy)
    _parsed(path, content, remedy, float)  # pydantic takes a huge integer, which no message can show
    try:
        return TypeAdapter(kind).validate_json(content, strict=True)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise _invalid(path, error.errors()[0]["ctx"]["error"], remedy) from None
        raise UserError(f"{path}: {refusal(error, kind)}; {remedy}") from None


def _content(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {remedy}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {remedy}") from None


def _parsed(path: Path, content: bytes, remedy: str, constant: Callable[[str], float]) -> Any:
    try:
        return json.loads(content, parse_int=_integer, parse_constant=constant)
    except RecursionError:
        raise _invalid(path, "nested too deeply", remedy) from None
    except ValueError as error:
        raise _invalid(path, str(error), remedy) from None


def _integer(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"an integer of {len(digits):,} digits")
    return int(digits)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _invalid(path: Path, why: str, remedy: str) -> UserError:
    return UserError(f"{path} is not valid JSON ({why}); {remedy}")
