"""Sections of params.yaml, read strictly: exactly the keys and types that a stage declares, no hidden defaults."""

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

from winnow.pipeline.fields import FieldError, checked, described
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError
from winnow.pipeline.plain_yaml import MOST_BYTES, PlainYamlError, read_plain_yaml

PARAMS = ROOT / "params.yaml"


class ParamsError(UserError):
    """params.yaml does not hold what a stage needs."""


def read_params(file: Path = PARAMS) -> dict[str, Any]:
    """The whole of params.yaml as plain Python values.

    Raises:
        ParamsError: it is missing, cannot be read, or is no mapping in YAML within the bounds of ``read_plain_yaml``.
    """
    back = f"bring it back with `git checkout {file.name}`"
    try:
        with file.open("rb") as opened:
            params = copy.deepcopy(_parsed(opened.read(MOST_BYTES + 1)))
    except FileNotFoundError:
        raise ParamsError(f"{file.name} is missing; {back}") from None
    except OSError as error:
        raise ParamsError(f"{file.name} cannot be read ({error.strerror}); {back}") from None
    except PlainYamlError as error:
        raise ParamsError(f"{file.name} {error}; correct it, or {back}") from None
    if not isinstance(params, dict):
        raise ParamsError(f"{file.name} must hold sections, got {described(params)}")
    return params


@lru_cache(maxsize=4)
def _parsed(content: bytes) -> Any:
    return read_plain_yaml(content)


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
    try:
        return checked(value, kind, f"{file.name}: {section}")
    except FieldError as error:
        raise ParamsError(str(error)) from None
