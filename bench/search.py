"""The policy search: seconds of its parts at the default settings, and how they grow with the images."""

import dataclasses
import time

import numpy as np
import torch

from bench.timing import Figure
from stages.search_policy import Params
from winnow.pipeline.fields import AtLeastTwo
from winnow.pipeline.params import load_params
from winnow.policy_search.ensemble_check import find_limits_by_ensemble
from winnow.policy_search.search import search
from winnow.representation.network import Encoder

SIDE, CLASSES = 64, 10
SIZES = (500, 1000, 2000)
SHARE = 20  # of the steps: one in so many is run and the time multiplied


def measure(*, images: int, rounds: int) -> list[Figure]:
    """One measurement per size; ``images`` and ``rounds`` are for the other benchmarks."""
    params = load_params("search_policy", Params)
    short = dataclasses.replace(params.search, steps=max(1, params.search.steps // SHARE))
    none = dataclasses.replace(short, steps=1)
    folds_of_ensemble = load_params("ensemble.folds", AtLeastTwo)
    states = [Encoder(CLASSES, torch.Generator().manual_seed(fold)).state_dict() for fold in range(folds_of_ensemble)]
    found = []
    for count in SIZES:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (count, SIDE, SIDE, 1), dtype=np.uint8)
        labels = np.arange(count) % CLASSES
        free = np.ones((CLASSES, len(short.operations)), np.float32)
        seconds = []
        for settings in (none, none, short):  # the first starts the workers
            start = time.perf_counter()
            search(pixels, labels, free, settings, seed=0)
            seconds.append(time.perf_counter() - start)
        step = (seconds[2] - seconds[1]) / (short.steps - 1)
        epoch = step * count / short.batch
        names = [str(label) for label in range(CLASSES)]
        folds = np.arange(count) // CLASSES % len(states)
        start = time.perf_counter()
        find_limits_by_ensemble(
            pixels, labels, names, short.operations, params.label_check, folds=folds, states=states, seed=0
        )
        check_seconds = time.perf_counter() - start
        whole = seconds[1] + step * params.search.steps
        found += [
            _one(f"search on {count} images: an epoch of it", epoch),
            _one(f"search on {count} images: {params.search.steps} steps", whole),
            _one(f"label check on {count} images", check_seconds),
        ]
    total = found[-1].median + found[-2].median
    return [*found, dataclasses.replace(_one("the default search and its label check", total), at_most=180.0)]


def _one(name: str, seconds: float) -> Figure:
    return Figure(name, seconds, seconds, seconds, "s")
