"""How the competition's trainer reads images: subsampled at once, in the order of a shuffle buffer. With a seed's job.

Source: train.py of the 2021 Data-Centric AI Competition, as participants published it. It reads ``train/`` by
``tf.keras.preprocessing.image_dataset_from_directory(shuffle=True, seed=123, batch_size=8, image_size=(32, 32))``, the
colour mode and the interpolation left at ``rgb`` and ``bilinear``. In TensorFlow 2.4, python/keras/preprocessing:

- ``dataset_utils.index_directory`` shuffles the list of files once;
- ``image_dataset.path_to_image`` decodes to three channels and calls ``resize_images_v2`` at the size delivered, by
  default without antialiasing: ``resize_bilinear`` with pixel centres at halves;
- ``image_dataset.image_dataset_from_directory`` then calls ``shuffle(buffer_size=batch_size * 8)``, whose default is a
  new order in each epoch. core/kernels/data/shuffle_dataset_op.cc fills the buffer, gives one of its images at random,
  and fills it again, until no image is left.

Differs: one seed draws the weights, the list's order and the buffer's, where that trainer has 123 for all three.
"""

import functools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from winnow.dataset.images import decode_stored, stored_images
from winnow.dataset.samples import only_splits, read_samples
from winnow.engine.jobs import Tick
from winnow.training.network import INPUT_SIZE, pick_device
from winnow.training.training import FixedInputs, Labelled, Profile, evaluate, train

BATCHES_BUFFERED = 8


def subsampled(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(32, 32, C) of one (H, W, C) image: bilinear between the four nearest pixels, without antialiasing."""
    image = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]  # (1, C, H, W)
    size = (INPUT_SIZE, INPUT_SIZE)
    small = functional.interpolate(image, size, mode="bilinear", antialias=False, align_corners=False)
    return small[0].permute(1, 2, 0).contiguous().numpy()  # (32, 32, C)


def originals(dataset: Path, split: str) -> npt.NDArray[np.float32]:
    """(N, 32, 32, C) of a dataset's split, from the bytes as delivered, in the order of its samples."""
    ids = only_splits(read_samples(dataset), split)["id"].to_pylist()
    found = [subsampled(decode_stored(data, dataset, one)) for one, data in stored_images(dataset, ids).items()]
    channels = max(one.shape[-1] for one in found)
    return np.stack([np.broadcast_to(one, (*one.shape[:2], channels)) for one in found])


def buffered(files: Sequence[int], size: int, rng: np.random.Generator) -> list[int]:
    """The files in the order in which a shuffle buffer gives them.

    Args:
        files: in the order in which they enter it.
        size: of the buffer, at least 1.
        rng: draws which one leaves it.
    """
    held, order = list(files[:size]), []
    for entering in files[size:]:
        leaving = int(rng.integers(len(held)))
        order.append(held[leaving])
        held[leaving] = entering
    return order + [held[n] for n in rng.permutation(len(held))]


class InTrainersOrder:
    """A labelled set that, whichever images a batch asks for, gives as many in the order of the competition's trainer.

    A batch that is a slice, as in an evaluation, is that slice.
    """

    def __init__(self, data: Labelled, device: torch.device, *, buffer: int, seed: int) -> None:
        self.inner = FixedInputs(data, device)
        self.labels = self.inner.labels
        self.buffer, self.rng = buffer, np.random.default_rng([seed, buffer])
        self.files: list[int] = self.rng.permutation(len(data.labels)).tolist()  # once for all epochs
        self.coming: list[int] = []  # of this epoch

    def __len__(self) -> int:
        """N."""
        return len(self.inner)

    def pick(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """(B, 3, 32, 32) images, channels last in memory, and (B,) labels."""
        if isinstance(index, slice):
            return self.inner.pick(index)
        self.coming = self.coming or buffered(self.files, self.buffer, self.rng)
        batch, self.coming = self.coming[: len(index)], self.coming[len(index) :]
        return self.inner.pick(torch.tensor(batch, device=self.labels.device))


@dataclass(frozen=True)
class Sets:
    """Images of one kind, and K."""

    train: Labelled
    val: Labelled
    test: Labelled
    classes: int


def run_seed(sets: Sets, basis: dict[str, Any], buffer: bool, profile: Profile, file: Path, tick: Tick) -> None:
    """Train and test one seed and append its line at once, so that a run killed later keeps it; a job for a worker.

    Args:
        sets: the images.
        basis: what the line is of, its ``seed`` among it.
        buffer: whether the order is that of the competition's trainer.
        profile: how it is trained.
        file: of JSON lines.
        tick: called once an epoch.
    """
    start, seed, device = time.monotonic(), int(basis["seed"]), pick_device()
    trainers = functools.partial(InTrainersOrder, buffer=BATCHES_BUFFERED * profile.batch, seed=seed)
    trained = train(
        sets.train,
        sets.val,
        classes=sets.classes,
        profile=profile,
        seed=seed,
        device=device,
        tick=tick,
        as_batches=trainers if buffer else FixedInputs,
    )
    result = evaluate(trained.model, sets.test, device=device)
    line = {
        **basis,
        "accuracy": result.accuracy,
        "best_epoch": trained.best_epoch,
        "val_accuracy": trained.curve[trained.best_epoch - 1].val_accuracy,
        "seconds": round(time.monotonic() - start),
        "right": "".join("01"[one] for one in (result.predicted == sets.test.labels).tolist()),
    }
    with file.open("ab", buffering=0) as lines:  # one write a line: those of two workers do not mix
        lines.write(f"{json.dumps(line)}\n".encode())
