"""Presets: files of presets/ that change several params of params.yaml together.

A preset is nested as params.yaml is. A mapping in it changes the keys that it names; where the default preset has an
empty one (``{}``), which dvc.yaml makes no stage of, it stands for the whole. ``glance`` is the default preset: it has
every key that another one changes, with the value that params.yaml has as it is delivered. Each other one says
what it changes of that. ``winnow`` is the whole method, which ``winnow reproduce`` takes.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError, shown
from winnow.pipeline.plain_yaml import MOST_BYTES, PlainYamlError, read_plain_yaml

FOLDER = ROOT / "presets"
DEFAULT, WHOLE = "glance", "winnow"


def preset_names(folder: Path = FOLDER) -> list[str]:
    """The presets that there are, the default first."""
    return sorted((file.stem for file in folder.glob("*.yaml")), key=lambda name: (name != DEFAULT, name))


def preset_changes(name: str, params: Mapping[str, Any], folder: Path = FOLDER) -> dict[str, Any]:
    """What a preset sets, by dotted key of params.yaml: what the default has, and its own values instead.

    Args:
        name: of a file in the folder, without its suffix.
        params: all of params.yaml; a key of the default that it does not have any more, of an arm say, is left out.
        folder: of the presets.

    Raises:
        UserError: there is no such preset, it cannot be read, or it has a key that params.yaml does not have.
    """
    delivered = {key: value for key, value in _leaves(_read(folder, DEFAULT)) if _has(params, key)}
    return {**(delivered if name != DEFAULT else {}), **own_changes(name, params, folder)}


def own_changes(name: str, params: Mapping[str, Any], folder: Path = FOLDER) -> dict[str, Any]:
    """What a preset sets itself, by dotted key.

    Args and errors: as ``preset_changes``.
    """
    known = preset_names(folder)
    if name not in known:
        raise UserError(f"--preset must be one of {', '.join(known) or '(none are there)'}, got {shown(name)}")
    default = _read(folder, DEFAULT) if DEFAULT in known else {}
    return dict(_changes(_read(folder, name), params, default, f"presets/{name}.yaml"))


def whole_method(params: Mapping[str, Any], folder: Path = FOLDER) -> dict[str, Any]:
    """What the whole method sets, by dotted key, of what is as the default preset has it: what was edited stays.

    Args:
        params: all of params.yaml.
        folder: of the presets.

    Raises:
        UserError: a preset cannot be read.
    """
    delivered = dict(_leaves(_read(folder, DEFAULT)))
    own = own_changes(WHOLE, params, folder)
    return {key: value for key, value in own.items() if key in delivered and _at(params, key) == delivered[key]}


def _leaves(values: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of all that is no mapping, and of empty ones."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{place}{key}.")
        else:
            yield place + key, value


def _has(params: Any, key: str) -> bool:
    """Whether a dotted key is there."""
    for name in key.split("."):
        if not isinstance(params, Mapping) or name not in params:
            return False
        params = params[name]
    return True


def _at(params: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key."""
    for name in key.split("."):
        params = params[name]
    return params


def _read(folder: Path, name: str) -> dict[str, Any]:
    where = f"presets/{name}.yaml"
    try:
        with (folder / f"{name}.yaml").open("rb") as opened:
            values = read_plain_yaml(opened.read(MOST_BYTES + 1))
    except OSError as error:
        raise UserError(f"{where} cannot be read ({error.strerror}); `git checkout presets` brings it back") from None
    except PlainYamlError as error:
        raise UserError(f"{where} {error}; correct it") from None
    if not isinstance(values, dict):
        raise UserError(f"{where} must hold sections of params.yaml, got {shown(str(values))}")
    return values


def _changes(
    values: Mapping[str, Any], params: Mapping[str, Any], default: Mapping[str, Any], where: str, place: str = ""
) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of all that differs in no further key."""
    for key, value in values.items():
        if key not in params:
            known = ", ".join(params)
            raise UserError(f"{where}: {shown_place(place + key)} is unknown; params.yaml has here: {known}")
        there, usual = params[key], default.get(key)
        inner = isinstance(value, dict) and isinstance(there, dict)
        if inner and value and there and usual != {}:
            within = usual if isinstance(usual, dict) else {}
            yield from _changes(value, there, within, where, f"{place}{key}.")
        elif isinstance(value, dict) != isinstance(there, dict):
            wanted = "a section" if isinstance(there, dict) else "a value"
            raise UserError(f"{where}: {shown_place(place + key)} must be {wanted}, as in params.yaml")
        else:
            yield place + key, value


def shown_place(place: str) -> str:
    """A dotted key as a message has it."""
    return place if place.isprintable() and len(place) <= 120 else shown(place)


def closing_sentence(preset: str, others: list[str]) -> str:
    """What a run says at its end of what it left in params.yaml.

    Args:
        preset: that was asked for; empty if none was.
        others: dotted keys that were set beside it.
    """
    parts = [f"the values of presets/{preset}.yaml"] if preset else []
    parts += [f"other values of {', '.join(others)}"] if others else []
    back = f"; PRESET={DEFAULT} sets those of the preset as delivered" if preset not in ("", DEFAULT) else ""
    return f"params.yaml has {', and '.join(parts)} for later runs too; `git checkout params.yaml` undoes that{back}."
