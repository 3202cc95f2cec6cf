"""The routes of the review server: the page, its files, and the answers of a session as JSON."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from winnow.pictures.decode import UnreadableError
from winnow.pipeline.messages import UserError
from winnow.review.applying import Applying
from winnow.review.decisions import OvertakenError
from winnow.review.pictures import Picture
from winnow.review.requests import InvalidError
from winnow.review.security import Guard
from winnow.review.session import Session

STATIC = Path(__file__).with_name("static")
PAGE = "index.html"
KINDS = {  # by suffix, what is served below /static/
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
FILE_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
UNCHANGING = "private, max-age=31536000, immutable"  # an image's id is a hash of its name and bytes
MOST_BODY = 65_536  # bytes of a decision


def make_app(session: Session, applying: Applying, *, token: str, port: int) -> ASGIApp:
    """The application, which answers whoever has the token.

    Args:
        session: the run under review.
        applying: of the decisions.
        token: that requests must carry.
        port: that they must name in Host.
    """
    routes = _Routes(session, applying)
    app = Starlette(
        routes=[
            Route("/", routes.page),
            Route("/static/{name}", routes.static),
            Route("/api/state", routes.state),
            Route("/api/queue", routes.queue),
            Route("/api/image/{id}", routes.image),
            Route("/api/thumbnail/{id}", routes.thumbnail),
            Route("/api/evidence/{id}", routes.evidence),
            Route("/api/decisions", routes.decide, methods=["POST"]),
            Route("/api/changes", routes.changes),
            Route("/api/apply", routes.apply_state),
            Route("/api/apply", routes.apply, methods=["POST"]),
        ],
        exception_handlers={
            HTTPException: _refused,
            InvalidError: _handler(400),
            OvertakenError: _handler(412),  # not 409, after which the page tries again
            UserError: _handler(409),
            UnreadableError: _handler(404),
        },
    )
    return Guard(app, token=token, port=port)


class _Routes:
    """The endpoints; what reads files runs in threads, so that one request does not hold up another."""

    def __init__(self, session: Session, applying: Applying) -> None:
        self._session, self._applying = session, applying

    async def page(self, _: Request) -> Response:
        return _file(PAGE, "text/html; charset=utf-8")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        kind = KINDS.get(Path(name).suffix)
        if kind is None or not FILE_NAME.fullmatch(name):
            raise HTTPException(404)
        return _file(name, kind)

    async def state(self, _: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._session.state))

    async def queue(self, request: Request) -> Response:
        task, linked = request.query_params.get("task", "refine"), request.query_params.get("id")
        return JSONResponse(await run_in_threadpool(self._session.queue, task, linked))

    async def evidence(self, request: Request) -> Response:
        identifier = self._identifier(request)
        return JSONResponse(await run_in_threadpool(self._session.evidence, identifier))

    async def image(self, request: Request) -> Response:
        image = self._session.image(self._identifier(request))
        seen = request.query_params.get("seen")
        if seen is not None:
            picture = await run_in_threadpool(self._session.pictures.seen, seen)
        else:
            picture = await run_in_threadpool(self._session.pictures.whole, image.folder, image.id)
        return _picture(picture, request)

    async def thumbnail(self, request: Request) -> Response:
        image = self._session.image(self._identifier(request))
        return _picture(await run_in_threadpool(self._session.pictures.small, image.folder, image.id), request)

    async def decide(self, request: Request) -> Response:
        body = await _body(request)
        task, identifier = _text(body, "task"), _text(body, "id")
        arguments = (task, identifier, _text(body, "action"), _text(body, "label", None), _text(body, "note", ""))
        times = {name: _text(body, name, None) for name in ("former", "taken", "restored")}
        answer = await run_in_threadpool(self._session.decide, *arguments, **times)
        return JSONResponse(answer, background=BackgroundTask(self._session.keep_seen, identifier))

    async def changes(self, request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not (since.isascii() and since.isdigit() and len(since) < 16):
            raise InvalidError(f"since must be the number of an earlier answer, got {since[:40]!r}")
        return JSONResponse(await run_in_threadpool(self._session.changes, int(since)))

    async def apply(self, _: Request) -> Response:
        started = await run_in_threadpool(self._applying.start)
        return JSONResponse(self._applying.state(), status_code=202 if started else 200)

    async def apply_state(self, _: Request) -> Response:
        return JSONResponse(self._applying.state())

    def _identifier(self, request: Request) -> str:
        """The id in the path, of an image that there is."""
        identifier: str = request.path_params["id"]
        try:
            self._session.image(identifier)
        except KeyError:
            raise HTTPException(404, "there is no such image; load the page again") from None
        return identifier


def _file(name: str, kind: str) -> Response:
    if not (STATIC / name).is_file():
        raise HTTPException(404)
    return FileResponse(STATIC / name, headers={"content-type": kind, "cache-control": "no-cache"})


def _picture(picture: Picture | None, request: Request) -> Response:
    if picture is None:
        raise HTTPException(404, "the picture as it was is not kept")
    tag = f'"{hashlib.sha256(picture.content).hexdigest()[:32]}"'
    headers = {"cache-control": UNCHANGING, "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(picture.content, media_type=picture.kind, headers=headers)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that a request carries.

    Raises:
        InvalidError: it carries another thing.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise InvalidError("the body must be application/json")
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_BODY:
            raise InvalidError(f"the body may have {MOST_BODY} bytes")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise InvalidError("the body must be a JSON object")
    return body


def _text(body: dict[str, Any], name: str, *default: str | None) -> Any:
    """A text of the body; what may be missing has a default, which null gives as well."""
    value = body.get(name)
    if value is None and default:
        return default[0]
    if not isinstance(value, str):
        raise InvalidError(f"{name} must be a text")
    return value


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = "there is no such page" if error.status_code == 404 and error.detail == "Not Found" else error.detail
    return JSONResponse({"error": words}, status_code=error.status_code, headers=error.headers)


def _handler(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status_code=status)

    return answer
