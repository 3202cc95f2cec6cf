"""A repository in which a run has ended, as its dvc.lock has it."""

import functools
import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

CODE = ("winnow/", "stages/")


def md5(content: bytes) -> str:
    """As dvc.lock has it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Finished:
    """A folder in which a run has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        file = folder / "dvc.lock"
        if not file.exists():
            raise SystemExit(f"{file} is missing; no run has ended in {folder}")
        self.stages: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["stages"]

    def params(self, stage: str, section: str) -> dict[str, Any]:
        """A section of params.yaml as a stage ran with it.

        Raises:
            SystemExit: the stage has not run, or had no such section.
        """
        try:
            found: dict[str, Any] = self.stages[stage]["params"]["params.yaml"][section]
        except KeyError:
            raise SystemExit(f"{self.folder}/dvc.lock has no {section} of stage {stage}; finish the run") from None
        return found

    def check_code(self, rounds: Sequence[str]) -> None:
        """Reject a run whose code is not the repository's.

        Args:
            rounds: whose stages ran; dvc.lock keeps those of other runs.

        Raises:
            SystemExit: a file or a package that a stage ran with has changed since.
        """
        ran = self._ran(rounds)
        for name, stage in self.stages.items():
            if name not in ran:
                continue
            for dep in stage.get("deps", []):
                if dep["path"].startswith(CODE) and self._hash(dep["path"]) != dep["md5"]:
                    raise SystemExit(
                        f"{self.folder}: {dep['path']} is not what stage {name} ran with; record the run at its "
                        "commit, or run it again"
                    )

    def _ran(self, rounds: Sequence[str]) -> set[str]:
        """Names of the stages that the run had: dvc.lock keeps those of others."""
        params = yaml.safe_load((self.folder / "params.yaml").read_text(encoding="utf-8"))
        ran: set[str] = set()
        for name, stage in yaml.safe_load((self.folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
            if "foreach" not in stage:
                ran.add(name)
                continue
            keys = stage["foreach"].strip("${}").split(".")
            items = rounds if keys == ["rounds"] else functools.reduce(dict.__getitem__, keys, params)
            ran |= {f"{name}@{item}" for item in items}
        return ran

    def _hash(self, path: str) -> str | None:
        """As DVC's own of a file, or of the files of a folder that git knows; None where there is neither."""
        place = self.folder / path
        if not place.is_dir():
            return md5(place.read_bytes()) if place.exists() else None
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--", path], cwd=self.folder, capture_output=True, text=True, check=True
        )
        names = [name for name in listed.stdout.split("\0") if name]
        rows = [
            {"md5": md5((self.folder / name).read_bytes()), "relpath": PurePosixPath(name).relative_to(path).as_posix()}
            for name in names
        ]
        rows.sort(key=lambda row: row["relpath"])
        return md5(json.dumps(rows, sort_keys=True).encode()) + ".dir"

    def metrics(self, stage: str, path: str) -> dict[str, Any] | None:
        """A metric as a stage wrote it; None where it writes none.

        Raises:
            SystemExit: the file is gone, or is not what the stage wrote.
        """
        outs = {out["path"]: out["md5"] for out in self.stages.get(stage, {}).get("outs", [])}
        if path not in outs:
            return None
        file = self.folder / path
        content = file.read_bytes() if file.exists() else b""
        if md5(content) != outs[path]:
            raise SystemExit(f"{file} is not what stage {stage} wrote; finish the run")
        figures: dict[str, Any] = json.loads(content)
        return figures
