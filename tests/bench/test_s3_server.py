"""The S3 server of our own: one key, the loopback alone, and no life after its parent."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.s3_server import s3_server
from tests.support.imports import ROOT
from winnow.pipeline.messages import UserError


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def eventually(happens: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happens():
            return True
        time.sleep(0.02)
    return happens()


def test_the_server_serves_one_key_on_the_loopback_and_ends_with_its_block(tmp_path: Path) -> None:
    with s3_server(tmp_path) as server:
        assert answers(server.port)
        with s3_server(tmp_path / "second") as other:
            assert other.port != server.port
            assert set(other.key).isdisjoint(server.key)
        assert not answers(other.port)
        command = Path(f"/proc/{server.process.pid}/cmdline").read_bytes().decode()
        assert "--addr\x00127.0.0.1:0" in command
        assert server.key[1] not in command
    assert not answers(server.port)


def test_the_server_ends_with_its_parent_even_if_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time\nfrom bench.s3_server import s3_server\n"
        "with s3_server(pathlib.Path(sys.argv[1])) as server:\n    print(server.port, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert answers(port)
        parent.kill()
    assert eventually(lambda: not answers(port))


def test_a_server_that_cannot_start_says_so(tmp_path: Path) -> None:
    with (
        s3_server(tmp_path / "first") as server,
        pytest.raises(UserError, match=r"did not start.*address already in use"),
        s3_server(tmp_path / "second", port=server.port),
    ):
        pass
