"""Features in parts: computed once, resumed, and again only where something that they depend on changed."""

import dataclasses
import shutil
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
from winnow.engine.devices import VISIBLE
from winnow.model import extraction as module
from winnow.model.extraction import Extraction, parts_of, write_features
from winnow.model.known_rows import KNOWN
from winnow.pipeline.files import ROOT

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


def test_nothing_is_computed_twice_and_a_changed_image_costs_itself_alone(tmp_path: Path, user: Path) -> None:
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
    assert len(next(part for part in _parts() if IDS[3] in part)) > 1
    assert computed(user, tmp_path / "changed", out) == 1
    assert {file.name for file in out.glob("*.npy")} == {name for name, *_ in ArrayStore(out).by_file(IDS)}


def test_features_of_another_code_are_computed_again(tmp_path: Path, user: Path) -> None:
    code = tmp_path / "code"
    shutil.copytree(ROOT / "winnow/backbone", code / "winnow/backbone")
    (code / "winnow/model").mkdir()
    shutil.copy(ROOT / "winnow/model/extraction.py", code / "winnow/model")
    write_rows(tmp_path / "pixels", [(IDS, images(6, 8))])
    with mock.patch("winnow.pipeline.made_by.CODE", code):
        counts = [computed(user, tmp_path / "pixels", tmp_path / "out") for _ in range(2)]
        for edited in ("winnow/backbone/resize.py", "winnow/model/extraction.py"):
            with (code / edited).open("a") as file:
                file.write("\n")
            counts.append(computed(user, tmp_path / "pixels", tmp_path / "out"))
    assert counts == [6, 0, 6, 6]


@pytest.mark.parametrize("table", ["whole", "flipped", "gone"])
def test_after_edits_every_byte_is_that_of_a_fresh_run(tmp_path: Path, user: Path, table: str) -> None:
    """One image changed, one removed, one added, one there under two ids; whatever became of the known rows' table."""
    squares, out, fresh = images(8, 8), tmp_path / "out", tmp_path / "fresh"
    write_rows(tmp_path / "pixels", [(IDS, squares[:6])])
    computed(user, tmp_path / "pixels", out)
    ids = [*IDS[1:], "f" * 16, "e" * 16]
    write_rows(tmp_path / "edited", [(ids, squares[[7, 2, 3, 4, 5, 6, 2]])])
    known = out / KNOWN
    if table == "gone":
        known.unlink()
    elif table == "flipped":
        content = bytearray(known.read_bytes())
        content[len(content) // 2] ^= 1
        known.write_bytes(content)
    again = computed(user, tmp_path / "edited", out, ids)
    if table == "whole":
        assert again == 2
    assert computed(user, tmp_path / "edited", fresh, ids) == 7
    assert {file.name: file.read_bytes() for file in out.iterdir()} == {
        file.name: file.read_bytes() for file in fresh.iterdir()
    }
    assert computed(user, tmp_path / "edited", out, ids) == 0


def test_why_a_model_was_chosen_does_not_change_its_features(user: Path) -> None:
    """The words count the images of the source, which one more changes."""
    one = extraction(user)
    other = dataclasses.replace(one, card=dataclasses.replace(one.card, why="auto: of 2,001 images"))
    assert other.fingerprint() == one.fingerprint()
    assert dataclasses.replace(one, card=dataclasses.replace(one.card, pixels=9)).fingerprint() != one.fingerprint()


def test_without_images_there_is_an_index_alone(tmp_path: Path, user: Path) -> None:
    write_rows(tmp_path / "pixels", [(IDS, images(6, 8))])
    computed(user, tmp_path / "pixels", tmp_path / "out")
    assert computed(user, tmp_path / "pixels", tmp_path / "out", []) == 0
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["index.parquet"]


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
    (part,) = [one for one in _parts() if next(ArrayStore(out).by_file(one))[0] == damaged.name]
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
