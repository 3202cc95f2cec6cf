"""A policy read from policy.json, with every key, type and number checked."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from winnow.augmentation.policy import Policy, Step
from winnow.pipeline.fields import Few, Share, section
from winnow.pipeline.json_files import read_section
from winnow.transforms.operations import OPERATIONS, check_operations

POLICY = {  # key of policy.json: meaning
    "sub_policies[][].operation": "by sub-policy and stage: the operation",
    "sub_policies[][].probability": "that the stage is carried out",
    "sub_policies[][].magnitude": "in [0, 1]; 1 is the operation's whole range",
    "operations[]": "offered to the search",
    "limits.<operation>.<class>": "largest magnitude that the class's label survives; 0 excludes the operation",
    "cut[].operation": "report of the label check, one row per operation, class and magnitude: the operation",
    "cut[].class": "the class",
    "cut[].magnitude": "the magnitude judged",
    "cut[].images": "images of the class that were judged",
    "cut[].untouched": "share of them recognised untouched; null without images",
    "cut[].recognised": "share of them recognised under the operation; null without images",
    "cut[].more_often_taken_for": "the class whose predictions rise the most; null where none rises",
    "cut[].verdict": "survives, cut, not judged, refused for all, or look not shown (too few delivered images have it)",
    "chained": "sub-policies that a copy takes, whatever augment.chained is; of a candidate's policy alone",
    "candidate": "the one of search_policy.candidates: that won by the judge, or that search_policy.fixed names",
}


@section
class _File:
    sub_policies: Annotated[list[Annotated[list[Step], Field(min_length=1)]], Field(min_length=1)]
    operations: list[str]
    limits: dict[str, dict[str, Share]]  # by operation and class
    cut: list[dict[str, Any]]
    chained: Few | None = None
    candidate: str | None = None

    def __post_init__(self) -> None:
        check_operations(self.operations)
        for n, steps in enumerate(self.sub_policies):
            for k, step in enumerate(steps):
                if step.operation not in self.operations:
                    place = f"sub_policies[{n}][{k}].operation"
                    raise ValueError(f"{place} must be one of operations, got {step.operation!r}")
        for operation in self.limits:
            if operation not in OPERATIONS:
                raise ValueError(f"limits.{operation} must be an operation; known: {', '.join(OPERATIONS)}")

    def policy(self) -> Policy:
        return Policy(
            tuple(self.operations),
            tuple(map(tuple, self.sub_policies)),
            self.limits,
            tuple(self.cut),
            self.chained,
            self.candidate,
        )


def load_policy(path: Path) -> Policy:
    """The policy of a policy.json.

    Raises:
        UserError: the file is missing, no JSON, or no policy.
    """
    return read_section(path, _File).policy()
