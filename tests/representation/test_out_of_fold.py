"""Out of fold really is: what an encoder was trained on hides its error, what it never saw does not."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from tests.representation.test_contrastive import CONTRAST, STILL, TRAINING, stripes
from winnow.representation import out_of_fold
from winnow.representation.classifier import train_classifier
from winnow.representation.contrastive import embed, train_encoder
from winnow.representation.network import WIDTHS, Encoder
from winnow.representation.out_of_fold import NO_FOLD, classify_junk, held_out, held_out_probabilities

HEART = dataclasses.replace(TRAINING, epochs=25, batch=16, views=STILL)  # to learn by heart
MEMORISING = dataclasses.replace(CONTRAST, training=HEART)
WRONG = 5  # the image filed under the other class


@pytest.fixture(scope="module")
def filed() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stripes, their labels with one of them wrong, and the true ones."""
    images, truth = stripes(48, np.random.default_rng(3))
    labels = truth.copy()
    labels[WRONG] = 1 - labels[WRONG]
    return images, labels, truth


def trained(images: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> list[dict[str, torch.Tensor]]:
    return [train_encoder(images, labels, folds != f, MEMORISING, int(f), lambda: None) for f in range(2)]


def test_a_memorising_encoder_shows_the_leak_only_when_folds_are_off(filed) -> None:  # type: ignore[no-untyped-def]
    images, labels, truth = filed
    folds = np.arange(48) % 2
    roots = np.arange(48)
    encoders = trained(images, labels, folds)
    _, blind = held_out(images, roots, folds[None], [encoders], k=5, by_features=False)
    assert (labels[blind.index[0, WRONG]] == truth[WRONG]).mean() >= 0.8  # the error shows
    # Folds off: the encoder that asks is the one that learnt the wrong label by heart.
    _, seeing = held_out(images, roots, folds[None], [encoders[::-1]], k=5, by_features=False)
    assert (labels[seeing.index[0, WRONG]] == labels[WRONG]).mean() >= 0.8  # the error hides


def test_neighbours_are_those_of_the_own_space_and_copies_never_vote(filed) -> None:  # type: ignore[no-untyped-def]
    images, labels, _ = filed
    folds = np.arange(48) % 2
    folds[40:] = NO_FOLD  # trusted
    encoders = trained(images, labels, folds)
    copies = np.array([0, 1, 7])
    everything = np.concatenate([images, 255 - images[copies]])
    roots, dealt = np.concatenate([np.arange(48), copies]), np.concatenate([folds, folds[copies]])
    points, found = held_out(everything, roots, dealt[None], [encoders], k=4, by_features=False)
    for row in range(len(everything)):
        fold = max(dealt[row], 0)
        encoder = Encoder(8, torch.Generator())
        encoder.load_state_dict(encoders[fold])
        learnt = [n for n in range(48) if n != row and folds[n] != fold]
        near = np.linalg.norm(embed(everything[learnt], encoder) - embed(everything[[row]], encoder), axis=1)
        expected = np.sort(near)[:4]
        np.testing.assert_allclose(found.distance[0, row], expected, atol=1e-4)
        assert set(found.index[0, row]) <= set(learnt)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-4)


def test_a_classifier_places_images_by_what_its_last_layer_reads(filed) -> None:  # type: ignore[no-untyped-def]
    images, labels, _ = filed
    folds = np.arange(12) % 2
    classifiers = [train_classifier(images[:12], labels[:12], folds != f, HEART, 2, f, lambda: None) for f in range(2)]
    points, _ = held_out(images[:12], np.arange(12), folds[None], [classifiers], k=2, by_features=True)
    assert points.shape == (12, WIDTHS[-1])
    network = Encoder(2, torch.Generator())
    network.load_state_dict(classifiers[0])  # the first fold's space is the one that all are turned onto
    read = network.eval().features(torch.from_numpy(images[:12]).permute(0, 3, 1, 2).float() / 255).detach().numpy()
    unit = read / np.linalg.norm(read, axis=1, keepdims=True)
    np.testing.assert_allclose(points[folds == 0], unit[folds == 0], atol=1e-4)
    np.testing.assert_allclose(embed(images[:12], network, by_features=True), unit, atol=1e-5)


