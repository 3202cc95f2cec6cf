"""A server that is killed loses no decision that it answered."""

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.support.reviews import Run
from tests.support.workspace import NOBODYS_SETTINGS
from winnow.pipeline.files import ROOT
from winnow.verdicts.decision_rows import last_of, read_decision_rows

SERVE = """
import sys
from pathlib import Path
from winnow.commands.review import review
print(review(sys.argv[2:], Path(sys.argv[1]))[0])
"""


class Server:
    """``winnow review`` in a process of its own, and a client."""

    def __init__(self, run: Run, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(run.root), "--no-browser", *options],
            cwd=ROOT,
            env={**os.environ, **NOBODYS_SETTINGS, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("winnow review: http://127.0.0.1:"), line
        self.address = urlsplit(line.split()[-1])
        (self.token,) = parse_qs(self.address.query)["token"]
        self.connection = http.client.HTTPConnection(self.address.netloc)

    def decide(self, identifier: str, action: str) -> None:
        """Returns when it is answered."""
        body = json.dumps({"task": "refine", "id": identifier, "action": action})
        headers = {"X-Winnow-Token": self.token, "Content-Type": "application/json"}
        self.connection.request("POST", "/api/decisions", body, headers)
        answer = self.connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, told = self.process.communicate()
        self.connection.close()
        return self.process.returncode, told


KILLED_AFTER = 37


def test_what_was_answered_is_in_the_file_after_a_kill(tmp_path: Path) -> None:
    """A hundred decisions; after some the server is killed while the next is on its way, and another goes on."""
    run = Run(tmp_path / "run", train=96, val=6)
    asked = [(identifier, ("drop", "keep")[number % 2]) for number, identifier in enumerate(run.refine[:100])]
    server = Server(run)
    for identifier, action in asked[:KILLED_AFTER]:
        server.decide(identifier, action)
    body = json.dumps({"task": "refine", "id": asked[KILLED_AFTER][0], "action": "drop"})
    headers = {"X-Winnow-Token": server.token, "Content-Type": "application/json"}
    server.connection.request("POST", "/api/decisions", body, headers)
    assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
    found = [(row.sample, row.action) for row in read_decision_rows(run.overrides)]
    names = {identifier: name for name, identifier in run.ids.items()}
    expected = [(names[identifier], action) for identifier, action in asked[:KILLED_AFTER]]
    assert found[:KILLED_AFTER] == expected
    assert len(found) - KILLED_AFTER in (0, 1)  # the last one had no answer
    first, server = server, Server(run)
    assert server.token != first.token
    assert len(server.token) >= 43  # 32 bytes
    for identifier, action in asked[KILLED_AFTER:]:
        server.decide(identifier, action)
    code, told = server.end(signal.SIGINT)
    assert (code, told) == (0, "")
    by_name: dict[str, str] = {}
    rows = read_decision_rows(run.overrides)
    for name in {row.sample for row in rows}:
        by_name[name] = last_of(row for row in rows if row.sample == name).action
    assert by_name == {names[identifier]: action for identifier, action in asked}


def test_a_port_that_is_taken_is_told_of_in_one_sentence(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    server = Server(run)
    port = str(server.address.port)
    other = subprocess.run(
        [sys.executable, "-m", "winnow", "review", "--no-browser", "--port", port],
        cwd=ROOT,
        env={**os.environ, **NOBODYS_SETTINGS, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert other.returncode == 2
    assert len(other.stderr.splitlines()) == 1
    assert server.end(signal.SIGINT) == (0, "")
