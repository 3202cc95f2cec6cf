"""policy.json read strictly, and what is sampled from it against what it says."""

import dataclasses
import json
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from winnow.augmentation.policy import (
    Policy,
    Step,
    carry_out,
    draw_at_random,
    draw_from_policy,
    sample,
    within_limits,
)
from winnow.augmentation.policy_file import load_policy
from winnow.pictures.contact_sheet import contact_sheet
from winnow.pipeline.files import write_json
from winnow.pipeline.messages import UserError
from winnow.policy_search.relaxed_policy import RelaxedPolicy
from winnow.policy_search.sheet import TABLE, policy_sheet, policy_table
from winnow.transforms.operations import Applied, apply, move, to_images, to_pixels

OFFERED = ("shear_x", "rotate", "invert", "gaussian_noise")
CHECKED: dict[str, dict[str, float]] = {"invert": {}}  # limits are kept, and no class has one
POLICY = Policy(
    OFFERED,
    (
        (Step("rotate", 0.3, 0.8), Step("invert", 0.5, 0.4)),
        (Step("shear_x", 0.9, 0.7), Step("rotate", 0.6, 0.2)),
        (Step("gaussian_noise", 1.0, 0.5), Step("shear_x", 0.0, 1.0)),
    ),
    {"rotate": {"iv": 0.5}, "invert": {"iv": 0.0}},
    ({"operation": "invert", "class": "iv", "verdict": "cut"},),
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 12, 10, channels), dtype=np.uint8)


def test_no_magnitude_is_written_above_what_some_class_survives() -> None:
    limits = {"rotate": {"iv": 0.5, "v": 0.25}, "invert": {"iv": 0.0, "v": 0.0}, "shear_x": {"iv": 0.1, "v": 1.0}}
    policy = Policy(OFFERED, POLICY.sub_policies, limits)
    assert within_limits(policy) == Policy(
        OFFERED,
        (
            (Step("rotate", 0.3, 0.5), Step("invert", 0.5, 0.0)),
            (Step("shear_x", 0.9, 0.7), Step("rotate", 0.6, 0.2)),
            (Step("gaussian_noise", 1.0, 0.5), Step("shear_x", 0.0, 1.0)),
        ),
        limits,
    )
    labels = ["iv", "v"] * 50
    plans = [draw_from_policy(one, labels, generator(), chained=1) for one in (policy, within_limits(policy))]
    assert plans[0] == plans[1]


# --- the file ---------------------------------------------------------------------------------------------------


def test_a_policy_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    for policy in (POLICY, dataclasses.replace(POLICY, chained=3, candidate="mild")):
        write_json(tmp_path / "policy.json", policy.to_json())
        assert load_policy(tmp_path / "policy.json") == policy
    assert set(POLICY.to_json()) == {"sub_policies", "operations", "limits", "cut"}  # of the critic, no further keys


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    value = json.loads(json.dumps(POLICY.to_json()))
    place = value
    for key in path[:-1]:
        place = place[key]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (changed("sub_policies", 1, 0, "magnitude", to=1.5), r"sub_policies\[1\]\[0\]\.magnitude .* got 1\.5"),
        (changed("sub_policies", 1, 0, "probability", to="often"), r"\[1\]\[0\]\.probability .* got 'often'"),
        (changed("sub_policies", 0, 1, "probability", to=True), r"\[0\]\[1\]\.probability .* got True"),
        (changed("sub_policies", 0, 1, "magnitude", to=float("nan")), r"\[0\]\[1\]\.magnitude .* got nan"),
        (
            changed("sub_policies", 2, 1, "operation", to="flip_x"),
            r": sub_policies\[2\]\[1\]\.operation .* got 'flip_x'",
        ),
        (changed("sub_policies", 2, 1, "operation", to=["invert"]), r"\[2\]\[1\]\.operation .* got \['invert'\]"),
        (changed("sub_policies", 2, 1, "magnitude", to=None), r"\[2\]\[1\]\.magnitude is missing"),
        (changed("sub_policies", 0, to=[]), r"sub_policies\[0\] must have 1 or more items, got \[\]"),
        (changed("sub_policies", to=[]), "sub_policies must have 1 or more items"),
        (changed("operations", to=["rotate", "rotat"]), "'rotat', which is unknown"),
        (changed("operations", to=[["rotate"]]), r"operations\[0\] must be str, got \['rotate'\]"),
        (changed("limits", "rotate", "iv", to=-0.1), r"limits\.rotate\.iv .* got -0\.1"),
        (changed("limits", "flop", to={}), r"limits\.flop must be an operation"),
        (changed("limits", "rotate", to=0.5), r"limits\.rotate must"),
        (changed("cut", to=[1]), r"cut\[0\] must be dict.* got 1 \(int\)"),
        (changed("limits", to=None), "limits is missing"),
        (POLICY.to_json() | {"chained": 0}, "chained must be at least 1, got 0"),
        (POLICY.to_json() | {"candidate": 3}, r"candidate must be .*str.*, got 3"),
        (changed("note", to=""), "note is unknown; known here: sub_policies, operations, limits, cut"),
        ([], r"the file must be a section, got \[\]"),
    ],
)
def test_a_tampered_file_is_refused_with_its_place_and_a_remedy(tmp_path: Path, value: Any, message: str) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=message) as caught:
        load_policy(tmp_path / "policy.json")
    assert str(tmp_path / "policy.json") in str(caught.value)
    assert "dvc checkout" in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"", b"[" * 200_000])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "policy.json").write_bytes(content)
    with pytest.raises(UserError, match="not valid JSON"):
        load_policy(tmp_path / "policy.json")
    with pytest.raises(UserError, match="is missing"):
        load_policy(tmp_path / "other.json")


