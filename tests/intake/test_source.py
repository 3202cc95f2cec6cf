import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.support.source_checks import LIMITS, empty, refused
from tests.support.sources import bare_files, make_folder, make_zip, noise_png, split_files
from winnow.dataset.samples import SPLITS
from winnow.intake.layout import lay_out
from winnow.intake.source import check_source, open_source, resolve_source
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError, natural_order


def seen(path: Path) -> dict[str, tuple[str, str]]:
    """Split and class of each file in a class folder."""
    with open_source(path) as source:
        return {entry.name: (entry.split, entry.label) for entry in source.layout.entries}


# --- layouts --------------------------------------------------------------------------------------------------------


def test_bare_classes(tmp_path: Path) -> None:
    files = empty("b/1.png a/1.png a/2.jpg")
    expected = {"a/1.png": ("train", "a"), "a/2.jpg": ("train", "a"), "b/1.png": ("train", "b")}
    for path in (make_folder(tmp_path / "folder", files), make_zip(tmp_path / "packed.zip", files)):
        assert seen(path) == expected
        assert list(seen(path)) == sorted(expected)


def test_splits(tmp_path: Path) -> None:
    files = empty("train/a/1.png train/b/1.png val/a/2.png label_book/b/3.png test/a/4.png")
    assert seen(make_folder(tmp_path, files | {"truth.csv": b"name,label,noise\n"})) == {
        "label_book/b/3.png": ("label_book", "b"),
        "test/a/4.png": ("test", "a"),
        "train/a/1.png": ("train", "a"),
        "train/b/1.png": ("train", "b"),
        "val/a/2.png": ("val", "a"),
    }


@pytest.mark.parametrize("wrapper", ["data", "repo-main/data"])
@pytest.mark.parametrize("names", ["a/1.png b/1.png", "train/a/1.png train/b/1.png"])
def test_folders_around_the_layout_are_looked_through(tmp_path: Path, wrapper: str, names: str) -> None:
    plain = seen(make_folder(tmp_path / "plain", empty(names)))
    wrapped = {f"{wrapper}/{name}": b"" for name in names.split()} | {"README.md": b"", "LICENSE": b""}
    assert seen(make_folder(tmp_path / "wrapped", wrapped)) == plain


def test_train_alone_is_a_split_and_no_wrapper(tmp_path: Path) -> None:
    assert seen(make_folder(tmp_path, empty("train/a/1.png train/b/1.png")))["train/a/1.png"] == ("train", "a")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    found = seen(make_folder(tmp_path, empty("train/1.png bus/1.png car/1.png")))
    assert found["train/1.png"] == ("train", "train")


def test_below_a_class_any_depth_is_that_class(tmp_path: Path) -> None:
    found = seen(make_folder(tmp_path, empty("train/a/x/y/1.png train/b/1.png")))
    assert found["train/a/x/y/1.png"] == ("train", "a")
    found = seen(make_folder(tmp_path / "bare", empty("a/x/1.png b/1.png")))
    assert found["a/x/1.png"] == ("train", "a")


def test_images_outside_class_folders_are_strays(tmp_path: Path) -> None:
    files = empty("train/a/1.png train/b/1.png train/2.png 3.jpg notes.txt docs/how.txt")
    with open_source(make_folder(tmp_path, files)) as source:
        assert source.layout.strays == ["3.jpg", "train/2.png"]
        assert [entry.name for entry in source.layout.entries] == ["train/a/1.png", "train/b/1.png"]


def test_classes_are_those_of_train_in_natural_order(tmp_path: Path) -> None:
    with open_source(make_folder(tmp_path, {f"{name}/1.png": b"" for name in ("10", "2", "b1", "a", "1")})) as source:
        assert source.layout.classes == ["1", "2", "10", "a", "b1"]


def wrapper_by_definition(names: list[str]) -> str:
    """The folders around the layout, one more for as long as a single folder holds all folders with files."""
    wrapper = ""
    while True:
        below = [name.removeprefix(wrapper) for name in names if name.startswith(wrapper)]
        tops = {name.split("/")[0] for name in below if "/" in name}
        if len(tops) != 1 or tops <= set(SPLITS) or not any(name.count("/") >= 2 for name in below):
            return wrapper
        wrapper += f"{tops.pop()}/"


PARTS = st.lists(st.sampled_from(["a", "b", "aa", "train", "val"]), max_size=4)


@given(st.lists(PARTS, max_size=6), PARTS)
def test_the_folders_around_the_layout_are_those_of_the_definition(paths: list[list[str]], around: list[str]) -> None:
    names = ["/".join([*around, *parts, f"{n}.png"]) for n, parts in enumerate(paths)] + ["README.md"]
    found = ""
    with contextlib.suppress(UserError):
        found = lay_out(names, set(), "x").wrapper
        assert found == wrapper_by_definition(names)
    event(f"{found.count('/')} folders")


