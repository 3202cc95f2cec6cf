"""A classifier at the working size, which gives class probabilities of images that it was not trained on.

Wrong labels and junk show as a low probability of the label as it stands, as in confident learning (Northcutt et al.
2021). The probability is the mean over an image and a few slightly moved views of it: from a single view of an unseen
image, probabilities are mostly near 0 or 1.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from winnow.representation.network import Encoder, Pixels, Training, train_on_views
from winnow.transforms.geometry import warp

SMOOTHING = 0.05  # of the targets: without it, the probabilities crowd at 0 and 1


TURN_DEGREES, SHIFT, ZOOM = 6.0, 0.04, 0.06  # of the views evaluated: within the ranges of training


def train_classifier(
    images: Pixels,
    labels: npt.NDArray[np.int64],
    members: npt.NDArray[np.bool_],
    training: Training,
    classes: int,
    seed: int,
    tick: Callable[[], None],
) -> dict[str, Tensor]:
    """Weights of a classifier of K classes trained on some of the images; arguments as in ``train_on_views``."""
    return train_on_views(
        images,
        labels,
        members,
        training,
        lambda logits, wanted: functional.cross_entropy(logits, wanted, label_smoothing=SMOOTHING),
        outputs=classes,
        views=1,
        seed=seed,
        tick=tick,
    )


@torch.inference_mode()
def class_probabilities(images: Pixels, classifier: Encoder, *, batch: int = 256) -> npt.NDArray[np.float32]:
    """(N, K) probability of each class, mean over the views; in evaluation mode and float32."""
    device = next(classifier.parameters()).device
    classifier.eval()
    if not len(images):  # a fold of which nothing is asked
        return np.zeros((0, classifier.head.out_features), np.float32)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    parts = []
    for part in torch.split(pixels, batch):
        views = [classifier.outputs(view).softmax(dim=1) for view in views_of(part.to(device).float() / 255)]
        parts.append(torch.stack(views).mean(dim=0).cpu())
    return torch.cat(parts).numpy()


def views_of(images: Tensor) -> Iterator[Tensor]:
    """The images as they are, then eight views: rotated and zoomed both ways, moved in four directions.

    Args:
        images: (B, C, H, W) in [0, 1].
    """
    yield images
    height, width = images.shape[2:]
    for sign in (-1, 1):
        angle = sign * math.radians(TURN_DEGREES)
        yield _warped(images, math.cos(angle), -math.sin(angle), 0, math.sin(angle), math.cos(angle), 0)
        yield _warped(images, 1 + sign * ZOOM, 0, 0, 0, 1 + sign * ZOOM, 0)
        yield _warped(images, 1, 0, sign * SHIFT * width, 0, 1, 0)
        yield _warped(images, 1, 0, 0, 0, 1, sign * SHIFT * height)


def _warped(images: Tensor, *matrix: float) -> Tensor:
    return warp(images, [images.new_full((len(images),), entry) for entry in matrix])
