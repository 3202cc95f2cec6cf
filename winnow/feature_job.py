"""The fixed model trained once, and its penultimate features, as a worker process finds them."""

import numpy as np
import numpy.typing as npt
import torch

from winnow.judge import EVALUATION_BATCH, Labelled, Profile, train
from winnow.network import pick_device, preprocess
from winnow.parallel import Tick


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
        images: (N, H, W, C) looked at.
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
