"""Junk near the classes: that it is none of the ten, and that it is drawn."""

import dataclasses

import numpy as np
import pytest

from winnow.synthetic import near_junk
from winnow.synthetic.almost import ALIKE, LONGER, almost_strokes
from winnow.synthetic.hand import Hand, hands
from winnow.synthetic.near_junk import BEYOND, NEAR_KINDS
from winnow.synthetic.numerals import CLASSES, numeral_strokes
from winnow.synthetic.pen import Stroke

WRITER = dataclasses.replace(hands(np.random.default_rng(5), 1, spread=0.85)[0], letterform="plain")


def test_two_numerals_at_once_are_never_one_of_the_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def drawing(text: str, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
        drawn.append(text)
        return numeral_strokes(text, hand, rng)

    monkeypatch.setattr(near_junk, "numeral_strokes", drawing)
    for seed in range(300):
        near_junk.two_at_once(WRITER, np.random.default_rng(seed))
    assert not {first + second for first, second in zip(drawn[::2], drawn[1::2], strict=True)} & set(CLASSES)


def test_longer_numerals_are_none_of_the_ten() -> None:
    assert not set(BEYOND) & set(CLASSES)


def test_what_is_filed_as_a_numeral_is_none_of_the_ten_and_holds_it() -> None:
    assert set(LONGER) == set(CLASSES)
    assert set(ALIKE) < set(CLASSES)
    for label, longer in LONGER.items():
        assert not set(longer) & set(CLASSES)
        assert all(label in other for other in longer)


@pytest.mark.parametrize("label", CLASSES)
def test_junk_almost_a_numeral_is_drawn_at_its_size(label: str) -> None:
    for seed, hand in enumerate(hands(np.random.default_rng(0), 30, spread=0.85)):
        points = np.concatenate([stroke.points for stroke in almost_strokes(label, hand, np.random.default_rng(seed))])
        assert np.isfinite(points).all()
        assert 0.4 < np.ptp(points, axis=0).max() < 7


@pytest.mark.parametrize("kind", dict.fromkeys(NEAR_KINDS), ids=lambda kind: kind.__name__)
def test_near_junk_of_every_kind_is_drawn_at_its_size(kind: object) -> None:
    for seed, hand in enumerate(hands(np.random.default_rng(0), 20, spread=0.85)):
        points = np.concatenate([stroke.points for stroke in kind(hand, np.random.default_rng(seed))])  # type: ignore[operator]
        assert np.isfinite(points).all()
        assert 0.4 < np.ptp(points, axis=0).max() < 7