def test_junk_is_made_of_the_fold_that_its_classifier_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image has one value, which tells where the parts of junk come from; classifiers are named, not trained."""
    folds = np.array([0, 1, NO_FOLD, 0, 1, 2, 0, 3, 3])  # fold 2 has one image, of which no junk can be made
    images = np.repeat(np.arange(9, dtype=np.uint8), 16).reshape(9, 4, 4, 1)
    seen: list[tuple[int, set[int]]] = []

    def classify(junk: np.ndarray, rows: np.ndarray, state: int, tick: object) -> np.ndarray:
        seen.append((state, set(np.unique(junk).tolist())))
        return np.full((len(rows), 3), state, np.float32)

    monkeypatch.setattr(out_of_fold, "run_jobs", lambda task, jobs, **_: [task(*job, None) for job in jobs])
    monkeypatch.setattr(out_of_fold, "classify", classify)
    states: Any = [0, 1, 2, 3]
    answers = classify_junk(images, folds, states, count=13, rng=np.random.default_rng(0))
    assert answers.shape == (12, 3)  # four of each fold that has two images
    assert [state for state, _ in seen] == [0, 1, 3]
    for state, values in seen:
        own = set(np.flatnonzero(folds == state).tolist())
        mixed = {(one + other) // 2 for one in own for other in own}
        assert values <= own | mixed
        assert values & own


def test_only_what_is_asked_about_is_judged(filed) -> None:  # type: ignore[no-untyped-def]
    images, labels, _ = filed
    folds, roots = np.array([[0, 1] * 6]), np.arange(12)
    states = [[Encoder(2, torch.Generator().manual_seed(fold)).state_dict() for fold in range(2)]]
    asked = np.arange(12) % 5 == 0
    everything = held_out_probabilities(images[:12], labels[:12], roots, folds, states)
    some = held_out_probabilities(images[:12], labels[:12], roots, folds, states, asked)
    np.testing.assert_allclose(some, everything[asked], atol=1e-6)
    assert not np.isnan(everything).any()
    nothing = np.zeros(12, dtype=bool)
    assert held_out_probabilities(images[:12], labels[:12], roots, folds, states, nothing).shape == (0, 2)


def test_an_empty_fold_asks_nothing(filed) -> None:  # type: ignore[no-untyped-def]
    images, labels, _ = filed
    folds = np.zeros(8, np.int64)
    folds[4:] = NO_FOLD
    encoders = trained(images[:8], labels[:8], folds)
    _, found = held_out(images[:8], np.arange(8), folds[None], [encoders], k=2, by_features=False)
    assert found.index.shape == (1, 8, 2)


def test_more_neighbours_than_images_gives_all_of_them(filed) -> None:  # type: ignore[no-untyped-def]
    images, labels, _ = filed
    folds = np.arange(8) % 2
    encoders = trained(images[:8], labels[:8], folds)
    _, found = held_out(images[:8], np.arange(8), folds[None], [encoders], k=99, by_features=False)
    assert found.index.shape == (1, 8, 3)  # one fewer than the other fold holds: k is the same for all
    with pytest.raises(ValueError, match="at least 2 source images outside every fold"):
        held_out(images[:2], np.arange(2), np.array([[0, 1]]), [encoders], k=3, by_features=False)


def test_blocks_of_a_job_do_not_change_what_a_network_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_fold, "run_jobs", lambda task, jobs, **_: [task(*job, lambda: None) for job in jobs])
    images = np.random.default_rng(0).integers(0, 256, (520, 8, 8, 1), dtype=np.uint8)
    state = Encoder(3, torch.Generator().manual_seed(1)).state_dict()
    jobs = [(np.arange(519, -1, -1), state), (np.arange(0, 0), state), (np.arange(0, 520, 2), state)]
    whole = list(out_of_fold.in_blocks(out_of_fold.classify, images, jobs, label=""))
    assert [answer.shape for answer in whole] == [(520, 3), (0, 3), (260, 3)]
    monkeypatch.setattr(out_of_fold, "AT_ONCE", 256)
    parts = list(out_of_fold.in_blocks(out_of_fold.classify, images, jobs, label=""))
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one, other)
