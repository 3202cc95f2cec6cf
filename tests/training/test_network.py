"""The fixed model's facts, one by one, against the competition's trainer as DESIGN.md states it."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from winnow.training.network import FixedModel, initialise, normalise, preprocess

BLOCKS = [(64, True), (256, False), (256, False)]  # channels in, whether the shortcut is projected


def fixed_model(classes: int = 10, seed: int = 0) -> FixedModel:
    return FixedModel(classes, torch.Generator().manual_seed(seed))


def layers(model: nn.Module, kind: type[nn.Module]) -> dict[str, nn.Module]:
    return {name: module for name, module in model.named_modules() if isinstance(module, kind)}


def test_parameter_count_at_ten_classes() -> None:
    assert sum(parameter.numel() for parameter in fixed_model().parameters()) == 229_386


@pytest.mark.parametrize("classes", [2, 37])
def test_only_the_head_grows_with_the_classes(classes: int) -> None:
    expected = 229_386 + (classes - 10) * (256 + 1)
    assert sum(parameter.numel() for parameter in fixed_model(classes).parameters()) == expected


def test_convolutions_are_those_of_the_first_stage_of_resnet_50() -> None:
    expected: dict[str, tuple[object, ...]] = {"stem": (3, 64, 7, 2, 3)}
    for number, (channels_in, projected) in enumerate(BLOCKS):
        expected[f"blocks.{number}.conv1"] = (channels_in, 64, 1, 1, 0)
        expected[f"blocks.{number}.conv2"] = (64, 64, 3, 1, 1)
        expected[f"blocks.{number}.conv3"] = (64, 256, 1, 1, 0)
        if projected:
            expected[f"blocks.{number}.shortcut.0"] = (channels_in, 256, 1, 1, 0)
    found = {}
    for name, layer in layers(fixed_model(), nn.Conv2d).items():
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None, f"{name}: Keras's convolutions carry a bias"
        assert layer.padding_mode == "zeros"
        assert layer.dilation == (1, 1)
        assert layer.groups == 1
        assert not isinstance(layer.padding, str)
        (kernel, height), (stride, down), (padding, side) = layer.kernel_size, layer.stride, layer.padding
        assert (kernel, stride, padding) == (height, down, side)
        found[name] = (layer.in_channels, layer.out_channels, kernel, stride, padding)
    assert found == expected


def test_every_convolution_has_a_batch_norm_of_keras_constants() -> None:
    norms = layers(fixed_model(), nn.BatchNorm2d)
    assert len(norms) == len(layers(fixed_model(), nn.Conv2d)) == 11
    for norm in norms.values():
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.eps == 1.001e-5
        assert norm.momentum == pytest.approx(1 - 0.99)  # Keras counts the share of the old value
        assert norm.affine
        assert norm.track_running_stats


def test_running_averages_move_by_a_hundredth() -> None:
    model = fixed_model().train()
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    out = model.stem(x)  # (4, 64, 16, 16)
    model.stem_bn(out)
    torch.testing.assert_close(model.stem_bn.running_mean, 0.01 * out.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(model.stem_bn.running_var, 0.99 + 0.01 * out.var(dim=(0, 2, 3)))


def test_shapes_along_the_way() -> None:
    model = fixed_model(7).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for name in ("stem", "blocks.0", "blocks.1", "blocks.2", "head"):
        model.get_submodule(name).register_forward_hook(
            lambda _, arguments, output, name=name: shapes.update({name: (*arguments[0].shape[1:], *output.shape[1:])})
        )
    assert model.features(torch.zeros(2, 3, 32, 32)).shape == (2, 256)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert shapes == {
        "stem": (3, 32, 32, 64, 16, 16),
        "blocks.0": (64, 8, 8, 256, 8, 8),
        "blocks.1": (256, 8, 8, 256, 8, 8),
        "blocks.2": (256, 8, 8, 256, 8, 8),
        "head": (256, 7),
    }


def test_multiply_adds_an_image() -> None:
    total = 0

    def count(layer: Any, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        total_of_layer = output.shape[2:].numel() * layer.weight.numel() if output.dim() == 4 else layer.weight.numel()
        nonlocal total
        total += total_of_layer

    model = fixed_model().eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    model(torch.zeros(1, 3, 32, 32))
    assert round(total / 1e6, 1) == 16.0


def test_forward_equals_the_layers_written_out() -> None:
    """Post-activation bottlenecks, ReLU after the sum, zero-padded pooling as Keras writes it, then the average."""
    model: Any = fixed_model().double().train()
    for layer in layers(model, nn.BatchNorm2d).values():
        assert isinstance(layer, nn.BatchNorm2d)
        nn.init.normal_(layer.weight, 1, 0.2)
        nn.init.normal_(layer.bias, 0, 0.2)
    model.eval()
    x = torch.randn(3, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def norm(values: Tensor, layer: nn.BatchNorm2d) -> Tensor:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        shape = (1, -1, 1, 1)
        scale = layer.weight / torch.sqrt(layer.running_var + 1.001e-5)
        return (values - layer.running_mean.view(shape)) * scale.view(shape) + layer.bias.view(shape)

    y = norm(model.stem(x), model.stem_bn).clamp(min=0)
    y = nn.functional.max_pool2d(nn.functional.pad(y, (1, 1, 1, 1)), 3, stride=2)  # the padding is zero, not -inf
    for block in model.blocks:
        short = y if isinstance(block.shortcut, nn.Identity) else norm(block.shortcut[0](y), block.shortcut[1])
        z = norm(block.conv1(y), block.bn1).clamp(min=0)
        z = norm(block.conv2(z), block.bn2).clamp(min=0)
        y = (norm(block.conv3(z), block.bn3) + short).clamp(min=0)
    expected = y.mean(dim=(2, 3)) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected)


def test_start_is_glorot_uniform_with_zero_biases() -> None:
    for layer in fixed_model().modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            receptive = math.prod(layer.weight.shape[2:])
            fans = (layer.weight.shape[0] + layer.weight.shape[1]) * receptive
            bound = math.sqrt(6 / fans)
            weights = layer.weight.detach().double().flatten()
            assert weights.abs().max() <= bound
            # A uniform law: its largest value is near the bound and its variance is bound^2 / 3, within five errors.
            assert weights.abs().max() > bound * (1 - 20 / len(weights))
            error = bound**2 * math.sqrt(4 / 45 / len(weights))
            assert abs(weights.square().mean() - bound**2 / 3) < 5 * error
            assert layer.bias is not None
            assert not layer.bias.any()
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            assert layer.weight.eq(1).all()
            assert not layer.bias.any()
            assert not layer.running_mean.any()
            assert layer.running_var.eq(1).all()


def test_start_is_the_generators() -> None:
    one, same, other = (fixed_model(seed=seed).stem.weight for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    model = fixed_model()
    state = torch.get_rng_state()
    initialise(model, torch.Generator().manual_seed(9))
    assert torch.equal(torch.get_rng_state(), state)


# --- preprocessing ----------------------------------------------------------------------------------------------


def half_pixel_bilinear(image: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.float64]:
    """(H, W, C) to (side, side, C): each output pixel's centre looked up among the input's, nothing smoothed."""
    height, width, channels = image.shape
    result = np.zeros((side, side, channels))
    for row in range(side):
        for position in range(side):
            y = min(max((row + 0.5) * height / side - 0.5, 0), height - 1)
            x = min(max((position + 0.5) * width / side - 0.5, 0), width - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            down, across = y - top, x - left
            upper = (1 - across) * image[top, left] + across * image[top, right]
            lower = (1 - across) * image[bottom, left] + across * image[bottom, right]
            result[row, position] = (1 - down) * upper + down * lower
    return result


@pytest.mark.parametrize(
    ("height", "width", "channels"), [(64, 64, 1), (64, 64, 3), (32, 32, 3), (20, 47, 3), (131, 9, 1)]
)
def test_preprocess_equals_the_definition(height: int, width: int, channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, height, width, channels), dtype=np.uint8)
    found = preprocess(images)
    assert found.shape == (3, 3, 32, 32)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    for image, tensor in zip(images, found, strict=True):
        red, green, blue = np.broadcast_to(half_pixel_bilinear(image, 32), (32, 32, 3)).transpose(2, 0, 1)
        expected = np.stack([blue - 103.939, green - 116.779, red - 123.68])
        np.testing.assert_allclose(tensor.numpy(), expected, atol=2e-4)


def test_preprocess_by_hand() -> None:
    image = np.full((1, 64, 64, 3), (10, 20, 30), np.uint8)  # red 10, green 20, blue 30
    assert preprocess(image)[0, :, 5, 7].tolist() == pytest.approx([30 - 103.939, 20 - 116.779, 10 - 123.68])


def test_preprocess_of_many_equals_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(1).integers(0, 256, (7, 64, 64, 1), dtype=np.uint8)
    alone = torch.cat([preprocess(image[None]) for image in images])
    monkeypatch.setattr("winnow.training.network.RESIZE_CHUNK", 3)
    assert torch.equal(preprocess(images), alone)
    assert preprocess(images[:0]).shape == (0, 3, 32, 32)


def test_preprocess_takes_read_only_pixels() -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    frozen = images.copy()
    frozen.flags.writeable = False
    assert torch.equal(preprocess(frozen), preprocess(images))


def test_normalise_carries_gradients() -> None:
    pixels = torch.zeros(1, 1, 4, 4, requires_grad=True)
    normalise(pixels).sum().backward()
    assert pixels.grad is not None
    assert (pixels.grad == 3).all()  # one grey value feeds three channels
