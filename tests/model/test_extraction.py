"""Features in parts: computed once, resumed, and again only where something that they depend on changed."""

import dataclasses
import sys
from pathlib import Path
from unittest import mock

import joblib
import numpy as np
import pytest
import torch

from tests.support.backbones import card_of, images, write_module
from tests.support.stages import jobs_here
from winnow.dataset.arrays import ArrayStore, write_rows
from winnow.model import extraction as module
from winnow.model.extraction import Extraction, parts_of, write_features
from winnow.pipeline.devices import VISIBLE

MODULE = """
    import torch

    class Means(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3, 2)

        def features(self, x):
            return x.mean(dim=(2, 3)) * SCALE

    SCALE = 1.0
"""
IDS = [f"{number:016x}" for number in range(6)]


@pytest.fixture
def user(tmp_path: Path) -> Path:
    (tmp_path / "user").mkdir()
    sys.modules.pop("means", None)
    write_module(tmp_path / "user", "means", MODULE)
    return tmp_path / "user"


def extraction(user: Path) -> Extraction:
    card = dataclasses.replace(card_of("python:means:Means", "default", 8), frozen=True)
    return Extraction(card, user)


def computed(user: Path, pixels: Path, out: Path, ids: list[str] = IDS) -> int:
    with mock.patch.object(module, "run_jobs", jobs_here), mock.patch.object(module, "PART", 2):
        return write_features(extraction(user), [pixels], ids, out)


def test_parts_depend_on_the_ids_alone_and_hold_each_once() -> None:
    many = [f"{number:016x}" for number in range(700)]
    parts = parts_of(many)
    assert sorted(one for part in parts for one in part) == many
    assert len(parts) == 8
    other = parts_of([*reversed(many), "f" * 16])
    assert sum(part not in parts for part in other) == 1


def test_features_are_those_of_the_backbone_by_id(tmp_path: Path, user: Path) -> None:
    pixels = tmp_path / "pixels"
    squares = images(6, 8)
    grey = images(6, 8, channels=1)
    write_rows(pixels, [(IDS[:4], squares[:4]), (IDS[4:], grey[4:])])
    assert computed(user, pixels, tmp_path / "out") == 6
    store = ArrayStore(tmp_path / "out")
    card = extraction(user).card
    for row, one in enumerate(IDS):
        colour = squares[row] if row < 4 else np.repeat(grey[row], 3, axis=-1)
        expected = ((colour / 255 - np.array(card.mean)) / np.array(card.std)).mean(axis=(0, 1))
        np.testing.assert_allclose(store.row(one), expected, rtol=2e-3, atol=1e-3)


def test_nothing_is_computed_twice_and_a_changed_image_costs_its_part(tmp_path: Path, user: Path) -> None:
    pixels, out = tmp_path / "pixels", tmp_path / "out"
    squares = images(6, 8)
    write_rows(pixels, [(IDS, squares)])
    assert computed(user, pixels, out) == 6
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert computed(user, pixels, out) == 0
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    changed = squares.copy()
    changed[3] += 1
    write_rows(tmp_path / "changed", [(IDS, changed)])
    (part,) = [part for part in _parts() if IDS[3] in part]
    assert computed(user, tmp_path / "changed", out) == len(part)
    assert {file.name for file in out.glob("*.npy")} == {name for name, _ in ArrayStore(out).places.values()}


def test_a_damaged_part_is_computed_again_and_what_a_killed_run_left_goes(tmp_path: Path, user: Path) -> None:
    pixels, out = tmp_path / "pixels", tmp_path / "out"
    write_rows(pixels, [(IDS, images(6, 8))])
    computed(user, pixels, out)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    damaged = next(out.glob("*.npy"))
    content = bytearray(damaged.read_bytes())
    content[-20] ^= 1  # of the last row
    damaged.write_bytes(content)
    (out / f".{damaged.name}.0badcafe.partial").write_bytes(content[:50])
    (part,) = [one for one in _parts() if ArrayStore(out).places[one[0]][0] == damaged.name]
    assert computed(user, pixels, out) == len(part)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def _parts() -> list[list[str]]:
    with mock.patch.object(module, "PART", 2):
        return parts_of(IDS)


def test_an_edit_of_the_users_code_is_seen(tmp_path: Path, user: Path) -> None:
    pixels = tmp_path / "pixels"
    write_rows(pixels, [(IDS, images(6, 8))])
    assert computed(user, pixels, tmp_path / "out") == 6
    first = np.array(ArrayStore(tmp_path / "out").row(IDS[0]))
    sys.modules.pop("means", None)  # as in a new worker
    write_module(user, "means", MODULE.replace("SCALE = 1.0", "SCALE = 2.0"))
    assert computed(user, pixels, tmp_path / "out") == 6
    np.testing.assert_allclose(ArrayStore(tmp_path / "out").row(IDS[0]), 2 * first, rtol=2e-3)


def test_backbones_on_several_devices_give_the_bytes_of_one(
    tmp_path: Path, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "pixels", [(IDS, images(6, 8))])
    monkeypatch.setattr(module, "PART", 1)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    monkeypatch.delenv(VISIBLE, raising=False)
    written = []
    for count in (0, 3):  # made up: in the workers, each of which looks for its own, there is the CPU
        monkeypatch.setattr(torch.cuda, "is_available", lambda count=count: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        out = tmp_path / f"{count} devices"
        assert write_features(extraction(user), [tmp_path / "pixels"], IDS, out) == 6
        written.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert len(written[0]) > 3
    assert written[0] == written[1]
