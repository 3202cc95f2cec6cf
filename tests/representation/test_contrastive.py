"""The losses against their definitions, the views, and an encoder that learns from the images it may see alone."""

import dataclasses
import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.support.refusals import refused_params
from winnow.representation.classifier import train_classifier
from winnow.representation.contrastive import Contrast, contrastive_loss, embed, train_encoder
from winnow.representation.network import Encoder, Training
from winnow.transforms.views import PairViews, random_pair_views

STILL = PairViews(shear=0.0, invert=0.0, shift=0.0, rotate_degrees=0.0, zoom=0.0, noise=0.0)
TRAINING = Training(
    epochs=3,
    most_steps=0,
    batch=8,
    learning_rate=0.002,
    weight_decay=0.01,
    views=dataclasses.replace(STILL, shift=0.05, noise=0.05),
)
CONTRAST = Contrast(
    loss="supcon",
    margin=1.0,
    temperature=0.1,
    dimensions=8,
    training=TRAINING,
)


def vectors(seed: int, count: int) -> torch.Tensor:
    return functional.normalize(torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize("half", [2, 8, 33])
def test_supcon_of_equal_embeddings_is_log_of_the_others(half: int) -> None:
    equal = functional.normalize(torch.ones(2 * half, 4), dim=1)
    labels = torch.arange(half).repeat(2)
    assert contrastive_loss(CONTRAST)(equal, labels).item() == pytest.approx(math.log(2 * half - 1), rel=1e-5)


def test_supcon_equals_the_sum_written_out() -> None:
    points, labels, total = vectors(0, 6).double(), [0, 1, 0, 1, 2, 2], []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        normaliser = sum(math.exp(float(points[i] @ points[j]) / 0.1) for j in others)
        positives = [j for j in others if labels[j] == labels[i]]
        total.append(-np.mean([math.log(math.exp(float(points[i] @ points[j]) / 0.1) / normaliser) for j in positives]))
    assert contrastive_loss(CONTRAST)(points, torch.tensor(labels)).item() == pytest.approx(np.mean(total), rel=1e-5)


def test_margin_loss_equals_the_sum_written_out() -> None:
    margin = dataclasses.replace(CONTRAST, loss="margin", margin=1.2)
    points, labels = vectors(1, 8).double(), [0, 1, 0, 1, 2, 2, 0, 1]
    together, apart = [], []
    for i in range(8):
        for j in range(8):
            distance = float((points[i] - points[j]).norm())
            if i != j and labels[i] == labels[j]:
                together.append(distance)
            elif labels[i] != labels[j] and distance < 1.2:
                apart.append(1.2 - distance)
    expected = np.mean(together) + np.mean(apart)
    assert contrastive_loss(margin)(points, torch.tensor(labels)).item() == pytest.approx(expected, rel=1e-5)


def test_one_dimension_is_refused() -> None:
    with refused_params(Contrast, "dimensions must be at least 2, got 1"):
        dataclasses.replace(CONTRAST, dimensions=1)


def test_views_of_range_0_are_the_image_and_inverted_ones_its_negative() -> None:
    images = torch.randint(0, 256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    same = random_pair_views(images, STILL, torch.Generator().manual_seed(1))
    torch.testing.assert_close(same, images / 255, atol=1e-5, rtol=0)
    negative = random_pair_views(images, dataclasses.replace(STILL, invert=0.999999), torch.Generator().manual_seed(1))
    torch.testing.assert_close(negative, 1 - images / 255, atol=1e-5, rtol=0)


def test_every_range_moves_and_equal_seeds_give_equal_views() -> None:
    images = torch.randint(0, 256, (6, 1, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for name in ("shear", "shift", "zoom", "noise"):
        views = dataclasses.replace(STILL, **{name: 0.2})
        first = random_pair_views(images, views, torch.Generator().manual_seed(2))
        assert torch.equal(first, random_pair_views(images, views, torch.Generator().manual_seed(2)))
        assert (first - images / 255).abs().amax(dim=(1, 2, 3)).min() > 0.01, name
    with refused_params(PairViews, r"zoom must be below 1\.0, got 1\.0"):
        dataclasses.replace(STILL, zoom=1.0)


def stripes(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Grey sheets with upright (class 0) or level (class 1) stripes under noise."""
    labels = rng.integers(0, 2, count)
    y, x = np.mgrid[:32, :32]
    waves = [128 + 60 * np.sin((x if label == 0 else y) * 0.8 + rng.uniform(0, 6)) for label in labels]
    pixels = np.stack(waves)[..., None] + rng.normal(0, 40, (count, 32, 32, 1))
    return pixels.clip(0, 255).astype(np.uint8), labels.astype(np.int64)


@pytest.mark.parametrize("loss", ["supcon", "margin"])
def test_unseen_images_come_to_lie_with_their_class(loss: Literal["supcon", "margin"]) -> None:
    images, labels = stripes(96, np.random.default_rng(0))
    members = np.arange(96) < 64
    contrast = dataclasses.replace(CONTRAST, loss=loss, training=dataclasses.replace(TRAINING, epochs=6))
    state = train_encoder(images, labels, members, contrast, 0, lambda: None)
    encoder = Encoder(8, torch.Generator())
    encoder.load_state_dict(state)
    points = embed(images, encoder)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)
    nearest = (points[64:] @ points[:64].T).argmax(axis=1)
    assert (labels[:64][nearest] == labels[64:]).mean() > 0.9


def test_images_left_out_change_nothing_and_seeds_everything() -> None:
    images, labels = stripes(32, np.random.default_rng(1))
    members = np.arange(32) < 24
    other, turned = images.copy(), labels.copy()
    other[24:], turned[24:] = 255 - other[24:], 1 - turned[24:]
    short = dataclasses.replace(CONTRAST, training=dataclasses.replace(TRAINING, epochs=1))
    first = train_encoder(images, labels, members, short, 0, lambda: None)
    again = train_encoder(other, turned, members, short, 0, lambda: None)
    third = train_encoder(images, labels, members, short, 1, lambda: None)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], third["head.weight"])


def test_unknown_losses_are_refused() -> None:
    with refused_params(Contrast, "loss must be 'margin' or 'supcon', got 'triplet'"):
        dataclasses.replace(CONTRAST, loss="triplet")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("most", "images", "steps", "epochs"),
    [(0, 40, 15, 3), (15, 40, 15, 3), (14, 40, 14, 3), (10, 40, 10, 2), (3, 40, 3, 1), (10, 3, 3, 3)],
)
def test_training_ends_after_so_many_updates_even_within_an_epoch(
    monkeypatch: pytest.MonkeyPatch, most: int, images: int, steps: int, epochs: int
) -> None:
    bounded = dataclasses.replace(TRAINING, most_steps=most)
    assert (bounded.steps(images), bounded.epochs_on(images)) == (steps, epochs)
    taken: list[int] = []
    update = torch.optim.AdamW.step

    def counted(optimiser: torch.optim.AdamW) -> None:
        taken.append(1)
        update(optimiser)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    ticks: list[int] = []
    given, labels = np.zeros((images + 5, 16, 16, 1), np.uint8), np.arange(images + 5) % 2
    members = np.arange(images + 5) < images
    train_classifier(given, labels, members, bounded, 2, 0, lambda: ticks.append(1))
    assert (len(taken), len(ticks)) == (steps, epochs)
