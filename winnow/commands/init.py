"""Make a repository of your own, with Winnow as an installed, pinned package.

    winnow init DIR [--source PATH] [--remote URL]
    winnow init --upgrade

DIR is new or empty; if anything fails, nothing is left. The repository has its own dvc.yaml, params.yaml and metrics,
so that a new Winnow never meets them in a merge. winnow.lock names the Winnow that its outputs are of, with a digest of
each stage's code, which the stages depend on: an upgrade reruns what it changed. To upgrade, write the new pin into
requirements.txt and install it; ``--upgrade``, in the repository, then merges what is new in the delivered files with
your edits.
"""

import argparse
import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from winnow.commands.edited_params import edited_text
from winnow.commands.run import home_warning, one_run, stored_source
from winnow.commands.terminal import interrupt_on, run_command
from winnow.pipeline.files import ROOT
from winnow.pipeline.installed import version
from winnow.pipeline.messages import UserError
from winnow.pipeline.plain_yaml import read_plain_yaml
from winnow.template.contents import base_path, first_files, kept_files, written_files
from winnow.template.pin import is_of_this_machine, pinned_winnow, uncommitted, unpublished
from winnow.template.upgrade import upgrade
from winnow.template.writing import demand_free, whole_folder, write_texts

REMOTE = "team"  # the remote's name, as in docs/sharing.md


def create(given: str, source: str, remote: str, caller: Path) -> str:
    """Make the repository; what to do next.

    Args:
        given: its folder.
        source: of labelled images; empty: the embedded one.
        remote: address of a DVC remote; empty: none.
        caller: the folder that relative paths start from.

    Raises:
        UserError: the folder is not free, no pipeline can start on the source, the remote's address is none, or git
            is not there.
    """
    folder = Path(os.path.realpath(caller / given))
    demand_free(folder)
    texts = kept_files()
    base = {base_path(path): text for path, text in texts.items()}
    notes = []
    if source:
        _check_source(caller / source, texts["params.yaml"])
        stored = stored_source(source, caller, folder)
        texts["params.yaml"] = edited_text(texts["params.yaml"], {"dataset.source": stored})
        notes.append(home_warning(stored, Path(os.path.expanduser("~")), folder))
    remote = remote if "://" in remote or not remote else os.path.normpath(caller / remote)
    needs_s3 = remote.startswith("s3://")
    try:
        with whole_folder(folder) as beside:
            _git(beside, "init", "--quiet", "--initial-branch=main")
            _init_dvc(beside)
            write_texts(beside, texts | base | written_files(remote=needs_s3) | first_files(remote=needs_s3))
            if remote:
                _add_remote(beside, remote)
            _git(beside, "add", "--all")
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror or error}; name another folder") from None
    return "\n".join(filter(None, [_next_steps(folder, caller, source), *notes, *_pin_notes(remote=needs_s3)]))


def _check_source(source: Path, params: str) -> None:
    from winnow.intake.source import check_source

    limits = read_plain_yaml(params.encode())["prepare"]
    check_source(source, max_unreadable=limits["max_unreadable"], max_pixels=limits["max_image_pixels"])


def _init_dvc(folder: Path) -> None:
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)  # DVC says what to do next, and so does this command
    Repo.init(str(folder)).close()


def _add_remote(folder: Path, address: str) -> None:
    from dvc.config import Config, ConfigError

    try:
        with Config(str(folder / ".dvc")).edit("repo") as settings:
            settings["remote"][REMOTE] = {"url": address, "verify": True}
            settings["core"]["remote"] = REMOTE
    except ConfigError as error:
        raise UserError(f"--remote {address} cannot be used: {error}") from None


def _git(folder: Path, *words: str) -> None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed; install it, and run this again") from None
    if done.returncode:
        raise UserError(f"git {words[0]} failed: {' '.join(done.stderr.split())}")


def _next_steps(folder: Path, caller: Path, source: str) -> str:
    shown = os.path.relpath(folder, caller) if folder.is_relative_to(caller) else str(folder)
    images = "your source" if source else "the embedded source, drawn Roman numerals; --source PATH takes your own"
    return "\n".join(
        [
            f"{folder} is a repository of its own, with Winnow {version()}. Next:",
            *([] if shown == "." else [f"  cd {shlex.quote(shown)}"]),
            "  git commit --message 'A repository for Winnow'",
            f"  winnow run   # a first look at {images}",
        ]
    )


def _pin_notes(*, remote: bool) -> list[str]:
    notes = []
    if uncommitted():
        notes.append("warning: the clone of Winnow that runs here has changes that no commit, hence no pin, has")
    if is_of_this_machine(pin := pinned_winnow(remote=remote)):
        notes.append(f"requirements.txt pins Winnow to a place on this machine, {pin}; colleagues need another")
    elif unpublished():
        notes.append(f"warning: nobody else can install {pin}: the clone's last commit was not pushed; push it")
    return notes


def answer(words: Sequence[str], caller: Path, root: Path = ROOT) -> tuple[str, int]:
    """Text and exit code for a command line."""
    parser = argparse.ArgumentParser(
        prog="winnow init", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="DIR", nargs="?", help="a new or an empty folder")
    parser.add_argument(
        "--source", default="", help="a folder or a zip of labelled images; the embedded one by default"
    )
    parser.add_argument("--remote", default="", metavar="URL", help="address of a DVC remote, s3://... or a folder")
    parser.add_argument("--upgrade", action="store_true", help="bring this repository to the Winnow that is installed")
    options = parser.parse_args(words)
    if options.upgrade:
        if options.folder or options.source or options.remote:
            parser.error("--upgrade goes alone; it is for the repository that you are in")
        with one_run():
            return upgrade(root), 0
    if not options.folder:
        parser.error("name the folder of the new repository: winnow init DIR")
    return create(options.folder, options.source, options.remote, caller), 0


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow init``."""
    interrupt_on(signal.SIGTERM)
    run_command(command, lambda: answer(words, Path.cwd()))
