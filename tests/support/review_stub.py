"""A server that answers as `winnow review` does, with made-up images: as many, slow and broken as a test wants."""

import io
import json
import mimetypes
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image

CLASSES = ["glass", "metal", "paper", "plastic"]
REASONS = ["near the threshold", "near-duplicates", "contradiction", "random sample"]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NO_ESTIMATE = {"sampled": 0, "faults": 0, "of": 0, "share": None, "low": None, "high": None}


def make_items(number: int, *, why: list[str] | None = None) -> list[dict[str, Any]]:
    """Items as /api/queue has them: their likeliest label is the class after the one delivered."""
    reasons = why or REASONS
    items = []
    for place in range(number):
        given, other, third = (CLASSES[(place + step) % len(CLASSES)] for step in range(3))
        items.append(
            {
                "id": f"{place:016x}",
                "name": f"train/{given}/image {place:05d}.jpg",
                "split": "train",
                "given": given,
                "label": [given, other, None][place % 3],
                "why": reasons[place % len(reasons)],
                "support": 0.01 * (place % 100),
                "group": f"g{place // 8}" if place % 4 == 1 else None,
                "likely": [
                    {"label": other, "probability": 0.71},
                    {"label": given, "probability": 0.2},
                    {"label": third, "probability": 0.09},
                ],
                "decision": None,
                "stale": False,
                "seen": None,
            }
        )
    return items


