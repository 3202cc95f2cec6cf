"""A finished run, and a client of the server on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from starlette.testclient import TestClient

from tests.support.driver import Visitor, visiting
from tests.support.review_stub import Stub, serving
from tests.support.reviews import Run
from winnow.review.app import make_app
from winnow.review.applying import Applying
from winnow.review.session import Session

PORT = 8123
TOKEN = "a-token"


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("review") / "run")


@pytest.fixture
def run(made_once: Run, tmp_path: Path) -> Run:
    return made_once.copy(tmp_path / "run")


@pytest.fixture
def visitor(browser: Browser, stub: Stub) -> Iterator[Visitor]:
    """The page in the browser, over the stub of the test's file; it complained of nothing."""
    with serving(stub) as address, visiting(browser, address) as made:
        yield made
        assert made.complaints == []


@pytest.fixture
def session(run: Run) -> Session:
    return Session(run.root, by="mia")


@pytest.fixture
def client(session: Session, run: Run) -> Iterator[TestClient]:
    app = make_app(session, Applying(run.root), token=TOKEN, port=PORT)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}", headers={"X-Winnow-Token": TOKEN}) as opened:
        yield opened