def test_a_class_of_very_many_digits() -> None:
    long = "7" * 5000
    names = [f"{label}/1.png" for label in (long, long[:-1] + "8", "12")]
    assert lay_out(names, set(), "x").classes == ["12", long, long[:-1] + "8"]


def test_natural_order_is_total() -> None:
    names = ["x1y10", "x1y9", "x", "1", "01", "", "é", "2"]
    assert sorted(names, key=natural_order) == sorted(reversed(names), key=natural_order)
    assert sorted(["x1y10", "x1y9"], key=natural_order) == ["x1y9", "x1y10"]


# --- sources that cannot work ---------------------------------------------------------------------------------------

LAY_OUT = "lay it out as train/<class>/<image> or <class>/<image>"


@pytest.mark.parametrize("names", ["", "a/notes.txt b/table.csv"])
def test_no_images(tmp_path: Path, names: str) -> None:
    assert refused(make_folder(tmp_path, empty(names))).endswith(f"holds no images in class folders; {LAY_OUT}")


@pytest.mark.parametrize("names", ["1.png 2.png", "train/1.png test/2.png"])
def test_images_without_class_folders(tmp_path: Path, names: str) -> None:
    message = refused(make_folder(tmp_path, empty(names)))
    assert message.endswith(f"holds no images in class folders; 2 lie outside class folders; {LAY_OUT}")


def test_empty_zip(tmp_path: Path) -> None:
    assert "holds no images" in refused(make_zip(tmp_path / "packed.zip", {}))


@pytest.mark.parametrize("names", ["a/1.png a/2.png", "train/a/1.png test/a/2.png", "data/a/1.png"])
def test_one_class(tmp_path: Path, names: str) -> None:
    message = refused(make_folder(tmp_path, empty(names)))
    assert message.endswith("has only one class, 'a'; a classifier needs two or more class folders")


@pytest.mark.parametrize("split", ["", "train/"])
def test_a_class_without_training_images(tmp_path: Path, split: str) -> None:
    folder = make_folder(tmp_path, empty(f"{split}a/1.png {split}b/1.png"))
    (folder / f"{split}c").mkdir()
    assert refused(folder).endswith("class 'c' has no training images; add some or remove its folder")


def test_a_class_of_other_files_only(tmp_path: Path) -> None:
    message = refused(make_folder(tmp_path, empty("a/1.png b/1.png c/notes.txt")))
    assert message.endswith("class 'c' has no training images; add some or remove its folder")


def test_an_empty_class_folder_in_a_zip(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "packed.zip", empty("train/a/1.png train/b/1.png train/c/"))
    assert refused(archive).endswith("class 'c' has no training images; add some or remove its folder")


@pytest.mark.parametrize("split", ["test", "val", "label_book"])
def test_a_class_unknown_to_train(tmp_path: Path, split: str) -> None:
    message = refused(make_folder(tmp_path, empty(f"train/a/1.png train/b/1.png {split}/xi/1.png")))
    assert f"class 'xi' of {split}/ is unknown to train/; add training images of it, or rename" in message


def test_no_train(tmp_path: Path) -> None:
    message = refused(make_folder(tmp_path, empty("test/a/1.png val/b/1.png")))
    assert message.endswith("holds no training images; lay them out as train/<class>/<image>")


def test_class_folders_beside_a_split(tmp_path: Path) -> None:
    message = refused(make_folder(tmp_path, empty("a/1.png b/1.png test/a/1.png")))
    assert message.endswith("has test/<class>/ but no train/<class>/; move its class folders into train/")


def test_an_image_folder_that_is_no_split(tmp_path: Path) -> None:
    message = refused(make_folder(tmp_path, empty("train/a/1.png train/b/1.png validation/a/1.png")))
    assert "the folder 'validation' beside train/ is none of train, val, label_book, test; rename it" in message


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            "Training/a/1.png Training/b/1.png Testing/a/2.png Testing/b/2.png",
            "'Testing' and 'Training' look like splits",
        ),
        ("Train/a/1.png Valid/a/1.png extra/b/1.png", "'Train' and 'Valid' look like splits"),
        ("TRAIN/1.png Test/2.png", "'TRAIN' and 'Test' look like splits"),
        ("seg_train/a/1.png seg_test/a/1.png seg_pred/1.png", "'seg_test' and 'seg_train' look like splits"),
        ("training_set/a/1.png test_set/b/1.png", "'test_set' and 'training_set' look like splits"),
        ("train2017/a/1.png val2017/a/1.png", "'train2017' and 'val2017' look like splits"),
        ("dev/a/1.png eval/a/1.png", "'dev' and 'eval' look like splits"),
        ("a/train_set/1.png b/test-set/1.png", "'test-set' and 'train_set' lie below the classes"),
        ("a/train/1.png a/test/2.png b/train/1.png b/test/2.png", "'test' and 'train' lie below the classes"),
    ],
)
def test_splits_by_other_names_or_below_the_classes_are_never_taken_for_classes(
    tmp_path: Path, names: str, told: str
) -> None:
    assert told in refused(make_folder(tmp_path, empty(names)))


