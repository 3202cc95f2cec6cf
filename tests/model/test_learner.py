"""The three ways to learn: which one a card asks for, and how heads choose their epoch."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.backbones import card_of, images, write_module
from tests.support.profiles import profile
from winnow.model.answers import answers
from winnow.model.learner import FixedLearner, HeadLearner, WholeLearner, learner_of
from winnow.training.head import HeadProfile
from winnow.training.training import Labelled

HEAD = HeadProfile(epochs=8, most_steps=0, batch=8, learning_rate=0.5, momentum=0.9, ridge=1.0)


def clouds(n: int, seed: int) -> Labelled:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return Labelled((3 * np.eye(3, 10)[labels] + rng.normal(size=(n, 10))).astype(np.float32), labels)


def test_the_card_decides(tmp_path: Path) -> None:
    frozen = dataclasses.replace(card_of("timm:resnet18"), frozen=True)
    asked: dict[str, Any] = {"fixed": profile(), "head": HEAD, "finetune": profile(epochs=1), "user_folder": tmp_path}
    assert learner_of(card_of("competition"), **asked) == FixedLearner(profile())
    assert learner_of(frozen, **asked) == HeadLearner(HEAD)
    whole = learner_of(card_of("timm:resnet18"), **asked)
    assert isinstance(whole, WholeLearner)
    assert whole.profile == profile(epochs=1)


def test_a_head_keeps_the_first_epoch_of_the_best_validation_accuracy() -> None:
    data, held_out = clouds(60, 0), clouds(30, 1)
    learner = HeadLearner(HEAD)
    ticks: list[None] = []
    trained = learner.train(data, held_out, classes=3, seed=0, tick=lambda: ticks.append(None))
    accuracies = [epoch.val_accuracy for epoch in trained.curve]
    assert len(ticks) == len(accuracies) == HEAD.epochs
    assert trained.best_epoch == 1 + accuracies.index(max(accuracies))
    assert learner.evaluate(trained, held_out).accuracy == pytest.approx(max(accuracies))


def test_a_head_needs_both_sides() -> None:
    empty = Labelled(np.zeros((0, 10), np.float32), np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="training needs train and val images, got 60 and 0"):
        HeadLearner(HEAD).train(clouds(60, 0), empty, classes=3, seed=0, tick=lambda: None)


def test_without_validation_images_the_last_epoch_is_taken() -> None:
    learner = HeadLearner(HEAD)
    last = learner.train(clouds(60, 0), None, classes=3, seed=0, tick=lambda: None)
    assert last.best_epoch == len(last.curve) == HEAD.epochs
    shorter = HeadLearner(dataclasses.replace(HEAD, epochs=HEAD.epochs - 1))
    before = shorter.train(clouds(60, 0), None, classes=3, seed=0, tick=lambda: None)
    assert not torch.equal(last.model.state_dict()["weight"], before.model.state_dict()["weight"])


def test_answers_are_right_where_the_prediction_is() -> None:
    queried = clouds(30, 2)
    learner = HeadLearner(HEAD)
    data, given, asked = clouds(90, 0), np.arange(0, 90, 2), np.arange(5, 30)
    right = answers(data, given, queried, asked, 3, learner, 0, lambda: None)
    some = Labelled(data.images[given], data.labels[given])
    trained = learner.train(some, None, classes=3, seed=0, tick=lambda: None)
    predicted = learner.evaluate(trained, queried).predicted
    np.testing.assert_array_equal(right, (predicted == queried.labels)[asked])
    assert right.mean() > 0.8


def test_a_whole_network_of_the_users_learns(tmp_path: Path) -> None:
    write_module(
        tmp_path,
        "small_network",
        """
        import torch
        from torch import nn

        def small():
            torch.manual_seed(0)
            pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), pooled, nn.Linear(8, 5))
        """,
    )
    labels = np.arange(48) % 2
    pixels = (60 * labels[:, None, None, None] + images(48, 16) // 2).astype(np.uint8)
    learner = WholeLearner(
        profile(epochs=6, learning_rate=0.02), card_of("python:small_network:small", "default", 16), tmp_path
    )
    data = Labelled(pixels, labels)
    trained = learner.train(data, data, classes=2, seed=0, tick=lambda: None)
    assert learner.evaluate(trained, data).accuracy > 0.9


def test_answers_are_those_of_a_model_that_learnt_from_the_rows_given(monkeypatch: pytest.MonkeyPatch) -> None:
    data, learner = clouds(60, 0), HeadLearner(HEAD)
    given, asked = np.arange(0, 60, 2), np.arange(1, 60, 2)
    alone = Labelled(data.images[given], data.labels[given])
    trained = learner.train(alone, None, classes=3, seed=4, tick=lambda: None)
    held_out = Labelled(data.images[asked], data.labels[asked])
    expected = learner.evaluate(trained, held_out).predicted == held_out.labels
    monkeypatch.setattr("winnow.model.answers.AT_ONCE", 7)  # several blocks
    found = answers(data, given, data, asked, 3, learner, 4, lambda: None)
    assert np.array_equal(found, expected)


def test_learners_say_how_many_images_their_updates_can_see(tmp_path: Path) -> None:
    bounded = profile(most_steps=12, batch=5)
    assert (
        FixedLearner(bounded).most_images == WholeLearner(bounded, card_of("timm:resnet18"), tmp_path).most_images == 60
    )
    assert FixedLearner(profile(most_steps=0)).most_images == 0
    assert HeadLearner(dataclasses.replace(HEAD, most_steps=9)).most_images == 9 * HEAD.batch


def test_a_network_with_batch_norm_over_single_values_trains_on_any_number_of_images(tmp_path: Path) -> None:
    write_module(
        tmp_path,
        "normed",
        """
        from torch import nn

        def normed():
            pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(8))
            return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), pooled, nn.Linear(8, 5))
        """,
    )
    learner = WholeLearner(profile(epochs=1, batch=8), card_of("python:normed:normed", "default", 16), tmp_path)
    data = Labelled(images(17, 16), np.arange(17) % 2)
    assert len(learner.train(data, data, classes=2, seed=0, tick=lambda: None).curve) == 1
