"""A finished run, and a client of the server on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

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
def session(run: Run) -> Session:
    return Session(run.root, by="mia")


@pytest.fixture
def client(session: Session, run: Run) -> Iterator[TestClient]:
    app = make_app(session, Applying(run.root), token=TOKEN, port=PORT)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}", headers={"X-Winnow-Token": TOKEN}) as opened:
        yield opened
