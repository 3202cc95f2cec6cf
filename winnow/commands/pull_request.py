"""Put a text into a pull request on GitHub: one comment, which the next call replaces.

    python -m winnow.commands.pull_request FILE --repository OWNER/NAME --request NUMBER

The token stands in the environment as GITHUB_TOKEN; it needs to write to pull requests, and nothing else. The comment
is known by its first line, which nobody sees, and by its author, so that no other comment is ever replaced.
"""

import argparse
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from winnow.commands.terminal import run_command
from winnow.pipeline.messages import UserError

MARK = "<!-- winnow diff -->"
MOST = 65_536  # characters of a comment, as GitHub has it
PAGE, PAGES = 100, 50  # comments of one answer, and answers that are read
SECONDS = 30  # that an answer may take
TOKEN = "GITHUB_TOKEN"
HERE = ("127.0.0.1", "localhost", "::1")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: it would take the token to another server."""

    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        return None


class GitHub:
    """The comments of one pull request."""

    def __init__(self, api: str, repository: str, request: int, token: str) -> None:
        """Name the pull request.

        Args:
            api: address of the API.
            repository: OWNER/NAME.
            request: number of the pull request.
            token: that may write to pull requests.

        Raises:
            UserError: the address would let the token be read on its way, or a name is none.
        """
        parts = urlsplit(api)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in HERE):
            raise UserError(f"--api must begin with https://, got {api[:80]!r}; a token is sent there")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
            raise UserError(f"--repository must be OWNER/NAME, got {repository[:80]!r}")
        self._repository = f"{api.rstrip('/')}/repos/{repository}"
        self._request, self._token = request, token
        self._opener = urllib.request.build_opener(_NoRedirect)

    def put(self, text: str, author: str) -> str:
        """Replace the author's comment with this text, or write the first one; the comment's address.

        Raises:
            UserError: GitHub does not answer, or refuses.
        """
        body = {"body": f"{MARK}\n{text}"}
        comments = f"{self._repository}/issues/{self._request}/comments"
        number = self._find(comments, author)
        if number is None:
            return str(self._ask("POST", comments, body).get("html_url", ""))
        return str(self._ask("PATCH", f"{self._repository}/issues/comments/{number}", body).get("html_url", ""))

    def _find(self, comments: str, author: str) -> int | None:
        """The number of the author's comment that begins with the mark."""
        for page in range(1, PAGES + 1):
            found = self._ask("GET", f"{comments}?per_page={PAGE}&page={page}")
            for comment in found:
                if (comment.get("user") or {}).get("login") == author and str(comment.get("body")).startswith(MARK):
                    return int(comment["id"])
            if len(found) < PAGE:
                break
        return None

    def _ask(self, method: str, address: str, body: dict[str, str] | None = None) -> Any:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "User-Agent": "winnow",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, content, headers, method=method)
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            why = "the token may not write to pull requests" if error.code in (401, 403, 404) else "try again"
            raise UserError(f"{method} {address}: GitHub answered {error.code} {error.reason}; {why}") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{method} {address}: no answer from GitHub ({error}); try again") from None


def answer(arguments: Sequence[str] | None) -> tuple[str, int]:
    """Text and exit code for a command line."""
    parser = argparse.ArgumentParser(
        prog="python -m winnow.commands.pull_request",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="Markdown in UTF-8")
    parser.add_argument("--repository", required=True, metavar="OWNER/NAME")
    parser.add_argument("--request", required=True, type=int, metavar="NUMBER", help="of the pull request")
    parser.add_argument(
        "--api", default="https://api.github.com", metavar="URL", help="GitHub's API, or a server's own"
    )
    parser.add_argument(
        "--author", default="github-actions[bot]", metavar="LOGIN", help="whose comment it is: the token's"
    )
    options = parser.parse_args(arguments)
    token = os.environ.get(TOKEN, "")
    if not token:
        raise UserError(f"{TOKEN} is not set; in a workflow: env: {{{TOKEN}: ${{{{ github.token }}}}}}")
    try:
        text = options.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{options.file} cannot be read ({error}); name a text in UTF-8") from None
    if len(text) + len(MARK) >= MOST:
        raise UserError(f"{options.file} has {len(text):,} characters, a comment holds {MOST:,}; shorten it")
    place = GitHub(options.api, options.repository, options.request, token).put(text, options.author)
    return f"commented: {place}", 0


if __name__ == "__main__":
    run_command("pull_request", lambda: answer(sys.argv[1:]))
