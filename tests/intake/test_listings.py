"""truth.csv and groups.csv of a source: where they may lie, what is refused early, and what prepare makes of them."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.prepared import Prepared
from tests.support.source_checks import LIMITS, empty, refused
from tests.support.sources import bare_files, make_folder, make_zip, split_files
from winnow.intake.source import check_source, open_source

# --- before a run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ("A b", "truth.csv has the label 'A', the source the class 'a'; write them alike"),
        ("0 1", "no label of truth.csv is a class of the source, '0' first; write the names of the class folders"),
    ],
)
def test_true_labels_that_are_no_classes_are_refused(tmp_path: Path, labels: str, told: str) -> None:
    first, second = labels.split()
    truth = f"name,label,noise\na/1.png,{first},0\nb/1.png,{second},0\n"
    assert refused(make_folder(tmp_path, empty("a/1.png b/1.png") | {"truth.csv": truth.encode()})).endswith(told)


def test_truth_is_read_early(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, empty("a/1.png b/1.png") | {"truth.csv": b"file,label\n"})
    assert "truth.csv needs the columns name, label, noise" in refused(folder)


def test_truth_may_lie_beside_the_wrapper(tmp_path: Path) -> None:
    files = empty("data/a/1.png data/b/1.png") | {"truth.csv": b"name,label,noise\nx,a,0\n"}
    with open_source(make_folder(tmp_path, files)) as source:
        assert list(source.truth() or {}) == ["x"]


@pytest.mark.parametrize("file", ["truth.csv", "groups.csv"])
def test_a_table_damaged_in_the_zip_is_told(tmp_path: Path, file: str) -> None:
    archive = make_zip(tmp_path / "x.zip", empty("a/1.png b/1.png") | {file: b"name,label,noise,group\n"})
    archive.write_bytes(archive.read_bytes().replace(b"noise,g", b"noisy,g"))
    assert refused(archive).endswith(f"{file} cannot be read (damaged inside the zip); put it there again")


@pytest.mark.parametrize("file", ["truth.csv", "groups.csv"])
def test_more_rows_than_the_files_need_are_refused(tmp_path: Path, file: str) -> None:
    rows = b"name,label,noise,group\n" + b"a/1.png,a,0,x\n" * 1012
    archive = make_zip(tmp_path / "x.zip", empty("a/1.png b/1.png") | {file: rows})
    assert refused(archive).endswith(f"{file} has more than 1,012 rows, far more than images; keep the rows of these")


@pytest.mark.parametrize("wrapper", ["", "data/"])
def test_groups_are_read_early_and_from_beside_the_layout_or_its_wrapper(tmp_path: Path, wrapper: str) -> None:
    files = split_files()
    wrapped = {f"{wrapper}{name}": content for name, content in files.items()}
    path = make_folder(tmp_path / "good", wrapped | {f"{wrapper}groups.csv": b"name,group\ntrain/a/000.png,x\n"})
    with open_source(path) as source:
        assert source.groups() == {"train/a/000.png": "x"}
    check_source(path, **LIMITS)
    assert "groups.csv needs the columns" in refused(make_folder(tmp_path / "bad", wrapped | {"groups.csv": b"x\n"}))
    with open_source(make_folder(tmp_path / "none", wrapped)) as source:
        assert source.groups() == {}


@pytest.mark.parametrize("file", ["truth.csv", "groups.csv"])
def test_a_listing_of_other_images_is_refused(tmp_path: Path, file: str) -> None:
    rows = b"name,label,noise,group\nphotos/a/000.png,a,0,x\n"
    path = make_folder(tmp_path, empty("a/000.png b/000.png") | {file: rows})
    assert refused(path).endswith(
        f"no row of {file} names exactly one image of the source, 'photos/a/000.png' first; "
        "write paths inside the source"
    )


@pytest.mark.parametrize("file", ["Truth.CSV", "Groups.csv"])
def test_a_listing_is_found_in_any_case_and_refused_in_a_splits_folder(tmp_path: Path, file: str) -> None:
    rows = b"name,label,noise,group\ntrain/a/000.png,a,0,x\n"
    with open_source(make_folder(tmp_path / "beside", split_files() | {file: rows})) as source:
        assert list(source.groups() if file == "Groups.csv" else source.truth() or {}) == ["train/a/000.png"]
    message = refused(make_folder(tmp_path / "inside", split_files() | {f"train/{file}": rows}))
    assert message.endswith(f"'train/{file}' lies in a split's folder; move it beside these folders")


def test_one_image_under_two_spellings_has_one_group(tmp_path: Path) -> None:
    rows = b"name,group\na/000.png,x\n./a/000.png,"
    files = empty("a/000.png b/000.png")
    message = refused(make_folder(tmp_path / "two", files | {"groups.csv": rows + b"y\n"}))
    assert message.endswith("groups.csv has contradicting rows about 'a/000.png'; keep one of them")
    check_source(make_folder(tmp_path / "one", bare_files(2, "ab") | {"groups.csv": rows + b"x\n"}), **LIMITS)


# --- in prepare -------------------------------------------------------------------------------------------------------


def test_groups_of_images_that_are_not_there_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = b"name,group\ntrain/a/000.png,x\ntrain/a/gone.png,x\ngone.png,y\n"
    run = Prepared(make_folder(tmp_path / "source", split_files() | {"groups.csv": rows}), tmp_path / "out")
    assert run.counts["groups_names_unknown"] == 2
    assert "warning: groups.csv names 2 files that the source does not have" in capsys.readouterr().out


def test_truth_covers_train_and_val_by_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = split_files()
    told = "".join(f"{name},{name.split('/')[1]},0\n" for name in files if name != "train/a/000.png")
    text = f"name,label,noise\n{told}train/a/000.png,b,\ngone.png,a,0\n".replace(
        "val/b/001.png,b,0", "val/b/001.png,,heart"
    )
    run = Prepared(make_zip(tmp_path / "source.zip", files | {"truth.csv": text.encode()}), tmp_path / "out")
    names = {row["id"]: row["name"] for row in run.samples()}
    truth = {names[row["id"]]: (row["label"], row["noise"]) for row in pq.read_table(run.truth).to_pylist()}
    expected = {name: (name.split("/")[1], False) for name in files if name.startswith(("train", "val"))}
    assert truth == expected | {"train/a/000.png": ("b", False), "val/b/001.png": (None, True)}
    assert (run.counts["truth_rows"], run.counts["truth_names_unknown"]) == (20, 1)
    assert "warning: truth.csv names 1 files that the source does not have" in capsys.readouterr().out


def test_a_true_label_of_another_kind_is_counted_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = split_files()
    text = "name,label,noise\ntrain/a/000.png,a,0\ntrain/a/001.png,elephant,0\n"
    run = Prepared(make_zip(tmp_path / "source.zip", files | {"truth.csv": text.encode()}), tmp_path / "out")
    assert run.counts["truth_labels_unknown"] == 1
    assert "truth.csv gives 1 images a label that is no class here; each counts as a fault" in capsys.readouterr().out


def test_truth_of_drawn_test_and_label_book_stays_out(tmp_path: Path) -> None:
    files = bare_files(20)
    text = "name,label,noise\n" + "".join(f"{name},{name[0]},0\n" for name in files)
    run = Prepared(make_zip(tmp_path / "source.zip", files | {"truth.csv": text.encode()}), tmp_path / "out")
    told = set(pq.read_table(run.truth)["id"].to_pylist())
    assert told == {row["id"] for row in run.samples() if row["split"] in ("train", "val")}


def test_no_truth_is_an_empty_table(tmp_path: Path) -> None:
    run = Prepared(make_zip(tmp_path / "source.zip", split_files()), tmp_path / "out")
    table = pq.read_table(run.truth)
    assert (table.num_rows, table.schema.names) == (0, ["id", "label", "noise"])
