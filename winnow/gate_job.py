"""The gate's job for one dataset and seed, as a worker process runs it."""

import numpy as np
import numpy.typing as npt

from winnow.judge import Labelled, Profile, evaluate, train
from winnow.network import pick_device
from winnow.parallel import Tick


def answers(
    data: Labelled, validation: Labelled, asked: Labelled, classes: int, profile: Profile, seed: int, tick: Tick
) -> npt.NDArray[np.bool_]:
    """(N,) true where the fixed model, trained on ``data``, is right about the images asked.

    Args:
        data: trained on.
        validation: of the same dataset; chooses the epoch.
        asked: the images it is judged on.
        classes: K.
        profile: how it is trained.
        seed: of weights and orders.
        tick: called once an epoch.
    """
    device = pick_device()
    model = train(data, validation, classes=classes, profile=profile, seed=seed, device=device, tick=tick).model
    right: npt.NDArray[np.bool_] = evaluate(model, asked, device=device).predicted == asked.labels
    return right
