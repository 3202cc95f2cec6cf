"""One sample's story in a small repository: found by name, end of name and id; told in text and pictures."""

import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tests.history.test_diff import Page
from tests.support.history import (
    BOOK,
    CLASSES,
    HOSTILE,
    NAMES,
    TESTED,
    child,
    first,
    identify,
    make_history,
    png,
    row,
    second,
    verdict,
    write_verdicts,
)
from tests.support.workspace import Workspace
from winnow.commands.why import answer
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import samples_table
from winnow.history.story import Delivered, find, suggest
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace as after the first refinement."""
    workspace = make_history(tmp_path_factory.mktemp("two refinements"))
    first(workspace.folder)
    return workspace


def told(history: Workspace, *arguments: str) -> list[str]:
    text, code = answer(arguments, history.folder)
    assert code == 0
    return text.splitlines()


def test_the_story_of_a_dropped_sample(history: Workspace) -> None:
    assert told(history, NAMES[0]) == [
        f"train/i/0.png ({identify(NAMES[0])})",
        "delivered as i, split train",
        "",
        "r1 cleanse_influence: drop i: harms 1 image (-0.25)",
        f"  evidence {identify(BOOK[0])}  label_book/i/0.png  i",
        "",
        "now: not in data/refined, dropped by r1 cleanse_influence",
    ]


def test_the_story_of_a_relabelled_sample(history: Workspace) -> None:
    lines = told(history, "ii/3.png")
    assert [line for line in lines if line.startswith("r1")] == [
        "r1 cleanse_influence: keep ii: harms none (-0.25)",
        "r1 cleanse_neighbours: relabel ii > i: 2 of 3 are i (0.5)",
    ]
    assert lines[-1] == "now: in data/refined as i"


def test_children_with_their_operations_and_a_copy(history: Workspace) -> None:
    lines = told(history, "train/i/1.png")
    assert lines[-4:] == [
        "children: 1 random",
        "  train/i/1.png#random-0  rotate 3.5  as i",
        "",
        "now: in data/refined as i",
    ]
    assert f"the same pixels as {identify(NAMES[5])}  train/ii/1.png  ii" in told(history, "train/ii/0.png")


def test_an_augmented_sample_has_a_story_too(history: Workspace) -> None:
    name = child(NAMES[1], 0, "i")["name"]
    for wanted in (name, identify(name)):
        assert told(history, wanted) == [
            f"{name} ({identify(name)})",
            f"made from {identify(NAMES[1])} (train/i/1.png) by random: rotate 3.5",
            "split train",
            "",
            "now: in data/refined as i",
        ]


@pytest.mark.parametrize(
    ("wanted", "now"),
    [
        ("bad.png", "now: rejected at prepare: damaged image"),
        ("train/i/7.png", "now: left out at prepare: test holds the same pixels, and keeps them"),
        ("f" * 16, "now: left out at prepare: test holds the same pixels, and keeps them"),
        (TESTED, "now: in the test set, which is never refined"),
        (BOOK[1], "now: in data/refined as ii"),
        (HOSTILE[0], "now: in data/refined as <b>"),
        ("/home/me/pictures/train/i/2.png", "now: in data/refined as i"),
    ],
)
def test_where_it_is_now(history: Workspace, wanted: str, now: str, tmp_path: Path) -> None:
    assert told(history, wanted, "--html", str(tmp_path / "page.html"))[-1] == now
    assert now.removeprefix("now: ") in Page((tmp_path / "page.html").read_bytes()).texts


def test_a_dataset_that_is_not_made_yet_is_said_to_be_so(history: Workspace) -> None:
    last = "data/none is not in the workspace: run `dvc repro`, or name another with --dataset"
    assert told(history, NAMES[0], "--dataset", "data/none")[-1] == f"now: dropped by r1 cleanse_influence; {last}"
    assert told(history, NAMES[1], "--dataset", "data/none")[-1] == f"now: dropped by no verdict; {last}"


def test_a_drop_that_a_refused_round_asked_for_is_told(root: Path) -> None:
    write_verdicts(root, "cleanse_neighbours", [verdict(NAMES[1], "drop", "i", None, "alone")])
    text, _ = answer([NAMES[1]], root)
    assert text.endswith("now: in data/refined as i, although r1 cleanse_neighbours drops it")


def test_an_image_that_a_person_brought_back_is_told(root: Path) -> None:
    write_verdicts(root, "cleanse_influence", [verdict(NAMES[1], "drop", "i", None, "alone")])
    write_verdicts(root, "cleanse_neighbours", [verdict(NAMES[1], "keep", "i", "i", "override by mia", by="mia")])
    text, _ = answer([NAMES[1]], root)
    assert text.endswith("now: in data/refined as i, brought back by r1 cleanse_neighbours")


def test_the_page_shows_the_sample_and_the_evidence(root: Path, tmp_path: Path) -> None:
    second(root)
    answer([HOSTILE[1], "--html", str(tmp_path / "page.html")], root)
    page = Page((tmp_path / "page.html").read_bytes())
    assert page.pictures == [png(HOSTILE[1]), png(BOOK[0])]
    assert not page.tags & {"script", "b", "i", "link", "iframe", "object"}
    assert "http:" not in (tmp_path / "page.html").read_text()
    assert repr(HOSTILE[1]) in page.texts
    assert any("harms <i>2</i> images" in text for text in page.texts)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("exact", "val holds the same pixels, and keeps them"),
        ("near", "val holds nearly the same picture, and keeps it"),
        ("group", "val holds an image of the same group, and keeps it"),
    ],
)
def test_a_leak_is_shown_with_the_image_that_keeps_it_out(root: Path, tmp_path: Path, kind: str, words: str) -> None:
    kept, out = identify(NAMES[0]), identify(NAMES[1])
    leak = {"id": "f" * 16, "name": "train/i/7.png", "split": "train", "label": "i", "kept_in": "val"}
    leak |= {"kept_id": kept, "kind": kind}
    write_table(root / "data/prepared/leaks.parquet", pa.Table.from_pylist([leak]))
    assert answer(["train/i/7.png", "--html", str(tmp_path / "page.html")], root)[0].endswith(words)
    assert Page((tmp_path / "page.html").read_bytes()).pictures == []
    table = samples_table([row(NAMES[0]), row(NAMES[1], id="f" * 16)], CLASSES)
    images = [(kept, png(NAMES[0])), ("f" * 16, png(NAMES[1])), (out, png(NAMES[1]))]
    write_dataset(root / "data/prepared/leaks", table, images=images)
    answer(["train/i/7.png", "--html", str(tmp_path / "page.html")], root)
    page = Page((tmp_path / "page.html").read_bytes())
    assert page.pictures == [png(NAMES[1]), png(NAMES[0])]
    assert "kept in val" in page.texts


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("1.png", "^1.png fits 2 files: train/i/1.png, train/ii/1.png; give more of the path, or the id$"),
        ("train/ii/33.png", r"^train/ii/33.png is no file of this source; did you mean train/ii/3.png"),
        ("TRAIN/ii/3.PNG", r"did you mean train/ii/3.png"),
        ("ng", "^ng is no file of this source; data/prepared/samples.parquet lists the names$"),
        ("", "^'' is no file of this source"),
        ("no\nline", r"^'no\\nline' is no file of this source"),
    ],
)
def test_a_name_that_fits_no_single_file_says_which_could_be_meant(
    history: Workspace, wanted: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        answer([wanted], history.folder)


def test_many_candidates_are_counted_and_not_all_named() -> None:
    files = [Delivered(f"train/a{n}/0.png", f"{n:016x}") for n in range(25)]
    with pytest.raises(UserError, match=r"fits 25 files: .*train/a9/0.png and 15 more; give more"):
        find("0.png", files)
    assert find("a24/0.png", files) == files[24]
    assert find("0" * 15 + "3", files) == files[3]


def test_a_name_is_found_however_its_letters_are_composed() -> None:
    files = [Delivered("train/\u00e9/1.png", "0" * 16), Delivered("train/e/1.png", "1" * 16)]
    assert find("train/e\u0301/1.png", files) == files[0]


def test_an_exact_name_wins_over_the_end_of_another() -> None:
    files = [Delivered("a/b.png", "0" * 16), Delivered("train/a/b.png", "1" * 16)]
    assert find("a/b.png", files) == files[0]


def test_suggestions_compare_as_many_parts_as_are_given() -> None:
    names = ["train/cat/whiskers.png", "train/dog/whisky.png", "val/cat/rex.png"]
    assert suggest("wiskers.png", names)[0] == "train/cat/whiskers.png"
    assert suggest("cats/whiskers.png", names)[0] == "train/cat/whiskers.png"
    assert suggest("train/owl/zzzzzzzz.gif", names) == []


def test_missing_tables_say_what_to_do(root: Path) -> None:
    (root / "data/r1/cleanse_influence/verdicts.parquet").unlink()
    with pytest.raises(UserError, match=r"verdicts.parquet is not in the workspace; run `dvc repro`, or `dvc pull`"):
        answer([NAMES[0]], root)
    shutil.rmtree(root / "data/prepared")
    with pytest.raises(UserError, match=r"data/prepared/samples.parquet is not in the workspace"):
        answer([NAMES[0]], root)


def test_exit_codes_of_the_command(history: Workspace) -> None:
    found = history.run(sys.executable, "-m", "winnow.why", NAMES[0], check=False)
    assert (found.returncode, found.stderr) == (0, "")
    unknown = history.run(sys.executable, "-m", "winnow.why", "nobody", check=False)
    assert (unknown.returncode, unknown.stdout, unknown.stderr.count("\n")) == (2, "", 1)
