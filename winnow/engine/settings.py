"""Where jobs run: engine.yaml, which git ignores, and WINNOW_ENGINE, which comes before it.

Neither is an input of a stage: on equal processors and packages every engine gives the same bytes, and what differs is
refused (``machine``).
"""

import os
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

from pydantic import Field

from winnow.pipeline.fields import FieldError, checked, described, section
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError
from winnow.pipeline.plain_yaml import MOST_BYTES, PlainYamlError, read_plain_yaml

VARIABLE = "WINNOW_ENGINE"
FILE = "engine.yaml"

Name = Literal["local", "ray", "slurm"]


@section
class Slurm:
    """How jobs are submitted to Slurm."""

    executor: Literal["slurm", "local"] = "slurm"  # local: submitit's own on this machine, to try it without Slurm
    partition: str | None = None  # None: the default one
    minutes: Annotated[int, Field(ge=1, le=100_000)] = 60  # that a job may take
    options: dict[str, str | int] = field(default_factory=dict)  # further ones of sbatch, such as account: vision


@section
class Settings:
    """All of engine.yaml; what it does not name is as it stands here."""

    engine: Name = "local"
    address: str | None = None  # of a running Ray, "auto" or host:port; None: the stage starts one of its own
    cores: Annotated[int, Field(ge=1, le=100_000)] | None = None  # jobs at once, each on one core; None: all cores
    gpus: Annotated[int | float, Field(ge=0, le=1)] | None = None  # of a job, not on local; None: 1 where there are any
    memory: Annotated[int | float, Field(gt=0, le=100_000)] | None = None  # GB of a job, not on local
    shared: str | None = None  # folder that all workers see; None: as ``folders.place_for_all`` says
    mixed: Literal["allow", "refuse"] = "refuse"  # other processors or packages than the coordinator's
    slurm: Slurm = field(default_factory=Slurm)


def load_settings(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a repository.

    Args:
        root: of the repository.
        environment: variables.

    Raises:
        UserError: engine.yaml or WINNOW_ENGINE cannot be read as settings.
    """
    settings = _read(root / FILE)
    name = environment.get(VARIABLE, "")
    if not name:
        return settings
    if name not in get_args(Name):
        raise UserError(f"{VARIABLE} must be {', '.join(get_args(Name))} or unset, got {name!r}")
    return replace(settings, engine=cast(Name, name))


def _read(file: Path) -> Settings:
    try:
        with file.open("rb") as opened:
            value = read_plain_yaml(opened.read(MOST_BYTES + 1))
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise UserError(f"{FILE} cannot be read ({error.strerror}); correct or remove it") from None
    except PlainYamlError as error:
        raise UserError(f"{FILE} {error}; correct or remove it") from None
    if not isinstance(value, dict):
        raise UserError(f"{FILE} must hold settings such as `engine: ray`, got {described(value)}")
    try:
        typed: Settings = checked(value, Settings)
    except FieldError as error:
        raise UserError(f"{FILE}: {error}") from None
    return typed
