"""What the judge's stage reuses, refuses and repeats."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from stages import judge as judge_stage
from tests.support.datasets import CLASSES, make_dataset
from tests.support.inputs import competition_inputs, no_pixels
from tests.support.profiles import COMPETITION, FINETUNE, HEAD, profile
from winnow.dataset.images import read_images
from winnow.dataset.samples import read_samples
from winnow.evaluation.judge import source_code
from winnow.evaluation.seed_files import SeedFiles
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import ParamsError, load_params
from winnow.training.network import FixedModel, preprocess


class Run:
    """The judge stage on a small arm, run here and not in workers, counting what it trains."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.trained: list[int] = []
        self.dies_at: int | None = None
        make_dataset(folder / "arms/arm", {"train": 9, "val": 6})
        make_dataset(folder / "test", {"test": 12}, seed=1)
        self.profile = profile(epochs=1)
        monkeypatch.setattr(judge_stage, "run_jobs", self.run_jobs)

    def run_jobs(self, function: Callable[..., None], jobs: Sequence[Any], *, steps: int, label: str) -> None:
        assert steps == len(jobs) * self.profile.epochs
        for job in jobs:
            if job[1] == self.dies_at:
                raise KeyboardInterrupt
            function(*job, lambda: None)
            self.trained.append(job[1])

    def __call__(self, *seeds: int, max_images: int = 100, arms: Sequence[str] = ("arm",)) -> list[int]:
        """Seeds that this run trained."""
        self.trained.clear()
        params = judge_stage.Params("tiny", max_images, {"tiny": self.profile, "competition": COMPETITION})
        paths = {name: self.folder / name for name in ("arms", "test", "models", "metrics")}
        inputs = competition_inputs(self.folder, "model", "pixels", "features", "user")
        judge_stage.main(params, HEAD, FINETUNE, list(arms), list(seeds), **paths, **inputs)
        return list(self.trained)

    def files(self, seed: int) -> SeedFiles:
        return SeedFiles(self.folder / "models/arm", self.folder / "metrics/arm", seed)

    def names(self) -> list[str]:
        return sorted(
            path.name for folder in ("models/arm", "metrics/arm") for path in (self.folder / folder).iterdir()
        )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(tmp_path, monkeypatch)


def all_files(seed: int) -> list[str]:
    return [f"seed-{seed}.{suffix}" for suffix in ("json", "parquet", "safetensors", "seal")]


