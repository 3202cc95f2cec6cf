import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stages import pixels, prepare
from tests.support.prepared import PARAMS, Prepared, refused
from tests.support.refusals import refused_params
from tests.support.sources import bare_files, encoded, make_folder, make_zip, noise_png, split_files
from winnow.backbone.card import read_card
from winnow.dataset.images import read_images, stored_images, write_dataset
from winnow.dataset.samples import class_names, column, read_samples, sample_id
from winnow.intake.ingest import ingest
from winnow.pictures.decode import decode, stretch
from winnow.pictures.pixel_hash import pixel_hash
from winnow.pipeline.files import ROOT, digest
from winnow.pipeline.messages import UserError

# --- what is written ------------------------------------------------------------------------------------------------


def test_delivered_splits_stay_and_test_lies_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = split_files()
    run = Prepared(make_zip(tmp_path / "source.zip", files), tmp_path / "out")
    assert run.splits() == {name: name.split("/")[0] for name in files}
    prepared, test = read_samples(run.prepared), read_samples(run.test)
    assert set(column(prepared, "split")) == {"train", "val", "label_book"}
    assert set(column(test, "split")) == {"test"}
    assert not set(column(prepared, "id")) & set(column(test, "id"))
    assert class_names(prepared) == class_names(test) == ["a", "b"]
    with pytest.raises(UserError, match="lacks 6 images"):  # nor are test's pixels among prepared's shards
        stored_images(run.prepared, test["id"].to_pylist())
    assert run.counts["label_book_verified"] is True
    assert run.nonzero("images_") == {"train": 16, "val": 4, "label_book": 4, "test": 6, "grey": 30}
    assert "warning" not in capsys.readouterr().out


def test_rows_and_pixels(tmp_path: Path) -> None:
    files = split_files()
    files["train/a/colour.png"] = noise_png(1, side=100, colour=True)
    files["train/a/grey.png"] = noise_png(2, side=100)
    run = Prepared(make_folder(tmp_path / "source", files), tmp_path / "out")
    rows = {row["name"]: row for row in run.samples()}
    for folder in (run.prepared, run.test):
        names = column(read_samples(folder), "name").tolist()
        assert names == sorted(names)
    for name, channels in (("train/a/colour.png", 3), ("train/a/grey.png", 1)):
        delivered = decode(files[name], max_pixels=10**6)
        assert rows[name] == {
            "id": sample_id(name, files[name]),
            "name": name,
            "split": "train",
            "label": "a",
            "given_label": "a",
            "origin": "source",
            "parent": None,
            "operations": None,
            "pixel_hash": pixel_hash(delivered),
            "channels": channels,
            "width": 100,
            "height": 100,
            "group": sample_id(name, files[name]),
        }
    stored = stored_images(run.prepared, read_samples(run.prepared)["id"].to_pylist())
    stored |= stored_images(run.test, read_samples(run.test)["id"].to_pylist())
    assert stored == {rows[name]["id"]: content for name, content in files.items()}  # byte for byte as delivered


def test_the_competitions_pixels_are_the_delivered_ones_stretched(tmp_path: Path) -> None:
    files = split_files()
    files["train/a/colour.png"] = encoded(Image.open(io.BytesIO(noise_png(1, side=100, colour=True))).resize((100, 70)))
    files["train/a/grey.png"] = noise_png(2, side=100)
    run = Prepared(make_folder(tmp_path / "source", files), tmp_path / "out", model="competition")
    pixels.main(prepared=run.prepared, model=run.model, pixels=tmp_path / "pixels", made=tmp_path / "made.json")
    for row in read_samples(run.prepared).to_pylist():
        (image,) = read_images(run.prepared, [row["id"]], tmp_path / "pixels")
        np.testing.assert_array_equal(image, stretch(decode(files[row["name"]], max_pixels=10**6), side=64))
        assert image.shape == (64, 64, row["channels"])


