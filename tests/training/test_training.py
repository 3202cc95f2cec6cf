"""The judge's training and evaluation against their definitions."""

import math
import re
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support.profiles import COMPETITION, profile
from tests.support.refusals import refused_params
from winnow.training import training as judge
from winnow.training.keras_adam import ADAM_BETAS, ADAM_EPSILON, set_update
from winnow.training.network import FixedModel, _cpu_gains_by_bfloat16, preprocess
from winnow.training.training import Labelled, Profile, evaluate, train

CPU = torch.device("cpu")


def labelled(count: int, seed: int = 0, classes: int = 3) -> Labelled:
    """Noise whose brightness tells the class; no two images are equal."""
    labels = np.arange(count) % classes
    noise = np.random.default_rng(seed).integers(0, 120, (count, 16, 16, 1))
    return Labelled((noise + 40 * labels[:, None, None, None]).astype(np.uint8), labels)


def train_on_cpu(data: Labelled, validation: Labelled, how: Profile, seed: int = 0) -> judge.Trained:
    return train(data, validation, classes=3, profile=how, seed=seed, device=CPU)


def test_most_steps_shortens_a_run_on_many_images_alone() -> None:
    how = profile(epochs=20, batch=8, most_steps=50)
    assert [how.epochs_on(images) for images in (1, 16, 20, 21, 40, 400, 401, 9999)] == [20, 20, 16, 16, 10, 1, 1, 1]
    assert profile(epochs=20).epochs_on(9999) == 20
    trained = train_on_cpu(labelled(40), labelled(9, seed=1), profile(epochs=9, batch=8, most_steps=14))
    assert len(trained.curve) == 2  # five steps an epoch


# --- training ---------------------------------------------------------------------------------------------------


class KerasAdam:
    """Adam as Keras computes it, in NumPy: the rate carries the bias corrections, epsilon is added before them."""

    def __init__(self, rate: float) -> None:
        self.rate, self.step = rate, 0
        self.moments: dict[str, tuple[Any, Any]] = {}

    def update(self, name: str, value: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        first, second = self.moments.get(name, (0.0, 0.0))
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        self.moments[name] = first, second
        rate = self.rate * math.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step)
        return value - rate * first / (np.sqrt(second) + 1e-7)


def test_update_is_keras_adam() -> None:
    gradients = np.random.default_rng(0).normal(size=(40, 3)) * (1.0, 1e-6, 1e-8)  # where epsilon rules, and not
    parameter = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimiser = torch.optim.Adam([parameter], lr=9.9, betas=ADAM_BETAS, eps=ADAM_EPSILON, fused=True)
    reference, expected = KerasAdam(0.0001), np.zeros(3)
    for step, gradient in enumerate(gradients):
        parameter.grad = torch.from_numpy(gradient.copy())
        set_update(optimiser, rate=COMPETITION.rate(step, 40), step=step)
        optimiser.step()
        reference.step = step + 1
        expected = reference.update("", expected, gradient)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-9)


def test_training_equals_a_plain_loop() -> None:
    """The competition's trainer written out: contiguous images, Keras's Adam, mean loss of the batch."""
    data, validation = labelled(19), labelled(9, seed=1)
    how = profile(epochs=2, learning_rate=0.0001)
    generator = torch.Generator().manual_seed(5)
    model = FixedModel(3, generator).to(memory_format=torch.contiguous_format)
    images, labels = preprocess(data.images).contiguous(), torch.from_numpy(data.labels)
    adam, curve, snapshots = KerasAdam(0.0001), [], []
    for _ in range(2):
        model.train()
        losses = []
        order = torch.randperm(19, generator=generator)
        for batch in (order[:8], order[8:16], order[16:]):
            model.zero_grad()
            logits = model(images[batch])
            loss = -logits.log_softmax(1)[torch.arange(len(batch)), labels[batch]].mean()
            loss.backward()
            losses += [loss.item()] * len(batch)
            adam.step += 1
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None
                new = adam.update(name, parameter.detach().numpy(), parameter.grad.numpy())
                parameter.data = torch.from_numpy(np.asarray(new, np.float32))
        model.eval()
        right = model(preprocess(validation.images)).argmax(1).numpy() == validation.labels
        curve.append((np.mean(losses), right.mean()))
        snapshots.append({name: value.clone() for name, value in model.state_dict().items()})
    found = train_on_cpu(data, validation, how, seed=5)
    assert [(e.train_loss, e.val_accuracy) for e in found.curve] == [pytest.approx(point, rel=1e-3) for point in curve]
    for name, value in found.model.state_dict().items():
        # Batch norm takes a convolution's bias out again: its gradient is rounding, and Adam makes steps of it.
        if not re.search(r"(stem|conv\d|shortcut\.0)\.bias$", name):
            torch.testing.assert_close(value, snapshots[found.best_epoch - 1][name], rtol=1e-3, atol=2e-5)