# --- sampling ---------------------------------------------------------------------------------------------------


def test_the_sampled_distribution_is_the_policys() -> None:
    count = 30_000
    plan = draw_from_policy(POLICY, ["x"] * count, generator(3), chained=1)
    found = Counter(tuple((step.operation, step.magnitude) for step in steps) for steps in plan)
    wanted: Counter[tuple[tuple[str, float], ...]] = Counter()
    for steps in POLICY.sub_policies:
        first, second = steps
        for first_done in (False, True):
            for second_done in (False, True):
                chance = first.probability if first_done else 1 - first.probability
                chance *= second.probability if second_done else 1 - second.probability
                key = [(s.operation, s.magnitude) for s, done in ((first, first_done), (second, second_done)) if done]
                wanted[tuple(key)] += count * chance / len(POLICY.sub_policies)  # type: ignore[assignment]
    possible = {key: number for key, number in wanted.items() if number > 0}
    assert set(found) <= set(possible)
    assert chisquare([found[key] for key in possible], list(possible.values())).pvalue > 0.01


def test_chained_sub_policies_have_the_written_out_distribution() -> None:
    """Two sub-policies drawn independently, magnitudes halved, the probability of an inversion instead."""
    two = Policy(OFFERED, ((Step("rotate", 0.3, 0.8), Step("invert", 0.6, 0.4)), (Step("shear_x", 0.9, 0.7),)), CHECKED)
    count = 30_000
    plan = draw_from_policy(two, ["x"] * count, generator(4), chained=2)
    found = Counter(tuple((step.operation, step.magnitude) for step in steps) for steps in plan)
    rotated, inverted, sheared = ("rotate", 0.4), ("invert", 0.4), ("shear_x", 0.35)
    once = {
        (): 0.5 * 0.7 * 0.7 + 0.5 * 0.1,
        (rotated,): 0.5 * 0.3 * 0.7,
        (inverted,): 0.5 * 0.7 * 0.3,
        (rotated, inverted): 0.5 * 0.3 * 0.3,
        (sheared,): 0.5 * 0.9,
    }
    wanted: Counter[tuple[tuple[str, float], ...]] = Counter()
    for (first, chance), (second, other) in product(once.items(), once.items()):
        kept = [step for step in second if step != inverted or inverted not in first]
        chain = sorted((*first, *kept), key=lambda step: step == inverted)  # affine maps first
        wanted[tuple(chain)] += count * chance * other  # type: ignore[assignment]
    assert set(found) <= set(wanted)
    assert chisquare([found[key] for key in wanted], list(wanted.values())).pvalue > 0.01


