"""The policy under search: its relaxed draws and gradients against the formulas, and the policy it is read off as."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from winnow.policy_search.relaxed_policy import RelaxedPolicy, relaxed_bernoulli
from winnow.transforms.operations import apply, to_images


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 12, 10, 1), dtype=np.uint8)


def test_the_relaxed_draw_has_the_formulas_value_and_derivative() -> None:
    probability = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64, requires_grad=True)
    draw = relaxed_bernoulli(probability, generator(4))
    u = torch.rand(3, generator=generator(4), dtype=torch.float64)
    p = probability.detach()
    wanted = 1 / (1 + torch.exp(-(torch.log(p / (1 - p)) + torch.log(u / (1 - u))) / 0.1))
    torch.testing.assert_close(draw.detach(), wanted)
    draw.sum().backward()
    torch.testing.assert_close(probability.grad, wanted * (1 - wanted) / 0.1 / (p * (1 - p)))
    many = relaxed_bernoulli(torch.full((20_000,), 0.3), generator())
    assert (many > 0.5).float().mean().item() == pytest.approx(0.3, abs=0.01)  # the hard draw's probability


@pytest.mark.parametrize(
    "operations", [("shear_x", "rotate", "brightness", "invert"), ("scale", "stroke", "elastic", "rotate")]
)
def test_a_gradient_reaches_every_probability_magnitude_and_weight(operations: tuple[str, ...]) -> None:
    policy = RelaxedPolicy(operations, 3, 2, generator())
    images = to_images(pixels(900))  # enough that each operation is drawn
    out = policy(images, torch.arange(900) % 3, torch.ones(900, 4), generator(1))
    (out * torch.rand(out.shape, generator=generator(2))).sum().backward()
    for parameter in (policy.probability, policy.magnitude, policy.weight):
        assert parameter.grad is not None
        assert parameter.grad.shape == (3, 2, 4)
        assert (parameter.grad != 0).all()


def test_the_gradients_are_those_of_the_written_out_stage() -> None:
    """One stage: probability and magnitude by finite differences, the weights by the mixture's own derivative."""
    names = ("shear_x", "brightness", "gaussian_noise")
    policy = RelaxedPolicy(names, 1, 1, generator()).double()
    images = 0.3 + 0.4 * to_images(pixels(6)).double()
    target = torch.rand(images.shape, generator=generator(2), dtype=torch.float64)
    nothing, free = torch.zeros(6, dtype=torch.long), torch.ones(6, 3, dtype=torch.float64)

    def loss() -> torch.Tensor:
        return (policy(images, nothing, free, generator(3)) * target).sum()

    assert_slopes(loss, policy.probability, policy.magnitude)
    rng = generator(3)
    share = torch.softmax(policy.weight.detach()[0, 0] / 0.05, dim=0)
    torch.multinomial(share.expand(6, 3), 1, generator=rng)
    done = relaxed_bernoulli(policy.probability.detach()[0].expand(6, 3), rng)
    magnitude = policy.magnitude.detach()[0, 0]
    changed = [apply(name, images, magnitude[index].expand(6), rng) for index, name in enumerate(names)]
    scores = [(done[:, i, None, None, None] * (changed[i] - images) * target).sum() for i in range(3)]
    mean = sum(s * score for s, score in zip(share, scores, strict=True))
    wanted = [float(s * (score - mean) / 0.05) for s, score in zip(share, scores, strict=True)]
    assert policy.weight.grad is not None
    assert policy.weight.grad[0, 0].tolist() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("stages", [1, 2])
def test_a_mixture_is_the_papers_sum(stages: int) -> None:
    """In every stage x becomes the sum over o of softmax(w / 0.05) times r f(x, m) + (1 - r) x."""
    policy, images, nothing, _ = mixture(stages)
    out = policy(images, nothing, None, generator(3))
    wanted, rng = images, generator(3)
    for stage in range(stages):
        share = torch.softmax(policy.weight[0, stage] / 0.05, dim=0)
        done = relaxed_bernoulli(policy.probability[0, stage].expand(5, 3), rng)[..., None, None, None]
        strengths = policy.magnitude[0, stage]
        made = [apply(name, wanted, strengths[i].expand(5), rng) for i, name in enumerate(policy.operations)]
        parts = [share[i] * (done[:, i] * made[i] + (1 - done[:, i]) * wanted) for i in range(3)]
        wanted = torch.stack(parts).sum(dim=0)
    torch.testing.assert_close(out, wanted)


def test_the_gradients_of_a_mixture_are_those_of_finite_differences() -> None:
    """One stage: in a second one brightness would be clamped, where the gradient is passed straight through."""
    policy, images, nothing, target = mixture(1)

    def loss() -> torch.Tensor:
        return (policy(images, nothing, None, generator(3)) * target).sum()

    assert_slopes(loss, policy.probability, policy.magnitude, policy.weight)