@pytest.mark.parametrize(
    "names",
    [
        "valid/x/1.png invalid/1.png",
        "Test/1.png bus/1.png",
        "a/test/1.png b/2.png",
        "freight_train/x/1.png toy-train/x/2.png",
        "snow/val_thorens/1.png city/train_station/2.png",
        "valid/x/1.png test_failed/x/2.png",
        "cat/dev_1/1.png dog/test_2/2.png",
        "blåval/x/1.png prétest/x/2.png",
        "contrast/1.png latest/1.png",
    ],
)
def test_one_class_may_be_called_as_a_split_is(tmp_path: Path, names: str) -> None:
    assert len(seen(make_folder(tmp_path, empty(names)))) == 2


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        ("a/1.png b/1.png .net/1.png", ".net"),
        ("d/a/1.png d/b/1.png d/.net/1.png", "d/.net"),
        ("d/a/1.png d/b/1.png .net/1.png", ".net"),
        ("train/a/1.png train/b/1.png train/.net/1.png", "train/.net"),
        ("d/train/a/1.png d/train/b/1.png d/test/.net/1.png", "d/test/.net"),
        ("train/a/1.png train/b/1.png .thumbs/1.png", ".thumbs"),
    ],
)
@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_a_hidden_folder_that_may_be_a_class_is_refused(
    tmp_path: Path, make: Callable[..., Path], names: str, folder: str
) -> None:
    assert refused(make(tmp_path / "x", empty(names))).endswith(
        f"the folder '{folder}' holds images, and names that begin with a dot are skipped; rename it if it is a class, "
        "or take it out"
    )


@pytest.mark.parametrize(
    "hidden", [".cache/1.png", ".git/1.png", "._b/1.png", "a/.old/1.png", ".net/1.txt", ".n/d/1.png"]
)
def test_hidden_folders_that_are_no_classes_are_skipped(tmp_path: Path, hidden: str) -> None:
    assert set(seen(make_folder(tmp_path, empty(f"a/1.png b/1.png {hidden}")))) == {"a/1.png", "b/1.png"}


def test_images_beside_the_folders_around_the_layout_are_strays(tmp_path: Path) -> None:
    with open_source(make_folder(tmp_path, empty("cover.png d/a/1.png d/b/1.png d/loose.png"))) as source:
        assert source.layout.strays == ["loose.png", "cover.png"]


def test_missing_path(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "gone")


# --- too many unreadable --------------------------------------------------------------------------------------------


def with_faults(per_class: int, faults: int) -> dict[str, bytes]:
    files = bare_files(per_class, "ab")
    for name in list(files)[:faults]:
        files[name] = b""
    return files


def test_five_percent_unreadable_pass_and_more_do_not(tmp_path: Path) -> None:
    check_source(make_folder(tmp_path / "few", with_faults(20, 2)), **LIMITS)
    many = make_folder(tmp_path / "many", with_faults(20, 3))
    assert refused(many).endswith(
        "more than 5% of its 40 images cannot be read, 'a/000.png' (empty file), 'a/001.png' (empty file), "
        "'a/002.png' (empty file) first; mend or remove them, or raise prepare.max_unreadable in params.yaml"
    )
    check_source(many, max_unreadable=0.1, max_pixels=LIMITS["max_pixels"])


def test_files_that_promise_no_image_are_not_counted(tmp_path: Path) -> None:
    files = bare_files(5, "ab") | {f"a/{number}.txt": b"note" for number in range(30)}
    check_source(make_zip(tmp_path / "packed.zip", files), **LIMITS)
    assert "unknown image format" in refused(make_zip(tmp_path / "worse.zip", files | {"a/x": b"no suffix"}))


def test_headers_of_good_sources_pass(tmp_path: Path) -> None:
    for path in (make_folder(tmp_path / "folder", split_files()), make_zip(tmp_path / "packed.zip", split_files())):
        check_source(path, **LIMITS)


def test_an_image_is_known_by_its_content(tmp_path: Path) -> None:
    files = {"a/1.txt": noise_png(1), "a/2.png": noise_png(2), "b/1.png": noise_png(3)}
    check_source(make_folder(tmp_path, files), **LIMITS)


# --- where it is ----------------------------------------------------------------------------------------------------


def test_a_source_is_relative_to_the_repository(tmp_path: Path) -> None:
    assert resolve_source("data/x [1].zip") == ROOT / "data/x [1].zip"
    assert resolve_source(str(tmp_path)) == tmp_path


def test_an_empty_source_does_not_mean_the_repository() -> None:
    with pytest.raises(UserError, match=r"dataset\.source is empty; give the path"):
        resolve_source(" ")


def test_the_check_loads_nothing_heavy() -> None:
    code = "import sys, winnow.intake.source; print({'torch', 'sklearn', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
