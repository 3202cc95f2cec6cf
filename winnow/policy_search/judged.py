r"""The search that asks the judge: which candidate's copies help the model most on images that it has not seen?

The training images are dealt into folds by group. For each fold the judge's model is trained on the other images and
on copies of these alone, and asked about the fold. All candidates have the same folds, first weights and seeds, so that
they are compared in pairs.

The score of a candidate is the mean over all images of

$$ s_i = \log\left((1 - e) \, p_i + e / K\right), \quad e = 0.1, $$

scaled to 1 where the model is sure of an image's own label and 0 where it is sure of another; p_i is the label's
probability, K the classes. It is the log-likelihood of a label that is arbitrary with probability e. That bounds what
an image can take off: a wrong label that is left in the data has a p near 0 under any good model, and by the plain loss
a handful of them would outweigh the rest, for the candidate whose model is least sure. Against accuracy, which counts
an image only when it crosses the border of a class, it tells candidates apart at 1.6 times as many standard errors
(runs of 100 updates on the embedded source, ten candidates, two seeds).

Before, the logits of a fold are divided by one temperature, the best for the score: a strong augmentation makes a model
less sure without making it worse, and the judge counts right answers alone (temperature scaling: Guo et al. 2017).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from winnow.augmentation.copies import from_policy, make_copies
from winnow.augmentation.policy import Policy
from winnow.dataset.folds import deal_folds
from winnow.engine.jobs import run_jobs
from winnow.pipeline.fields import AtLeastTwo, Batch, Count, Few, Rate, Steps, section
from winnow.pipeline.messages import UserError
from winnow.policy_search.candidates import strength
from winnow.policy_search.halving import Trial, halve
from winnow.training.network import FixedModel, pick_device, preprocess, quick_statistics
from winnow.training.training import EVALUATION_BATCH, Labelled, Profile, train

Pixels = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

QUICK = 0.1  # batch norm's weight of the newest batch: the fixed model's 0.01 needs more updates than a rung has
ARBITRARY = 0.1  # e: share of the labels that may say anything
TEMPERATURES = np.geomspace(0.25, 4.0, 33)


@section
class Halving:
    """How candidates are compared; the params that travel to every worker."""

    sub_policies: Few  # of a candidate's policy
    images: Count  # at most so many training images are used, so that the cost does not grow with the source
    folds: AtLeastTwo  # each image is classified by models that were trained without its own
    copies: Few  # of each image that is trained on
    rungs: Annotated[list[Steps], Field(min_length=1, max_length=10)]  # updates of a run, from rung to rung
    batch: Batch
    learning_rate: Rate  # at the first update; a half cosine takes it to 0

    def __post_init__(self) -> None:
        if self.rungs != sorted(set(self.rungs)):
            raise ValueError(f"rungs must rise, each a longer run than the one before, got {self.rungs}")

    def profile(self, updates: int) -> Profile:
        """How the model is trained on a rung; whole epochs, at least one."""
        return Profile(
            epochs=10_000,
            batch=self.batch,
            learning_rate=self.learning_rate,
            schedule="cosine",
            most_steps=updates,
            precision="bfloat16",
        )


def search_by_judge(
    policies: Mapping[str, Policy],
    images: Pixels,
    labels: Indices,
    classes: Sequence[str],
    settings: Halving,
    *,
    groups: Sequence[str],
    seed: int,
) -> list[Trial]:
    """The trials of all candidates; ``winner`` says which one is taken.

    Args:
        policies: by candidate; at least one.
        images: (N, H, W, C) training images at the working size.
        labels: (N,) class indices.
        classes: K names.
        settings: of the halving.
        groups: (N,) equal for images that belong together, as equal ones do.
        seed: of all draws.

    Raises:
        UserError: a fold is empty, or there are no images beside one.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(labels))[: settings.images])
    data = Labelled(images[chosen], labels[chosen])
    belonging = [groups[row] for row in chosen.tolist()]

    def score(names: Sequence[str], rung: int, updates: int) -> list[float]:
        own = np.random.default_rng([seed, rung])  # other folds and weights on every rung
        folds = deal_folds(data.labels, belonging, folds=settings.folds, rng=own)
        if len(np.unique(folds)) < settings.folds:
            raise UserError(
                f"params.yaml: search_policy.halving.folds is {settings.folds}, but there are only "
                f"{len(np.unique(belonging))} training images that differ; lower it, or set search_policy.by to critic"
            )
        seeds = own.integers(2**31, size=settings.folds).tolist()
        runs = [
            ShortRun(data, folds != fold, list(classes), policies[name], settings, updates, seeds[fold])
            for name in names
            for fold in range(settings.folds)
        ]
        jobs = [(run,) for run in runs]
        steps = sum(settings.profile(updates).epochs_on((1 + settings.copies) * int(run.members.sum())) for run in runs)
        answers = run_jobs(held_out, jobs, steps=steps, label=f"{len(names)} candidates by the judge: epochs")
        parts = [answers[start : start + settings.folds] for start in range(0, len(answers), settings.folds)]
        return [float(np.concatenate(part).mean()) for part in parts]

    return halve({name: strength(policy) for name, policy in policies.items()}, score, settings.rungs)


