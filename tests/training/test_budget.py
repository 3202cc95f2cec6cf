"""Epochs of a run that is bounded by its updates."""

import pytest

from winnow.training.budget import epochs_within


@pytest.mark.parametrize(
    ("images", "most_steps", "epochs"),
    [(2000, 1200, 12), (3200, 1200, 12), (3201, 1200, 11), (35_000, 1200, 1), (10**6, 1200, 1), (10**6, 0, 12)],
)
def test_epochs_are_those_asked_for_or_what_fits_but_never_none(images: int, most_steps: int, epochs: int) -> None:
    assert epochs_within(12, most_steps=most_steps, batch=32, images=images) == epochs
