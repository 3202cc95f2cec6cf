"""A classifier at the working size, asked about images that it never saw: how likely is each class?

Wrong labels and junk show as a low probability of the label as it stands, as in confident learning (Northcutt et al.
2021). The probability is the mean over an image and a few views of it that are moved a little: single looks at unseen
images are either sure or lost.
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


TURN_DEGREES, SHIFT, ZOOM = 6.0, 0.04, 0.06  # of the views looked at: inside what training showed


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
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    parts = []
    for part in torch.split(pixels, batch):
        looks = [classifier.outputs(view).softmax(dim=1) for view in looked_at(part.to(device).float() / 255)]
        parts.append(torch.stack(looks).mean(dim=0).cpu())
    return torch.cat(parts).numpy()


def looked_at(images: Tensor) -> Iterator[Tensor]:
    """The images as they are, then eight views: turned and zoomed both ways, moved in four directions.

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
