"""Training the judge against the loop that PyTorch's tutorials write: float32, contiguous, at the same batch."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bench.timing import Figure, figure, interleaved, rates, ratios
from stages.judge import Params
from winnow.engine.jobs import run_jobs
from winnow.pipeline.params import load_params
from winnow.training.keras_adam import ADAM_EPSILON
from winnow.training.network import FixedModel, preprocess
from winnow.training.training import EVALUATION_BATCH, Labelled, Profile, train

CLASSES = 10
SIDE = 64  # pixels, as prepare stores them
VALIDATION = 128
WORKERS = 2


def measure(*, images: int, rounds: int) -> list[Figure]:
    """One epoch with its validation, each profile at its own batch, on one thread and over two cores."""
    params = load_params("judge", Params)
    data, validation = _noise(images, seed=0), _noise(VALIDATION, seed=1)
    return [
        *_one_thread("quick", params.profiles["quick"], data, validation, rounds, at_least=1.6),
        *_two_cores("quick", params.profiles["quick"], data, validation, rounds),
        *_two_cores("competition", params.profiles["competition"], data, validation, rounds, at_least=1.3),
    ]


def one_epoch(
    data: Labelled, validation: Labelled, profile: Profile, seed: int, tick: Callable[[], None] = lambda: None
) -> None:
    """The product's training, cut to one epoch."""
    # As the judge's own job does: every operation used writes all that it allocates.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    short = dataclasses.replace(profile, epochs=1)
    train(data, validation, classes=CLASSES, profile=short, seed=seed, device=torch.device("cpu"), tick=tick)


def plain_epoch(data: Labelled, validation: Labelled, profile: Profile) -> float:
    """Validation accuracy after the same work in a plain training loop."""
    model: nn.Module = FixedModel(CLASSES, torch.Generator().manual_seed(0))
    model = model.to(memory_format=torch.contiguous_format)
    images, labels = preprocess(data.images).contiguous(), torch.from_numpy(data.labels)
    queried, answers = preprocess(validation.images).contiguous(), torch.from_numpy(validation.labels)
    optimiser = torch.optim.Adam(model.parameters(), lr=profile.learning_rate, eps=ADAM_EPSILON)
    model.train()
    for rows in torch.randperm(len(images)).split(profile.batch):
        optimiser.zero_grad()
        functional.cross_entropy(model(images[rows]), labels[rows]).backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        right = sum(
            int((model(queried[rows]).argmax(1) == answers[rows]).sum())
            for rows in torch.arange(len(queried)).split(EVALUATION_BATCH)
        )
    return right / len(queried)


def _one_thread(
    name: str, profile: Profile, data: Labelled, validation: Labelled, rounds: int, **target: float
) -> list[Figure]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = interleaved(
            {
                "ours": lambda: one_epoch(data, validation, profile, 0),
                "plain": lambda: plain_epoch(data, validation, profile),
            },
            rounds=rounds,
        )
    finally:
        torch.set_num_threads(threads)
    title, count = f"judge {name}, batch {profile.batch} {profile.precision}, one thread", len(data.labels)
    return [
        figure(f"{title}", rates(times, "ours", count), "images/s"),
        figure(f"plain loop, batch {profile.batch}, one thread", rates(times, "plain", count), "images/s"),
        figure(f"{title}: plain's time over it", ratios(times, "plain", "ours"), "x", **target),
    ]


def _two_cores(
    name: str, profile: Profile, data: Labelled, validation: Labelled, rounds: int, **target: float
) -> list[Figure]:
    """Two seeds at once, a thread each, against the plain loop twice with PyTorch's own number of threads."""
    jobs = [(data, validation, profile, seed) for seed in range(WORKERS)]
    times = interleaved(
        {
            "ours": lambda: run_jobs(one_epoch, jobs, steps=WORKERS, label=name),
            "plain": lambda: [plain_epoch(data, validation, profile) for _ in range(WORKERS)],
        },
        rounds=rounds,
    )
    title, count = f"judge {name}, batch {profile.batch}, {WORKERS} workers", WORKERS * len(data.labels)
    threads = torch.get_num_threads()
    return [
        figure(f"{title}", rates(times, "ours", count), "images/s"),
        figure(f"plain loop, batch {profile.batch}, {threads} threads", rates(times, "plain", count), "images/s"),
        figure(f"{title}: plain's time over it", ratios(times, "plain", "ours"), "x", **target),
    ]


def _noise(count: int, seed: int) -> Labelled:
    rng = np.random.default_rng(seed)
    return Labelled(rng.integers(0, 256, (count, SIDE, SIDE, 1), dtype=np.uint8), rng.integers(0, CLASSES, count))
