"""README.md of the export: what the Hub and Hugging Face's loader read in it, and what people read."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.exports import METRICS, exported, hugging_face
from tests.support.runs import Run, verdict

HOSTILE = ["a|b", "<b>", "*star*", "con"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Four classes; one image dropped, one relabelled by a person, one kept by a person, a copy."""
    made = Run(tmp_path, classes=HOSTILE, gates={"r1": True})
    first, second, third, *_ = made.suspects
    made.copy_of(third)
    made.refined = [row | ({"label": "con"} if row is second else {}) for row in made.refined if row is not first]
    made.verdicts["r1", "cleanse_influence"] = [verdict(first, "drop"), verdict(second), verdict(third, by="mia")]
    made.verdicts["r1", "cleanse_final"] = [verdict(second, "relabel", label_after="con", by="tom")]
    return made.write()


def card(run: Run, **settings: Any) -> tuple[dict[str, Any], str]:
    """The metadata and the text."""
    folder = exported(run.path("data/refined"), run.path("data/prepared"), run.path("export"), **settings)
    _, front, text = re.split("^---\n", (folder / "README.md").read_text(encoding="utf-8"), maxsplit=2, flags=re.M)
    return yaml.safe_load(front), text


def cells(text: str, heading: str) -> list[list[str]]:
    """The rows of the table below a heading, without its header."""
    below = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


def test_the_metadata_is_what_the_hub_knows(run: Run) -> None:
    data, _ = card(run)
    assert data == {
        "pretty_name": "Refined images",
        "license": "unknown",
        "task_categories": ["image-classification"],
        "size_categories": ["n<1K"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": "train/**"}, {"split": "validation", "path": "val/**"}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("mit", {"license": "mit"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("GPL-3.0-or-later", {"license": "gpl-3.0"}),
        ("proprietary", {"license": "other", "license_name": "proprietary"}),
        ("Our own, (c) 2026: ask us", {"license": "other", "license_name": "our-own-c-2026-ask-us"}),
        ("知", {"license": "other", "license_name": "unnamed"}),
    ],
)
def test_a_licence_that_is_no_identifier_is_another_with_a_name(run: Run, licence: str, wanted: dict[str, str]) -> None:
    data, text = card(run, licence=licence)
    assert {key: value for key, value in data.items() if key.startswith("license")} == wanted
    assert "licence of the images is unknown" not in text


@pytest.mark.parametrize("title", ["Numerals: a 'set' # 1", "---\nx", "名 é"])
def test_any_title_is_read_back(run: Run, title: str) -> None:
    data, _ = card(run, title=title)
    assert data["pretty_name"] == title


def test_the_hub_reads_the_metadata_of_a_card_as_it_is(run: Run) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data, _ = card(run, licence="cc0-1.0")
    content = (run.path("export") / "README.md").read_text(encoding="utf-8")
    assert hub.DatasetCard(content).data.to_dict() == data


def test_hugging_face_finds_both_splits_by_the_card(run: Run, tmp_path: Path) -> None:
    card(run)
    for side in hugging_face(run.path("export"), tmp_path):
        assert {name: len(split["images"]) for name, split in side.items()} == {"train": 18, "validation": 9}


def test_people_read_counts_classes_and_what_happened(run: Run) -> None:
    _, text = card(run)
    assert "18 training and 9 validation images of 4 classes, 1 of them augmented copies." in text
    counted = {
        name: [sum((row["split"], row["label"]) == (split, name) for row in run.refined) for split in ("train", "val")]
        for name in HOSTILE
    }
    assert cells(text, "Classes") == [
        [r"a\|b", "class\\_0000", *map(str, counted["a|b"])],
        [r"\<b\>", "class\\_0001", *map(str, counted["<b>"])],
        [r"\*star\*", "class\\_0002", *map(str, counted["*star*"])],
        ["con", "class\\_0003", *map(str, counted["con"])],
    ]
    told = "Winnow judged 27 delivered images (model: competition): 1 were dropped, 1 relabelled, the others kept their"
    assert f"{told} label; people decided about 2 of them." in text
    assert cells(text, "How it was refined") == [
        ["r1", "cleanse\\_influence", "1", "0"],
        ["r1", "cleanse\\_neighbours", "0", "0"],
        ["r1", "cleanse\\_final", "0", "1"],
    ]


def test_figures_are_those_that_the_run_measured(run: Run) -> None:
    _, text = card(run)
    assert [value for _, value in cells(text, "Figures")] == [
        "10.0 %",
        "0.7 %",
        "2.0 points",
        "-1.0 points",
        "5.0 points",
    ]
    _, text = card(run, metrics={"estimate": {"touched": 0.1}, "gate": {"accepted": True}})
    assert cells(text, "Figures") == [["none was measured", ""]]


def test_limits_name_what_this_run_lacks(run: Run) -> None:
    _, sound = card(run, licence="mit")
    _, text = card(
        run, metrics={"counts": {"label_book_verified": False}, "gate": {**METRICS["gate"], "accepted": False}}
    )
    for limit in (
        "licence of the images is unknown",
        f"a label book of which people have checked 0 of {len(run.book)} images",
        "last round of the refinement was rejected",
    ):
        assert limit in text
        assert limit not in sound
    for limit in ("rare images that are right may have been dropped", "Test images and the label book are not part"):
        assert limit in sound


def test_the_label_book_counts_as_far_as_people_have_checked_it(run: Run) -> None:
    book = [row for row in run.samples if row["split"] == "label_book"]
    unverified = {"counts": {"label_book_verified": False}}
    rows = [f"{row['name']},keep,,mia," for row in book]
    _, text = card(run, metrics=unverified, checked="\n".join([*rows[:1], "test/con/7.png,drop,,mia,"]))
    assert f"people have checked 1 of {len(book)} images" in text
    assert "wrong" not in text
    _, text = card(run, metrics=unverified, checked="\n".join([*rows, f"{book[0]['id']},drop,,tom,"]))
    assert "people have checked" not in text
    assert "People found 1 images of the label book wrong" in text


def test_validation_images_that_are_trained_on_are_counted(run: Run) -> None:
    _, text = card(run)
    assert "delivered as validation images" not in text
    moved = [row["id"] for row in run.refined if row["split"] == "val"][:2]
    run.refined = [row | ({"split": "train"} if row["id"] in moved else {}) for row in run.refined]
    run.write()
    _, text = card(run)
    assert "2 images that were delivered as validation images are training images here" in text


def test_a_class_without_images_in_a_split_is_named(run: Run) -> None:
    run.refined = [row for row in run.refined if (row["split"], row["label"]) != ("val", "*star*")]
    run.write()
    _, text = card(run)
    assert r"- No val image is left of \*star\*." in text