def test_every_epoch_visits_every_image_once_in_a_new_order(monkeypatch: pytest.MonkeyPatch) -> None:
    data = labelled(19)
    known = {image.sum().item(): number for number, image in enumerate(preprocess(data.images))}
    seen: list[list[int]] = []
    plain = FixedModel.forward

    def watch(self: FixedModel, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            assert x.is_contiguous(memory_format=torch.channels_last)
            seen.append([known[image.sum().item()] for image in x])
        return plain(self, x)

    monkeypatch.setattr(FixedModel, "forward", watch)
    train_on_cpu(data, labelled(3), profile(epochs=3))
    assert [len(batch) for batch in seen] == [8, 8, 3] * 3
    orders = [list(chain(*seen[start : start + 3])) for start in (0, 3, 6)]
    assert all(sorted(order) == list(range(19)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize(
    ("curve", "first", "last"),
    [([0.2, 0.5, 0.5, 0.4], 2, 3), ([0.3, 0.3, 0.3], 1, 3), ([0.1, 0.2, 0.3], 3, 3), ([0.0, 0.0], 1, 2)],
)
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_of_the_best_epochs_the_first_is_chosen_or_the_last_where_the_rate_falls(
    monkeypatch: pytest.MonkeyPatch, curve: list[float], first: int, last: int, schedule: Any
) -> None:
    snapshots: list[dict[str, torch.Tensor]] = []

    def planted(model: FixedModel, *_: object) -> float:
        snapshots.append({name: value.clone() for name, value in model.state_dict().items()})
        return curve[len(snapshots) - 1]

    monkeypatch.setattr(judge, "_accuracy", planted)
    chosen = first if schedule == "constant" else last
    found = train_on_cpu(labelled(9), labelled(3), profile(epochs=len(curve), schedule=schedule))
    assert found.best_epoch == chosen
    assert [epoch.val_accuracy for epoch in found.curve] == curve
    weights = found.model.state_dict()
    matching = [all(torch.equal(shot[name], weights[name]) for name in weights) for shot in snapshots]
    assert matching == [number == chosen for number in range(1, len(curve) + 1)]  # running averages included


def test_validation_is_judged_in_evaluation_mode_and_changes_nothing() -> None:
    data, validation = labelled(9), labelled(6, seed=1)
    found = train_on_cpu(data, validation, profile(epochs=1))
    before = {name: value.clone() for name, value in found.model.state_dict().items()}
    assert found.curve[0].val_accuracy == evaluate(found.model, validation, device=CPU).accuracy
    assert not found.model.training
    assert all(torch.equal(value, before[name]) for name, value in found.model.state_dict().items())


def test_ticks_once_an_epoch() -> None:
    ticks: list[None] = []
    train(labelled(3), labelled(3), classes=3, profile=profile(), seed=0, device=CPU, tick=lambda: ticks.append(None))
    assert len(ticks) == 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_seed_same_weights_other_seed_other_weights(precision: str) -> None:
    how = profile(precision=precision, schedule="cosine", epochs=1)
    states = [train_on_cpu(labelled(9), labelled(3), how, seed).model.state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["head.weight"], states[2]["head.weight"])


@pytest.mark.skipif(not _cpu_gains_by_bfloat16(), reason="this CPU is slower in bfloat16")
def test_bfloat16_is_used_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = []
    plain = FixedModel.forward

    def watch(self: FixedModel, x: torch.Tensor) -> torch.Tensor:
        logits = plain(self, x)
        kinds.append((self.training, logits.dtype))
        return logits

    monkeypatch.setattr(FixedModel, "forward", watch)
    found = train_on_cpu(labelled(3), labelled(3), profile(epochs=1, precision="bfloat16"))
    evaluate(found.model, labelled(3), device=CPU)
    assert kinds == [(True, torch.bfloat16), (False, torch.bfloat16), (False, torch.float32)]
    assert all(value.dtype in (torch.float32, torch.int64) for value in found.model.state_dict().values())


def test_schedules() -> None:
    constant, cosine = profile(learning_rate=0.3), profile(learning_rate=0.3, schedule="cosine")
    assert [constant.rate(step, 4) for step in range(4)] == [0.3] * 4
    assert [cosine.rate(step, 4) for step in (0, 1, 2)] == pytest.approx([0.3, 0.3 * (2 + math.sqrt(2)) / 4, 0.15])
    assert cosine.rate(10**6 - 1, 10**6) < 1e-9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"schedule": "steps"}, "schedule must be 'constant' or 'cosine', got 'steps'"),
        ({"precision": "float16"}, "precision must be 'float32' or 'bfloat16', got 'float16'"),
    ],
)
def test_profile_refuses(changes: dict[str, Any], message: str) -> None:
    with refused_params(Profile, message):
        profile(**changes)


