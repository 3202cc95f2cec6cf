"""Arrays by id: what is written is read back, equal content is one file, and damage is named."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.dataset.arrays import ArrayStore, gather, opened_once, write_rows
from winnow.pipeline.messages import UserError

ROWS = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)


def written(folder: Path) -> Path:
    write_rows(folder, [(["a", "b"], ROWS[:2]), (["c"], ROWS[2:3]), ([], ROWS[:0])])
    return folder


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    store = ArrayStore(written(tmp_path / "one"))
    write_rows(tmp_path / "two", [(["d", "a"], ROWS[[3, 3]])])
    other = ArrayStore(tmp_path / "two")
    np.testing.assert_array_equal(gather([store, other], ["c", "d", "a", "c"], where=tmp_path), ROWS[[2, 3, 0, 2]])
    assert isinstance(store.row("a"), np.memmap)
    assert "d" not in store


@given(st.lists(st.integers(0, 11), max_size=30), st.integers(1, 5))
def test_gathering_by_files_is_taking_row_after_row(wanted: list[int], most: int) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (12, 3), dtype=np.uint8)
    ids = [f"{number:x}" for number in range(12)]
    with tempfile.TemporaryDirectory() as place:
        stores = []
        for number, some in enumerate((range(7, -1, -1), range(5, 12))):  # three ids are in both, with other rows
            folder = Path(place, str(number))
            starts = range(0, len(some), most)
            parts = [([ids[n] for n in some[s : s + most]], rows[list(some[s : s + most])] + number) for s in starts]
            write_rows(folder, parts)
            stores.append(ArrayStore(folder))
        names = [ids[number] for number in wanted]
        slow = [next(store for store in stores if name in store).row(name) for name in names]
        found = gather(stores, names, where=Path(place))
        assert found.tolist() == [row.tolist() for row in slow]


def test_equal_rows_are_equal_files(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one"), written(tmp_path / "two")
    assert {file.name: file.read_bytes() for file in one.iterdir()} == {
        file.name: file.read_bytes() for file in two.iterdir()
    }
    write_rows(tmp_path / "three", [(["a", "b"], ROWS[:2] + 1)])
    assert {file.name for file in one.glob("*.npy")}.isdisjoint(
        file.name for file in (tmp_path / "three").glob("*.npy")
    )


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path / "none")
    assert "a" not in store
    with pytest.raises(UserError, match=r"lacks the row of a; run `dvc repro`"):
        gather([store], ["a"], where=tmp_path)


def test_a_store_is_opened_once_until_its_index_is_another(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    assert "a" not in opened_once(folder)
    store = opened_once(written(folder))
    assert opened_once(folder) is store
    np.testing.assert_array_equal(store.row("a"), ROWS[0])
    write_rows(folder, [(["d"], ROWS[3:])])
    assert "a" not in opened_once(folder)
    np.testing.assert_array_equal(opened_once(folder).row("d"), ROWS[3])


def test_a_damaged_array_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "one")
    for file in folder.glob("*.npy"):
        file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(UserError, match=r"is missing or damaged; run `dvc checkout --force"):
        ArrayStore(folder).row("a")


def test_rows_of_other_shapes_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, [(["a"], ROWS[:1]), (["b"], np.zeros((1, 5), np.uint8))])
    with pytest.raises(UserError, match="b has another shape"):
        gather([ArrayStore(tmp_path)], ["a", "b"], where=tmp_path)
