"""The label check with a backbone: what its features tell apart is what a label survives by."""

import dataclasses
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from tests.support.backbones import card_of, write_module
from tests.support.profiles import HEAD, LABEL_CHECK
from tests.support.stages import jobs_here
from winnow.backbone.card import Card
from winnow.dataset.arrays import write_rows
from winnow.model import extraction
from winnow.model.extraction import Extraction
from winnow.model.inputs import Inputs
from winnow.policy_search import backbone_check as module
from winnow.policy_search.backbone_check import BackboneCheck, find_limits_by_backbone
from winnow.policy_search.label_check import LabelCheck

CHECK = dataclasses.replace(LABEL_CHECK, least_images=6, magnitudes=[1.0])


@pytest.fixture
def card(tmp_path: Path) -> Card:
    """A backbone whose features are the mean colours: by brightness it tells two classes apart."""
    write_module(
        tmp_path,
        "brightness",
        """
        import torch

        class Means(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.head = torch.nn.Linear(3, 2)

            def features(self, x):
                return x.mean(dim=(2, 3))
        """,
    )
    sys.modules.pop("brightness", None)
    return dataclasses.replace(card_of("python:brightness:Means", "default", 16), frozen=True)


def checked(folder: Path, card: Card, images: int) -> LabelCheck:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    squares = (rng.integers(0, 60, (40, 16, 16, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    ids = [f"{row:016x}" for row in range(40)]
    write_rows(folder / "pixels", [(ids, squares)])
    rows = [{"id": one, "group": one, "width": 32, "height": 32} for one in ids]
    features = ((squares / 255 - np.array(card.mean)) / np.array(card.std)).mean(axis=(1, 2)).astype(np.float32)
    with mock.patch.object(module, "run_jobs", jobs_here), mock.patch.object(extraction, "run_jobs", jobs_here):
        return find_limits_by_backbone(
            pa.Table.from_pylist(rows),
            labels,
            features,
            ["dark", "bright"],
            ["shear_x", "invert", "scale", "stroke", "elastic"],
            CHECK,
            BackboneCheck(folds=2, images=images, magnitudes=[0.5, 1.0]),
            inputs=Inputs(card, folder / "pixels", folder / "features"),
            extraction=Extraction(card, folder),
            head=HEAD,
            seed=0,
        )


def test_what_changes_the_features_classes_differ_in_is_refused(tmp_path: Path, card: Card) -> None:
    check = checked(tmp_path, card, 20)
    for name in ("shear_x", "scale", "stroke", "elastic"):
        assert check.limits[name] == {"dark": 1.0, "bright": 1.0}
    assert check.limits["invert"] == {"dark": 0.0, "bright": 0.0}
    by = {(row["operation"], row["class"], row["magnitude"]): row for row in check.report}
    assert len(by) == 5 * 2 * 2
    assert by["invert", "dark", 0.5]["images"] == 10
    assert (by["invert", "dark", 0.5]["untouched"], by["invert", "dark", 0.5]["recognised"]) == (1.0, 0.0)
    assert by["invert", "dark", 0.5]["more_often_taken_for"] == "bright"


def test_classes_of_few_images_are_checked_together(tmp_path: Path, card: Card) -> None:
    check = checked(tmp_path, card, 10)  # five a class, six are the least
    assert check.limits["shear_x"] == {"dark": 1.0, "bright": 1.0}
    assert check.limits["invert"] == {"dark": 0.0, "bright": 0.0}
    assert {row["class"] for row in check.report} == {"all classes"}
    assert {row["images"] for row in check.report} == {10}
