"""The fixed model: Keras's ResNet-50 cut at ``conv2_block3_out``, as the 2021 Data-Centric AI Competition fixed it.

It must not be changed. It judges every arm, and HyDRA's trajectories train it too, so that a sample is valued by the
model that it will be used with.

Source: the competition's trainer; He et al. (2016), table 1, first stage of ResNet-50. Differs from torchvision's
ResNet in Keras's ways: convolutions carry a bias, batch norm has epsilon 1.001e-5 and momentum 0.99 (0.01 as PyTorch
counts it), weights start Glorot-uniform.
"""

import functools
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.pipeline.scratch import scratch_array

INPUT_SIZE = 32


RESIZE_CHUNK = 1024  # images held as float at the size delivered, so that a large set needs memory for 32 x 32 only


CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red: the `resnet` preprocessing


BATCH_NORM_EPSILON = 1.001e-5


BATCH_NORM_MOMENTUM = 0.01  # the weight of the new batch; Keras's 0.99 is that of the old value


FEATURES = 256


def pick_device() -> torch.device:
    """The accelerator when there is one, else the CPU; in a worker the one that is the worker's."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision(device: torch.device, *, wanted: bool) -> torch.autocast:
    """Bfloat16 where it is wanted and faster than float32; where it is emulated, it is slower."""
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_gains_by_bfloat16()
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and native)


@functools.cache
def _cpu_gains_by_bfloat16() -> bool:
    """Matrix tiles (AMX), or AVX-512's bfloat16 on an AMD processor.

    On an Intel processor the AVX-512 instructions alone train the fixed model at 0.75 times the images a second.
    """
    about = Path("/proc/cpuinfo")
    amd = about.exists() and "AuthenticAMD" in about.read_text()
    return torch.cpu._is_amx_tile_supported() or (amd and torch.cpu._is_avx512_bf16_supported())


def wide(logits: Tensor) -> Tensor:
    """Logits in at least float32: cross-entropy in bfloat16 would lose the small losses."""
    return logits if logits.dtype == torch.float64 else logits.float()


def preprocess(images: npt.NDArray[np.uint8]) -> Tensor:
    """Pixels as the fixed model takes them.

    Bilinear resize without antialiasing, grey repeated to three channels, RGB to BGR, minus the Caffe means, unscaled.
    PyTorch's ``align_corners=False`` puts pixel centres at halves, as TensorFlow's resize does.

    Args:
        images: (N, H, W, 1) or (N, H, W, 3) uint8.

    Returns:
        (N, 3, 32, 32) float32, channels last in memory.
    """
    rows = scratch_array((len(images), INPUT_SIZE, INPUT_SIZE, 3), np.float32)
    result = torch.from_numpy(rows).permute(0, 3, 1, 2)
    for start in range(0, len(images), RESIZE_CHUNK):
        chunk = slice(start, start + RESIZE_CHUNK)
        pixels = torch.from_numpy(images[chunk].astype(np.float32)).permute(0, 3, 1, 2)  # (n, C, H, W)
        result[chunk] = normalise(functional.interpolate(pixels, (INPUT_SIZE, INPUT_SIZE), mode="bilinear"))
    return result


def normalise(pixels: Tensor) -> Tensor:
    """(N, 1 or 3, H, W) in 0..255, RGB, to (N, 3, H, W) as the fixed model takes it."""
    colour = pixels.expand(-1, 3, -1, -1).flip(1)  # (N, 3, H, W), BGR
    mean = torch.tensor(CAFFE_MEAN, dtype=pixels.dtype, device=pixels.device).view(1, 3, 1, 1)
    return (colour - mean).contiguous(memory_format=torch.channels_last)


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=True)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)


class Bottleneck(nn.Module):
    """Three convolutions 1x1, 3x3, 1x1 with a shortcut, projected where the widths differ."""

    def __init__(self, channels_in: int, width: int, channels_out: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _convolution(channels_in, width, 1), _batch_norm(width)
        self.conv2, self.bn2 = _convolution(width, width, 3), _batch_norm(width)
        self.conv3, self.bn3 = _convolution(width, channels_out, 1), _batch_norm(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.shortcut = nn.Sequential(_convolution(channels_in, channels_out, 1), _batch_norm(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        y = functional.relu_(self.bn1(self.conv1(x)))
        y = functional.relu_(self.bn2(self.conv2(y)))
        return functional.relu_(self.bn3(self.conv3(y)).add_(self.shortcut(x)))


class FixedModel(nn.Module):
    """The fixed model with one logit per class; 229,386 trainable parameters at 10 classes."""

    def __init__(self, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.stem, self.stem_bn = _convolution(3, 64, 7, stride=2), _batch_norm(64)
        self.blocks = nn.Sequential(
            Bottleneck(64, 64, FEATURES), Bottleneck(FEATURES, 64, FEATURES), Bottleneck(FEATURES, 64, FEATURES)
        )
        self.head = nn.Linear(FEATURES, classes)
        initialise(self, generator)
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, 32, 32) to the (B, 256) averages that the head reads."""
        x = functional.relu_(self.stem_bn(self.stem(x)))  # (B, 64, 16, 16)
        # Keras pads with zeros before pooling and PyTorch with minus infinity: equal after a ReLU.
        x = functional.max_pool2d(x, 3, stride=2, padding=1)  # (B, 64, 8, 8)
        return self.blocks(x).mean(dim=(2, 3))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 32, 32) to (B, K) logits."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Keras's initialisation: Glorot-uniform weights, zero biases (Glorot & Bengio 2010, eq. 16)."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                fan_out, fan_in = module.weight.shape[:2]
                receptive = module.weight[0, 0].numel() if module.weight.dim() == 4 else 1
                bound = math.sqrt(6.0 / ((fan_in + fan_out) * receptive))
                module.weight.uniform_(-bound, bound, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()


def centre_views(images: Tensor) -> Tensor:
    """(B, C, H, W) uint8 to (B, 3, 32, 32): the image without augmentation, as ``preprocess`` makes it."""
    pixels = images.float()
    return normalise(functional.interpolate(pixels, size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=False))


def quick_statistics(classes: int, momentum: float, generator: torch.Generator) -> FixedModel:
    """The fixed model with batch-norm statistics that follow the weights faster.

    The fixed momentum of 0.01 averages over hundreds of steps; a checkpoint early in a run, in evaluation mode, would
    use statistics of much older weights. Only the running statistics depend on it, not the training.
    """
    model = FixedModel(classes, generator)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
    return model