@lru_cache(maxsize=256)
def picture(identifier: str, side: int) -> bytes:
    """A PNG in a colour of its own."""
    value = int(identifier[-6:], 16) * 2654435761
    made = Image.new("RGB", (side, side * 3 // 4), ((value >> 16) % 256, (value >> 8) % 256, value % 256))
    buffer = io.BytesIO()
    made.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Stub:
    """What the server holds; a test reads and changes it. Decisions are appended to `overrides`, a row each."""

    overrides: Path
    tasks: dict[str, list[dict[str, Any]]]
    evidence: dict[str, Any] = field(default_factory=dict)  # of single images, in place of the usual one
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)  # id -> status and sentence
    gaps: dict[str, Any] = field(default_factory=dict)  # of the state: what the run lacks
    listed: int = 20_000  # images of a queue that are listed; the others are counted
    gone: set[str] = field(default_factory=set)  # pictures that do not exist
    hold: threading.Event = field(default_factory=threading.Event)  # set: decisions are answered
    log: list[str] = field(default_factory=list)  # paths asked for
    rows: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)  # what the page posted
    applying: dict[str, Any] = field(default_factory=lambda: {"running": False, "log": "", "ok": None})

    def __post_init__(self) -> None:
        self.hold.set()
        self.items = {item["id"]: item for items in self.tasks.values() for item in items}
        if not self.overrides.exists():
            self.overrides.write_text("sample,action,label,by,note,time\n", encoding="utf-8")

    def estimate(self, task: str) -> dict[str, Any]:
        sample = [item for item in self.tasks[task] if item["why"] == "random sample" or task != "refine"]
        seen = [item["decision"] for item in sample if item["decision"] and not item["stale"]]
        faults = sum(decision["action"] != "keep" for decision in seen)
        share = faults / len(seen) if seen else None
        low, high = (None, None) if share is None else (max(0.0, share - 0.1), min(1.0, share + 0.1))
        return {"sampled": len(seen), "faults": faults, "of": len(sample), "share": share, "low": low, "high": high}

    def queue(self, task: str) -> dict[str, Any]:
        items = self.tasks[task]
        rest = items[self.listed :]
        more = {"items": len(rest), "decided": sum(item["decision"] is not None for item in rest)}
        return {"items": items[: self.listed], "more": more}

    def progress(self, task: str) -> dict[str, Any]:
        decided = sum(item["decision"] is not None and not item["stale"] for item in self.tasks[task])
        return {"decided": decided, "estimate": self.estimate(task)}

    def state(self) -> dict[str, Any]:
        titles = {"refine": "Refine", "label_book": "Label book", "test": "Test images"}
        tasks = [
            {
                "name": name,
                "title": titles[name],
                "items": len(items),
                **self.progress(name),
            }
            for name, items in self.tasks.items()
        ]
        return {
            "repository": "stub",
            "classes": CLASSES,
            "by": "mia",
            "tasks": tasks,
            "estimate": tasks[0]["estimate"],
            "since": str(len(self.rows)),
            **self.gaps,
        }

    def decide(self, told: dict[str, Any], by: str | None = "mia") -> dict[str, Any]:
        """Append a row and answer as the server does."""
        item = self.items[told["id"]]
        time = datetime.now(UTC).isoformat(timespec="microseconds")
        row = {"action": told["action"], "label": told["label"], "by": by, "time": time}
        with self.overrides.open("a", encoding="utf-8") as file:
            file.write(f"{told['id']},{told['action']},{told['label'] or ''},{by or ''},{told['note']},{time}\n")
            file.flush()
            os.fsync(file.fileno())
        undone = told["action"] == "undo"
        item.update(decision=None if undone else row, stale=False)
        self.rows.append({"id": told["id"], "decision": item["decision"]})
        task = next(name for name, items in self.tasks.items() if item in items)
        return {"decision": item["decision"], "undone": undone, **self.progress(task)}

    def changes(self, since: str) -> dict[str, Any]:
        return {
            "decisions": {row["id"]: row["decision"] for row in self.rows[int(since) :]},
            "stale": {row["id"]: row["stale"] for row in self.rows[int(since) :] if "stale" in row},
            "tasks": {name: self.progress(name) for name in self.tasks},
            "since": str(len(self.rows)),
        }

    def evidence_of(self, identifier: str) -> Any:
        item = self.items[identifier]
        near = [{"id": f"{place:016x}", "label": CLASSES[place % 4], "similarity": 0.9} for place in range(6)]
        usual = {
            "verdicts": [
                {
                    "where": "r1 cleanse_influence",
                    "action": "drop",
                    "label": None,
                    "reason": f"support 0.00 for {item['given']} where 0.76 is needed",
                    "by": "winnow",
                }
            ],
            "neighbours": near,
            "harmed": near[:2],
            "typical": {one["label"]: [f"{place:016x}" for place in range(5)] for one in item["likely"]},
        }
        return self.evidence.get(identifier, usual)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together
    disable_nagle_algorithm = True
    stub: Stub
    token: str

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "private, max-age=600" if kind == "image/png" else "no-store")
        self.end_headers()
        self.wfile.write(body)

    def tell(self, content: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(content).encode(), "application/json")

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.stub.log.append(self.path)
        parts = [unquote(part) for part in url.path.split("/") if part]
        if parts[:1] == ["static"] or not parts:
            name = parts[1] if parts else "index.html"
            content = resources.files("winnow.review").joinpath("static", name).read_bytes()
            return self.answer(200, content, mimetypes.guess_type(name)[0] or "text/plain")
        if self.token not in (query.get("token"), self.headers.get("X-Winnow-Token")):
            return self.tell({"error": "The token is not that of this server."}, 403)
        match parts[1:]:
            case ["state"]:
                self.tell(self.stub.state())
            case ["queue"]:
                self.tell(self.stub.queue(query["task"]))
            case ["changes"]:
                self.tell(self.stub.changes(query["since"]))
            case ["evidence", identifier]:
                self.tell(self.stub.evidence_of(identifier))
            case ["image" | "thumbnail" as kind, identifier] if identifier not in self.stub.gone:
                self.answer(200, picture(identifier, 400 if kind == "image" else 64), "image/png")
            case ["apply"]:
                self.tell(self.stub.applying)
            case _:
                self.tell({"error": "There is no such thing."}, 404)

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("X-Winnow-Token") != self.token:
            return self.tell({"error": "The token is not that of this server."}, 403)
        if self.path == "/api/apply":
            self.stub.applying = {"running": False, "log": "overrides\nrefined\nexport\n", "ok": True}
            return self.tell({})
        self.stub.hold.wait()
        if told["id"] in self.stub.refuse:
            status, sentence = self.stub.refuse[told["id"]]
            return self.tell({"error": sentence}, status)
        self.stub.told.append(told)
        self.tell(self.stub.decide(told))


class Server(ThreadingHTTPServer):
    """Ends its connections with itself, as a killed process does."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a browser may go away in the middle of an answer

    def server_close(self) -> None:
        super().server_close()
        for connection in self.connections:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(stub: Stub, port: int = 0, token: str = "stub") -> Iterator[str]:
    """The address of a page about the stub's images, while the block runs."""
    handler = type("StubHandler", (Handler,), {"stub": stub, "token": token})
    server = Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/?token={token}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
