"""Which arms ``winnow reproduce`` judges: those of the method, or the fair controls of its parts as well."""

from collections.abc import Mapping
from typing import Any

from winnow.pipeline.messages import UserError

METHOD, ALL = ARMS = ("method", "all")


def chosen_arms(which: str, rounds: Mapping[str, Any], params: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The arms that are judged, and the changes to params.yaml that make the controls among them.

    With ``all`` the controls become arms, and the stages that make them run. With ``method`` they are taken back: an
    arm that has a control's name and dataset is one. Any other arm that somebody added stays.

    Args:
        which: one of ``ARMS``.
        rounds: as params.yaml will have them. The steps of the first are arms, so the controls are its own.
        params: params.yaml, the values of a preset included.

    Raises:
        UserError: there is no such choice.
    """
    if which not in ARMS:
        raise UserError(f"--arms must be {' or '.join(ARMS)}, got {which}")
    arms, controls, made = params["compare"]["arms"], params["compare"]["controls"], params["controls"]
    if which == ALL:
        first = next(iter(rounds))
        wanted = {"compare.arms": {**arms, **controls}, "controls": {first: {**rounds[first]}}}
    else:
        own = {name: dataset for name, dataset in arms.items() if controls.get(name) != dataset}
        wanted = {"compare.arms": own, "controls": {}}
    present = {"compare.arms": arms, "controls": made}
    return list(wanted["compare.arms"]), {key: value for key, value in wanted.items() if value != present[key]}
