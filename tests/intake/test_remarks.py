"""What is remarked on of a source that a run can use: by hand, each kind alone."""

from dataclasses import replace

from winnow.intake.remarks import remarks
from winnow.intake.sample import Sample

CLASSES = ["a", "b"]


def sample(number: int, label: str, split: str) -> Sample:
    return Sample(
        id=f"{number:016x}",
        name=f"{split}/{label}/{number}.png",
        key="",
        split=split,
        label=label,
        pixel_hash=str(number),
        channels=3,
        width=100,
        height=100,
        line_art=False,
        content=str(number),
        perceptual_hash=b"",
        group=f"{number:016x}",
    )


def source(each: int = 20) -> list[Sample]:
    """``each`` training images of both classes, and one of each in every other split."""
    places = [(label, split) for label in CLASSES for split in (*["train"] * each, "val", "label_book", "test")]
    return [sample(number, *place) for number, place in enumerate(places)]


def test_nothing_is_remarked_on_where_nothing_is_odd() -> None:
    assert remarks(source(), CLASSES) == []


def test_classes_that_a_split_lacks_are_named() -> None:
    samples = [one for one in source() if (one.split, one.label) not in {("test", "b"), ("label_book", "a")}]
    assert remarks(samples, CLASSES) == [
        "label_book has no image of class 'a'; add some, if what it says of them matters",
        "test has no image of class 'b'; add some, if what it says of them matters",
    ]
    assert remarks([one for one in source() if one.split != "val"], CLASSES) == [
        "val has no image of classes 'a', 'b'; add some, if what it says of them matters"
    ]


def test_names_that_differ_in_case_or_blanks_alone_may_be_one_class() -> None:
    assert remarks([], ["Cat", "cat ", "dog"])[-1] == (
        "classes 'Cat', 'cat ' differ in case or blanks alone; if they are one class, join their folders"
    )


def test_a_class_that_is_one_group_by_looks_alone() -> None:
    samples = [replace(one, group="g") if one.label == "a" and one.split == "train" else one for one in source()]
    assert remarks(samples, CLASSES) == [
        "20 of the 23 images of class 'a' look like one and stay in one split; if a fixed camera took them, set "
        "prepare.near_duplicates to false"
    ]
    by_csv = [replace(one, listed="clip") if one.group == "g" else one for one in samples]
    equal = [replace(one, pixel_hash="same") if one.group == "g" else one for one in samples]
    few = [replace(one, group=one.id) if int(one.id, 16) > 8 else one for one in samples]
    assert remarks(by_csv, CLASSES) == remarks(equal, CLASSES) == remarks(few, CLASSES) == []
