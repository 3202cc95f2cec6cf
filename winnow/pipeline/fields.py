"""Types of the fields that are read from YAML and JSON, and one sentence for what pydantic finds wrong in them."""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from winnow.pipeline.messages import plain

# Each number has both bounds. The upper ones are generous: a value at one of them takes long, but neither overflows nor
# fills the memory as a slip of the hand would, which shows only in the stage that uses it, hours later perhaps.
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # NumPy's legacy generators take no larger one
Seeds = Annotated[list[Seed], Field(max_length=1_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]  # of images
Few = Annotated[int, Field(ge=1, le=1_000)]  # neighbours, repeats, copies of one image and the like
NoneOrFew = Annotated[int, Field(ge=0, le=1_000)]
AtLeastTwo = Annotated[int, Field(ge=2, le=4_096)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
Batch = Annotated[int, Field(ge=1, le=4_096)]  # images that are in memory together
Side = Annotated[int, Field(ge=0, le=1_024)]  # pixels at which images are analysed; 0: as the model says
Steps = Annotated[int, Field(ge=1, le=10_000_000)]
NoneOrSteps = Annotated[int, Field(ge=0, le=10_000_000)]
Rate = Annotated[float, Field(gt=0, le=1_000)]
Weight = Annotated[float, Field(ge=0, le=1_000)]  # of a term in a loss or a reward
Spread = Annotated[float, Field(ge=0, le=10)]  # against what is usual
Multiple = Annotated[float, Field(ge=1, le=1_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Magnitudes = Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1, max_length=100)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]  # neither none nor all

T = TypeVar("T")

Place = Sequence[object]  # keys and indices from the section down

UNKNOWN = ("unexpected_keyword_argument", "invalid_key")
WANTED = {
    "greater_than_equal": "be at least {ge}",
    "greater_than": "be above {gt}",
    "less_than_equal": "be at most {le}",
    "less_than": "be below {lt}",
    "finite_number": "be finite",
    "literal_error": "be {expected}",
    "too_short": "have {min_length} or more items",
    "too_long": "have {max_length} items or fewer",
}


@dataclass_transform(frozen_default=True)
def section(kind: type[T]) -> type[T]:
    """The class as a frozen dataclass that checks its fields, and takes no other keys, no infinity and no nan."""
    return cast(type[T], dataclass(kind, frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False)))


class FieldError(ValueError):
    """A value is not what is declared; the message is a sentence."""


def checked(value: Any, kind: Any, where: str = "") -> Any:
    """Plain values as what is declared: exactly its keys, exactly its types.

    Args:
        value: what was read.
        kind: a ``section``, or a type such as ``list[int]``.
        where: name of the value.

    Raises:
        FieldError: a key is missing or unknown, a type differs, or a value is out of range.
    """
    adapter = TypeAdapter(kind)
    try:
        typed = adapter.validate_python(value)
    except ValidationError as error:
        raise FieldError(refusal(error, kind, where)) from None
    for sentence in _converted(value, adapter.dump_python(typed), kind, where):
        raise FieldError(sentence)
    return typed


def refusal(error: ValidationError, kind: Any, where: str = "") -> str:
    """The first of pydantic's findings as a sentence: where it is, what was wanted, what was given.

    An unknown key comes first: most often it is a misspelling of one that is missing.

    Args:
        error: of a validation as ``kind``.
        kind: a ``section``, or a type such as ``list[int]``.
        where: name of the value that was validated.
    """
    found = min(error.errors(include_url=False), key=lambda one: one["type"] not in UNKNOWN)
    place = [key for key in found["loc"] if key != "[key]"]
    name, context = located(where, place) or "the file", found.get("ctx", {})
    if found["type"] == "value_error":  # of a section's own check, whose message starts with the field
        return f"{located(where, place)}.{_shortened(str(context['error']))}".lstrip(".")
    if found["type"] in UNKNOWN:
        known = [field.name for field in dataclasses.fields(_kind_at(kind, place[:-1]))]
        return f"{name} is unknown; known here: {', '.join(known)}"
    wanted = "str" if len(place) < len(found["loc"]) else _name(_kind_at(kind, place))
    if found["type"] == "missing":
        return f"{name} is missing; it must be {wanted}"
    got = found["input"]
    if found["type"] in WANTED and got is not None:
        return f"{name} must {WANTED[found['type']].format(**context)}, got {_written(got)}"
    return f"{name} must be {wanted}, got {described(got)}"


def _converted(given: Any, taken: Any, kind: Any, where: str) -> Iterator[str]:
    """A sentence for each value that pydantic had to convert, as 1 to a float or true to an int, and for each nan.

    Args:
        given: plain values.
        taken: the plain values that they were taken for.
        kind: what they were validated as.
        where: name of the value that was validated.
    """
    for place, value in _differences(given, taken):
        yield f"{located(where, place)} must be {_name(_kind_at(kind, place))}, got {described(value)}"


def located(where: str, place: Place) -> str:
    """A place as it is written in Python: ``part.many[1]``."""
    keys = (f"[{key}]" if isinstance(key, int) else f".{_cut(plain(str(key)))}" for key in place)
    return (where + "".join(keys)).lstrip(".")


def described(value: Any) -> str:
    """A value with its type."""
    return "nothing" if value is None else f"{_written(value)} ({type(value).__name__})"


def _written(value: Any) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    """The middle of a long text left out."""
    return text if len(text) <= 120 else f"{text[:58]}...{text[-58:]}"


def _shortened(sentence: str) -> str:
    """The middle of each long word, and of all, left out: a section's own check may quote what a damaged file holds."""
    text = re.sub(r"\S{121,}", lambda word: _cut(word[0]), sentence)
    return text if len(text) <= 800 else f"{text[:500]}...{text[-250:]}"


def _differences(given: Any, taken: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[Place, Any]]:
    if type(given) is type(taken) and isinstance(given, dict | list):
        for key in given if isinstance(given, dict) else range(len(given)):
            yield from _differences(given[key], taken[key], (*place, key))
    elif type(given) is not type(taken) or given != taken:
        yield place, given


def _kind_at(kind: Any, place: Place) -> Any:
    """The type at a place, without its bounds."""
    kind = typing.get_type_hints(type("", (), {"__annotations__": {"kind": kind}}))["kind"]
    for key in place:
        kind = typing.get_type_hints(kind)[str(key)] if dataclasses.is_dataclass(kind) else typing.get_args(kind)[-1]
    return kind


def _name(kind: Any) -> str:
    if dataclasses.is_dataclass(kind):
        return "a section"
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(_name(one) for one in typing.get_args(kind) if one is not types.NoneType)
    return str(kind) if typing.get_args(kind) else str(kind.__name__)
