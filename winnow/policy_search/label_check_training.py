"""One fold of the label check: train a classifier under the operations, judge the images that are held out."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from winnow.pipeline.fields import AtLeastTwo, Batch, BelowOne, Epochs, Magnitudes, OpenShare, Rate, section
from winnow.training.network import INPUT_SIZE, normalise, pick_device, preprocess, quick_statistics
from winnow.transforms.operations import OPERATIONS, apply_to_pixels
from winnow.transforms.views import Ranges, random_views

Pixels = npt.NDArray[np.uint8]


Indices = npt.NDArray[np.int64]


JUDGED_AT_ONCE = 256


MOST = 0.6  # of the training views under any operation, so that untouched ones lead


WARM_UP = 0.1  # share of the steps in which the rate rises from 0


QUICK = 0.1  # batch norm's weight of the newest batch: the fixed model's 0.01 needs more steps than are taken here


def demand_rising(magnitudes: Sequence[float]) -> None:
    """Reject magnitudes that do not rise to the whole range.

    Raises:
        ValueError: in words that begin with the field.
    """
    rising = [0.0, *magnitudes]
    if rising != sorted(set(rising)) or rising[-1] != 1:
        raise ValueError(f"magnitudes must rise within (0, 1] and end at 1.0, got {list(magnitudes)}")


@section
class Check:
    """How labels are checked; the params that are passed to every worker."""

    by: Literal["ensemble", "own"]  # the round's ensemble, or classifiers trained for it; with a backbone heads
    images_per_class: AtLeastTwo  # at most so many are drawn per class, so that the cost does not grow with the source
    images: AtLeastTwo  # of all classes together; where there are more classes, some are drawn
    least_images: AtLeastTwo  # a class with fewer is not judged by itself
    magnitudes: Magnitudes  # judged, ascending, in (0, 1]; the last is the whole range
    tolerance: BelowOne  # share of its recognition that a class may lose
    confidence: Annotated[float, Field(gt=0.5, lt=1)]  # that it loses more, before a magnitude is cut
    # Of classifiers of its own.
    folds: AtLeastTwo  # classifiers; each judges the images that it was not trained on
    epochs: Epochs
    batch: Batch
    learning_rate: Rate  # of Adam, at its highest; a half cosine takes it to 0
    # Of the training views, under each operation; all are scaled down alike where together they pass MOST.
    share: OpenShare
    look_share: Annotated[float, Field(gt=0, lt=MOST)]  # of an operation with a ``look`` of its own
    views: Ranges  # light affine of every training view

    def __post_init__(self) -> None:
        demand_rising(self.magnitudes)
        if self.images < self.images_per_class:
            raise ValueError(f"images must be at least images_per_class ({self.images_per_class}), got {self.images}")


def judge_fold(
    images: Pixels,
    labels: Indices,
    members: npt.NDArray[np.bool_],
    classes: int,
    operations: tuple[str, ...],
    check: Check,
    seed: int,
    tick: Callable[[], None],
) -> Indices:
    """Train on the members and judge the others.

    Args:
        images: (N, H, W, C).
        labels: (N,).
        members: (N,) the samples to train on; the n others are judged.
        classes: K.
        operations: to be judged.
        check: the settings.
        seed: of weights, order, views and judged signs.
        tick: called once an epoch and once an operation judged.

    Returns:
        (operations, 1 + magnitudes, n) the class that each is taken for; untouched first.
    """
    generator = torch.Generator().manual_seed(seed)
    model = _train(images[members], labels[members], classes, operations, check, generator, tick)
    held = images[~members]
    return taken_for_under(held, lambda shown: _answers(model, shown), operations, check.magnitudes, generator, tick)


def taken_for_under(
    images: Pixels,
    answers: Callable[[Pixels], Indices],
    operations: Sequence[str],
    magnitudes: Sequence[float],
    generator: torch.Generator,
    tick: Callable[[], None],
) -> Indices:
    """(operations, 1 + magnitudes, n) the class that each image is taken for; untouched first.

    Args:
        images: (n, H, W, C).
        answers: (n,) the class that each of n images is taken for.
        operations: to be judged.
        magnitudes: ascending.
        generator: of signs, noise and fields.
        tick: called once an operation.
    """
    result = np.empty((len(operations), 1 + len(magnitudes), len(images)), dtype=np.int64)
    result[:, 0] = answers(images)
    for row, name in enumerate(operations):
        before = images
        for place, magnitude in enumerate(magnitudes, start=1):
            shown = apply_to_pixels(name, images, np.full(len(images), magnitude), generator)
            # An all-or-nothing operation gives the same images at every magnitude.
            same = np.array_equal(shown, before)
            result[row, place] = result[row, place - 1] if same else answers(shown)
            before = shown
        tick()
    return result


def _train(
    images: Pixels,
    labels: Indices,
    classes: int,
    operations: tuple[str, ...],
    check: Check,
    generator: torch.Generator,
    tick: Callable[[], None],
) -> nn.Module:
    """The fixed model after ``check.epochs``, in evaluation mode."""
    device = pick_device()
    model = quick_statistics(classes, QUICK, generator).to(device).train()
    if not len(images):  # a source of a few images may leave a fold without any
        return model.eval()
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    total, step = check.epochs * math.ceil(len(images) / check.batch), 0
    for _ in range(check.epochs):
        copies = torch.from_numpy(copies_under(operations, images, check, generator))  # (n, H, W, C)
        for rows in torch.split(torch.randperm(len(images), generator=generator), check.batch):
            step += 1
            rise = min(1.0, step / (WARM_UP * total))
            optimiser.param_groups[0]["lr"] = check.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / total))
            shown = random_views(copies[rows].permute(0, 3, 1, 2).to(device), check.views, generator, side=INPUT_SIZE)
            inputs = normalise(shown)
            loss = functional.cross_entropy(model(inputs), torch.from_numpy(labels[rows.numpy()]).to(device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        tick()
    return model.eval()


def copies_under(operations: Sequence[str], images: Pixels, check: Check, generator: torch.Generator) -> Pixels:
    """(N, H, W, C): a share of the images under each operation, at a uniform magnitude; the others untouched."""
    result = images.copy()
    wanted = torch.tensor([check.look_share if OPERATIONS[name].look else check.share for name in operations])
    shares = wanted * min(1.0, MOST / float(wanted.sum()))
    draws = torch.rand(len(images), generator=generator)
    which = torch.bucketize(draws, shares.cumsum(0), right=True).numpy()  # (N,) beyond the last: untouched
    magnitudes = torch.rand(len(images), generator=generator).numpy()
    for row, name in enumerate(operations):
        mine = which == row
        result[mine] = apply_to_pixels(name, images[mine], magnitudes[mine], generator)
    return result


@torch.inference_mode()
def _answers(model: nn.Module, images: Pixels) -> Indices:
    """(N,) the class that each image is taken for."""
    device = next(model.parameters()).device
    parts: list[Tensor] = [
        model(part.to(device)).argmax(dim=1).cpu() for part in torch.split(preprocess(images), JUDGED_AT_ONCE)
    ]
    return torch.cat(parts).numpy()
