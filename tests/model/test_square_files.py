"""Squares in files: those of an earlier run are used again, and every byte is that of a fresh run."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.backbones import PLAIN
from winnow.backbone.card import Card
from winnow.dataset import images as stored
from winnow.dataset.arrays import ArrayStore, write_rows
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import read_samples, sample_id, samples_table
from winnow.model import square_files as module
from winnow.model.square_files import known_squares, note_made, write_squares
from winnow.model.squares import squares
from winnow.pipeline.messages import UserError

Contents = Mapping[str, bytes]
RNG = np.random.default_rng(3)
POOL = [encode_png(RNG.integers(0, 256, (9, 7, 3 if number % 3 else 1), dtype=np.uint8)) for number in range(12)]


def dataset(folder: Path, contents: Contents) -> Path:
    rows: list[dict[str, object]] = [
        {"id": one, "name": one, "split": "train", "label": "a", "given_label": "a", "origin": "source"}
        for one in contents
    ]
    with mock.patch.object(stored, "GROUP_ROWS", 4), mock.patch.object(stored, "ENDS_ROWS", 6):
        write_dataset(folder, samples_table(rows, ["a"]), images=contents.items())
    return folder


def run(prepared: Path, out: Path, card: Card = PLAIN) -> int:
    """What the stage does: how many images were decoded."""
    known = known_squares(card, out / "pixels", out / "made.json")
    decoded = write_squares(prepared, read_samples(prepared)["id"].to_pylist(), card, known)
    note_made(card, out / "pixels", out / "made.json")
    return decoded


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def named(numbers: list[int]) -> dict[str, bytes]:
    contents = {sample_id(f"{place}.png", POOL[number]): POOL[number] for place, number in enumerate(numbers)}
    return dict(contents)


def test_the_squares_are_those_that_are_made_one_after_another(tmp_path: Path) -> None:
    prepared = dataset(tmp_path / "set", named([*range(12), *range(5)]))
    ids = read_samples(prepared)["id"].to_pylist()
    assert run(prepared, tmp_path) == len(ids)
    write_rows(tmp_path / "slow", squares(prepared, ids, PLAIN))
    found, slow = ArrayStore(tmp_path / "pixels"), ArrayStore(tmp_path / "slow")
    assert sorted(found.ids) == sorted(ids)
    for one in ids:
        np.testing.assert_array_equal(found.row(one), slow.row(one))


@settings(max_examples=25)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=20), st.lists(st.integers(0, 11), min_size=1, max_size=20))
def test_after_any_edits_every_byte_is_that_of_a_fresh_run(
    tmp_path_factory: pytest.TempPathFactory, before: list[int], after: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("edits")
    one, other = dataset(folder / "one", named(before)), dataset(folder / "other", named(after))
    run(one, folder / "again")
    new = set(named(after)) - set(named(before))
    assert run(other, folder / "again") == len(new)
    run(other, folder / "fresh")
    assert files(folder / "again") == files(folder / "fresh")
    assert run(other, folder / "again") == 0


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("what", ["an array", "the index", "no index", "no note", "another code", "another size"])
def test_what_is_damaged_or_made_otherwise_is_not_used(tmp_path: Path, what: str) -> None:
    prepared, again = dataset(tmp_path / "set", named(list(range(12)))), tmp_path / "again"
    card = dataclasses.replace(PLAIN, pixels=PLAIN.pixels * 2) if what == "another size" else PLAIN
    run(prepared, again, card)
    if what == "an array":
        flipped(min((again / "pixels").glob("*.npy")))
    elif what == "the index":
        flipped(again / "pixels/index.parquet")
    elif what == "no index":
        (again / "pixels/index.parquet").unlink()
    elif what == "no note":
        (again / "made.json").unlink()
    elif what == "another code":
        made = json.loads((again / "made.json").read_text())
        (again / "made.json").write_text(json.dumps(made | {"by": "0" * 64}))
    assert run(prepared, again) == 12
    run(prepared, tmp_path / "fresh")
    assert files(again) == files(tmp_path / "fresh")


def test_a_run_that_was_stopped_leaves_nothing_that_is_trusted(tmp_path: Path) -> None:
    prepared = dataset(tmp_path / "set", named(list(range(12))))
    run(prepared, tmp_path)
    with mock.patch.object(module, "write_index", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        run(dataset(tmp_path / "more", named([*range(12), 1])), tmp_path)
    assert not (tmp_path / "made.json").exists()
    assert run(prepared, tmp_path) == 12


def test_workers_give_the_bytes_of_this_process(tmp_path: Path) -> None:
    prepared = dataset(tmp_path / "set", named([*range(12), *range(4)]))
    run(prepared, tmp_path / "here")
    with mock.patch.object(module, "HERE", 0):
        run(prepared, tmp_path / "workers")
    assert files(tmp_path / "here") == files(tmp_path / "workers")


def test_an_image_that_is_missing_is_named(tmp_path: Path) -> None:
    prepared = dataset(tmp_path / "set", named([0, 1]))
    with pytest.raises(UserError, match=r"images lacks 1 images, f{16} first; run `dvc checkout"):
        write_squares(prepared, ["f" * 16], PLAIN, known_squares(PLAIN, tmp_path / "p", tmp_path / "made.json"))
