"""docs/formats.md against the schemas, and the schemas against files that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bench.formats import FORMATS, PAGE, Json, page
from tests.support.imports import ROOT
from tests.support.inputs import CARD
from winnow.augmentation.policy import Policy, Step
from winnow.cleansing.planted_rule import Estimate

COMMITTED = [one for one in FORMATS if isinstance(one, Json) and one.path.startswith("metrics/")]

# Keys that the committed run does not have: its gate asked about both parts together alone.
NOT_OF_A_FIRST_LOOK = {f"{part}.{key}" for part in ("cleansing", "augmentation") for key in ("mean", "low", "high")}


def leaves(value: Any, key: str = "") -> Iterator[str]:
    """Keys as docs/formats.md joins them, of everything that holds nothing itself."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{key}[]")
    else:
        yield key


def undocumented(one: Json, value: Any) -> tuple[set[str], set[str]]:
    """Keys that the file has and the page lacks, and the reverse."""
    patterns = {key: re.compile(re.sub(r"<\w+>", "[^.]+", re.escape(key))) for key in one.keys}
    found = set(leaves(value))
    matched = {leaf: [key for key, pattern in patterns.items() if pattern.fullmatch(leaf)] for leaf in found}
    named = {key for keys in matched.values() for key in keys}
    return {leaf for leaf, keys in matched.items() if not keys}, set(patterns) - named


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


@pytest.mark.parametrize("one", COMMITTED, ids=lambda one: one.title)
def test_the_committed_metrics_have_the_keys_that_the_page_names(one: Json) -> None:
    files = sorted(ROOT.glob(re.sub(r"<\w+>", "*", one.path)))
    assert files
    for file in files:
        missing, stale = undocumented(one, json.loads(file.read_bytes()))
        assert not missing
        assert not stale - NOT_OF_A_FIRST_LOOK


def test_a_policy_has_the_keys_that_the_page_names() -> None:
    (one,) = (one for one in FORMATS if one.title == "Policy")
    row = dict.fromkeys(
        ("operation", "class", "magnitude", "images", "untouched", "recognised", "more_often_taken_for", "verdict"), 0
    )
    policy = Policy(("rotate",), ((Step("rotate", 0.5, 0.5),),), {"rotate": {"v": 1.0}}, (row,), 2, "mild")
    assert isinstance(one, Json)
    assert undocumented(one, policy.to_json()) == (set(), set())


def test_a_card_and_an_estimate_have_the_keys_that_the_page_names() -> None:
    by_title = {one.title: one for one in FORMATS if isinstance(one, Json)}
    assert undocumented(by_title["Model"], json.loads(json.dumps(CARD.to_json()))) == (set(), set())
    assert undocumented(by_title["Estimate"], Estimate(0.04, 0.03, stopped=False, left=0.01).figures()) == (
        set(),
        set(),
    )


def test_no_description_is_empty_or_breaks_its_table() -> None:
    for one in FORMATS:
        abouts = one.keys.values() if isinstance(one, Json) else [about for _, about in one.columns.values()]
        assert all(about and "|" not in about and "\n" not in about for about in abouts), one.title
