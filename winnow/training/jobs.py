"""Jobs that train the fixed model once in a worker process: answers for the gate, features for the edge cases."""

import numpy as np
import numpy.typing as npt
import torch

from winnow.pipeline.workers import Tick
from winnow.training.network import pick_device, preprocess
from winnow.training.training import EVALUATION_BATCH, Labelled, Profile, evaluate, train


def answers(
    data: Labelled, validation: Labelled, queried: Labelled, classes: int, profile: Profile, seed: int, tick: Tick
) -> npt.NDArray[np.bool_]:
    """(N,) true where the fixed model, trained on ``data``, classifies a queried image correctly.

    Args:
        data: trained on.
        validation: of the same dataset; chooses the epoch.
        queried: the images that it is evaluated on.
        classes: K.
        profile: how it is trained.
        seed: of weights and orders.
        tick: called once an epoch.
    """
    device = pick_device()
    model = train(data, validation, classes=classes, profile=profile, seed=seed, device=device, tick=tick).model
    right: npt.NDArray[np.bool_] = evaluate(model, queried, device=device).predicted == queried.labels
    return right


def features(
    data: Labelled,
    validation: Labelled,
    images: npt.NDArray[np.uint8],
    classes: int,
    profile: Profile,
    seed: int,
    tick: Tick,
) -> npt.NDArray[np.float32]:
    """(N, 256) averages that the head of the trained model reads.

    Args:
        data: trained on.
        validation: chooses the epoch.
        images: (N, H, W, C) whose features are computed.
        classes: K.
        profile: how it is trained.
        seed: of weights and orders.
        tick: called once an epoch.
    """
    device = pick_device()
    model = train(data, validation, classes=classes, profile=profile, seed=seed, device=device, tick=tick).model
    with torch.inference_mode():
        parts = torch.split(preprocess(images), EVALUATION_BATCH)
        return torch.cat([model.features(part.to(device)).cpu() for part in parts]).numpy()
