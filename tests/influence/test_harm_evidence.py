"""The sentence of evidence: its counts, its order and its certainty against made-up effects."""

import numpy as np
import pytest

from winnow.influence.columns import book_columns
from winnow.influence.harm_evidence import evidence_of_harm

BOOK = book_columns(["p", "q", "r"], np.arange(3), ["x", "y", "z"], by_class=False)
CLASSES = book_columns(["p", "q", "r", "s"], np.array([1, 2, 0, 0]), ["z", "x", "y"], by_class=True)


def made_up() -> tuple[np.ndarray, np.ndarray]:
    """40 images of one class; image 0 harms q most and then p, image 1 deviates on r where its effect helps."""
    effect = np.tile(np.array([[1.0], [-1.0]]), (20, 3))  # mean 0, spread 1
    effect[0] = [-10.0, -20.0, -1.0]
    effect[:, 2] += 100.0
    effect[1, 2] = 60.0
    return effect, np.zeros(40, dtype=np.int64)


def test_the_sentence_counts_what_is_harmed_and_says_whether_chance_gives_it() -> None:
    effect, labels = made_up()
    p = np.full(40, 0.8)
    p[:3] = [0.0004, 0.012, 0.2]
    first, second, third, *_ = evidence_of_harm(effect, labels, p, BOOK, rate=0.05)
    assert (
        first.sentence
        == "its influence harms 2 of 3 label-book images, significant at a false-discovery rate of 5% (p below 0.001)"
    )
    assert (first.harmed, first.sure) == (["q", "p"], True)
    assert (
        second.sentence
        == "its influence harms none of 3 label-book images, not significant at a false-discovery rate of 5% (p 0.012)"
    )
    assert (second.harmed, second.sure) == ([], False)
    assert third.sentence.endswith("(p 0.200)")


def test_deviation_is_that_from_the_class_and_the_order_is_by_it() -> None:
    """q is harmed by more, p by more of its spread."""
    effect, labels = made_up()
    effect[:, 1] *= 100
    effect[0, 1] = -900.0
    assert evidence_of_harm(effect, labels, np.full(40, 0.001), BOOK, rate=0.05)[0].harmed == ["p", "q"]
    other = np.where(np.arange(40) == 0, 1, 0)  # alone in its class, an image deviates from nothing
    assert evidence_of_harm(effect, other, np.full(40, 0.001), BOOK, rate=0.05)[0].harmed == []


def test_sure_is_decided_among_all_images() -> None:
    effect, labels = made_up()
    p = np.full(40, 1.0)
    p[0] = 0.002
    assert not any(one.sure for one in evidence_of_harm(effect, labels, p, BOOK, rate=0.05))  # 0.05 / 40 is 0.00125
    p[0] = 0.001
    assert [one.sure for one in evidence_of_harm(effect, labels, p, BOOK, rate=0.05)].index(True) == 0


def test_shapes_are_checked() -> None:
    effect, labels = made_up()
    with pytest.raises(ValueError, match=r"got \(39,\) and 3"):
        evidence_of_harm(effect, labels, np.ones(39), BOOK, rate=0.05)


def test_classes_are_counted_and_each_is_shown_by_one_of_its_images() -> None:
    effect, labels = made_up()
    first, *_ = evidence_of_harm(effect[:, [2, 0, 1]], labels, np.full(40, 0.001), CLASSES, rate=0.05)
    assert first.sentence.startswith("its influence harms 2 of 3 classes of the label book, significant")
    assert first.harmed == ["q", "p"]
