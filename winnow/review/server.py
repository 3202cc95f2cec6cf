"""Serve a review on this machine alone, until it is interrupted."""

import contextlib
import secrets
import socket
import threading
import webbrowser
from pathlib import Path

import uvicorn

from winnow.pipeline.durable import replace_file
from winnow.pipeline.messages import UserError
from winnow.review.app import make_app
from winnow.review.applying import Applying
from winnow.review.session import Session

ADDRESS = "127.0.0.1"
TOKEN_BYTES = 32
PORT_FILE = ".winnow/review.port"
HIGHEST_PORT = 65_535


def serve(session: Session, applying: Applying, *, port: int, browser: bool, root: Path | None = None) -> None:
    """Print the address and answer until the process is interrupted.

    Args:
        session: the run under review.
        applying: of the decisions.
        port: to listen on; 0: the one of the last time in this repository, else any that is free.
        browser: whether to open the page.
        root: the repository, which remembers the port; None: nothing does.

    Raises:
        UserError: the port is taken.
    """
    listening = _listen_again(root / PORT_FILE) if root is not None and not port else listen(port)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    number = listening.getsockname()[1]
    address = f"http://{ADDRESS}:{number}/?token={token}"
    config = uvicorn.Config(
        make_app(session, applying, token=token, port=number),
        log_level="warning",
        access_log=False,  # it would print the token
        server_header=False,
        ws="none",
        lifespan="off",
    )
    print(
        f"winnow review: {address}\nCtrl-C ends it; every decision is in the file when the page shows it.", flush=True
    )
    if root is not None:
        with contextlib.suppress(OSError, UserError):  # a disk without room can still be read
            replace_file(root / PORT_FILE, [str(number).encode()])
    # Once it has answered what was on its way, uvicorn raises the signal that ended it again.
    with listening, contextlib.suppress(KeyboardInterrupt):
        _Server(config, address if browser else None).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Opens the page once it answers, and not before: a browser in the terminal would wait for the answer for ever."""

    def __init__(self, config: uvicorn.Config, address: str | None) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._address is not None:
            threading.Thread(target=webbrowser.open, args=(self._address,), daemon=True).start()


def _listen_again(file: Path) -> socket.socket:
    """A socket on the port of the last time, for which a page that is still open keeps decisions, else on any other."""
    with contextlib.suppress(OSError, ValueError, UserError):
        port = int(file.read_bytes()[:8])
        if 0 < port <= HIGHEST_PORT:
            return listen(port)
    return listen(0)


def listen(port: int) -> socket.socket:
    """A socket that waits for connections of this machine.

    Args:
        port: to listen on; 0: any that is free.

    Raises:
        UserError: the port is taken.
    """
    # The protocol is named, since asyncio sets TCP_NODELAY for it alone; without, every answer waits 40 ms for the
    # acknowledgement of its headers.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
    except OSError as error:
        listening.close()
        raise UserError(f"port {port} cannot be had ({error.strerror}); name another with --port, or none") from None
    listening.listen(128)
    return listening
