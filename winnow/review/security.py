"""Who may ask: this page alone, opened with the token that the command printed.

The server listens on 127.0.0.1, but so can any page of any site reach it from the same browser, and any program of
another user of the machine. So every request must name this server in Host, which a site that resolves its own name to
127.0.0.1 (DNS rebinding) does not; must come from no other Origin; and must carry the token, which is compared in
constant time. What changes something must carry it in a header, which no form of another site can set. The page may
load nothing from elsewhere, nothing may frame it, and its address, which has the token, is passed on to nobody.

Another site may do one thing: lead a tab to the page, since people click its address in web terminals. That needs the
token as well, and the site gains nothing by it: the page is the same for everybody, a frame is refused, the opener
loses its hold on the tab (Cross-Origin-Opener-Policy), and all that the page does because of its address is to show an
image.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-winnow-token"
STATIC = "/static/"  # needs no token: it is the same for everybody
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
READING = ("GET", "HEAD")
LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}  # of a link that fills a tab, no frame


class Guard:
    """The application behind the checks; its answers get the headers above."""

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # a WebSocket is not accepted

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        answer = self._app if refusal is None else JSONResponse({"error": refusal}, status_code=403)
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> str | None:
        """Why a request is refused; None: it is not."""
        headers = Headers(scope=scope)
        if headers.getlist("host") != [headers.get("host")] or headers["host"] not in self._hosts:
            return "the Host is not this server; open the address that `winnow review` printed"
        if any(one.removeprefix("http://") not in self._hosts for one in headers.getlist("origin")):
            return "the request comes from another site; open the address that `winnow review` printed"
        is_foreign = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        if is_foreign and not _is_followed_link(scope, headers):
            return "the request comes from another site; open the address that `winnow review` printed"
        if scope["path"].startswith(STATIC):
            return None
        given = headers.getlist(TOKEN_HEADER)
        if scope["method"] in READING:
            given = given or parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), self._token.encode()):
            return "the token is missing or wrong; open the address that `winnow review` printed"
        return None


def _is_followed_link(scope: Scope, headers: Headers) -> bool:
    """Whether a tab opens the page, as after a click on its address in a web terminal."""
    is_link = all(headers.getlist(name) == [value] for name, value in LINK.items())
    return is_link and scope["method"] == "GET" and scope["path"] == "/"
