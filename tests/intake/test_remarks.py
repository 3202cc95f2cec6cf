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
    assert remarks(source(), CLASSES, near=True) == []


def test_classes_that_a_split_lacks_are_named() -> None:
    samples = [one for one in source() if (one.split, one.label) not in {("test", "b"), ("label_book", "a")}]
    assert remarks(samples, CLASSES, near=True) == [
        "label_book has no image of class 'a', and says nothing of them; add some to the source",
        "test has no image of class 'b', and says nothing of them; add some to the source",
    ]
    assert remarks([one for one in source() if one.split != "val"], CLASSES, near=True) == [
        "val has no image of classes 'a', 'b', and says nothing of them; add some to the source"
    ]


def test_names_that_differ_in_case_or_blanks_alone_may_be_one_class() -> None:
    assert remarks([], ["Cat", "cat ", "dog"], near=True)[-1] == (
        "classes 'Cat', 'cat ' differ in case or blanks alone; if they are one class, join their folders"
    )


def test_a_class_that_is_one_group_by_looks_alone() -> None:
    samples = [replace(one, group="g") if one.label == "a" and one.split == "train" else one for one in source()]
    assert remarks(samples, CLASSES, near=True) == [
        "20 of the 23 images of class 'a' look like one and stay in one split; if a fixed camera took them, set "
        "prepare.near_duplicates to false"
    ]
    assert remarks(samples, CLASSES, near=False) == []
    by_csv = [replace(one, listed="clip") if one.group == "g" else one for one in samples]
    equal = [replace(one, pixel_hash="same") if one.group == "g" else one for one in samples]
    few = [replace(one, group=one.id) if int(one.id, 16) > 8 else one for one in samples]
    assert not any(remarks(others, CLASSES, near=True) for others in (by_csv, equal, few))
    one_of_a_clip = [replace(one, listed="clip") if one.id == samples[0].id else one for one in samples]
    assert len(remarks(one_of_a_clip, CLASSES, near=True)) == 1
