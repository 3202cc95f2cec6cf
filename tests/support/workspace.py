"""A copy of the repository with a tiny source and tiny params, in which ``dvc repro`` runs in a minute."""

import contextlib
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

from tests.support.imports import ROOT
from winnow.verdicts.decision_rows import HEADER

TINY: dict[str, Any] = {
    "synthesise.train_counts": [9, 8, 8, 8, 8, 8, 8, 8, 8, 8],
    "synthesise.label_book_counts": [1] * 10,
    "synthesise.test_per_class": 2,
    "value.trajectories": 2,
    "value.folds": 2,
    "value.epochs": 1,
    "value.checkpoint_epochs": 1,
    "ensemble.folds": 2,
    "ensemble.junk": 8,
    "ensemble.network.epochs": 1,
    "ensemble.network.batch": 16,
    "search_policy.search.operations": ["rotate", "invert"],
    "search_policy.search.sub_policies": 4,
    "search_policy.search.steps": 2,
    "search_policy.search.classifier_steps": 1,
    "search_policy.label_check.images_per_class": 10,
    "search_policy.label_check.epochs": 1,
    "search_policy.label_check.magnitudes": [0.5, 1.0],
    "augment.budget": 120,
    "train_encoder.retrain": True,
    "train_encoder.contrast.training.epochs": 1,
    "train_encoder.contrast.training.batch": 16,
    "embed.neighbours": 4,
    "cleanse_neighbours.k": 3,
    "cleanse_final.k": 3,
    "find_edge_cases.profile.epochs": 1,
    "gate.seeds": [0],
    "gate.profile.epochs": 1,
    "gate.margin": 0.9,  # so little training tells nothing
    "export.copies": "auto",
    "judge.max_images": 160,
    "judge.profiles.glance.epochs": 1,
    "compare.seeds": [0, 1],
    "compare.arms": {"baseline": "data/prepared", "full": "data/refined"},
    "compare.contrasts": {"whole method": ["full", "baseline"]},
}


# The settings of whoever runs the tests, a cache in another place say, stay out of them.
NOBODYS_SETTINGS = {
    "DVC_GLOBAL_CONFIG_DIR": "/nowhere",
    "DVC_SYSTEM_CONFIG_DIR": "/nowhere",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def _all_stages() -> list[str]:
    """Every stage of the tiny pipeline, in the order of dvc.yaml, which is one in which they can run."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    named = {
        "": [""],
        "${rounds}": ["@r1"],
        "${controls}": [],
        "${augment_inversion}": [],
        "${compare.arms}": [f"@{arm}" for arm in TINY["compare.arms"]],
    }
    return [name + key for name, stage in stages.items() for key in named[stage.get("foreach", "")]]


ALL = _all_stages()


class Workspace:
    """A git and DVC repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def new(cls, folder: Path, changes: dict[str, Any]) -> "Workspace":
        """One in which nothing has run."""
        self = cls(folder)
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
            if (ROOT / name).exists() and not name.startswith("metrics/") and name != "dvc.lock":
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        for name in ("overrides.csv", "decided.csv", "checked.csv"):  # ours may name images of another source
            (folder / name).write_text(",".join(HEADER) + "\n")
        self.set_params(changes)
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.run("git", "config", "user.email", "test@example.org")
        self.run("git", "config", "user.name", "test")
        self.commit("start")
        return self

    def copy(self, folder: Path) -> "Workspace":
        """Another with all that this one holds."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workspace(folder)

    def set_params(self, changes: dict[str, Any]) -> None:
        file = self.folder / "params.yaml"
        params = yaml.safe_load(file.read_text())
        for key, value in changes.items():
            *sections, last = key.split(".")
            section = params
            for name in sections:
                section = section[name]
            section[last] = value
        file.write_text(yaml.safe_dump(params, sort_keys=False))

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message)

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, **NOBODYS_SETTINGS, "PATH": path, "DVC_NO_ANALYTICS": "1"}

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, text=True)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def dvc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check)

    def status(self) -> dict[str, Any]:
        """By stage what changed; as ``dvc status`` tells it, which takes a second to start."""
        with contextlib.chdir(self.folder), Repo() as repo:
            changed: dict[str, Any] = repo.status()
        return changed

    def commands(self) -> dict[str, str]:
        """By stage its command, with dvc.yaml and params.yaml as they are now."""
        with contextlib.chdir(self.folder), Repo() as repo:
            return {stage.addressing: stage.cmd for stage in repo.index.stages}

    def checkout(self, *targets: str) -> None:
        """Bring outputs back, all by default; as ``dvc checkout --force`` does, which takes a second to start."""
        with contextlib.chdir(self.folder), Repo() as repo, warnings.catch_warnings(category=DeprecationWarning):
            warnings.simplefilter("ignore")  # of DVC's own
            repo.checkout(targets=list(targets) or None, force=True)

    def dirty(self) -> bool:
        """Whether anything that git knows differs from what is committed, or is not committed."""
        return bool(self.run("git", "status", "--porcelain").stdout)

    def bring_back(self) -> None:
        """All as it is committed, and nothing else but what git ignores."""
        self.run("git", "checkout", "--quiet", "--", ".")
        for _ in range(2):  # what a new .gitignore named is seen when that is gone
            self.run("git", "clean", "--quiet", "--force", "-d")
        self.checkout()

    def repro(self) -> list[str]:
        """Run the pipeline; the stages that changed, in their order: run, or brought back from an earlier equal run."""
        lines = self.dvc("repro").stdout.splitlines()
        changed = [line for line in lines if line.startswith("Running stage") or "is cached - skipping run" in line]
        return [line.split("'")[1] for line in changed]
