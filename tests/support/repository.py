"""A git and DVC repository whose remote is an S3 server of the test's own."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.s3_server import S3Server
from tests.support.imports import ROOT

COUNTS = {"train": 60, "val": 12, "label_book": 6}  # images of the dataset that travels
REFINED = "data/refined"
SECONDS = 600  # a command that takes longer hangs


class Repository:
    """Commands in one folder, with the server's keys in their environment and nothing of the user's."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.folder, self.server = folder, server
        self.environment = server.environment() | {"PYTHONPATH": str(ROOT)}

    @classmethod
    def new(cls, folder: Path, server: S3Server) -> "Repository":
        """An empty one, with Winnow's own DVC configuration and the remote committed beside it."""
        folder.mkdir()
        repository = cls(folder, server)
        repository.run("git", "init", "--quiet", "--initial-branch=main")
        repository.dvc("init", "--quiet")
        shutil.copyfile(ROOT / ".dvc/config", folder / ".dvc/config")
        server.configure(folder, level="repo")
        repository.commit()
        return repository

    def clone(self, folder: Path) -> "Repository":
        subprocess.run(["git", "clone", "--quiet", str(self.folder), str(folder)], check=True)
        if (self.folder / ".dvc/config.local").exists():
            shutil.copyfile(self.folder / ".dvc/config.local", folder / ".dvc/config.local")
        return Repository(folder, self.server)

    def commit(self) -> None:
        self.run("git", "add", "--all")
        author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        self.run("git", *author, "commit", "--quiet", "--allow-empty", "--message", "test")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=SECONDS
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def dvc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check)

    def winnow(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """``make push`` and ``make pull``."""
        return self.run(sys.executable, "-m", "winnow", *arguments, check=check)

    def cached(self) -> list[Path]:
        return [path for path in (self.folder / ".dvc/cache").rglob("*") if path.is_file()]

    def start(self, action: str) -> subprocess.Popen[str]:
        """``make push`` or ``make pull``, while the test does something else."""
        return subprocess.Popen(
            [sys.executable, "-m", "winnow", action],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