@dataclass(frozen=True)
class ShortRun:
    """A candidate's training without one fold."""

    data: Labelled  # N images with their labels
    members: npt.NDArray[np.bool_]  # (N,) those that are trained on; the n others are asked about
    classes: Sequence[str]  # K names
    policy: Policy  # of the copies
    settings: Halving  # of the training
    updates: int  # of the training
    seed: int  # of draws, weights and orders


def held_out(run: ShortRun, tick: Callable[[], None]) -> npt.NDArray[np.float64]:
    """(n,) scores in [0, 1] of the images that are held out, after training on the others and their copies.

    A job for a worker; ``tick`` is called once an epoch.
    """
    return scores(held_out_logits(run, tick), run.data.labels[~run.members])


def held_out_logits(run: ShortRun, tick: Callable[[], None]) -> npt.NDArray[np.float64]:
    """(n, K) what ``held_out`` scores."""
    generator = torch.Generator().manual_seed(run.seed)
    images, labels = run.data.images[run.members], run.data.labels[run.members]
    parents = np.repeat(images, run.settings.copies, axis=0)  # (M, H, W, C)
    of_parents = np.repeat(labels, run.settings.copies)
    draw = from_policy(run.policy, chained=1)  # a candidate's policy says itself how many are chained
    copies = make_copies("", draw, parents, [run.classes[label] for label in of_parents.tolist()], generator).pixels
    given = Labelled(np.concatenate([images, copies]), np.concatenate([labels, of_parents]))
    device = pick_device()
    trained = train(
        given,
        None,
        classes=len(run.classes),
        profile=run.settings.profile(run.updates),
        seed=run.seed,
        device=device,
        tick=tick,
        network=_judge,
    )
    with torch.inference_mode():
        parts = torch.split(preprocess(run.data.images[~run.members]), EVALUATION_BATCH)
        return torch.cat([trained.model(part.to(device)).cpu() for part in parts]).double().numpy()


def _judge(classes: int, generator: torch.Generator) -> FixedModel:
    return quick_statistics(classes, QUICK, generator)


def scores(logits: npt.NDArray[np.float64], labels: Indices) -> npt.NDArray[np.float64]:
    """(n,) the score of each image, at the temperature that is best for all of them.

    Args:
        logits: (n, K) of a model that was not trained on the images.
        labels: (n,) class indices.
    """
    floor = ARBITRARY / logits.shape[1]
    best = np.full(len(labels), -np.inf)
    for temperature in TEMPERATURES.tolist():
        scaled = logits / temperature
        power = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        own = power[np.arange(len(labels)), labels] / power.sum(axis=1)  # (n,) p
        found = np.log((1 - ARBITRARY) * own + floor)
        if found.sum() > best.sum():
            best = found
    lowest, highest = math.log(floor), math.log(1 - ARBITRARY + floor)
    return (best - lowest) / (highest - lowest)
