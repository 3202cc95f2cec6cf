"""How the model of a source learns: the competition's fixed model, heads on frozen features, or a whole network.

Each trains on labelled data, chooses the epoch by validation data (the first of the best accuracy), or takes the last
where there are none, and evaluates.
"""

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winnow.backbone.card import Card
from winnow.backbone.loading import finetunable
from winnow.backbone.normalise import normalised
from winnow.engine.jobs import Tick
from winnow.training.head import Head, HeadProfile, train_head
from winnow.training.network import pick_device, preprocess
from winnow.training.training import (
    EVALUATION_BATCH,
    Epoch,
    Evaluation,
    Labelled,
    Profile,
    Trained,
    check_sets,
    evaluate,
    evaluation_of,
    train,
)

Rows = npt.NDArray[np.int64]


class Learner(Protocol):
    """What a stage needs of a model; it travels to worker processes."""

    def epochs_on(self, images: int) -> int:
        """Epochs of a training on so many images; each ticks once."""

    @property
    def most_images(self) -> int:
        """Images that its updates can see; 0: any number."""

    def train(self, data: Labelled, validation: Labelled | None, *, classes: int, seed: int, tick: Tick) -> Trained:
        """The model at its chosen epoch."""

    def evaluate(self, trained: Trained, data: Labelled) -> Evaluation:
        """Its predictions for a labelled set."""


@dataclass(frozen=True)
class FixedLearner:
    """The competition's fixed model."""

    profile: Profile

    def epochs_on(self, images: int) -> int:
        """As the profile says."""
        return self.profile.epochs_on(images)

    @property
    def most_images(self) -> int:
        """As the profile limits its updates."""
        return self.profile.most_steps * self.profile.batch

    def train(self, data: Labelled, validation: Labelled | None, *, classes: int, seed: int, tick: Tick) -> Trained:
        """See ``winnow.training.training.train``."""
        device = pick_device()
        return train(data, validation, classes=classes, profile=self.profile, seed=seed, device=device, tick=tick)

    def evaluate(self, trained: Trained, data: Labelled) -> Evaluation:
        """See ``winnow.training.training.evaluate``."""
        return evaluate(trained.model, data, device=pick_device())


@dataclass(frozen=True)
class HeadLearner:
    """A head on the features of a frozen backbone."""

    profile: HeadProfile

    def epochs_on(self, images: int) -> int:
        """As the profile says."""
        return self.profile.epochs_on(images)

    @property
    def most_images(self) -> int:
        """As the profile limits its updates."""
        return self.profile.most_steps * self.profile.batch

    def train(self, data: Labelled, validation: Labelled | None, *, classes: int, seed: int, tick: Tick) -> Trained:
        """See ``winnow.training.head``."""
        check_sets(data, validation)
        features = _tensor(data.images)
        held_out = None if validation is None else (_tensor(validation.images), _wanted(validation, features.device))
        curve: list[Epoch] = []
        best: list[Tensor] = []

        def after_epoch(head: Head, loss: float) -> None:
            accuracy = math.nan if held_out is None else _share_right(head, *held_out)
            if held_out is None or not curve or accuracy > max(epoch.val_accuracy for epoch in curve):
                best[:] = [head.weight.detach().clone()]
            curve.append(Epoch(loss, accuracy))
            tick()

        head, _ = train_head(
            features,
            _wanted(data, features.device),
            torch.arange(len(features)),
            classes=classes,
            profile=self.profile,
            seed=seed,
            after_epoch=after_epoch,
        )
        head.load_state_dict({**head.state_dict(), "weight": best[0]})
        # The first of the best, or the last.
        chosen = len(curve) if held_out is None else 1 + int(np.argmax([epoch.val_accuracy for epoch in curve]))
        return Trained(head.eval(), chosen, tuple(curve))

    def evaluate(self, trained: Trained, data: Labelled) -> Evaluation:
        """Predictions of the head."""
        with torch.inference_mode():
            logits = trained.model.to(pick_device())(_tensor(data.images))
        return evaluation_of(logits.float().cpu(), data.labels)


def _tensor(features: npt.NDArray[np.floating]) -> Tensor:
    given = np.asarray(features, dtype=np.float32)
    return torch.from_numpy(given if given.flags.writeable else given.copy()).to(pick_device())


def _wanted(data: Labelled, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(data.labels, dtype=np.int64)).to(device)


def _share_right(head: Head, features: Tensor, wanted: Tensor) -> float:
    return float((head(features).argmax(dim=1) == wanted).double().mean())


class Squares:
    """A labelled set of 8-bit squares, normalised a batch at a time: as floats, photographs would fill the memory."""

    def __init__(self, card: Card, data: Labelled, device: torch.device) -> None:
        self.card, self.device = card, device
        self.pixels = torch.from_numpy(np.asarray(data.images))  # (N, S, S, C)
        self.labels = torch.from_numpy(np.array(data.labels, dtype=np.int64)).to(device)  # (N,)

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    def pick(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) images, channels last in memory, and (B,) labels."""
        rows = index.cpu() if isinstance(index, Tensor) else index
        return normalised(self.pixels[rows].to(self.device), self.card), self.labels[index]


@dataclass(frozen=True)
class WholeLearner:
    """The user's network with a fresh head, every weight trained."""

    profile: Profile
    card: Card
    user_folder: Path  # models/user

    def epochs_on(self, images: int) -> int:
        """As the profile says."""
        return self.profile.epochs_on(images)

    @property
    def most_images(self) -> int:
        """As the profile limits its updates."""
        return self.profile.most_steps * self.profile.batch

    def train(self, data: Labelled, validation: Labelled | None, *, classes: int, seed: int, tick: Tick) -> Trained:
        """See ``winnow.training.training.train``."""
        return train(
            data,
            validation,
            classes=classes,
            profile=self.profile,
            seed=seed,
            device=pick_device(),
            tick=tick,
            network=lambda k, generator: finetunable(self.card, k, generator, user_folder=self.user_folder),
            as_batches=functools.partial(Squares, self.card),
            least_batch=2,  # batch norm of one value a channel, as of a network that ends in 1 x 1 maps, is none
        )

    def evaluate(self, trained: Trained, data: Labelled) -> Evaluation:
        """See ``winnow.training.training.evaluate``."""
        device = pick_device()
        return evaluate(trained.model, data, device=device, as_batches=functools.partial(Squares, self.card))


def learner_of(card: Card, *, fixed: Profile, head: HeadProfile, finetune: Profile, user_folder: Path) -> Learner:
    """The learner of a source's model.

    Args:
        card: of the model.
        fixed: how the competition's model is trained here.
        head: how heads are trained.
        finetune: how a whole network of the user's is.
        user_folder: models/user.
    """
    if card.competition:
        return FixedLearner(fixed)
    return HeadLearner(head) if card.frozen else WholeLearner(finetune, card, user_folder)


def fixed_features(
    data: Labelled,
    validation: Labelled,
    images: npt.NDArray[np.uint8],
    classes: int,
    profile: Profile,
    seed: int,
    tick: Tick,
) -> npt.NDArray[np.float32]:
    """(N, 256) averages that the head of the trained fixed model reads; a job for a worker.

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
        return torch.cat([model.features(part.to(device)).cpu() for part in parts]).numpy()  # type: ignore[operator]
