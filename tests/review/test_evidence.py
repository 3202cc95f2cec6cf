"""What the review server shows beside an image: evidence, neighbours, typical images, and pictures."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.review.conftest import PORT, TOKEN
from tests.support.datasets import CLASSES
from tests.support.reviews import Run
from winnow.dataset.arrays import write_rows
from winnow.review.app import make_app
from winnow.review.applying import Applying
from winnow.review.session import Session


def test_evidence(client: TestClient, run: Run) -> None:
    one, other, book = run.refine[0], run.refine[1], run.ids["label_book/i/0.png"]
    verdict = {
        "id": one,
        "round": "r1",
        "stage": "cleanse_influence",
        "action": "relabel",
        "label_before": "i",
        "label_after": "ii",
        "reason": "support 0.02",
        "support": 0.02,
        "evidence": [book, other],
        "by": "winnow",
    }
    later = {**verdict, "stage": "cleanse_neighbours", "evidence": [run.ids["label_book/ii/1.png"]]}
    run.set_refined({one: "ii"}, [verdict, later])
    run.set_signals(np.random.default_rng(0), neighbours={one: [other, book]})
    session = Session(run.root, by="")
    evidence = session.evidence(one)
    assert evidence["verdicts"] == [
        {"where": where, "action": "relabel", "label": "ii", "reason": "support 0.02", "by": "winnow"}
        for where in ("r1 cleanse_influence", "r1 cleanse_neighbours")
    ]
    assert [(near["id"], near["label"]) for near in evidence["neighbours"]] == [(other, "ii"), (book, "i")]
    assert evidence["neighbours"][0]["similarity"] == pytest.approx(1 - 0.1**2 / 2, abs=1e-4)
    assert evidence["harmed"] == [{"id": book, "label": "i"}]
    assert set(evidence["typical"]) == set(CLASSES)
    assert all(one not in found for found in evidence["typical"].values())


def test_an_image_that_no_round_embedded_has_the_neighbours_that_a_frozen_model_gives(run: Run) -> None:
    book = [one for name, one in run.ids.items() if not name.startswith("test")]
    features = np.random.default_rng(2).normal(size=(len(book), 5)).astype(np.float16)
    (run.root / "data/features").mkdir()
    write_rows(run.root / "data/features", [(book[:20], features[:20]), (book[20:], features[20:])])
    dropped = run.refine[3]
    near = {one: [run.refine[0]] for one in book if one != dropped}
    run.set_signals(np.random.default_rng(0), neighbours=near)
    found = Session(run.root, by="").evidence(dropped)["neighbours"]
    wide = features.astype(float)
    own = wide[book.index(dropped)]
    cosine = {
        one: float(row @ own / np.linalg.norm(row) / np.linalg.norm(own))
        for one, row in zip(book, wide, strict=True)
        if one != dropped
    }
    assert [one["id"] for one in found] == sorted(cosine, key=lambda one: -cosine[one])[:8]
    assert [one["similarity"] for one in found] == pytest.approx(sorted(cosine.values(), reverse=True)[:8], abs=1e-3)


@pytest.mark.parametrize("accepted", [True, False], ids=["by the pipeline", "by people"])
def test_neighbours_have_the_label_that_they_have_now(run: Run, accepted: bool) -> None:
    one, first, second, third = run.refine[:4]
    run.set_signals(np.random.default_rng(0), neighbours={one: [first, second, third]})
    session = Session(run.root, by="")
    run.set_refined({first: "iii", second: None}, accepted=accepted)
    now = [(first, "iii"), (second, None), (third, session.image(third).given)]
    for read in (session, Session(run.root, by="")):
        assert [(near["id"], near["label"]) for near in read.evidence(one)["neighbours"]] == now


def test_typical_images_are_those_that_the_ensemble_is_surest_of(run: Run) -> None:
    first = {one: [0.4, 0.3, 0.3] for one in run.ids.values()}
    sure = [run.ids[f"train/i/{number}.png"] for number in (6, 3, 9)]
    for rank, one in enumerate(sure):
        first[one] = [0.9 - rank / 10, 0.1 + rank / 10, 0.0]
    run.set_signals(np.random.default_rng(0), first=first)
    session = Session(run.root, by="")
    assert session.evidence(run.ids["val/i/0.png"])["typical"]["i"][:3] == sure
    run.set_refined({sure[0]: None, sure[1]: "ii"}, accepted=False)  # decisions were applied
    typical = session.evidence(run.ids["val/i/0.png"])["typical"]
    assert typical["i"][0] == sure[2]
    assert len(typical["i"]) == 6
    assert not {sure[0], sure[1]} & {one for found in typical.values() for one in found}


def test_a_queue_without_signals_still_asks_about_every_image(run: Run) -> None:
    for name in ("value/scores.parquet", "ensemble/classes.parquet", "embed/classes.parquet"):
        (run.root / "data/r1" / name).unlink()
    session = Session(run.root, by="")
    assert session.state()["missing"] == [
        "data/r1/value/scores.parquet",
        "data/r1/ensemble/classes.parquet",
        "data/r1/embed/classes.parquet",
    ]
    asked = session.queue("refine")["items"]
    assert sorted(one["id"] for one in asked) == sorted(run.refine)
    assert all(one["likely"] == [] and one["support"] is None for one in asked)


def encoded(kind: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    pixels = np.random.default_rng(5).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    if kind == "MPO":  # with one picture it would be a JPEG
        options |= {"save_all": True, "append_images": [Image.new("RGB", (90, 80))]}
    Image.fromarray(pixels).save(sink, format=kind, **options)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("kind", "served", "as_stored"),
    [
        ("PNG", "image/png", True),
        ("JPEG", "image/jpeg", True),
        ("MPO", "image/jpeg", True),
        ("WEBP", "image/webp", True),
        ("GIF", "image/gif", True),
        ("BMP", "image/bmp", True),
        ("TIFF", "image/png", False),
        ("JPEG2000", "image/png", False),
        ("PPM", "image/png", False),
    ],
)
def test_pictures_are_what_a_browser_shows(run: Run, kind: str, served: str, as_stored: bool) -> None:
    content = encoded(kind)
    run.rewrite({"train/i/0.png": content})
    session = Session(run.root, by="")
    client = TestClient(
        make_app(session, Applying(run.root), token=TOKEN, port=PORT), base_url=f"http://127.0.0.1:{PORT}"
    )
    identifier = run.ids["train/i/0.png"]
    whole = client.get(f"/api/image/{identifier}?token={TOKEN}")
    assert whole.headers["content-type"] == served
    assert (whole.content == content) == as_stored
    assert Image.open(io.BytesIO(whole.content)).size == (200, 300)
    assert "immutable" in whole.headers["cache-control"]
    again = client.get(f"/api/image/{identifier}?token={TOKEN}", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    small = client.get(f"/api/thumbnail/{identifier}?token={TOKEN}")
    assert small.headers["content-type"] in ("image/png", "image/webp")
    assert max(Image.open(io.BytesIO(small.content)).size) == 128
