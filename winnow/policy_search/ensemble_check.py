"""The label check by the ensemble: its networks judge images that they were not trained on, so that none is trained.

A fifth of their training views are inverted, and all are slanted, moved and noisy; thick strokes, elastic fields and
strong zoom or noise are new to them. Where recognition falls because an image is new to a network, and not because its
label is lost, a limit is too strict. By measurement it happens to strong noise, mostly by one step of the grid, and
less to strokes.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from winnow.engine.jobs import run_jobs
from winnow.policy_search.label_check import LabelCheck, at_most, decide_or_pool
from winnow.policy_search.label_check_training import JUDGED_AT_ONCE, Check, Indices, Pixels, taken_for_under
from winnow.representation.network import Encoder
from winnow.training.network import half_precision, pick_device


def find_limits_by_ensemble(
    images: Pixels,
    labels: Indices,
    classes: Sequence[str],
    operations: Sequence[str],
    check: Check,
    *,
    folds: Indices,
    states: Sequence[Mapping[str, Tensor]],
    seed: int,
) -> LabelCheck:
    """The magnitudes of each operation that each class's label survives.

    Args:
        images: (N, H, W, C) training images at the working size.
        labels: (N,) class indices.
        classes: K names.
        operations: names of ``OPERATIONS``.
        check: the criterion, and at most how many images of a class are judged.
        folds: (N,) fold of each image.
        states: by fold, of the network that left it out.
        seed: of draws and signs.

    Returns:
        Limits and report; equal for equal arguments.
    """
    rng = np.random.default_rng(seed)
    chosen = at_most(labels, check, rng)
    images, labels, folds = images[chosen], labels[chosen], folds[chosen]
    seeds = rng.integers(2**31, size=len(states)).tolist()
    jobs = [
        (images[folds == fold], state, tuple(operations), check.magnitudes, seeds[fold])
        for fold, state in enumerate(states)
    ]
    answers = run_jobs(judge_by, jobs, steps=len(jobs) * len(operations), label="label check: operations")
    taken_for = np.zeros((len(operations), 1 + len(check.magnitudes), len(labels)), dtype=np.int64)
    for fold, answer in enumerate(answers):
        taken_for[:, :, folds == fold] = answer
    return decide_or_pool(taken_for, labels, classes, operations, check)


def judge_by(
    images: Pixels,
    state: Mapping[str, Tensor],
    operations: tuple[str, ...],
    magnitudes: Sequence[float],
    seed: int,
    tick: Callable[[], None],
) -> Indices:
    """(operations, 1 + magnitudes, n) the class that a network takes each of n images for; a job for a worker."""
    device, generator = pick_device(), torch.Generator().manual_seed(seed)
    network = Encoder(len(state["head.bias"]), torch.Generator()).to(device)
    network.load_state_dict(dict(state))
    network.eval()
    return taken_for_under(
        images, lambda shown: _answers(network, device, shown), operations, magnitudes, generator, tick
    )


@torch.inference_mode()
def _answers(network: Encoder, device: torch.device, images: Pixels) -> Indices:
    """(n,) the class that each image is taken for."""
    found = [np.zeros(0, np.int64)]  # of a fold without images
    for part in torch.split(torch.from_numpy(images).permute(0, 3, 1, 2), JUDGED_AT_ONCE):
        with half_precision(device, wanted=True):
            logits = network.outputs(part.to(device).float() / 255)
        found.append(logits.argmax(dim=1).cpu().numpy())
    return np.concatenate(found)
