"""What a round judges: what came in, under its labels now, and what was dropped, as delivered."""

from pathlib import Path

from tests.support.datasets import CLASSES, make_dataset
from winnow.dataset.delivered import read_judged
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import read_samples, samples_table


def test_what_is_lacking_is_appended_as_delivered_and_copies_are_left_out(tmp_path: Path) -> None:
    delivered = make_dataset(tmp_path / "in", {"train": 9, "val": 3, "label_book": 3})
    rows = read_samples(delivered).to_pylist()
    relabelled = {**rows[3], "label": "iii", "split": "val"}
    copy = {**rows[4], "id": "c0", "parent": rows[4]["id"], "origin": "affine"}
    here = [relabelled, *rows[4:10], *rows[11:], copy]  # without 0, 1, 2 and 10
    write_dataset(tmp_path / "round", samples_table(here, CLASSES), shards_from=[delivered])
    judged = read_judged(tmp_path / "round", delivered)
    assert judged.to_pylist() == [*here[:-1], rows[0], rows[1], rows[2], rows[10]]


def test_what_is_lacking_is_in_the_split_of_its_group(tmp_path: Path) -> None:
    delivered = make_dataset(tmp_path / "in", {"train": 6, "val": 6})
    rows = read_samples(delivered).to_pylist()
    rows[7]["group"] = rows[6]["group"]
    write_dataset(tmp_path / "prepared", samples_table(rows, CLASSES), shards_from=[delivered])
    here = [*rows[:6], {**rows[6], "split": "train"}, *rows[9:]]  # without 7, of its group, and 8, which is alone
    write_dataset(tmp_path / "round", samples_table(here, CLASSES), shards_from=[delivered])
    judged = read_judged(tmp_path / "round", tmp_path / "prepared").to_pylist()
    assert judged == [*here, {**rows[7], "split": "train"}, rows[8]]


def test_the_delivered_dataset_itself_is_judged_as_it_is(tmp_path: Path) -> None:
    delivered = make_dataset(tmp_path / "in", {"train": 6, "val": 3})
    assert read_judged(delivered, delivered).equals(read_samples(delivered))
