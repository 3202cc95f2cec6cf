"""How arrays travel to workers: by the file that they map, by one that is written once, or as copies."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from winnow.engine import shared_arrays
from winnow.engine.shared_arrays import SHARED_FROM, SharingPickler, Written
from winnow.pipeline.files import read_array, write_array

N = 3 * SHARED_FROM // 8


def sent(value: object, folder: Path, written: Written | None = None) -> tuple[Any, int]:
    """The value as a worker gets it, and the bytes that travel."""
    request = io.BytesIO()
    SharingPickler(request, folder, {} if written is None else written).dump(value)
    return pickle.loads(request.getvalue()), len(request.getvalue())


@pytest.fixture
def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray[Any, Any]:
    """A memory map of a file of the repository."""
    monkeypatch.setattr(shared_arrays, "ROOT", tmp_path / "repository")
    write_array(tmp_path / "repository" / "data" / "a.npy", np.arange(N * 2).reshape(N, 2))
    (tmp_path / "shared").mkdir()
    return read_array(tmp_path / "repository" / "data" / "a.npy")


@pytest.mark.parametrize("rows", [slice(None), slice(5, None), slice(7, N - 3)])
@pytest.mark.parametrize("as_array", [False, True])
def test_a_map_of_the_repository_travels_as_its_place(
    mapped: np.ndarray[Any, Any], tmp_path: Path, rows: slice, as_array: bool
) -> None:
    given = np.asarray(mapped[2:][rows]) if as_array else mapped[2:][rows]
    came, size = sent(given, tmp_path / "shared")
    np.testing.assert_array_equal(came, given)
    assert (came.dtype, came.shape, size < 1000) == (given.dtype, given.shape, True)
    assert isinstance(came, np.memmap)
    assert Path(str(came.filename)) == tmp_path / "repository" / "data" / "a.npy"
    assert not list((tmp_path / "shared").iterdir())
    came[:] = 0  # of its own
    assert mapped[-1].tolist() == [2 * N - 2, 2 * N - 1]


def test_what_is_no_run_of_bytes_of_a_map_is_written(mapped: np.ndarray[Any, Any], tmp_path: Path) -> None:
    for given in (mapped[:, 1], mapped.T, mapped[::-1]):
        folder = tmp_path / "shared"
        came, _ = sent(given, folder)
        np.testing.assert_array_equal(came, given)
        assert Path(str(came.filename)) == folder / "0"
        (folder / "0").unlink()


def test_a_map_that_may_have_been_written_to_in_memory_is_written(mapped: np.ndarray[Any, Any], tmp_path: Path) -> None:
    private = np.load(tmp_path / "repository" / "data" / "a.npy", mmap_mode="c")
    private[0, 0] = 77
    came, _ = sent(private, tmp_path / "shared")
    assert came[0, 0] == 77


def test_a_map_of_another_folder_is_written(mapped: np.ndarray[Any, Any], tmp_path: Path) -> None:
    write_array(tmp_path / "elsewhere.npy", np.asarray(mapped))
    came, _ = sent(read_array(tmp_path / "elsewhere.npy"), tmp_path / "shared")
    np.testing.assert_array_equal(came, mapped)
    assert Path(str(came.filename)) == tmp_path / "shared" / "0"


def test_an_array_of_many_jobs_is_written_once(tmp_path: Path) -> None:
    large, other, written = np.ones(N), np.zeros(N), Written()
    places = {str(sent((large, number), tmp_path, written)[0][0].filename) for number in range(3)}
    places |= {str(sent(other, tmp_path, written)[0].filename)}
    assert places == {str(tmp_path / "0"), str(tmp_path / "1")}


def test_small_arrays_and_those_of_objects_are_copied(tmp_path: Path) -> None:
    for given in (np.arange(10), np.array(["a", None] * N, dtype=object)):
        came, _ = sent(given, tmp_path)
        np.testing.assert_array_equal(came, given)
        assert type(came) is np.ndarray
    assert not list(tmp_path.iterdir())
