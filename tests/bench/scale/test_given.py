"""What is given in the place of training follows the truth."""

from pathlib import Path
from typing import cast

import numpy as np
import psutil
import pytest

from bench.scale.clone import COPIES, scaled
from bench.scale.given import probabilities
from bench.scale.measure import measured
from bench.scale.watch import CommandError, Cost, Total, processes_of, watched
from tests.support.sources import make_zip
from winnow.pipeline.files import write_json


@pytest.mark.parametrize("classes", [10, 300])
def test_predictions_favour_what_an_image_shows_and_nothing_for_junk(classes: int) -> None:
    shown = np.arange(1200) % classes
    found = probabilities(np.concatenate([shown, np.full(200, -1)]), classes, np.random.default_rng(0))
    assert found.dtype == np.float32
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-4)
    right = (found[: len(shown)].argmax(axis=1) == shown).mean()
    assert 0.9 < right < 0.99
    assert found[len(shown) :].max(axis=1).mean() < 0.6 * found[: len(shown)].max(axis=1).mean()
    assert np.bincount(found[len(shown) :].argmax(axis=1)).max() < 60  # of 200


def test_bounds_on_images_follow_the_source(tmp_path: Path) -> None:
    names = [f"train/a/{n}.png" for n in range(8)] + ["test/a/0.png", "label_book/a/0.png"]
    source = make_zip(tmp_path / "source.zip", dict.fromkeys(names, b""))
    changes = scaled(source)
    assert changes["dataset.source"] == str(source)
    assert changes["augment.budget"] == COPIES * 8
    assert changes["judge.max_images"] > changes["augment.budget"]


def test_given_steps_are_no_figures(tmp_path: Path) -> None:
    assert measured(tmp_path) == {}
    took = {"seconds": 1.0, "cpu_seconds": 1.0, "peak": 1, "mapped": 1}
    write_json(tmp_path / "build/scale-done.json", {"a": {**took, "given": False}, "b": {**took, "given": True}})
    assert measured(tmp_path) == {"a": took}


def test_a_command_is_watched_to_its_end_and_a_failure_has_its_output(tmp_path: Path) -> None:
    def run(script: str) -> Cost:
        return watched(["/bin/sh", "-c", script], folder=tmp_path, environment={"WORD": "done"}, log=tmp_path / "log")

    cost = run("echo $WORD")
    assert (tmp_path / "log").read_text() == "done\n"
    assert cost.cpu_seconds >= 0
    with pytest.raises(CommandError, match=r"ended with 3(.|\n)*trouble"):
        run("echo trouble >&2; exit 3")


def test_memory_is_that_of_all_processes_at_their_most(monkeypatch: pytest.MonkeyPatch) -> None:
    held = iter([(1, 2), (5, 1), (2, 2)])

    class Process:
        def __init__(self, pid: int) -> None:
            self.pid = pid

        def cpu_times(self) -> object:
            return type("Times", (), {"user": 2.0, "system": 1.0})()

    total = Total()
    for pair in held:
        sizes = {pid: {"Pss_Anon": size, "Pss_Shmem": 10, "Pss_File": 7} for pid, size in enumerate(pair)}
        monkeypatch.setattr("bench.scale.watch.sizes_of", sizes.__getitem__)
        total.look([cast(psutil.Process, Process(pid)) for pid in sizes])
    assert (total.peak, total.mapped, total.cpu_seconds) == (26, 14, 6.0)
    assert processes_of(2**22 + 1) == []
