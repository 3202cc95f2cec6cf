"""The export: every image once in its place, readable by the loaders that people have, and traceable."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from tests.support.datasets import make_dataset
from tests.support.exports import Copies, exported, hugging_face
from tests.support.runs import Run, verdict
from winnow.backbone.card import COMPETITION
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import samples_table
from winnow.pipeline.files import digest, write_table
from winnow.pipeline.messages import UserError

HOSTILE = ["a/b", "..", "con", " x ", ".hidden", "test", "[ab]*", "名 é & C#", "$HOME"]


def export(run: Run, *, name: str = "export", copies: Copies = "auto", model: str = COMPETITION) -> Path:
    """The export of a run whose first two suspects were valued, the second by two rounds."""
    for number, rows in enumerate((run.suspects[:2], run.suspects[1:2])):
        quality = {"id": [row["id"] for row in rows], "label_quality": [0.25 + number / 2] * len(rows)}
        write_table(run.path(f"data/r{number + 1}/value/scores.parquet"), pa.table(quality))
    return exported(
        run.path("data/refined"),
        run.path("data/prepared"),
        run.path(name),
        copies=copies,
        model=model,
        scores=[run.path(f"data/{name}/value/scores.parquet") for name in ("r1", "r2")],
    )


def own_name(row: dict[str, Any]) -> str:
    return f"{row['id']}.png" if row["parent"] else row["name"].rpartition("/")[2]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """One relabelled in the first round, whose copy was kept; a second round that was refused."""
    made = Run(tmp_path, gates={"r1": True, "r2": False})
    first, second, third, *_ = made.suspects
    copied = made.copy_of(second)
    made.refined = [row | ({"label": "iii"} if row is first else {}) for row in made.refined]
    made.verdicts["r1", "cleanse_influence"] = [verdict(row) for row in made.suspects]
    made.verdicts["r1", "cleanse_neighbours"] = [
        verdict(first, "relabel", label_after="iii", support=0.5, reason="all neighbours are iii"),
        verdict(copied, support=0.75, reason="a copy among its own"),
    ]
    made.verdicts["r2", "cleanse_final"] = [verdict(third, "drop"), verdict(second, "relabel", label_after="i")]
    return made.write()


def test_every_train_and_val_image_is_there_once_byte_for_byte(run: Run) -> None:
    folder = export(run)
    rows = [row for row in run.refined if row["split"] != "label_book"]
    wanted = {f"{row['split']}/{row['label']}/{own_name(row)}": run.images[row["id"]] for row in rows}
    assert files(folder) == sorted([*wanted, "README.md", "corrections.csv", "croissant.json", "manifest.parquet"])
    assert {name: (folder / name).read_bytes() for name in wanted} == wanted


def test_the_manifest_says_where_each_file_came_from(run: Run) -> None:
    listed = {row["file"]: row for row in pq.read_table(export(run) / "manifest.parquet").to_pylist()}
    first, second, third, fourth, *_ = run.suspects
    moved = listed["train/iii/0.png"]
    assert moved["id"] == first["id"]
    assert (moved["label"], moved["given_label"], moved["origin"], moved["parent"]) == ("iii", "i", "source", None)
    assert (moved["round"], moved["stage"], moved["action"]) == ("r1", "cleanse_neighbours", "relabel")
    assert (moved["reason"], moved["support"], moved["name"]) == ("all neighbours are iii", 0.5, first["name"])
    copied = listed[f"train/ii/{0:016x}.png"]
    assert (copied["parent"], copied["origin"], copied["reason"]) == (second["id"], "random", "a copy among its own")
    # The first was valued under the label delivered, which is not the one that it has.
    assert [row["label_quality"] for row in (moved, listed["train/ii/1.png"], listed["train/iii/2.png"], copied)] == [
        None,
        0.75,
        None,
        None,
    ]
    # What the refused round said of them did not happen.
    for row in (second, third, fourth):
        last = listed[f"{row['split']}/{row['label']}/{own_name(row)}"]
        assert (last["round"], last["stage"], last["action"]) == ("r1", "cleanse_influence", "keep")


def test_an_image_without_a_verdict_has_none(tmp_path: Path) -> None:
    run = Run(tmp_path, gates={}).write()
    rows = pq.read_table(export(run) / "manifest.parquet").to_pylist()
    assert len(rows) == 27
    assert {(row["round"], row["stage"], row["action"], row["reason"], row["support"]) for row in rows} == {(None,) * 5}


def test_equal_datasets_give_equal_bytes_and_nothing_old_stays(run: Run) -> None:
    one, two = export(run, name="one"), export(run, name="two")
    assert digest([one]) == digest([two])
    (one / "train/i/old.png").write_bytes(b"")
    assert digest([export(run, name="one")]) == digest([two])


@pytest.mark.parametrize("colour", [False, True])
def test_torchvision_and_hugging_face_read_it(tmp_path: Path, colour: bool, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path, classes=HOSTILE, colour=colour).write()
    folder = export(run)
    assert "8 classes under another folder name" in capsys.readouterr().out
    rows = {row["file"]: row for row in pq.read_table(folder / "manifest.parquet").to_pylist()}
    label_of = {row["folder"]: row["label"] for row in rows.values()}
    assert sorted(label_of.values()) == sorted(HOSTILE)
    for split in ("train", "val"):
        loaded = ImageFolder(folder / split)
        assert loaded.classes == sorted(label_of)
        assert len(loaded) == sum(row["split"] == split for row in rows.values())
        for path, index in loaded.samples:
            assert label_of[loaded.classes[index]] == rows[Path(path).relative_to(folder).as_posix()]["label"]
    for side in hugging_face(folder, tmp_path):
        assert set(side) == {"train", "validation"}
        for split, ours in (("train", "train"), ("validation", "val")):
            assert side[split]["columns"] == ["image", "label"]
            assert side[split]["names"] == sorted(label_of)
            wanted = [[row["folder"], *image_of(run, row["id"])] for row in rows.values() if row["split"] == ours]
            assert sorted(side[split]["images"]) == sorted(wanted)
            assert {mode for _, mode, _ in wanted} == {"RGB" if colour else "L"}


def image_of(run: Run, identifier: str) -> list[str]:
    image = Image.open(io.BytesIO(run.images[identifier]))
    return [image.mode, image.tobytes().hex()]


def test_grey_stays_grey_among_coloured_ones(tmp_path: Path) -> None:
    run = Run(tmp_path, colour=True)
    grey = run.suspects[0]
    run.images[grey["id"]] = encode_png(np.full((16, 16, 1), 7, np.uint8))
    folder = export(run.write())
    modes = {path: Image.open(io.BytesIO(path.read_bytes())).mode for path in folder.rglob("*.png")}
    assert modes.pop(folder / grey["name"]) == "L"
    assert set(modes.values()) == {"RGB"}


def test_a_split_without_images_is_refused_and_a_class_without_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset(tmp_path / "train-only", {"train": 4, "label_book": 3})
    with pytest.raises(UserError, match="no val images are left"):
        exported(dataset, dataset, tmp_path / "export")
    dataset = make_dataset(tmp_path / "gap", {"train": 6, "val": 2})
    exported(dataset, dataset, tmp_path / "export")
    told = capsys.readouterr().out
    assert "6 train and 2 val images" in told
    assert "export: warning: val has no image of class 'iii'; give its loader the other's class numbers" in told


def test_a_missing_image_is_told(tmp_path: Path) -> None:
    run = Run(tmp_path).write()
    write_dataset(run.path("data/refined"), samples_table(run.refined, run.classes))
    with pytest.raises(UserError, match=r"lacks 27 images, .* run `dvc checkout"):
        export(run)


def test_an_export_over_an_earlier_one_is_the_same_as_one_made_anew(run: Run) -> None:
    first = export(run)
    untouched = {path: path.stat().st_mtime_ns for path in first.rglob("*.png")}
    gone, renamed = run.suspects[3], run.suspects[4]
    run.refined = [row | ({"label": "i"} if row is renamed else {}) for row in run.refined if row is not gone]
    run.write()
    (first / "train" / "left behind").write_bytes(b"by somebody")
    again, anew = export(run), export(run, name="anew")
    assert digest([again]) == digest([anew])
    same = [path for path, time in untouched.items() if path.exists() and path.stat().st_mtime_ns == time]
    assert len(same) >= len(untouched) - 2
