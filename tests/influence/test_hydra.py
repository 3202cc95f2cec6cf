"""The lean influence against HyDRA's vector form, and the vector form's exact mode against real retraining."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.reference_hydra import hypergradients, trained_weights
from winnow.influence import columns as columns_module
from winnow.influence.book_gradients import Book
from winnow.influence.columns import book_columns
from winnow.influence.hydra import influence_by_checkpoints, influence_by_replay, reading_of, step_coefficients
from winnow.influence.trajectory import Run, Sgd, Trajectory, train
from winnow.training.network import centre_views
from winnow.transforms.views import Ranges

SGD = Sgd(learning_rate=0.05, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, cosine=False)
OPTIMISERS = {
    "plain": SGD,
    "momentum": Sgd(0.05, 0.8, 0.0, 0.0, nesterov=False, cosine=False),
    "dampening": Sgd(0.05, 0.8, 0.3, 0.0, nesterov=False, cosine=True),
    "nesterov": Sgd(0.05, 0.8, 0.0, 0.0, nesterov=True, cosine=False),
    "weight decay": Sgd(0.05, 0.0, 0.0, 0.2, nesterov=False, cosine=False),
    "momentum, dampening, decay, cosine": Sgd(0.05, 0.9, 0.2, 0.1, nesterov=False, cosine=True),
    "nesterov, decay, cosine": Sgd(0.05, 0.9, 0.0, 0.1, nesterov=True, cosine=True),
}
STILL = Ranges(rotate_degrees=0.0, shift=0.0, zoom=0.0, shear=0.0)


class Tiny(nn.Module):
    """A float64 network on the fixed model's input: 16 pooled pixels, a hidden layer, 3 classes."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(16, 5).double(), nn.Linear(5, 3).double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.avg_pool2d(x.double() / 100, 8).mean(dim=1).flatten(1)  # (B, 16)
        out: Tensor = self.head(torch.tanh(self.hidden(pooled)))
        return out