def test_training_refuses_an_empty_side() -> None:
    with pytest.raises(ValueError, match="needs train and val images, got 3 and 0"):
        train_on_cpu(labelled(3), labelled(0), profile())


# --- evaluation -------------------------------------------------------------------------------------------------


class Brightness(nn.Module):
    """Says class 0 for a dark image, 1 for a bright one; never 2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = (x.mean(dim=(1, 2, 3)) > 0).float()
        return torch.stack([1 - bright, bright, torch.full_like(bright, -1)], dim=1)


def test_evaluation_by_hand() -> None:
    images = np.zeros((5, 8, 8, 1), np.uint8)
    images[1:3] = 255
    labels = np.array([0, 0, 1, 2, 2])
    found = evaluate(Brightness(), Labelled(images, labels), device=CPU)
    assert found.predicted.tolist() == [0, 1, 1, 0, 0]
    assert found.accuracy == pytest.approx(2 / 5)
    assert found.recall == {0: 0.5, 1: 1.0, 2: 0.0}
    total = math.log(math.exp(1) + math.exp(0) + math.exp(-1))
    losses = [total - 1, total - 0, total - 1, total + 1, total + 1]
    assert found.loss == pytest.approx(sum(losses) / 5)


def test_recall_leaves_out_a_class_without_images() -> None:
    images = np.zeros((2, 8, 8, 1), np.uint8)
    found = evaluate(Brightness(), Labelled(images, np.array([0, 2])), device=CPU)
    assert found.recall == {0: 1.0, 2: 0.0}


def test_evaluation_does_not_depend_on_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    data = labelled(11)
    model = FixedModel(3, torch.Generator().manual_seed(0))
    monkeypatch.setattr(judge, "EVALUATION_BATCH", 4)
    found = evaluate(model, data, device=CPU)
    logits = model.eval()(preprocess(data.images))
    assert found.predicted.tolist() == logits.argmax(1).tolist()
    assert found.loss == pytest.approx(functional.cross_entropy(logits, torch.from_numpy(data.labels)).item(), rel=1e-5)


def test_a_last_batch_that_is_too_small_joins_the_one_before() -> None:
    order = torch.randperm(17)
    sizes = {(8, 1): [8, 8, 1], (8, 2): [8, 9], (17, 2): [17], (16, 2): [17], (5, 2): [5, 5, 5, 2]}
    for (batch, least), expected in sizes.items():
        parts = judge.split_order(order, batch, least=least)
        assert [len(part) for part in parts] == expected
        assert torch.equal(torch.cat(parts), order)
    assert [len(part) for part in judge.split_order(order[:1], 8, least=2)] == [1]
