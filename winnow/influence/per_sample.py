"""Inner products of per-sample gradients with a few fixed gradients, without ever storing a per-sample gradient set.

HyDRA needs <g_i, v_j> for every sample i of a batch and M stacked gradients v_j. Layer by layer, a sample's weight
gradient is formed from the layer's saved input and output gradient, multiplied with the M stacked gradients and
discarded: about P M multiply-adds per image on top of a backward pass, and memory for one layer only.

Batch norm ties the samples of a batch together in training mode, where a per-sample gradient does not exist. It is
therefore taken at its running statistics (evaluation mode), as a function of its scale and shift.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.training.network import wide

Layer = nn.Conv2d | nn.Linear | nn.BatchNorm2d


Consume = Callable[[int, Tensor], None]


def layers_of(model: nn.Module) -> list[Layer]:
    """The layers that hold parameters, in the order of ``model.modules()``.

    Raises:
        ValueError: a parameter sits in a layer of another kind, whose gradient would silently be left out.
    """
    layers = [module for module in model.modules() if isinstance(module, Layer)]
    covered = {id(parameter) for layer in layers for parameter in layer.parameters()}
    for name, parameter in model.named_parameters():
        if id(parameter) not in covered:
            raise ValueError(f"per-sample gradients know Conv2d, Linear and BatchNorm2d; {name} is in none of them")
    return layers


def stacked_gradients(model: nn.Module, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    """Gradients of each sample's cross-entropy in evaluation mode, one (M, P_parameter) matrix per parameter.

    The order inside a convolution's row is (output, kernel row, kernel column, input), to be used with
    ``gradient_products`` only.
    """
    gradients: dict[int, Tensor] = {}
    _backward(model, inputs, targets, gradients.__setitem__)
    return [gradients[index] for index in range(len(gradients))]


def mean_gradients(model: nn.Module, parts: Iterable[tuple[Tensor, Tensor, Tensor]], *, groups: int) -> list[Tensor]:
    """Gradients of each group's mean cross-entropy in evaluation mode, one (groups, P_parameter) matrix per parameter.

    Args:
        model: as ``gradient_products`` takes it.
        parts: inputs (B, C, H, W), targets (B,) and group (B,) int64 of some samples, at least one of every group.
        groups: how many there are.

    Memory O(groups P + B max P_parameter): a layer's gradients of one part alone are held beside the sums.
    """
    sums: dict[int, Tensor] = {}
    kinds: dict[int, torch.dtype] = {}
    counts: Tensor | None = None
    for inputs, targets, group in parts:

        def add(index: int, gradient: Tensor, group: Tensor = group) -> None:
            if index not in sums:
                kinds[index] = gradient.dtype  # which autocast may have made narrower than sums should be
                wider = torch.promote_types(gradient.dtype, torch.float32)
                sums[index] = gradient.new_zeros(groups, gradient.shape[1], dtype=wider)
            sums[index].index_add_(0, group, gradient.to(sums[index].dtype))

        _backward(model, inputs, targets, add)
        found = torch.bincount(group, minlength=groups)
        counts = found if counts is None else counts + found
    assert counts is not None
    return [sums.pop(index).div_(counts[:, None]).to(kinds[index]) for index in range(len(sums))]


def gradient_products(model: nn.Module, inputs: Tensor, targets: Tensor, stacked: list[Tensor]) -> Tensor:
    """<gradient of sample i's cross-entropy, stacked gradient j> in evaluation mode.

    Args:
        model: Conv2d, Linear and BatchNorm2d layers, each used once a forward pass.
        inputs: (B, C, H, W), in the precision to compute in (float32, float64, or bfloat16 through autocast).
        targets: (B,) int64.
        stacked: from ``stacked_gradients``, M rows.

    Returns:
        (B, M), float64 for float64 parameters, else float32.

    Time O(B P M) beside a forward and a backward pass; memory O(B max P_parameter + M P).
    """
    wide = torch.float64 if next(model.parameters()).dtype == torch.float64 else torch.float32
    total = torch.zeros(len(stacked[0]), len(inputs), dtype=wide, device=inputs.device)

    def add(index: int, gradient: Tensor) -> None:
        # The few stacked rows on the left: a tenth faster than the other way round.
        total.add_(stacked[index] @ gradient.to(stacked[index].dtype).T)

    _backward(model, inputs, targets, add)
    return total.T


def _backward(model: nn.Module, inputs: Tensor, targets: Tensor, consume: Consume) -> None:
    """One backward pass that passes each parameter's per-sample gradients (B, P_parameter) to ``consume``.

    Parameters count in the order of ``layers_of``, a layer's weight before its bias.
    """
    training = model.training
    model.eval()
    try:
        with _parameters_frozen(model), _watched(layers_of(model), consume), torch.enable_grad():
            loss = functional.cross_entropy(wide(model(inputs)), targets, reduction="sum")
            loss.backward()
    finally:
        model.train(training)


@contextmanager
def _parameters_frozen(model: nn.Module) -> Iterator[None]:
    """Without summed parameter gradients, which autograd would compute in vain."""
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in wanted:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)


@contextmanager
def _watched(layers: list[Layer], consume: Consume) -> Iterator[None]:
    def watch(first: int, layer: Layer) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        def after_forward(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if not output.requires_grad:
                output.requires_grad_()  # the first layer: nothing before it needs a gradient
            received = inputs[0].detach()

            def after_backward(gradient: Tensor) -> None:
                for index, part in enumerate(_per_sample(layer, received, gradient), start=first):
                    consume(index, part)

            output.register_hook(after_backward)
            return output

        return after_forward

    firsts = itertools.accumulate((len(list(layer.parameters())) for layer in layers), initial=0)
    handles = [layer.register_forward_hook(watch(first, layer)) for first, layer in zip(firsts, layers, strict=False)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _per_sample(layer: Layer, received: Tensor, gradient: Tensor) -> Iterator[Tensor]:
    """(B, P_parameter) gradients of the layer's weight and bias from its input and its output's gradient."""
    if isinstance(layer, nn.BatchNorm2d):
        yield from _of_batch_norm(layer, _positions(received), _positions(gradient))
        return
    if isinstance(layer, nn.Linear):
        rows, patches = gradient.unsqueeze(1), received.unsqueeze(1)  # (B, 1, out), (B, 1, in)
    else:
        rows, patches = _positions(gradient), _patches(layer, received)  # (B, L, out), (B, L, kernel x kernel x in)
    yield (rows.transpose(1, 2) @ patches).flatten(1)  # (B, out x kernel x kernel x in)
    if layer.bias is not None:
        yield rows.sum(dim=1)


def _of_batch_norm(layer: nn.BatchNorm2d, received: Tensor, gradient: Tensor) -> Iterator[Tensor]:
    """(B, C) gradients of scale and shift from (B, L, C) input and output gradient."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    shift = gradient.sum(dim=1)
    scale = (gradient * received).sum(dim=1) - layer.running_mean * shift
    yield scale * torch.rsqrt(layer.running_var + layer.eps)
    yield shift


