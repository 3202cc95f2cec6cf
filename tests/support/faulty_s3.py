"""An S3 server in this process that does what real ones do when they fail: it lies, stops, stalls and forgets."""

import hashlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "winnow"
STALL = 1.2  # seconds; more than the timeout of the clients here


@dataclass
class Stored:
    """An object: its bytes, and what the server says of it."""

    body: bytes
    etag: str | None  # None: the server gives none
    size: int  # as listed

    @classmethod
    def of(cls, body: bytes) -> "Stored":
        return cls(body, hashlib.md5(body).hexdigest(), len(body))


@dataclass
class FaultyS3:
    """The server's objects and faults; a test changes both while it runs."""

    port: int = 0
    objects: dict[str, Stored] = field(default_factory=dict)  # by key
    # By method ("LIST" too): how many of the next requests fail and how: a status, "reset", "slow" or "short".
    faults: dict[str, tuple[int | str, float]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    torn: bool = False  # a PUT keeps half, and says that it has everything

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fault(self, method: str) -> int | str | None:
        """What goes wrong with this request, if anything."""
        self.requests[method] += 1
        kind, left = self.faults.get(method, (None, 0.0))
        if kind is None or left < 1:
            return None
        self.faults[method] = (kind, left - 1)
        return kind


class Handler(BaseHTTPRequestHandler):
    """One request; no signature is checked."""

    protocol_version = "HTTP/1.1"
    state: FaultyS3

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        key, query = self._key()
        if not key:
            return self._answer("LIST", 200, self._listing(query), {"Content-Type": "application/xml"})
        self._object("GET", key)

    def do_HEAD(self) -> None:
        self._object("HEAD", self._key()[0])

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            body = _unchunked(body)
        fault = self.state.fault("PUT")
        if fault:
            return self._fail(fault)
        stored = Stored.of(body)
        told = f'"{stored.etag}"'
        if self.state.torn:
            stored.body = body[: len(body) // 2]
        self.state.objects[self._key()[0]] = stored
        self._send(200, b"", {"ETag": told})

    def _key(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return unquote(parts.path).removeprefix(f"/{BUCKET}").strip("/"), parse_qs(parts.query)

    def _object(self, method: str, key: str) -> None:
        stored = self.state.objects.get(key)
        if stored is None:
            return self._answer(method, 404, b"<Error><Code>NoSuchKey</Code></Error>")
        headers = {} if stored.etag is None else {"ETag": f'"{stored.etag}"'}
        headers["Last-Modified"] = "Thu, 01 Jan 2026 00:00:00 GMT"
        if method == "HEAD":
            headers["Content-Length"] = str(stored.size)
            return self._answer(method, 200, b"", headers)
        wanted = self.headers.get("Range")
        if wanted is None:
            return self._answer(method, 200, stored.body, headers)
        first, last = wanted.removeprefix("bytes=").split("-")
        part = stored.body[int(first) : int(last) + 1 if last else None]
        if not part:
            return self._answer(method, 416, b"<Error><Code>InvalidRange</Code></Error>")
        headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(stored.body)}"
        self._answer(method, 206, part, headers)

    def _listing(self, query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{stored.size}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            + ("" if stored.etag is None else f"<ETag>&quot;{stored.etag}&quot;</ETag>")
            + "</Contents>"
            for key, stored in sorted(self.state.objects.items())
            if key.startswith(prefix)
        )
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        ).encode()

    def _answer(self, method: str, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        fault = self.state.fault(method)
        if fault == "short":
            self._send(status, body[: len(body) // 2], {**(headers or {}), "Content-Length": str(len(body))})
            self.close_connection = True
        elif fault:
            self._fail(fault)
        else:
            self._send(status, body, headers or {})

    def _fail(self, fault: int | str) -> None:
        if fault == "slow":
            time.sleep(STALL)
        if isinstance(fault, int):
            return self._send(fault, b"<Error><Code>InternalError</Code><Message>We failed</Message></Error>", {})
        # No linger: the close is a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _unchunked(body: bytes) -> bytes:
    """The content of a body that the client sent in signed chunks."""
    content = b""
    while body:
        head, _, rest = body.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            break
        content, body = content + rest[:size], rest[size + 2 :]
    return content


class Server(ThreadingHTTPServer):
    """The HTTP server; a client that left is no error."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def faulty_s3() -> Iterator[FaultyS3]:
    """The server, until the block ends."""
    state = FaultyS3()
    with Server(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state})) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
