"""The classifier: the views that it looks at, what it learns, and that it never answers for an image it saw."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.representation.test_contrastive import TRAINING, stripes
from tests.representation.test_out_of_fold import HEART, WRONG
from tests.support.refusals import refused_params
from winnow.representation.classifier import class_probabilities, train_classifier, views_of
from winnow.representation.network import Encoder, Training
from winnow.representation.out_of_fold import NO_FOLD, held_out_probabilities


def test_the_first_look_is_the_image_and_the_others_move_it_a_little() -> None:
    images = torch.rand(3, 1, 50, 50, generator=torch.Generator().manual_seed(0))
    looks = list(views_of(images))
    assert len(looks) == 9
    assert torch.equal(looks[0], images)
    # 0.04 of 50 pixels are 2: the four moves show the same pixels elsewhere.
    torch.testing.assert_close(looks[3][..., 2:], images[..., :-2], atol=1e-4, rtol=0)
    torch.testing.assert_close(looks[4][:, :, 2:], images[:, :, :-2], atol=1e-4, rtol=0)
    torch.testing.assert_close(looks[7][..., :-2], images[..., 2:], atol=1e-4, rtol=0)
    torch.testing.assert_close(looks[8][:, :, :-2], images[:, :, 2:], atol=1e-4, rtol=0)
    assert len({look.numpy().tobytes() for look in looks}) == 9


def test_probabilities_are_the_mean_of_the_looks() -> None:
    images, _ = stripes(5, np.random.default_rng(0))
    classifier = Encoder(3, torch.Generator().manual_seed(0)).eval()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        expected = torch.stack([classifier.outputs(look).softmax(dim=1) for look in views_of(pixels)]).mean(dim=0)
    found = class_probabilities(images, classifier, batch=2)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_unseen_images_are_recognised() -> None:
    images, labels = stripes(96, np.random.default_rng(0))
    training = dataclasses.replace(TRAINING, epochs=6)
    state = train_classifier(images, labels, np.arange(96) < 64, training, 2, 0, lambda: None)
    classifier = Encoder(2, torch.Generator())
    classifier.load_state_dict(state)
    found = class_probabilities(images[64:], classifier)
    assert (found.argmax(axis=1) == labels[64:]).mean() > 0.9


def test_a_memorising_classifier_shows_the_leak_only_when_folds_are_off() -> None:
    images, truth = stripes(48, np.random.default_rng(3))
    labels = truth.copy()
    labels[WRONG] = 1 - labels[WRONG]
    folds = np.arange(48) % 2
    by_heart = dataclasses.replace(HEART, epochs=40)
    states = [train_classifier(images, labels, folds != f, by_heart, 2, f, lambda: None) for f in range(2)]
    roots = np.arange(48)
    blind = held_out_probabilities(images, labels, roots, folds[None], [states])
    assert blind[WRONG, truth[WRONG]] > 0.8  # the error shows
    seeing = held_out_probabilities(images, labels, roots, folds[None], [states[::-1]])
    assert seeing[WRONG, labels[WRONG]] > 0.5  # the error hides


def test_repeats_are_averaged_and_the_label_book_is_judged_by_the_first() -> None:
    images, _ = stripes(6, np.random.default_rng(1))
    folds = np.array([[0, 1, 0, 1, 0, NO_FOLD], [1, 0, 0, 1, 1, NO_FOLD]])
    states = [[dict(Encoder(2, torch.Generator().manual_seed(2 * r + f)).state_dict()) for f in (0, 1)] for r in (0, 1)]
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = held_out_probabilities(images, labels, np.arange(6), folds, states)
    for row in range(6):
        answers = []
        for repeat in range(2):
            classifier = Encoder(2, torch.Generator())
            classifier.load_state_dict(states[repeat][max(0, folds[repeat, row])])
            answers.append(class_probabilities(images[[row]], classifier)[0])
        np.testing.assert_allclose(found[row], np.mean(answers, axis=0), atol=1e-4)


def test_a_class_that_a_classifier_never_saw_gets_no_probability() -> None:
    images, _ = stripes(5, np.random.default_rng(1))
    labels, folds = np.array([0, 1, 0, 0, 0]), np.array([0, 1, 1, 0, 1])  # class 1 has one image, in fold 1
    roots = np.array([0, 1, 2, 3, 1])  # the last is its copy, which teaches nobody
    states = [[dict(Encoder(2, torch.Generator().manual_seed(f)).state_dict()) for f in (0, 1)]]
    found = held_out_probabilities(images, labels, roots, folds[None], states)
    assert np.isnan(found).tolist() == [[False, row in (1, 2, 4)] for row in range(5)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
    ],
)
def test_training_that_teaches_nothing_is_refused(changes: dict[str, float], message: str) -> None:
    with refused_params(Training, message):
        dataclasses.replace(TRAINING, **changes)  # type: ignore[arg-type]
