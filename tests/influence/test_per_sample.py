"""Layer-wise influence products against autograd's own per-sample gradients."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.influence.per_sample import gradient_products, layers_of, mean_gradients, stacked_gradients
from winnow.training.network import FixedModel


def by_autograd(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """(B, P) gradients, one backward pass a sample, parameters in the order of layers_of."""
    model.eval()
    parameters = [parameter for layer in layers_of(model) for parameter in layer.parameters()]
    rows = []
    for x, y in zip(inputs, targets, strict=True):
        loss = functional.cross_entropy(model(x[None]), y[None])
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]))
    return torch.stack(rows)


def warmed_up(model: nn.Module, inputs: Tensor) -> nn.Module:
    """Running statistics that are not their initial 0 and 1."""
    model.train()
    with torch.no_grad():
        for _ in range(30):
            model(inputs)
    return model


def layer_cases() -> dict[str, nn.Module]:
    return {
        "linear": nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4)),
        "linear without bias": nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4, bias=False)),
        "1x1": nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 64, 4)),
        "1x1 stride 2": nn.Sequential(nn.Conv2d(3, 5, 1, stride=2), nn.Flatten(), nn.Linear(5 * 16, 4)),
        "3x3 padded": nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 64, 4)),
        "3x3 without bias": nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.Flatten(), nn.Linear(5 * 36, 4)),
        "5x3 stride (2, 1)": nn.Sequential(
            nn.Conv2d(3, 5, (5, 3), stride=(2, 1), padding=(2, 1)), nn.Flatten(), nn.Linear(5 * 32, 4)
        ),
        "batch norm": nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 64, 4)
        ),
    }


@pytest.mark.parametrize("case", layer_cases())
def test_products_equal_autograd_for_each_kind_of_layer(case: str) -> None:
    torch.manual_seed(0)
    model = layer_cases()[case].double()
    inputs, targets = torch.randn(6, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    trusted, trusted_targets = torch.randn(3, 3, 8, 8, dtype=torch.float64), torch.tensor([2, 2, 1])
    warmed_up(model, inputs)
    expected = by_autograd(model, inputs, targets) @ by_autograd(model, trusted, trusted_targets).T
    products = gradient_products(model, inputs, targets, stacked_gradients(model, trusted, trusted_targets))
    torch.testing.assert_close(products, expected, rtol=1e-10, atol=1e-12)


def test_products_equal_autograd_on_the_fixed_model() -> None:
    generator = torch.Generator().manual_seed(1)
    model = FixedModel(10, generator).double()
    inputs = 100 * torch.randn(5, 3, 32, 32, dtype=torch.float64, generator=generator)
    targets = torch.tensor([0, 3, 9, 3, 5])
    warmed_up(model, inputs)
    expected = by_autograd(model, inputs, targets) @ by_autograd(model, inputs[:2], targets[:2]).T
    products = gradient_products(model, inputs, targets, stacked_gradients(model, inputs[:2], targets[:2]))
    torch.testing.assert_close(products, expected, rtol=1e-9, atol=1e-10)


def test_mean_gradients_are_the_means_of_autograds_own() -> None:
    torch.manual_seed(0)
    model = layer_cases()["batch norm"].double()
    inputs, targets = torch.randn(7, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1, 1])
    group = torch.tensor([1, 0, 1, 1, 2, 0, 1])
    warmed_up(model, inputs)
    single = by_autograd(model, inputs, targets)
    expected = torch.stack([single[group == one].mean(dim=0) for one in range(3)])
    parts = [(inputs[some], targets[some], group[some]) for some in torch.arange(7).split(3)]
    means = mean_gradients(model, parts, groups=3)
    products = gradient_products(model, inputs, targets, means)
    torch.testing.assert_close(products, single @ expected.T, rtol=1e-10, atol=1e-12)


def test_the_model_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    model = layer_cases()["batch norm"]
    inputs = torch.randn(4, 3, 8, 8)
    warmed_up(model, inputs)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stacked_gradients(model, inputs, torch.tensor([0, 1, 2, 3]))
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_layer_of_another_kind_is_named() -> None:
    model = nn.Sequential(nn.Flatten(), nn.LayerNorm(12), nn.Linear(12, 2))
    with pytest.raises(ValueError, match=r"1\.weight is in none of them"):
        layers_of(model)


def test_a_grouped_convolution_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="groups 1"):
        stacked_gradients(model, torch.randn(2, 4, 3, 3), torch.tensor([0, 1]))
