"""How many images per second prepare reads."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.embedded import draw_source, prepare_source
from bench.timing import Figure, figure, interleaved, rates
from winnow.dataset.samples import read_samples

PER_CLASS = 100


def measure(*, images: int, rounds: int) -> list[Figure]:
    """A synthetic zip, checked, decoded, split and written; ``images`` is for the other benchmarks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = draw_source(folder, train_per_class=PER_CLASS, test_per_class=1)
        count = len(read_samples(prepare_source(source, folder)))
        case: Callable[[], object] = lambda: prepare_source(source, folder)  # noqa: E731
        times = interleaved({"prepare": case}, rounds=rounds)
    return [figure(f"prepare a zip of {count} images", rates(times, "prepare", count), "images/s")]
