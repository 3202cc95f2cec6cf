"""Look at a finished dataset that comes with a clone of Winnow: report, review, `dvc metrics diff`.

    winnow tour [DIR] [--review]

A small repository of its own is made in DIR, build/tour by default: its git history from tour/history.bundle, its
data from the folder tour/remote, which is a DVC remote. A tour that is there already is shown again, with what was
decided in it. ``--review`` starts `winnow review` in it.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from winnow.commands.terminal import interrupt_on, run_command
from winnow.dataset.samples import read_samples
from winnow.pipeline.files import write_bytes
from winnow.pipeline.messages import UserError, shown
from winnow.pipeline.repository import CODE, MARK
from winnow.template.contents import PIPELINE
from winnow.template.delivered import delivered
from winnow.template.installed_pipeline import mark_text
from winnow.template.writing import whole_folder
from winnow.verdicts.ledger import KEEP, RELABEL, read_ledger

DATA = CODE / "tour"
BUNDLE, REMOTE, TARGETS = "history.bundle", "remote", "targets.txt"
FOLDER = CODE / "build/tour"
BEFORE = "HEAD~1"
SHOWN = ("metrics/comparison.json", "metrics/refinement.json")


def prepare(folder: Path, data: Path = DATA) -> bool:
    """Make the tour's repository with its data; whether it was not there yet.

    Args:
        folder: of the repository; what is in a tour's own is kept.
        data: with the history, the remote and the list of what it stores.

    Raises:
        UserError: the data is not there or not whole, or the folder holds something else.
    """
    if not (data / BUNDLE).is_file():
        raise UserError("the tour comes with a clone of Winnow, not with the installed package; run it in a clone")
    if (folder / MARK).is_file():
        return False
    with whole_folder(folder) as beside:
        _run("git", "clone", "--quiet", "--branch", "main", str(data / BUNDLE), ".", folder=beside)
        _run("git", "remote", "remove", "origin", folder=beside)
        _pull(beside, data)
        # The code may be newer than the data: stages that a review starts are then run with it.
        write_bytes(beside / MARK, mark_text(delivered(PIPELINE)).encode())
    return True


def _pull(folder: Path, data: Path) -> None:
    from dvc.config import Config
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    from winnow.commands.transfer import pull

    with Config(str(folder / ".dvc")).edit("local") as settings:
        settings["remote"]["tour"] = {"url": str(data / REMOTE), "verify": True}
        settings["core"]["remote"] = "tour"
    targets = (data / TARGETS).read_text(encoding="utf-8").split()
    try:
        with contextlib.chdir(folder), Repo() as repo, lock_repo(repo):
            pull(repo, targets)
    except DvcException as error:
        raise UserError(f"{data / REMOTE} cannot be pulled from: {error}; `git checkout tour` brings it back") from None


def _run(*words: str, folder: Path) -> str:
    """The output of a command."""
    done = subprocess.run(words, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        told = " ".join((done.stderr or done.stdout).split())
        raise UserError(f"`{shlex.join(words[:3])}` failed in {shown(folder)}: {told}")
    return done.stdout


def _environment() -> dict[str, str]:
    """With the code that runs here, wherever a command is started."""
    paths = [str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def text(folder: Path, caller: Path, *, new: bool) -> str:
    """What one sees, and how to go on.

    Args:
        folder: of the tour.
        caller: the folder that the reader is in.
        new: whether it was made just now.
    """
    place = os.path.relpath(folder, caller) if folder.is_relative_to(caller) else str(folder)
    commits = _run("git", "log", "--format=  %h %s", "-2", "main", folder=folder).rstrip()
    diff = [sys.executable, "-m", "dvc", "metrics", "diff", "--precision", "3", "--targets", *SHOWN, "--", BEFORE]
    table = _run(*diff, folder=folder).rstrip()
    kept = "" if new else " It was there already, and is as you left it; remove it to begin anew."
    activate = [] if shutil.which("winnow") else ["  source .venv/bin/activate"]
    return "\n".join(
        [
            f"{place} is a repository of its own with a finished run on drawn Roman numerals.{kept}",
            "",
            "Report: what was dropped and relabelled, and why, with the pictures. Open in a browser:",
            f"  {folder / 'report/index.html'}",
            "",
            "Two commits, which differ in one param:",
            commits,
            "",
            f"What that changed in accuracies and in verdicts against the truth (dvc metrics diff {BEFORE}):",
            "",
            table,
            "",
            "Go on there:",
            *activate,
            f"  cd {shlex.quote(place)}",
            "  winnow review            # confirm or correct verdicts in the browser, by keyboard",
            f"  winnow diff {BEFORE}       # the images that the two commits treat otherwise",
            f"  winnow why {shlex.quote(_example(folder))}   # one image's story",
        ]
    )


def _example(folder: Path) -> str:
    """The name of an image that was relabelled, or else of the first that was not kept."""
    names = read_samples(folder / "data/prepared").select(["id", "name"]).to_pylist()
    named: dict[str, str] = {row["id"]: row["name"] for row in names}
    told = [row for row in read_ledger(folder / "data/refined").to_pylist() if row["action"] != KEEP]
    told.sort(key=lambda row: row["action"] != RELABEL)
    return next((named[row["id"]] for row in told if row["id"] in named), next(iter(named.values())))


def answer(words: Sequence[str], caller: Path) -> tuple[str, int]:
    """Text and exit code for a command line."""
    parser = argparse.ArgumentParser(
        prog="winnow tour", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="DIR", nargs="?", help="where the repository is made, build/tour by default")
    parser.add_argument("--review", action="store_true", help="also start `winnow review` there, without a browser")
    options = parser.parse_args(words)
    folder = Path(os.path.realpath(caller / options.folder)) if options.folder else FOLDER
    told = text(folder, caller, new=prepare(folder))
    if not options.review:
        return told, 0
    print(told, flush=True)
    command = [sys.executable, "-m", "winnow", "review", "--no-browser"]
    return "", subprocess.run(command, cwd=folder, env=_environment(), check=False).returncode


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow tour``."""
    interrupt_on(signal.SIGTERM)
    run_command(command, lambda: answer(words, Path.cwd()))
