"""Which arms ``winnow reproduce`` judges: those of the method, or the fair controls of its parts as well."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winnow.pipeline.messages import UserError
from winnow.pipeline.params import PARAMS, load_params

METHOD, ALL = ARMS = ("method", "all")


def chosen_arms(which: str, rounds: Mapping[str, Any], file: Path = PARAMS) -> tuple[list[str], dict[str, Any]]:
    """The arms that are judged, and the changes to params.yaml that make the controls among them.

    With ``all`` the controls become arms, and the stages that make them run. With ``method`` what an earlier run with
    ``all`` added is taken back; an arm that somebody added by hand stays.

    Args:
        which: one of ``ARMS``.
        rounds: as params.yaml will have them. The steps of the first are arms, so the controls are its own.
        file: the params file.

    Raises:
        UserError: there is no such choice.
    """
    if which not in ARMS:
        raise UserError(f"--arms must be {' or '.join(ARMS)}, got {which}")
    arms, controls = (load_params(f"compare.{name}", dict[str, str], file) for name in ("arms", "controls"))
    made = load_params("controls", dict[str, Any], file)
    if which == ALL:
        first = next(iter(rounds))
        wanted = {"compare.arms": arms | controls, "controls": {first: dict(rounds[first])}}
    else:
        added = controls if made else {}
        wanted = {"compare.arms": {name: arms[name] for name in arms if name not in added}, "controls": {}}
    present = {"compare.arms": arms, "controls": made}
    return list(wanted["compare.arms"]), {key: value for key, value in wanted.items() if value != present[key]}