def test_the_card_says_which_model_and_why(tmp_path: Path) -> None:
    source = make_folder(tmp_path / "source", split_files())  # of 8 x 8 pixels
    card = read_card(Prepared(source, tmp_path / "auto").model)
    assert (card.model, card.requested, card.pixels, card.resize) == ("competition", "auto", 64, "stretch")
    assert card.why.startswith("auto: 100 % of 30 images are at most 64 pixels wide and high (100 %)")
    named = read_card(Prepared(source, tmp_path / "named", model="competition").model)
    assert named.why == "params.yaml: model is competition"
    assert replace(card, requested="x", why="x") == replace(named, requested="x", why="x")


def test_folder_zip_wrapper_and_second_run_give_the_same_bytes(tmp_path: Path) -> None:
    files = bare_files(12) | {"truth.csv": b"name,label,noise\na/001.png,b,0\n"}
    sources = {
        "folder": make_folder(tmp_path / "it's a [folder] {x}", files),
        "zip": make_zip(tmp_path / "packed (1).zip", files),
        "reversed": make_zip(tmp_path / "reversed.zip", dict(reversed(files.items()))),
        "wrapped": make_zip(tmp_path / "wrapped.zip", {f"data/{name}": content for name, content in files.items()}),
        "again": tmp_path / "packed (1).zip",
    }
    runs = {kind: Prepared(source, tmp_path / "out" / kind) for kind, source in sources.items()}
    assert len({digest([run.out]) for run in runs.values()}) == 1
    other = Prepared(sources["zip"], tmp_path / "other", replace(PARAMS, seed=1))
    assert other.splits() != runs["zip"].splits()


def test_adding_an_image_changes_no_other_id(tmp_path: Path) -> None:
    files = bare_files(12)
    before = Prepared(make_folder(tmp_path / "before", files), tmp_path / "out1")
    files["a/0.5.png"] = noise_png(77_777)
    after = Prepared(make_zip(tmp_path / "after.zip", files), tmp_path / "out2")
    ids = [{row["name"]: row["id"] for row in run.samples()} for run in (before, after)]
    assert ids[1].pop("a/0.5.png")
    assert ids[0] == ids[1]
    moved = [name for name, split in before.splits().items() if after.splits()[name] != split]
    assert len(moved) <= 4
    assert all(name.startswith("a/") for name in moved)


def test_odd_names_reach_the_tables(tmp_path: Path) -> None:
    odd = ["new\nline", "quote'\"", "[b] {c}*?", "n" * 251, "日本語", "🦉", "back\\slash"]
    files = bare_files(8) | {f"a/{name}.png": noise_png(500 + i) for i, name in enumerate(odd)}
    run = Prepared(make_folder(tmp_path / "source", files), tmp_path / "out")
    assert set(run.splits()) == set(files)


# --- splits ---------------------------------------------------------------------------------------------------------


def test_bare_folders_get_every_split_and_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Prepared(make_folder(tmp_path / "source", bare_files(50)), tmp_path / "out")
    assert run.nonzero("images_") == {"train": 96, "val": 12, "label_book": 12, "test": 30, "grey": 150}
    assert run.counts["label_book_verified"] is False
    out = capsys.readouterr().out
    assert "drawn here: val, label_book, test;" in out
    assert "warning: the label book is unverified: the source has no label_book/, so 12 images were drawn" in out


def test_train_without_test_gives_one_up(tmp_path: Path) -> None:
    files = {f"train/{name}": content for name, content in bare_files(50).items()}
    run = Prepared(make_folder(tmp_path / "source", files), tmp_path / "out")
    assert run.counts["images_test"] == 30


def test_too_few_images_for_a_split(tmp_path: Path) -> None:
    message = refused(make_folder(tmp_path / "source", bare_files(2)), tmp_path / "out")
    assert message.endswith("has too few different images to draw val from; add images, or a val/ folder")


# --- leaks and copies -----------------------------------------------------------------------------------------------


