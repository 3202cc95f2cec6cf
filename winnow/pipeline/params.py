"""Sections of params.yaml, read strictly: exactly the keys and types that a stage declares, no hidden defaults."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from winnow.pipeline.fields import converted, described, refusal
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

PARAMS = ROOT / "params.yaml"


class ParamsError(UserError):
    """params.yaml does not hold what a stage needs."""


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
        raise ParamsError(f"{file.name} must hold sections, got {described(params)}")
    return params


def load_params(section: str, kind: Any, file: Path = PARAMS) -> Any:
    """One section of params.yaml, checked against ``kind``: exactly its keys, exactly its types.

    Args:
        section: a key of params.yaml, dotted for a nested one (``compare.seeds``).
        kind: a ``section``, or a plain type such as ``list[int]``.
        file: the params file.

    Raises:
        ParamsError: a key is missing or unknown, a type differs, or a value is out of range.
    """
    value: Any = read_params(file)
    for key in section.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ParamsError(f"{file.name}: section {section} is missing")
        value = value[key]
    where, adapter = f"{file.name}: {section}", TypeAdapter(kind)
    try:
        typed = adapter.validate_python(value)
    except ValidationError as error:
        raise ParamsError(refusal(error, kind, where)) from None
    for sentence in converted(value, adapter.dump_python(typed), kind, where):
        raise ParamsError(sentence)
    return typed