def assert_slopes(loss: Callable[[], torch.Tensor], *parameters: torch.nn.Parameter) -> None:
    """Each gradient of a policy of one stage and three operations is that of central differences."""
    loss().backward()
    step = 1e-6
    for parameter in parameters:
        assert parameter.grad is not None
        for index in range(3):
            ends = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter[0, 0, index] += sign * step
                    ends.append(loss().item())
                    parameter[0, 0, index] -= sign * step
            slope = (ends[0] - ends[1]) / (2 * step)
            assert parameter.grad[0, 0, index].item() == pytest.approx(slope, rel=1e-4, abs=1e-6)


def mixture(stages: int) -> tuple[RelaxedPolicy, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A policy of one sub-policy, images in the middle of the range, their sub-policy, and weights of a loss."""
    names = ("shear_x", "brightness", "gaussian_noise")
    policy = RelaxedPolicy(names, 1, stages, generator(), mixture=True).double()
    images = 0.3 + 0.4 * to_images(pixels(5)).double()
    target = torch.rand(images.shape, generator=generator(2), dtype=torch.float64)
    return policy, images, torch.zeros(5, dtype=torch.long), target


def test_without_limits_every_stage_may_do_its_whole_magnitude() -> None:
    policy = RelaxedPolicy(("translate_x",), 1, 2, generator())
    with torch.no_grad():
        policy.probability.fill_(0.999)
        policy.magnitude.fill_(1.0)
    images, nothing = torch.rand(1, 1, 8, 8, generator=generator()), torch.zeros(1, dtype=torch.long)
    limited = policy(images, nothing, torch.ones(1, 1), generator(5))
    free = policy(images, nothing, None, generator(5))
    signs, once = generator(5), []
    wanted = images
    for _ in range(2):
        torch.multinomial(torch.ones(1, 1), 1, generator=signs)
        torch.rand((1, 1), generator=signs)
        wanted = apply("translate_x", wanted, torch.tensor([1.0]), signs)
        once.append(wanted)
    torch.testing.assert_close(free.detach(), wanted, atol=1e-2, rtol=0)
    torch.testing.assert_close(limited.detach(), once[0], atol=1e-2, rtol=0)


def test_the_critic_sees_what_is_sampled_one_operation_at_a_time() -> None:
    policy = RelaxedPolicy(("invert", "brightness"), 1, 1, generator())
    with torch.no_grad():
        policy.probability.fill_(0.999)
        policy.weight[0, 0] = torch.tensor([0.05 * np.log(3.0), 0.0])  # 3 to 1
    images = 0.8 * torch.ones((4000, 1, 2, 2))
    out = policy(images, torch.zeros(4000, dtype=torch.long), torch.tensor([[1.0, 0.0]]).expand(4000, 2), generator(1))
    inverted = torch.isclose(out[:, 0, 0, 0], torch.tensor(0.2), atol=0.01)
    kept = torch.isclose(out[:, 0, 0, 0], torch.tensor(0.8), atol=0.01)
    assert (inverted | kept).float().mean() > 0.98  # the rest are undecided Bernoulli draws
    assert inverted.float().mean().item() == pytest.approx(0.75, abs=0.03)


def test_the_search_keeps_stages_of_one_operation_together_to_the_limit() -> None:
    policy = RelaxedPolicy(("brightness",), 1, 2, generator())
    with torch.no_grad():
        policy.probability.fill_(0.999)
        policy.magnitude.fill_(0.4)
    images, nothing = 0.5 * torch.ones((2, 1, 2, 2)), torch.zeros(2, dtype=torch.long)
    for seed in range(20):
        out = policy(images, nothing, torch.tensor([[0.4], [1.0]]), generator(seed))
        signs = generator(seed)
        wanted = images
        for strength in ([0.4, 0.4], [0.0, 0.4]):
            torch.multinomial(torch.ones(2, 1), 1, generator=signs)
            torch.rand((2, 1), generator=signs)
            wanted = apply("brightness", wanted, torch.tensor(strength), signs)
        torch.testing.assert_close(out.detach(), wanted, atol=1e-3, rtol=0)


def test_the_policy_is_the_arg_max_of_the_weights_and_stays_in_range() -> None:
    policy = RelaxedPolicy(("shear_x", "rotate", "invert"), 2, 2, generator())
    with torch.no_grad():
        policy.weight.copy_(torch.tensor([[[0, 1, 0], [2, 1, 0]], [[0, 0, 3], [0, 0.2, 0.1]]]))
        policy.probability[0, 0, 1], policy.magnitude[0, 0, 1] = 1.7, -0.4
    policy.project()
    found = policy.policy()
    assert [[step.operation for step in steps] for steps in found.sub_policies] == [
        ["rotate", "shear_x"],
        ["invert", "rotate"],
    ]
    assert found.sub_policies[0][0].probability == pytest.approx(0.999)
    assert found.sub_policies[0][0].magnitude == 0.0
    assert found.sub_policies[1][1].probability == pytest.approx(policy.probability[1, 1, 1].item())
