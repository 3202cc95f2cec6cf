"""Large arrays map files, which leave nothing behind; where there is no room for them, they are in memory."""

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from winnow.pipeline import scratch
from winnow.pipeline.scratch import scratch_array
from winnow.training.network import preprocess


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, with every array large."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "FROM_BYTES", 1)
    return tmp_path


def mapped(folder: Path) -> list[str]:
    """Files of a folder that this process maps, as the kernel names them."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if f" {folder}/" in line]


def test_a_large_array_maps_a_file_without_a_name_as_long_as_it_is_used(here: Path) -> None:
    array = scratch_array((3, 5), np.float32)
    array[:] = np.arange(15).reshape(3, 5)
    assert array.shape == (3, 5)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array.ravel(), np.arange(15))
    assert len(mapped(here)) == 1
    assert not list(here.iterdir())
    part = array[1:]
    del array
    assert part.sum() == sum(range(5, 15))  # a view keeps it
    del part
    assert not mapped(here)


def test_a_small_one_is_in_memory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "FROM_BYTES", 61)
    array = scratch_array((3, 5), np.float32)
    assert not mapped(here)
    large = scratch_array((4, 5), np.float32)
    assert len(mapped(here)) == 1
    assert array.shape == (3, 5)
    assert large.shape == (4, 5)


def test_without_room_on_the_disk_it_is_in_memory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    array = scratch_array((3, 5), np.float32)
    array[:] = 1
    assert array.sum() == 15
    assert not mapped(here)
    assert not list(here.iterdir())


def test_what_is_computed_into_one_is_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 40, 50, 3), dtype=np.uint8)
    on_disk = preprocess(images)
    assert len(mapped(here)) == 1
    monkeypatch.setattr(scratch, "FROM_BYTES", 2**28)
    in_memory = preprocess(images)
    assert np.array_equal(on_disk.numpy(), in_memory.numpy())
    assert on_disk.stride() == in_memory.stride()