def test_figures_and_predictions_say_the_same(run: Run) -> None:
    run(4)
    figures = json.loads(run.files(4).figures.read_text())
    predictions = pq.read_table(run.files(4).predictions)
    asked = read_samples(run.folder / "test")
    assert predictions["id"].to_pylist() == asked["id"].to_pylist()
    assert predictions["label"].to_pylist() == asked["label"].to_pylist()
    right = np.array(predictions["label"].to_pylist()) == np.array(predictions["predicted"].to_pylist())
    assert figures["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    assert set(figures["recall"]) == set(CLASSES)
    assert (figures["n_train"], figures["n_val"], figures["n_test"]) == (9, 6, 12)
    assert (figures["seed"], figures["profile"], figures["best_epoch"]) == (4, "tiny", 1)
    assert figures["val_accuracy"] == figures["curve"][0]["val_accuracy"]


def test_weights_on_disk_are_the_ones_that_predicted(run: Run) -> None:
    run(4)
    model = FixedModel(3, torch.Generator())
    model.load_state_dict(load_file(run.files(4).weights))
    asked = read_samples(run.folder / "test")
    images = read_images(run.folder / "test", asked["id"].to_pylist(), no_pixels(run.folder))
    predicted = model.eval()(preprocess(images)).argmax(1)
    assert [CLASSES[k] for k in predicted] == pq.read_table(run.files(4).predictions)["predicted"].to_pylist()
    with safe_open(run.files(4).weights, "pt") as weights:
        assert weights.metadata() == {"fingerprint": run.files(4).read_figures()["fingerprint"]}


def test_a_new_seed_trains_that_seed_alone(run: Run) -> None:
    assert run(0) == [0]
    before = run.files(0).weights.stat()
    assert run(0, 1) == [1]
    assert run.files(0).weights.stat().st_mtime_ns == before.st_mtime_ns
    assert run(1, 0) == []


def test_arms_are_judged_together_and_a_new_one_trains_alone(run: Run) -> None:
    make_dataset(run.folder / "arms/larger", {"train": 12, "val": 6}, seed=2)
    assert run(0, 1) == [0, 1]
    before = run.files(0).weights.stat()
    assert run(0, 1, arms=["arm", "larger"]) == [0, 1]
    assert run.files(0).weights.stat().st_mtime_ns == before.st_mtime_ns
    assert run(0, 1, arms=["larger"]) == []
    assert [path.name for path in (run.folder / "models").iterdir()] == ["larger"]
    assert [path.name for path in (run.folder / "metrics").iterdir()] == ["larger"]


def test_files_of_seeds_no_longer_wanted_go(run: Run) -> None:
    run(0, 1)
    (run.folder / "models/arm" / ".seed-1.seal.partial").write_bytes(b"")
    assert run(1) == []
    assert run.names() == sorted(all_files(1))


def test_a_stopped_run_goes_on_where_it_was(run: Run) -> None:
    run.dies_at = 2
    with pytest.raises(KeyboardInterrupt):
        run(1, 2, 3)
    run.dies_at = None
    assert run(1, 2, 3) == [2, 3]


@pytest.mark.parametrize("name", all_files(0))
def test_a_file_edited_or_gone_is_made_again(run: Run, name: str) -> None:
    run(0)
    path = next(path for path in run.folder.glob("m*/arm/*") if path.name == name)
    original = path.read_bytes()
    path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    assert run(0) == [0]
    assert path.read_bytes() == original
    path.unlink()
    assert run(0) == [0]
    assert path.read_bytes() == original


def test_other_inputs_other_params_other_code_train_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(0)
    make_dataset(run.folder / "arms/arm", {"train": 9, "val": 6}, seed=7)
    assert run(0) == [0]
    make_dataset(run.folder / "test", {"test": 12}, seed=7)
    assert run(0) == [0]
    run.profile = profile(epochs=1, learning_rate=0.002)
    assert run(0) == [0]
    monkeypatch.setattr(judge_stage, "source_code", lambda *_: "edited")
    assert run(0) == [0]
    monkeypatch.setattr(torch, "__version__", "0.0.0")
    assert run(0) == [0]
    assert run(0) == []


def test_a_limit_that_is_kept_trains_nothing_again(run: Run) -> None:
    run(0)
    assert run(0, max_images=99) == []


def test_source_code_counts_code_and_not_its_layout(tmp_path: Path) -> None:
    digests = []
    for text in ("x = 1\n", "# why\nx  =  1\n", "x = 2\n"):
        (tmp_path / "script.py").write_text(text)
        digests.append(source_code(tmp_path / "script.py"))
    assert digests[0] == digests[1] != digests[2]


def test_workers_repeat_every_byte(tmp_path: Path) -> None:
    make_dataset(tmp_path / "arms/arm", {"train": 9, "val": 6})
    make_dataset(tmp_path / "test", {"test": 12})
    params = judge_stage.Params("tiny", 100, {"tiny": profile(precision="bfloat16", schedule="cosine")})
    inputs = competition_inputs(tmp_path, "model", "pixels", "features", "user")
    contents = []
    for name in ("one", "two"):
        models, metrics = tmp_path / name / "models", tmp_path / name / "metrics"
        paths = {"arms": tmp_path / "arms", "test": tmp_path / "test", "models": models, "metrics": metrics}
        judge_stage.main(params, HEAD, FINETUNE, ["arm"], [0, 1], **paths, **inputs)
        contents.append({path.name: path.read_bytes() for folder in (models, metrics) for path in folder.glob("arm/*")})
    assert sorted(contents[0]) == sorted(all_files(0) + all_files(1))
    assert contents[0] == contents[1]
    assert contents[0]["seed-0.safetensors"] != contents[0]["seed-1.safetensors"]


def test_the_stage_prints_a_line_an_arm_and_one_in_all(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(0)
    accuracy = run.files(0).read_figures()["accuracy"]
    assert capsys.readouterr().out == (
        f"judge: arm has a mean test accuracy of {accuracy:.3f}\njudge: 1 arms, 1 seeds (tiny); 1 trained, 0 reused\n"
    )


def test_the_stage_refuses_what_cannot_be_judged(run: Run) -> None:
    with pytest.raises(UserError, match=r"may hold 14 images together \(judge.max_images\), got 15"):
        run(0, max_images=14)
    assert run(0, max_images=15) == [0]
    with pytest.raises(UserError, match=r"compare\.seeds must name at least one seed, and each once, got \[1, 1\]"):
        run(1, 1)
    with pytest.raises(UserError, match="at least one seed"):
        run()
    make_dataset(run.folder / "test", {"test": 12}, classes=["i", "ii", "iv"])
    with pytest.raises(UserError, match="do not have the same classes"):
        run(0)
    make_dataset(run.folder / "test", {"test": 12})
    make_dataset(run.folder / "arms/arm", {"train": 9})
    with pytest.raises(UserError, match="no val images are left"):
        run(0)


def test_a_profile_that_is_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    fields = "{epochs: 1, batch: 8, learning_rate: 0.1, schedule: constant, most_steps: 0, precision: float32}"
    file.write_text(f"judge: {{profile: quack, max_images: 9, profiles: {{quick: {fields}}}}}")
    with pytest.raises(ParamsError, match=r"judge\.profile must be one of quick, got quack"):
        load_params("judge", judge_stage.Params, file)
    file.write_text(file.read_text().replace("quack", "quick"))
    assert load_params("judge", judge_stage.Params, file).chosen.batch == 8
