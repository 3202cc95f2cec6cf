"""Influence of N images on 52 label-book images at a checkpoint, against a training pass and captum's TracInCP.

Everything runs on one thread, on synthetic images, at weights a few epochs into training.
"""

import copy
import dataclasses
import functools
import math
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.embedded import decoded, draw_source, prepare_source
from bench.ranks import rank_correlation
from bench.timing import Figure, figure, interleaved, rates, ratios
from stages.value import Params
from winnow.dataset.images import read_images
from winnow.dataset.samples import class_names, label_indices, only_splits, read_samples
from winnow.influence.per_sample import gradient_products, stacked_gradients
from winnow.influence.trajectory import Run, train
from winnow.pipeline.params import load_params
from winnow.training.network import centre_views, half_precision, quick_statistics

LABEL_BOOK = 52
WARM_EPOCHS = 4  # before the checkpoint: gradients at the first weights say little about ranks
CAPTUM_BATCH = 128  # as fast as 64 and faster than 32


@dataclasses.dataclass(frozen=True)
class Case:
    """The inputs of every candidate."""

    run: Run  # one epoch over the images
    model: nn.Module  # at the checkpoint
    book: Tensor  # (52, C, H, W) uint8, the label book
    book_labels: Tensor
    batch: int  # images at once


def measure(*, images: int, rounds: int) -> list[Figure]:
    """Ratios of one run; both precisions, ranks included."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        case = _case(images)
        captum, contiguous = _captum(case), _plain_pass(case)
        times = interleaved(
            {
                "ours": lambda: products(case, bfloat16=False),
                "bfloat16": lambda: products(case, bfloat16=True),
                "training": lambda: train(case.run, tick=lambda: None),
                "plain": contiguous,
                "captum": captum,
            },
            rounds=rounds,
        )
        return [*_speed(times, images, case), *_agreement(case, captum)]
    finally:
        torch.set_num_threads(threads)


def products(case: Case, *, bfloat16: bool) -> np.ndarray:
    """(N, 52) products at the checkpoint with the label book's gradients, as ``winnow.influence.hydra`` takes them."""
    run = case.run
    with half_precision(run.images.device, wanted=bfloat16):
        stacked = stacked_gradients(case.model, centre_views(case.book), case.book_labels)
        parts = [
            gradient_products(case.model, centre_views(run.images[rows]), run.labels[rows], stacked)
            for rows in torch.split(run.members, case.batch)
        ]
    return torch.cat(parts).double().numpy()


def _case(images: int) -> Case:
    params = load_params("value", Params)
    with tempfile.TemporaryDirectory() as name:
        source = draw_source(Path(name), train_per_class=-(-images // 10), test_per_class=1)
        dataset = prepare_source(source, Path(name))
        samples = read_samples(dataset)
        suspects = only_splits(samples, "train", "val").slice(0, images)
        book = only_splits(samples, "label_book").slice(0, LABEL_BOOK)
        arrays = decoded(dataset)
        pixels, book_pixels = (read_images(dataset, table["id"].to_pylist(), arrays) for table in (suspects, book))
    run = Run(
        images=torch.tensor(pixels).permute(0, 3, 1, 2).contiguous(),
        labels=torch.tensor(label_indices(suspects)),
        members=torch.arange(len(pixels)),
        network=functools.partial(quick_statistics, len(class_names(samples)), params.batch_norm_momentum),
        sgd=params.sgd,
        views=params.views,
        epochs=WARM_EPOCHS,
        batch=params.batch,
        checkpoint_steps=params.checkpoint_epochs * math.ceil(len(pixels) / params.batch),
        seed=0,
        bfloat16=False,  # the training pass that the targets refer to
    )
    model = train(run, tick=lambda: None).model(run).eval()
    return Case(
        dataclasses.replace(run, epochs=1),
        model,
        torch.tensor(book_pixels).permute(0, 3, 1, 2).contiguous(),
        torch.tensor(label_indices(book)),
        params.influence_batch,
    )


def _plain_pass(case: Case) -> Callable[[], None]:
    """One epoch as PyTorch's tutorials write it: contiguous float32 images, momentum SGD, the same batch."""
    run = case.run
    model = copy.deepcopy(case.model).to(memory_format=torch.contiguous_format)
    images = centre_views(run.images).contiguous()
    optimiser = torch.optim.SGD(model.parameters(), lr=run.sgd.learning_rate, momentum=run.sgd.momentum)

    def epoch() -> None:
        model.train()
        for rows in torch.randperm(len(images)).split(run.batch):
            optimiser.zero_grad()
            functional.cross_entropy(model(images[rows]), run.labels[rows]).backward()
            optimiser.step()

    return epoch


def _captum(case: Case) -> Callable[[], Tensor]:
    """captum's sample-wise TracInCP at the same weights, in the memory layout that is the faster one for it too."""
    from captum.influence import TracInCP

    images = centre_views(case.run.images)
    book = (centre_views(case.book), case.book_labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracin = TracInCP(
            copy.deepcopy(case.model),
            torch.utils.data.TensorDataset(images, case.run.labels),
            ["the checkpoint"],
            checkpoints_load_func=lambda model, path: 1.0,  # it is loaded already; its learning rate is 1
            loss_fn=nn.CrossEntropyLoss(reduction="sum"),
            batch_size=CAPTUM_BATCH,
            sample_wise_grads_per_batch=True,
        )

    def influence() -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its inputs need gradients
            influenced: Tensor = tracin.influence(book)
        return influenced

    return influence


def _speed(times: dict[str, list[float]], images: int, case: Case) -> list[Figure]:
    size, batch = f"{images} x {len(case.book)}", case.run.batch
    return [
        figure(f"influence {size}, float32", rates(times, "ours", images), "images/s"),
        figure(f"influence {size}, bfloat16", rates(times, "bfloat16", images), "images/s"),
        figure(f"training pass, plain contiguous, batch {batch}", rates(times, "plain", images), "images/s"),
        figure(f"training pass, Winnow's own, batch {batch}", rates(times, "training", images), "images/s"),
        figure("captum TracInCP, sample-wise", rates(times, "captum", images), "images/s"),
        figure("captum's time over influence's", ratios(times, "captum", "ours"), "x", at_least=1.3),
        figure("influence over a plain training pass", ratios(times, "ours", "plain"), "x", at_most=1.5),
        figure("influence over Winnow's training pass", ratios(times, "ours", "training"), "x", at_most=1.5),
        figure("bfloat16 influence over a plain training pass", ratios(times, "bfloat16", "plain"), "x", at_most=0.9),
        figure("bfloat16 influence over Winnow's training pass", ratios(times, "bfloat16", "training"), "x"),
    ]


def _agreement(case: Case, captum: Callable[[], Tensor]) -> list[Figure]:
    """Ranks of the bfloat16 products, and how far captum's values lie from ours."""
    full, half = products(case, bfloat16=False), products(case, bfloat16=True)
    columns = rank_correlation(full, half)
    overall = rank_correlation(full.reshape(-1, 1), half.reshape(-1, 1))
    theirs = captum().double().numpy().T
    gap = float(np.linalg.norm(theirs - full) / np.linalg.norm(full))
    return [
        figure("bfloat16 against float32, Spearman a column", columns.tolist(), ""),
        figure("bfloat16 against float32, Spearman overall", overall.tolist(), ""),
        figure("captum's difference, relative (it leaves batch norm out)", [gap], ""),
    ]
