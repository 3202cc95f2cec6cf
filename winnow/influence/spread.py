"""The valuation of all images spread over workers: a job for each trajectory, then one for each part of the images.

What a job leaves for others lies in files of a folder that all workers see, and not in the messages between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.engine.jobs import run_jobs
from winnow.influence.head_valuation import FeatureData, value_head
from winnow.influence.parts import Effects, Part, mean_effect
from winnow.influence.valuation import Data, Plan, train_trajectory, value_by_checkpoints, value_by_replay
from winnow.training.head import HeadProfile

Members = Sequence[npt.NDArray[np.bool_]]  # (N,) of each run: those that it is trained on


@dataclass(frozen=True)
class Valuation:
    """What both kinds of model give for the N suspects."""

    effect: Effects  # (N, columns) removal effects
    curves: list[list[float]]  # by run, mean training loss an epoch


def value_networks(data: Data, members: Members, plan: Plan, seed: int, folder: Path) -> Valuation:
    """By whole networks, the competition's.

    Args:
        data: the images.
        members: of each trajectory.
        plan: how they are trained and read.
        seed: of the first; each takes the next.
        folder: empty, for what the jobs leave; every worker sees it.

    The effects do not depend on the number of workers.
    """
    trained = [folder / f"trajectory-{t}.safetensors" for t in range(len(members))]
    runs = list(zip(members, range(seed, seed + len(members)), trained, strict=True))
    curves = run_jobs(
        train_trajectory,
        [(data, one, plan, its_seed, into) for one, its_seed, into in runs],
        steps=sum(plan.epochs_on(int(one.sum())) for one in members),
        label="value: epochs",
    )
    parts = _replayed(data, members, folder) if plan.replay else _by_block(data, members, plan, folder)
    counts = [int(members[part.run].sum()) for part in parts]
    jobs: list[tuple[Any, ...]]
    if plan.replay:
        jobs = [(data, members[one.run], one.columns, plan, *runs[one.run][1:], one.path) for one in parts]
        run_jobs(value_by_replay, jobs, steps=sum(map(plan.epochs_on, counts)), label="value: influence")
    else:
        jobs = [(data, members[one.run], one.rows, plan, trained[one.run], one.path) for one in parts]
        steps = len(data.columns.blocks) * sum(map(plan.checkpoints_on, counts))
        run_jobs(value_by_checkpoints, jobs, steps=steps, label="value: influence")
    return Valuation(mean_effect(parts, np.stack(members), data.columns), curves)


def _by_block(data: Data, members: Members, plan: Plan, folder: Path) -> list[Part]:
    """The members of each run in blocks, which bound a job's memory and give large sets more jobs than runs."""
    columns, cuts = range(len(data.columns)), []
    for run, one in enumerate(members):
        count = int(one.sum())
        cuts += [(run, range(start, min(start + plan.block, count)), columns) for start in range(0, count, plan.block)]
    return [Part(*cut, folder / f"part-{number}.npy") for number, cut in enumerate(cuts)]


def _replayed(data: Data, members: Members, folder: Path) -> list[Part]:
    """The columns in blocks, for each of which a run is repeated: it has to see every image in any case."""
    blocks = data.columns.blocks
    cuts = [(run, range(int(one.sum())), columns) for run, one in enumerate(members) for columns in blocks]
    return [Part(*cut, folder / f"part-{number}.npy") for number, cut in enumerate(cuts)]


def value_heads(
    data: FeatureData, members: Members, profile: HeadProfile, seed: int, folder: Path, *, exact: bool
) -> Valuation:
    """By heads on a backbone's features.

    Args:
        data: the features.
        members: of each head.
        profile: how they are trained.
        seed: of the first; each takes the next.
        folder: empty, for what the jobs leave; every worker sees it.
        exact: with the curvature; else the lean form.
    """
    columns = range(len(data.columns))
    counts = [int(one.sum()) for one in members]
    parts = [Part(run, range(count), columns, folder / f"part-{run}.npy") for run, count in enumerate(counts)]
    jobs = [
        (data, one, profile, its_seed, exact, part.path)
        for one, its_seed, part in zip(members, range(seed, seed + len(members)), parts, strict=True)
    ]
    curves = run_jobs(value_head, jobs, steps=sum(map(profile.epochs_on, counts)), label="value: epochs")
    return Valuation(mean_effect(parts, np.stack(members), data.columns), curves)