def _positions(image: Tensor) -> Tensor:
    """(B, C, H, W) to (B, L, C); free where channels lie last in memory."""
    return image.permute(0, 2, 3, 1).flatten(1, 2)


def _patches(layer: nn.Conv2d, received: Tensor) -> Tensor:
    """(B, L, kernel x kernel x in): the input seen by each output position."""
    if layer.groups != 1 or layer.dilation != (1, 1) or not isinstance(layer.padding, tuple):
        raise ValueError("per-sample gradients of a convolution need groups 1, dilation 1 and a numeric padding")
    (pad_h, pad_w), (stride_h, stride_w) = layer.padding, layer.stride
    if layer.kernel_size == (1, 1) and (stride_h, stride_w, pad_h, pad_w) == (1, 1, 0, 0):
        return _positions(received)
    (high, wide), channels = layer.kernel_size, layer.in_channels
    lines = functional.pad(received.permute(0, 2, 3, 1), (0, 0, pad_w, pad_w, pad_h, pad_h)).flatten(2)  # (B, H, W in)
    # A kernel row's columns and channels lie side by side in memory: one window over both copies in long runs.
    windows = lines.unfold(2, wide * channels, stride_w * channels).unfold(1, high, stride_h)
    return windows.transpose(3, 4).flatten(3).flatten(1, 2)
