"""Make the data of ``winnow tour``: a small finished run, twice, with a param changed in between.

    python -m bench.tour_data

The pipeline runs in a repository of its own, as ``winnow init`` makes it, on a few hundred drawn numerals. tour/ is
then replaced by its git history as a bundle, and by a DVC remote with what report and review need: no models, and no
datasets between the stages.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from winnow.commands.edited_params import edited_text
from winnow.commands.init import create
from winnow.commands.tour import BUNDLE, DATA, REMOTE, TARGETS
from winnow.pipeline.durable import sync_folder
from winnow.pipeline.files import write_bytes
from winnow.pipeline.installed import version
from winnow.pipeline.repository import CODE

PARAMS: dict[str, Any] = {
    "synthesise.train_counts": [30] * 10,
    "synthesise.label_book_counts": [3] * 10,
    "synthesise.test_per_class": 20,
    "synthesise.train_writers": 10,
    "synthesise.test_writers": 20,
    "ensemble.junk": 150,
    "search_policy.label_check.epochs": 15,
    "augment.budget": 600,
    "gate.profile.most_steps": 60,
    "judge.max_images": 900,
    "judge.profiles.glance.most_steps": 300,
    "report.cards": 24,
    "compare.arms": {"baseline": "data/prepared", "full": "data/refined"},
    "compare.contrasts": {"whole method": ["full", "baseline"]},
}
CHANGED = {"cleanse_final.by": "neighbours"}  # late in the pipeline: few stages run again
MESSAGES = ("A first look at drawn numerals", "The last cleansing asks the nearest neighbours: cleanse_final.by")
# Outputs that neither report nor review reads.
LEFT_OUT = (
    "data/synthetic.zip",
    "data/facts",
    "data/pixels",
    "data/pixels_made.json",
    "data/export",
    "data/arms/*",
    "data/r1/augment*",
    "data/r1/cleanse_*/dataset",
    "models/*",
    "metrics/*",
)
WRITER = {"NAME": "Winnow", "EMAIL": "winnow@localhost", "DATE": "2026-01-01T00:00:00Z"}
NOBODY = {
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in WRITER.items()},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "PYTHONPATH": str(CODE),
    "DVC_NO_ANALYTICS": "1",
}


def make(data: Path = DATA) -> None:
    """Run the pipeline twice and replace the tour's data."""
    with tempfile.TemporaryDirectory(prefix="winnow-tour-") as name:
        create("run", "", "", Path(name))
        repository, made = Path(name, "run"), Path(name, "tour")
        # Whoever makes the data has Winnow in some place of his own, which is nobody else's.
        write_bytes(repository / "requirements.txt", f"winnow=={version()}\n".encode())
        stored: set[str] = set()
        for changes, message in zip((PARAMS, CHANGED), MESSAGES, strict=True):
            file = repository / "params.yaml"
            write_bytes(file, edited_text(file.read_text(encoding="utf-8"), changes).encode())
            _run(["-m", "winnow", "run"], repository)
            _git(["add", "--all"], repository)
            _git(["commit", "--quiet", "--message", message], repository)
            stored |= set(targets(repository))
            _run(
                ["-m", "dvc", "remote", "add", "--local", "--force", "--default", "tour", str(made / REMOTE)],
                repository,
            )
            _run(["-m", "winnow", "push", *targets(repository)], repository)
        _git(["bundle", "create", "--quiet", str(made / BUNDLE), "main"], repository)
        write_bytes(made / TARGETS, "".join(f"{target}\n" for target in sorted(stored)).encode())
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(made, data)
        sync_folder(data)
    size = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
    print(f"tour_data: {data}, {len(stored)} outputs, {size / 1e6:.1f} MB")


def targets(repository: Path) -> list[str]:
    """The outputs that the remote stores."""
    lock = yaml.safe_load((repository / "dvc.lock").read_text(encoding="utf-8"))
    paths = [out["path"] for stage in lock["stages"].values() for out in stage.get("outs", [])]
    return [path for path in paths if not any(fnmatch(path, pattern) for pattern in LEFT_OUT)]


def _run(arguments: Sequence[str], folder: Path) -> None:
    subprocess.run([sys.executable, *arguments], cwd=folder, env=os.environ | NOBODY, check=True)


def _git(arguments: Sequence[str], folder: Path) -> None:
    subprocess.run(["git", *arguments], cwd=folder, env=os.environ | NOBODY, check=True)


if __name__ == "__main__":
    make()