def test_one_sub_policy_keeps_its_order_and_a_chain_puts_affine_maps_first() -> None:
    policy = Policy(OFFERED, ((Step("gaussian_noise", 1.0, 0.6), Step("rotate", 1.0, 0.9)),))
    single, chain = (draw_from_policy(policy, ["x"], generator(), chained=n)[0] for n in (1, 3))
    assert [step.operation for step in single] == ["gaussian_noise", "rotate"]
    assert [step.operation for step in chain] == ["rotate"] * 3 + ["gaussian_noise"] * 3


def test_a_policy_that_says_how_many_are_chained_is_drawn_so_whoever_asks() -> None:
    said = dataclasses.replace(POLICY, chained=3)
    labels = ["iv", "x"] * 20
    wanted = draw_from_policy(POLICY, labels, generator(), chained=3)
    assert draw_from_policy(said, labels, generator(), chained=1) == wanted
    assert draw_from_policy(POLICY, labels, generator(), chained=1) != wanted


def test_a_limit_holds_for_the_whole_chain() -> None:
    policy = Policy(OFFERED, ((Step("rotate", 1.0, 0.9),),), {"rotate": {"iv": 0.5, "v": 0.0}})
    plan = draw_from_policy(policy, ["iv", "v", "x"], generator(), chained=3)
    assert [[step.magnitude for step in steps] for steps in plan] == [
        [pytest.approx(0.3), pytest.approx(0.2)],
        [],
        [pytest.approx(0.3)] * 3,
    ]


def test_no_class_is_changed_beyond_its_limit_and_a_limit_of_0_refuses() -> None:
    plan = draw_from_policy(POLICY, ["iv", "x"] * 2000, generator(), chained=1)
    for label, steps_of_label in (("iv", plan[::2]), ("x", plan[1::2])):
        largest: dict[str, float] = {}
        for step in (step for steps in steps_of_label for step in steps):
            largest[step.operation] = max(step.magnitude, largest.get(step.operation, 0.0))
        free = {"rotate": 0.8, "shear_x": 0.7, "gaussian_noise": 0.5, "invert": 0.4}
        cut = {"rotate": 0.5, "shear_x": 0.7, "gaussian_noise": 0.5}
        assert largest == (cut if label == "iv" else free)


def test_stages_of_one_operation_together_keep_to_the_limit() -> None:
    steps = (Step("rotate", 1.0, 0.4), Step("shear_x", 1.0, 0.7), Step("rotate", 1.0, 0.4))
    policy = Policy(OFFERED, (steps,), {"rotate": {"iv": 0.5, "v": 0.25}})
    plan = draw_from_policy(policy, ["iv", "v", "x"], generator(), chained=1)
    found: list[list[tuple[str, object]]]
    found = [[(step.operation, pytest.approx(step.magnitude)) for step in done] for done in plan]
    assert found == [
        [("rotate", 0.4), ("shear_x", 0.7), ("rotate", 0.1)],
        [("rotate", 0.25), ("shear_x", 0.7)],
        [("rotate", 0.4), ("shear_x", 0.7), ("rotate", 0.4)],
    ]


def test_a_policy_without_limits_does_what_each_of_its_stages_says() -> None:
    steps = (Step("invert", 1.0, 0.4), Step("invert", 1.0, 1.0), Step("rotate", 1.0, 0.9), Step("rotate", 1.0, 0.8))
    plan = draw_from_policy(Policy(OFFERED, (steps,)), ["iv"], generator(), chained=1)
    assert plan == [[Applied(step.operation, step.magnitude) for step in steps]]


def test_an_operation_without_degrees_is_done_once() -> None:
    for magnitude in (0.3, 1.0):
        steps = (Step("invert", 1.0, magnitude), Step("invert", 1.0, 1.0))
        plan = draw_from_policy(Policy(OFFERED, (steps,), CHECKED), ["iv"], generator(), chained=1)
        assert plan == [[Applied("invert", magnitude)]]
    policy = RelaxedPolicy(("invert",), 1, 2, generator())
    with torch.no_grad():
        policy.probability.fill_(0.999)
    out = policy(0.8 * torch.ones((200, 1, 2, 2)), torch.zeros(200, dtype=torch.long), torch.ones(200, 1), generator(1))
    inverted = torch.isclose(out[:, 0, 0, 0], torch.tensor(0.2), atol=0.01)
    assert inverted.float().mean() > 0.98  # and not inverted back


