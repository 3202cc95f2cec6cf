"""Copies of photographs: drawn once, rendered inside their content, and rendered again from what is recorded."""

import io
import json

import numpy as np
import torch
from PIL import Image

from winnow.augmentation.policy import Policy, Step
from winnow.augmentation.rendered import (
    draw_plan,
    inverted,
    plan_affine,
    plan_at_random,
    plan_from_policy,
    rendered_copies,
)
from winnow.augmentation.rendering import read_steps, render
from winnow.backbone.resize import content_box
from winnow.transforms.operations import Applied
from winnow.transforms.views import Ranges

POLICY = Policy(
    ("shear_x", "gaussian_noise", "invert"),
    (
        (Step("shear_x", 1.0, 0.8), Step("gaussian_noise", 0.5, 0.6)),
        (Step("shear_x", 0.2, 0.5), Step("invert", 0.1, 1.0)),
    ),
    {"invert": {"a": 0.0}},
)
PARENT = {
    "id": "p" * 16,
    "name": "train/a/x.jpg",
    "split": "train",
    "label": "a",
    "given_label": "b",
    "channels": 3,
    "width": 80,
    "height": 40,
    "group": "g" * 16,
}
SQUARE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_every_draw_is_made_and_hardly_a_copy_is_left_without_operations() -> None:
    plan = draw_plan(plan_from_policy(POLICY, chained=1), ["a"] * 200, generator())
    assert sum(not steps for steps in plan) <= 1
    assert {step.operation for steps in plan for step in steps} == {"shear_x", "gaussian_noise"}
    assert {np.sign(step.magnitude) for steps in plan for step in steps if step.operation == "shear_x"} == {-1, 1}
    assert all((step.seed is not None) == (step.operation == "gaussian_noise") for steps in plan for step in steps)
    random = draw_plan(plan_at_random(POLICY), ["a"] * 200, generator())
    assert {step.operation for steps in random for step in steps} == {"shear_x", "gaussian_noise", "invert"}


def test_inversion_comes_once() -> None:
    plan = [[Applied("shear_x", 0.1)], [Applied("invert", 1.0)], [Applied("shear_x", 0.1)]]
    done = inverted(plan, np.array([True, True, False]))
    assert [[step.operation for step in steps] for steps in done] == [["shear_x", "invert"], ["invert"], ["shear_x"]]


def test_copies_are_rendered_inside_the_content_from_what_is_recorded() -> None:
    ranges = Ranges(rotate_degrees=10.0, shift=0.1, zoom=0.1, shear=0.1)
    plan = draw_plan(plan_affine(ranges), ["a", "a"], generator())
    copies = list(
        rendered_copies(
            ["affine", "affine"],
            plan,
            [PARENT, PARENT],
            lambda _: SQUARE,
            lambda width, height: content_box(width, height, 32, "letterbox"),
        )
    )
    assert [copy.row["name"] for copy in copies] == ["train/a/x.jpg#affine-0", "train/a/x.jpg#affine-1"]
    for copy in copies:
        steps = read_steps(str(copy.row["operations"]))
        expected = SQUARE.copy()
        expected[8:24] = render(np.ascontiguousarray(SQUARE[8:24]), steps)  # 80 x 40 in 32 x 32: 16 rows in the middle
        sink = io.BytesIO()
        Image.fromarray(expected).save(sink, "JPEG", quality=95)
        assert copy.content == sink.getvalue()
        assert copy.pixels.shape == (32, 32, 3)
        kept = ("split", "label", "given_label", "channels", "width", "height", "group")
        assert {key: copy.row[key] for key in kept} == {key: PARENT[key] for key in kept}
        assert copy.row["parent"] == PARENT["id"]
        assert len(json.loads(str(copy.row["operations"]))) == 5
    assert copies[0].row["id"] != copies[1].row["id"]
