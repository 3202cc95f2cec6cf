"""The critic and its gradient penalty against their definitions."""

import math

import pytest
import torch
from torch import nn

from winnow.policy_search.critic import Critic, distance, gradient_penalty


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int, channels: int = 3, side: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.rand((count, channels, side, side), generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("length", [1.0, 0.0, 2.5])
def test_a_linear_critic_is_penalised_by_the_length_of_its_weights_alone(length: float) -> None:
    weights = torch.randn((3, 8, 8), generator=generator(), dtype=torch.float64)
    weights *= length / weights.square().sum().sqrt()
    penalty = gradient_penalty(lambda x: (x * weights).sum(dim=(1, 2, 3)), images(4), images(4, seed=1), generator())
    assert penalty.item() == pytest.approx((length - 1) ** 2, abs=1e-12)


def test_the_norm_runs_over_channels_rows_and_columns_at_the_points_between() -> None:
    real, augmented = images(3), images(3, seed=1)
    penalty = gradient_penalty(lambda x: x.pow(3).sum(dim=(1, 2, 3)), real, augmented, generator(7))
    places = torch.rand((3, 1, 1, 1), generator=generator(7), dtype=torch.float64)
    total = 0.0
    for b in range(3):
        square = 0.0
        for c in range(3):
            for i in range(8):
                for j in range(8):
                    u = places[b].item()
                    x = u * real[b, c, i, j].item() + (1 - u) * augmented[b, c, i, j].item()
                    square += (3 * x * x) ** 2
        total += (math.sqrt(square) - 1) ** 2
    assert penalty.item() == pytest.approx(total / 3, rel=1e-12)


def test_the_penalty_has_a_gradient_to_the_critics_weights_alone() -> None:
    layer = nn.Linear(3 * 64, 1, dtype=torch.float64)
    real, augmented = images(4).requires_grad_(), images(4, seed=1).requires_grad_()
    gradient_penalty(lambda x: layer(x.flatten(1))[:, 0], real, augmented, generator()).backward()
    assert layer.weight.grad is not None
    length = layer.weight.detach().norm()  # the penalty is (|w| - 1)^2
    torch.testing.assert_close(layer.weight.grad, 2 * (length - 1) * layer.weight.detach() / length)
    assert real.grad is None
    assert augmented.grad is None


def test_an_image_is_judged_by_itself() -> None:
    critic = Critic(4, generator())
    assert critic.training  # even so
    batch = images(5, channels=1, side=64).float()
    values, logits = critic(batch)
    assert values.shape == (5,)
    assert logits.shape == (5, 4)
    alone, alone_logits = critic(batch[2:3])
    torch.testing.assert_close(values[2:3], alone)
    torch.testing.assert_close(logits[2:3], alone_logits)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in critic.modules())


def test_the_distance_is_what_remains_at_the_critics_resolution() -> None:
    shift = torch.zeros((2, 1, 64, 64))
    shift[0, :, 10:20, 10:14] = 0.5  # constant over the 2 x 2 pixels that become one: its whole length
    shift[1] = torch.tensor([1.0, -1.0]).repeat(32)  # averages out
    found = distance(shift, torch.zeros_like(shift))
    assert found.tolist() == pytest.approx([0.5 * math.sqrt(40), 0.0], abs=1e-6)