def test_the_random_draw_is_uniform_in_operation_and_magnitude_and_done_half_the_time() -> None:
    count = 20_000
    plan = draw_at_random(OFFERED, 2, count, generator(1))
    steps = [step for steps in plan for step in steps]
    assert chisquare([sum(s.operation == name for s in steps) for name in OFFERED]).pvalue > 0.01
    assert chisquare(np.histogram([s.magnitude for s in steps], bins=10, range=(0, 1))[0]).pvalue > 0.01
    lengths = Counter(map(len, plan))
    assert chisquare([lengths[n] for n in range(3)], [count / 4, count / 2, count / 4]).pvalue > 0.01


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_recorded_is_what_was_done(channels: int) -> None:
    before = pixels(40, channels)
    after, plan = sample(POLICY, before, ["iv", "x"] * 20, generator(5), chained=1)
    again, same_plan = sample(POLICY, before, ["iv", "x"] * 20, generator(5), chained=1)
    assert np.array_equal(after, again)
    assert plan == same_plan
    untouched = [row for row, steps in enumerate(plan) if not steps]
    inverted = [row for row, steps in enumerate(plan) if [s.operation for s in steps] == ["invert"]]
    assert untouched
    assert inverted
    assert np.array_equal(after[untouched], before[untouched])
    assert np.array_equal(after[inverted], 255 - before[inverted])
    assert not np.array_equal(after, sample(POLICY, before, ["iv", "x"] * 20, generator(6), chained=1)[0])


def test_operations_are_carried_out_in_order() -> None:
    plan = [[Applied("solarize", 0.5), Applied("brightness", 0.6)], [Applied("brightness", 0.6), Applied("invert", 1)]]
    before = pixels(2)
    after = carry_out(plan, before, generator(2))
    rng = generator(2)
    images = to_images(before)
    first = apply("brightness", images[1:], torch.tensor([0.6]), rng)
    solarized = apply("solarize", images[:1], torch.tensor([0.5]), rng)
    second = apply("brightness", solarized, torch.tensor([0.6]), rng)
    wanted = to_pixels(torch.cat([second, apply("invert", first, torch.ones(1), rng)]))
    assert np.array_equal(after, wanted)


def test_affine_steps_in_a_row_are_sampled_once() -> None:
    """Nearly half a width right and as much left: sampled step by step, what left the image comes back as paper."""
    before = pixels(8)
    there_and_back = [Applied("translate_x", 1.0), Applied("translate_x", 1.0)]
    after = carry_out([there_and_back] * 8, before, generator(1))
    assert any(np.array_equal(one, other) for one, other in zip(after, before, strict=True))
    apart = [there_and_back[0], Applied("gaussian_noise", 1e-6), there_and_back[1]]
    assert not (carry_out([apart] * 8, before, generator(1)) == before).all(axis=(1, 2, 3)).any()
    mixed = [[Applied("rotate", 0.5), Applied("invert", 1.0), Applied("shear_x", 0.5)], [Applied("shear_y", 0.3)], []]
    after, rng = carry_out(mixed, before[:3], generator(2)), generator(2)
    images = to_images(before[:3])
    images[:2] = move(images[:2], [[("rotate", 0.5)], [("shear_y", 0.3)]], rng)
    images[:1] = apply("invert", images[:1], torch.ones(1), rng)
    images[:1] = move(images[:1], [[("shear_x", 0.5)]], rng)
    assert np.array_equal(after, to_pixels(images))


# --- for people -------------------------------------------------------------------------------------------------


def test_the_table_and_the_sheet_show_the_policy() -> None:
    rows = policy_table(POLICY)
    assert [len(row) for row in rows] == [len(TABLE)] * 6
    assert rows[0] == [1, 1, "rotate", "0.300", "0.800", 1]  # iv is cut back to 0.5
    assert rows[5] == [3, 2, "shear_x", "0.000", "1.000", 0]
    labels = np.array(["iv", "x"] * 3)
    sheet = policy_sheet(POLICY, pixels(6), labels, seed=0)
    assert sheet == policy_sheet(POLICY, pixels(6), labels, seed=0)
    assert sheet != contact_sheet([], [], columns=8, tile=88)
