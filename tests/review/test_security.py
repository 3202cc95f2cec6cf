"""Who is answered: this page alone, with the token."""

import pytest
from starlette.testclient import TestClient

from tests.review.conftest import PORT, TOKEN
from tests.support.reviews import HEADER, Run

HOST = f"127.0.0.1:{PORT}"
PATHS = ["/", "/api/state", "/api/queue?task=refine", "/api/changes?since=0", "/api/apply", "/api/image/x", "/nothing"]


def decision(run: Run) -> dict[str, str]:
    return {"task": "refine", "id": run.refine[0], "action": "drop"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", [None, "", "a-toke", "a-tokenn", "A-TOKEN", "\u00e9"])
def test_nothing_is_answered_without_the_token(client: TestClient, path: str, token: str | None) -> None:
    del client.headers["X-Winnow-Token"]
    headers = {} if token is None else {b"X-Winnow-Token": token.encode()}
    answer = client.get(path, headers=headers)
    assert answer.status_code == 403
    assert "token" in answer.json()["error"]


def test_the_token_may_stand_in_the_address_of_what_is_read(client: TestClient, run: Run) -> None:
    del client.headers["X-Winnow-Token"]
    assert client.get(f"/api/state?token={TOKEN}").status_code == 200
    assert client.get(f"/api/state?token={TOKEN}&token=x").status_code == 403
    answer = client.post(f"/api/decisions?token={TOKEN}", json=decision(run))
    assert answer.status_code == 403
    assert run.overrides.read_text() == HEADER


@pytest.mark.parametrize(
    "host", ["example.org", f"example.org:{PORT}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1:{PORT}.example.org", ""]
)
def test_another_host_is_refused(client: TestClient, run: Run, host: str) -> None:
    """As after DNS rebinding, where the browser takes the server for the other site's."""
    for path in ("/", "/api/state", "/static/review.js"):
        assert client.get(path, headers={"Host": host}).status_code == 403
    assert client.post("/api/decisions", json=decision(run), headers={"Host": host}).status_code == 403
    assert run.overrides.read_text() == HEADER


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://example.org"},
        {"Origin": f"https://{HOST}"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_origin_is_refused(client: TestClient, run: Run, headers: dict[str, str]) -> None:
    assert client.get("/api/state", headers=headers).status_code == 403
    assert client.post("/api/decisions", json=decision(run), headers=headers).status_code == 403
    assert run.overrides.read_text() == HEADER


LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_of_another_site_opens_the_page_and_nothing_else(client: TestClient, run: Run, site: str) -> None:
    """As of the address in a web terminal."""
    del client.headers["X-Winnow-Token"]
    link = {**LINK, "Sec-Fetch-Site": site}
    page = client.get(f"/?token={TOKEN}", headers=link)
    assert page.status_code == 200
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    for path in ("/", "/?token=", f"/?token={TOKEN}x"):
        assert client.get(path, headers=link).status_code == 403
    for path in ("/api/state", "/api/queue", f"/api/image/{run.refine[0]}", "/api/apply", "/static/review.js"):
        assert client.get(f"{path}?token={TOKEN}", headers=link).status_code == 403
    others = [{"Sec-Fetch-Dest": "iframe"}, {"Sec-Fetch-Dest": "embed"}, {"Sec-Fetch-Mode": "no-cors"}]
    for other in [*others, {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, {"Origin": "http://example.org"}]:
        assert client.get(f"/?token={TOKEN}", headers=link | other).status_code == 403
    for path in ("/", "/api/decisions", "/api/apply"):
        headers = {**link, "X-Winnow-Token": TOKEN}
        assert client.post(f"{path}?token={TOKEN}", headers=headers, json=decision(run)).status_code == 403
    assert run.overrides.read_text() == HEADER


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_its_own_origin_is_answered(client: TestClient, run: Run, host: str) -> None:
    headers = {"Host": f"{host}:{PORT}", "Origin": f"http://{host}:{PORT}", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/decisions", json=decision(run), headers=headers).status_code == 200


def test_no_other_site_may_read_or_be_loaded(client: TestClient) -> None:
    for path, status in (("/api/state", 200), ("/api/image/x", 404), ("/static/nothing.js", 404), ("/", 200)):
        answer = client.get(path)
        assert answer.status_code == status or path == "/"
        policy = dict(one.split(" ", 1) for one in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["img-src"] == "'self' blob:"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_preflight_is_not_granted(client: TestClient) -> None:
    answer = client.options(
        "/api/decisions", headers={"Origin": "http://example.org", "Access-Control-Request-Method": "POST"}
    )
    assert answer.status_code == 403


def test_figures_and_names_are_not_cached(client: TestClient) -> None:
    assert client.get("/api/state").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "..%5capp.py", "app.py", ".env", "/etc/passwd", "a.js%00"]
)
def test_only_the_page_s_files_are_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


@pytest.mark.parametrize(
    "identifier", ["../../overrides.csv", "..%2f..%2foverrides.csv", "%2e%2e", "x" * 5000, "0" * 16, "a%00b", "%ff"]
)
@pytest.mark.parametrize("kind", ["image", "thumbnail", "evidence"])
def test_an_id_that_is_none_leads_nowhere(client: TestClient, kind: str, identifier: str) -> None:
    answer = client.get(f"/api/{kind}/{identifier}")
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("seen", ["../../overrides.csv", "..%2f..%2foverrides.csv", "", "0" * 32, "/etc/passwd"])
def test_a_hash_that_is_none_leads_nowhere(client: TestClient, run: Run, seen: str) -> None:
    assert client.get(f"/api/image/{run.refine[0]}?seen={seen}").status_code == 404
