"""Looks that images show, by their definition, and what the label check says of one that none shows."""

import numpy as np
import pytest

from winnow.policy_search.label_check import LabelCheck
from winnow.policy_search.looks import negative_share, without_unseen_looks


def sheets(paper: int, ink: int, count: int, *, size: int = 12) -> np.ndarray:
    """Images with a stroke that touches the border, as many do."""
    images = np.full((count, size, size, 1), paper, dtype=np.uint8)
    images[:, :, size // 2] = ink
    return images


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (190, 30)])
def test_the_share_is_that_of_the_images_with_the_border_of_a_negative(paper: int, ink: int) -> None:
    images = np.concatenate([sheets(paper, ink, 97), sheets(255 - paper, 255 - ink, 3)])
    assert negative_share(images) == pytest.approx(0.03)
    assert negative_share(sheets(paper, ink, 5)) == 0


def test_ink_that_fills_an_image_and_paper_that_is_darker_make_no_negative() -> None:
    images = sheets(250, 0, 50)
    images[0, 1:-1, 1:-1] = 0  # nearly all black, on white
    images[1] = np.maximum(images[1], 0) - (images[1] == 250) * np.uint8(90)  # on grey paper
    assert negative_share(images) == 0


def test_coloured_images_count_by_their_brightness_and_many_in_parts() -> None:
    dark = np.zeros((30, 8, 8, 3), dtype=np.uint8)
    dark[..., 2] = 120  # blue
    images = np.concatenate([np.full((1470, 8, 8, 3), 240, dtype=np.uint8), dark])
    assert negative_share(images) == pytest.approx(0.02)


def test_without_images_no_look_is_shown() -> None:
    assert negative_share(np.empty((0, 8, 8, 1), dtype=np.uint8)) == 0


def row(operation: str, verdict: str) -> dict[str, object]:
    return {"operation": operation, "class": "a", "magnitude": 1.0, "verdict": verdict}


CHECKED = LabelCheck(
    {"rotate": {"a": 0.5, "b": 1.0}, "invert": {"a": 1.0, "b": 1.0}},
    [row("rotate", "survives"), row("invert", "survives"), row("invert", "not judged"), row("invert", "cut")],
)


def test_a_look_that_too_few_images_show_is_refused_for_all_classes_with_the_reason() -> None:
    found = without_unseen_looks(CHECKED, share=0.0019, least=0.002)
    assert found.limits == {"rotate": {"a": 0.5, "b": 1.0}, "invert": {"a": 0.0, "b": 0.0}}
    assert found.report == [
        row("rotate", "survives"),
        row("invert", "look not shown"),
        row("invert", "look not shown"),
        row("invert", "cut"),
    ]
    assert CHECKED.limits["invert"] == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize(("share", "least"), [(0.002, 0.002), (0.3, 0.002), (0.0, 0.0)])
def test_a_look_that_is_shown_stays_as_the_label_check_has_it(share: float, least: float) -> None:
    assert without_unseen_looks(CHECKED, share=share, least=least) == CHECKED