def tiny_run(sgd: Sgd, *, batch: int = 4, epochs: int = 3, seed: int = 0, samples: int = 10) -> Run:
    generator = torch.Generator().manual_seed(99)
    return Run(
        images=torch.randint(0, 256, (samples, 1, 64, 64), generator=generator, dtype=torch.uint8),
        labels=torch.randint(0, 3, (samples,), generator=generator),
        members=torch.arange(samples),
        network=Tiny,
        sgd=sgd,
        views=STILL,
        epochs=epochs,
        batch=batch,
        checkpoint_steps=-(-samples // batch),
        seed=seed,
        bfloat16=False,
    )


def nothing() -> None:
    """No progress bar."""


def book_of(images: Tensor, labels: Tensor, *, by_class: bool = False) -> Book:
    ids = [f"b{number}" for number in range(len(labels))]
    return Book(images, labels, book_columns(ids, labels.numpy(), ["x", "y", "z"], by_class=by_class))


def replayed(run: Run, images: Tensor, labels: Tensor) -> np.ndarray:
    book = book_of(images, labels)
    return influence_by_replay(
        run, reading_of(run, train(run, tick=nothing)), book, range(len(book.columns)), tick=nothing
    )


def written_out(run: Run, trajectory: Trajectory, *, exact: bool) -> tuple[Tensor, Tensor]:
    model = Tiny(torch.Generator().manual_seed(run.seed))
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    flat = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    inputs = centre_views(run.images)

    def loss(weights: Tensor, i: int) -> Tensor:
        parts = weights.split([shape.numel() for shape in shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        logits = torch.func.functional_call(model, named, (inputs[i : i + 1],))
        return functional.cross_entropy(logits, run.labels[i : i + 1])

    batches = [batch.tolist() for batch in trajectory.batches]
    final, h = hypergradients(flat, loss, batches, trajectory.rates, run.sgd, samples=len(run.images), exact=exact)
    gradients = torch.stack([torch.func.grad(loss)(final, j) for j in range(3)])  # (M, P), samples 0..2 as trusted
    return final, -(h @ gradients.T) / len(run.images)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_lean_form_equals_the_vector_form(name: str) -> None:
    run = tiny_run(OPTIMISERS[name])  # 10 samples in batches of 4: the last is of 2
    trajectory = train(run, tick=nothing)
    final, expected = written_out(run, trajectory, exact=False)
    effect = replayed(run, run.images[:3], run.labels[:3])
    model = trajectory.model(run)
    torch.testing.assert_close(
        torch.cat([parameter.detach().flatten() for parameter in model.parameters()]), final, rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(effect, expected.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_exact_mode_equals_central_differences_of_retraining(name: str) -> None:
    sgd = OPTIMISERS[name]
    generator = torch.Generator().manual_seed(5)
    inputs, labels = torch.randn(5, 4, dtype=torch.float64, generator=generator), torch.tensor([0, 1, 2, 1, 0])
    start = torch.randn(12, dtype=torch.float64, generator=generator)

    def loss(weights: Tensor, i: int) -> Tensor:
        return functional.cross_entropy(torch.tanh(inputs[i : i + 1]) @ weights.view(4, 3), labels[i : i + 1])

    batches, rates = [[0, 1], [2, 3], [4], [1, 3], [0, 4], [2]], [0.3, 0.2, 0.25, 0.2, 0.1, 0.15]
    _, h = hypergradients(start, loss, batches, rates, sgd, samples=5, exact=True)
    step = 1e-5
    for i in range(5):
        ends = []
        for sign in (1, -1):
            epsilon = [sign * step if k == i else 0.0 for k in range(5)]
            ends.append(trained_weights(start, loss, batches, rates, sgd, samples=5, epsilon=epsilon))
        torch.testing.assert_close(h[i], (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_plain_sgd_coefficient_is_minus_the_rate() -> None:
    np.testing.assert_allclose(step_coefficients([0.1, 0.2, 0.3], SGD), [-0.1, -0.2, -0.3], rtol=1e-15)


def test_permuting_the_images_permutes_the_scores() -> None:
    run = tiny_run(OPTIMISERS["momentum"])
    trusted, labels = run.images[:3].clone(), run.labels[:3].clone()
    effect = replayed(run, trusted, labels)
    # Sample i moves to place moved[i]; the members follow it, so that every batch holds the same images as before.
    moved = torch.tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    permuted = torch.argsort(moved)
    other = Run(**{**run.__dict__, "images": run.images[permuted], "labels": run.labels[permuted], "members": moved})
    effect_moved = replayed(other, trusted, labels)
    np.testing.assert_allclose(effect_moved[moved.numpy()], effect, rtol=1e-12)


def test_replay_meets_the_weights_of_the_first_run() -> None:
    views = Ranges(rotate_degrees=20.0, shift=0.1, zoom=0.2, shear=0.2)
    run = Run(**{**tiny_run(OPTIMISERS["momentum"]).__dict__, "views": views})
    first, seen = train(run, tick=nothing), []
    second = train(run, tick=nothing, before_step=lambda step, model, inputs, batch: seen.append((step, inputs.sum())))
    assert [step for step, _ in seen] == list(range(len(first.rates)))
    for name, tensor in first.state.items():
        assert torch.equal(tensor, second.state[name])
    other = train(Run(**{**run.__dict__, "seed": 1}), tick=nothing)
    assert not torch.equal(other.state["head.weight"], first.state["head.weight"])


def test_members_alone_are_valued() -> None:
    run = Run(**{**tiny_run(OPTIMISERS["plain"]).__dict__, "members": torch.tensor([0, 2, 3, 5, 7])})
    effect = replayed(run, run.images[:3], run.labels[:3])
    assert (effect[[1, 4, 6, 8, 9]] == 0).all()
    assert (effect[[0, 2, 3, 5, 7]] != 0).any(axis=1).all()


def test_checkpoints_hold_every_step_once() -> None:
    run = Run(**{**tiny_run(SGD, epochs=5).__dict__, "checkpoint_steps": 6})
    trajectory = train(run, tick=nothing)
    assert [step for checkpoint in trajectory.checkpoints for step in checkpoint.steps] == list(range(15))


def test_one_step_checkpoints_equal_the_written_sum() -> None:
    """A checkpoint's products, weighed by the coefficients of the steps that it stands for."""
    run = Run(**{**tiny_run(OPTIMISERS["momentum"], epochs=4).__dict__, "checkpoint_steps": 6})
    trajectory = train(run, tick=nothing)
    trusted, labels = run.images[:3], run.labels[:3]
    book = book_of(trusted, labels)
    effect = influence_by_checkpoints(
        run, reading_of(run, trajectory), book, run.members, batch=3, bfloat16=False, tick=nothing
    )
    coefficients, inputs = step_coefficients(trajectory.rates, run.sgd), centre_views(run.images)

    def gradient(model: nn.Module, i: int) -> Tensor:
        model.zero_grad()
        functional.cross_entropy(model(inputs[i : i + 1]), run.labels[i : i + 1]).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    last = trajectory.model(run)
    ends = torch.stack([gradient(last, j) for j in range(3)])
    expected = np.zeros((10, 3))
    for checkpoint in trajectory.checkpoints:
        model = Tiny(torch.Generator())
        model.load_state_dict(checkpoint.state)
        for step in checkpoint.steps:
            for i in trajectory.batches[step].tolist():
                scale = coefficients[step] / len(trajectory.batches[step])
                expected[i] -= scale * (gradient(model, i) @ ends.T).numpy()
    np.testing.assert_allclose(effect, expected, rtol=1e-9)


@pytest.mark.parametrize("way", ["replay", "checkpoints"])
def test_the_effect_on_a_class_is_the_mean_of_those_on_its_images(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the blocks: of columns, and of label-book images whose gradients are added up."""
    monkeypatch.setattr("winnow.influence.book_gradients.IMAGES", 2)
    run = Run(**{**tiny_run(OPTIMISERS["momentum"], epochs=2, samples=7).__dict__, "checkpoint_steps": 2})
    reading = reading_of(run, train(run, tick=nothing))
    images, labels = tiny_run(SGD, samples=9).images[2:], torch.tensor([2, 0, 0, 2, 0, 0, 2])  # no image of class y

    def measured(*, by_class: bool) -> np.ndarray:
        book = book_of(images, labels, by_class=by_class)
        if way == "replay":
            parts = [influence_by_replay(run, reading, book, some, tick=nothing) for some in book.columns.blocks]
            return np.concatenate(parts, axis=1)
        return influence_by_checkpoints(run, reading, book, run.members, batch=3, bfloat16=False, tick=nothing)

    single = measured(by_class=False)
    expected = np.stack([single[:, (labels == label).numpy()].mean(axis=1) for label in (0, 2)], axis=1)
    for block in (2, 1):
        monkeypatch.setattr(columns_module, "BLOCK", block)
        assert measured(by_class=True).dtype == np.float32
        np.testing.assert_allclose(measured(by_class=True), expected, rtol=1e-5)
        np.testing.assert_allclose(measured(by_class=False), single, rtol=1e-12)


def test_parts_of_the_images_have_the_effects_of_all_to_the_last_bit() -> None:
    run = tiny_run(OPTIMISERS["momentum"], samples=11)
    run = Run(**{**run.__dict__, "members": torch.tensor([0, 1, 3, 4, 5, 7, 8, 9, 10])})
    reading, book = reading_of(run, train(run, tick=nothing)), book_of(run.images[:3], run.labels[:3])

    def measured(rows: Tensor) -> np.ndarray:
        return influence_by_checkpoints(run, reading, book, rows, batch=3, bfloat16=False, tick=nothing)

    parts = [measured(some) for some in run.members.split(6)]
    np.testing.assert_array_equal(np.concatenate(parts), measured(run.members))
