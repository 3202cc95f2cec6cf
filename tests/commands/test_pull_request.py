"""The comment of a pull request: written once, then replaced, nobody else's touched; against a stub of the API."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.imports import ROOT
from winnow.commands.pull_request import MARK, TOKEN, answer
from winnow.pipeline.messages import UserError

BOT = "github-actions[bot]"
COMMENTS = "/api/v3/repos/some/where/issues/7/comments"


@dataclass
class Stub:
    """What a server of GitHub's API holds of one pull request, and what it was asked."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    refusal: int = 0  # status of every answer, where set
    address: str = ""

    def handle(self, method: str, path: str, body: dict[str, str]) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if self.refusal:
            return self.refusal, {}
        place, _, query = path.partition("?")
        if method == "GET" and place == COMMENTS:
            page = int(query.rpartition("page=")[2])
            return 200, self.comments[100 * (page - 1) : 100 * page]
        if method == "POST" and place == COMMENTS:
            self.add(BOT, body["body"])
            return 201, self.comments[-1]
        (one,) = [c for c in self.comments if place == f"/api/v3/repos/some/where/issues/comments/{c['id']}"]
        assert method == "PATCH"
        one["body"] = body["body"]
        return 200, one

    def add(self, login: str | None, body: str) -> None:
        number = len(self.comments) + 1
        user = None if login is None else {"login": login}
        self.comments.append({"id": number, "user": user, "body": body, "html_url": f"https://example.org/{number}"})


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    held = Stub()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            held.tokens.add(self.headers["Authorization"])
            content = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, told = held.handle(self.command, self.path, json.loads(content) if content else {})
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        do_GET = do_POST = do_PATCH = answer  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.address = f"http://127.0.0.1:{server.server_address[1]}/api/v3"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv(TOKEN, "a-token")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield held
    server.shutdown()
    thread.join()
    server.server_close()


def comment(stub: Stub, folder: Path, text: str, *more: str) -> str:
    (folder / "text.md").write_text(text, encoding="utf-8")
    options = ["--api", stub.address, "--repository", "some/where", "--request", "7", *more]
    return answer([str(folder / "text.md"), *options])[0]


def test_the_first_call_writes_a_comment_and_the_next_replaces_it(stub: Stub, tmp_path: Path) -> None:
    assert comment(stub, tmp_path, "| é |") == "commented: https://example.org/1"
    assert comment(stub, tmp_path, "later\n") == "commented: https://example.org/1"
    assert [one["body"] for one in stub.comments] == [f"{MARK}\nlater\n"]
    assert [line.split()[0] for line in stub.asked] == ["GET", "POST", "GET", "PATCH"]
    assert stub.tokens == {"Bearer a-token"}


def test_no_other_comment_is_ever_replaced(stub: Stub, tmp_path: Path) -> None:
    stub.add("mallory", f"{MARK}\nI am the bot")
    stub.add(BOT, f"another workflow's, which quotes {MARK}")
    stub.add(None, f"{MARK}\nof somebody who has left")
    for number in range(150):  # ours is on a later page of the answer
        stub.add("mia", f"{number}")
    before = json.dumps(stub.comments)
    comment(stub, tmp_path, "one")
    comment(stub, tmp_path, "two")
    assert json.dumps(stub.comments[:153]) == before
    assert [one["body"] for one in stub.comments[153:]] == [f"{MARK}\ntwo"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "GitHub answered 403 Forbidden; the token may not write to pull requests"),
        (502, "GitHub answered 502 Bad Gateway; try again"),
        (302, "GitHub answered 302 Found; try again"),  # it is not followed, with the token, to elsewhere
    ],
)
def test_a_refusal_is_one_sentence_without_the_token(stub: Stub, tmp_path: Path, status: int, said: str) -> None:
    stub.refusal = status
    with pytest.raises(UserError) as caught:
        comment(stub, tmp_path, "text")
    assert said in str(caught.value)
    assert "a-token" not in str(caught.value)
    assert len(stub.asked) == 1


def test_what_cannot_be_sent_is_refused_before_anything_is_asked(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="a comment holds 65,536"):
        comment(stub, tmp_path, "x" * 65_536)
    for options, said in (
        (["--api", "http://example.org"], "must begin with https://"),
        (["--repository", "a/b/../c"], "must be OWNER/NAME"),
    ):
        with pytest.raises(UserError, match=said):
            comment(stub, tmp_path, "x", *options)
    with pytest.raises(UserError, match="cannot be read"):
        answer([str(tmp_path / "none.md"), "--repository", "a/b", "--request", "1"])
    monkeypatch.delenv(TOKEN)
    with pytest.raises(UserError, match="GITHUB_TOKEN is not set"):
        comment(stub, tmp_path, "x")
    assert stub.asked == []


def test_the_job_has_no_more_rights_than_a_comment_needs() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["metrics"]
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    holders = [step["name"] for step in job["steps"] if "github.token" in json.dumps(step)]
    assert holders == ["Comment"]
    assert "github.token" not in json.dumps(job.get("env", {}))
    condition = job["if"]  # where the token cannot comment, the job is not run
    assert "head.repo.full_name == github.repository && github.actor != 'dependabot[bot]'" in condition
    scripts = "\n".join(step.get("run", "") for step in job["steps"])
    assert "${{" not in scripts  # a branch's name is never part of a command, only of the environment