def test_leaks_go_by_precedence_and_are_counted_by_pair(tmp_path: Path) -> None:
    files = split_files()
    copies = {
        "train/a/t1.png": "test/a/000.png",
        "train/b/t2.png": "test/a/000.png",  # whatever its label
        "train/a/b1.png": "label_book/a/000.png",
        "train/a/v1.png": "val/a/000.png",
        "val/b/t3.png": "test/b/001.png",
        "val/b/b2.png": "label_book/b/000.png",
        "label_book/b/t4.png": "test/b/002.png",
    }
    for copy, original in copies.items():
        image = Image.open(make_folder(tmp_path / "one", {"x.png": files[original]}) / "x.png")
        files[copy] = encoded(image, "TIFF")  # other bytes, the same pixels
    run = Prepared(make_zip(tmp_path / "source.zip", files), tmp_path / "out")
    assert set(run.splits()) == set(files) - set(copies)
    assert run.nonzero("leaks_") == {
        "total": 7,
        "train_in_test": 2,
        "train_in_label_book": 1,
        "train_in_val": 1,
        "val_in_test": 1,
        "val_in_label_book": 1,
        "label_book_in_test": 1,
    }
    assert {row["name"]: (row["split"], row["kept_in"]) for row in run.rows("leaks")} == {
        copy: (copy.split("/")[0], original.split("/")[0]) for copy, original in copies.items()
    }


@pytest.mark.parametrize(("side", "near"), [(100, 2), (8, 0)])
def test_near_duplicates_of_photographs_are_found_whatever_the_model(tmp_path: Path, side: int, near: int) -> None:
    """Line art of one class is alike all over, and has none."""
    files = split_files() | {f"train/a/{n}.png": noise_png(n, side=side, colour=True) for n in range(40)}
    for n in range(2):
        with Image.open(io.BytesIO(files[f"train/a/{n}.png"])) as image:
            files[f"test/a/{n}.png"] = encoded(image.transform(image.size, Image.Transform.AFFINE, (1, 0, 1, 0, 1, 0)))
    source = make_folder(tmp_path / "source", files)
    assert Prepared(source, tmp_path / "out", model="competition").counts["leaks_near"] == near
    off = Prepared(source, tmp_path / "off", replace(PARAMS, near_duplicates=False), "competition")
    assert off.counts["leaks_near"] == 0


def test_a_class_of_leaks_only(tmp_path: Path) -> None:
    files = split_files() | {"train/c/1.png": noise_png(999), "test/c/1.png": noise_png(999)}
    message = refused(make_zip(tmp_path / "source.zip", files), tmp_path / "out")
    assert "class 'c' has no training images but copies of those in val/, label_book/ or test/; add some" in message


def test_copies_inside_train_are_kept_and_counted(tmp_path: Path) -> None:
    files = bare_files(20)
    for number in range(3):
        files[f"a/copy{number}.png"] = files["a/000.png"]
    files["b/other label.png"] = files["a/001.png"]
    run = Prepared(make_zip(tmp_path / "source.zip", files), tmp_path / "out")
    assert set(run.splits()) == set(files)
    assert run.nonzero("train_copies_") == {"with_one_label": 4, "with_two_labels": 2}
    assert run.counts["leaks_total"] == 0
    copied = [row["split"] for row in run.samples() if row["name"] in ("a/000.png", "a/001.png", "b/other label.png")]
    assert copied == ["train"] * 3


def test_one_test_image_is_refused(tmp_path: Path) -> None:
    files = {name: content for name, content in split_files().items() if not name.startswith("test/")}
    message = refused(make_folder(tmp_path / "source", files | {"test/a/1.png": noise_png(7)}), tmp_path / "out")
    assert message.endswith("has 1 test image, an interval needs 2; add some, or remove test/")


def test_a_source_that_is_changed_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_folder(tmp_path / "source", split_files())

    def slowly(*arguments: Any, **options: Any) -> Any:
        (source / "train/a/late.png").write_bytes(noise_png(9))
        return ingest(*arguments, **options)

    monkeypatch.setattr(prepare, "ingest", slowly)
    assert refused(source, tmp_path / "out").endswith("was changed while it was read; run it again")


