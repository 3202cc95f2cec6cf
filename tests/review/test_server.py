"""The socket that the server listens on, and the browser that it opens."""

import asyncio
import os
import signal
import socket
import urllib.request
import webbrowser
from pathlib import Path

import pytest

from tests.support.reviews import Run
from winnow.review.applying import Applying
from winnow.review.server import PORT_FILE, listen, serve
from winnow.review.session import Session


def served(run: Run, monkeypatch: pytest.MonkeyPatch, *, port: int = 0) -> tuple[int, int]:
    """Status and port of the page that the browser asks for; the server is interrupted then."""
    found: list[tuple[int, int]] = []

    def visit(address: str) -> bool:
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                found.append((answer.status, int(address.split(":")[2].split("/")[0])))
        finally:
            os.kill(os.getpid(), signal.SIGINT)
        return True

    monkeypatch.setattr(webbrowser, "open", visit)
    serve(Session(run.root, by="mia"), Applying(run.root), port=port, browser=True, root=run.root)
    return found[0]


def test_the_browser_is_opened_once_the_page_is_answered(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser in the terminal holds its caller up until it has the page."""
    assert served(run, monkeypatch)[0] == 200


def test_the_next_server_has_the_port_of_the_last_one_unless_it_is_taken(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is still open keeps what waits for its own port alone."""
    _, port = served(run, monkeypatch)
    assert served(run, monkeypatch)[1] == port
    with listen(port):
        other = served(run, monkeypatch)[1]
    assert other != port
    assert int((run.root / PORT_FILE).read_text()) == other


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"0", b"70000", b"\xff" * 100])
def test_a_port_that_is_none_is_passed_over(run: Run, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    file: Path = run.root / PORT_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    assert served(run, monkeypatch)[0] == 200


def test_an_answer_is_not_held_back_until_its_headers_are_acknowledged() -> None:
    found = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()
        await writer.wait_closed()

    async def visit() -> None:
        async with await asyncio.start_server(answer, sock=listen(0)) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    asyncio.run(visit())
    assert found == [1]