def test_a_source_that_is_changed_while_it_is_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_folder(tmp_path / "source", split_files())

    def slowly(*arguments: Any, **options: Any) -> None:
        (source / "train/a/000.png").write_bytes(noise_png(9))
        write_dataset(*arguments, **options)

    monkeypatch.setattr(prepare, "write_dataset", slowly)
    with pytest.raises(UserError, match=r"was changed while it was read; run it again$"):
        Prepared(source, tmp_path / "out")
    assert not (tmp_path / "out/prepare.json").exists()


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_source_that_is_changed_at_the_very_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "zip":
        source = edited = make_zip(tmp_path / "source.zip", split_files())
    else:
        source = make_folder(tmp_path / "source", split_files())
        edited = source / "train/a/000.png"
    last = prepare.announce

    def slowly(*arguments: Any) -> None:
        last(*arguments)
        edited.write_bytes(noise_png(9))

    monkeypatch.setattr(prepare, "announce", slowly)
    with pytest.raises(UserError, match=r"was changed while it was read; run it again$"):
        Prepared(source, tmp_path / "out")


def test_too_deep_a_source_is_refused_by_the_stage_too(tmp_path: Path) -> None:
    source = make_folder(tmp_path / "source", split_files() | {"d/" * 64 + "1.png": b"x"})
    assert refused(source, tmp_path / "out").endswith("lies more than 63 folders deep; move it further up")


# --- params and the command line ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"val_fraction": 0.0}, "val_fraction must be above 0.0, got 0.0"),
        ({"test_fraction": 1.0}, "test_fraction must be below 1.0, got 1.0"),
        ({"max_unreadable": 1.0}, "max_unreadable must be below 1.0, got 1.0"),
        ({"label_book_per_class": 0}, "label_book_per_class must be at least 1"),
        ({"max_image_pixels": 10**9}, "max_image_pixels must be at most"),
    ],
)
def test_params_out_of_range(change: dict[str, Any], words: str) -> None:
    with refused_params(prepare.Params, words):
        replace(PARAMS, **change)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the code with params of its own."""
    for package in ("winnow", "stages"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def command(project: Path, source: str) -> subprocess.CompletedProcess[str]:
    prepare = {field: getattr(PARAMS, field) for field in PARAMS.__dataclass_fields__}
    request = {"model": "auto", "weights": "default", "pixels": 0, "frozen": True, "resize": "letterbox"}
    params = json.dumps({"dataset": {"source": source}, "prepare": prepare, **request})  # JSON is YAML
    (project / "params.yaml").write_text(params)
    words = "--prepared data/prepared --test data/test --model data/model.json --truth data/truth.parquet"
    words += " --facts data/facts --metrics metrics/prepare.json"
    return subprocess.run(
        [sys.executable, "-m", "stages.prepare", *words.split()],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_with_spaces_quotes_and_brackets_in_a_relative_path(project: Path) -> None:
    make_zip(project / 'my [data] set\'s "best".zip', split_files())
    done = command(project, 'my [data] set\'s "best".zip')
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "prepare: train 16, val 4, label_book 4, test 6 images of 2 classes (30 grey, 0 in col"
    )
    assert read_samples(project / "data/prepared").num_rows == 24
    assert json.loads((project / "metrics/prepare.json").read_text())["images_test"] == 6


def test_command_says_one_sentence(project: Path) -> None:
    done = command(project, "no such [place]")
    assert done.returncode == 1
    assert done.stdout == ""
    where = project / "no such [place]"
    assert done.stderr == f"prepare: source '{where}' does not exist; give the path of a folder or of a zip\n"


# --- real sources ---------------------------------------------------------------------------------------------------


def test_roman_numerals(real_data: Path, tmp_path: Path) -> None:
    run = Prepared(real_data / "roman-numerals.zip", tmp_path / "out", replace(PARAMS, max_image_pixels=50_000_000))
    assert class_names(read_samples(run.test)) == ["i", "ii", "iii", "iv", "ix", "v", "vi", "vii", "viii", "x"]
    assert run.nonzero("images_") == {"train": 1654, "val": 413, "label_book": 52, "test": 746, "grey": 2865}
    assert (run.nonzero("rejected_"), run.nonzero("leaks_")) == ({}, {})


def test_sign_digits(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Prepared(real_data / "sign-digits.zip", tmp_path / "out")
    assert class_names(read_samples(run.prepared)) == [str(digit) for digit in range(10)]
    assert run.nonzero("images_") == {"train": 1321, "val": 280, "label_book": 50, "test": 411, "colour": 2062}
    assert "warning: the label book is unverified" in capsys.readouterr().out
