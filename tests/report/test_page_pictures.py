"""What the page draws: photographs at their size, leaks, the plane of the images, the axis of the intervals."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from stages import report as stage
from tests.support.datasets import damage
from tests.support.page import read
from tests.support.runs import Run, interval, verdict
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import samples_table
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError
from winnow.report.figures import EDGE, Part, gain_figure, interval_figure
from winnow.report.page import Plane
from winnow.report.pictures import PAGE_BYTES, limits
from winnow.report.plane import report_plane
from winnow.verdicts.states import States


def test_marks_of_the_plane_lead_to_cards(run: Run) -> None:
    page = read(run.write().report(round_name="r1"))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    links = [str(link["href"]) for link in page.all("a")]
    assert all(link.startswith("#") and link[1:] in identifiers for link in links)
    assert sum(link.startswith("#r1-cleanse") for link in links) == 3
    assert "33 images: 2 dropped, 1 relabelled in this round" in page.text
    assert "t-SNE plane of 33 images in the colours of their labels; 2 marked as dropped, 1 as relabelled" in page.text
    for title in ("i, dropped: harms 2 label-book", "iii, relabelled ii: all neighbours are ii"):
        assert title in page.text
    marks = [str(use["href"]) for use in page.all("use")]
    assert sorted(marks) == ["#dropped", "#dropped", "#relabelled"]
    assert {"dropped", "relabelled"} < set(identifiers)
    assert "33 images: 0 dropped, 0 relabelled in this round" in read(run.report(round_name="r2")).text


def test_a_mark_whose_card_is_not_shown_leads_nowhere(run: Run) -> None:
    page = read(run.write().report(round_name="r1", cards=1))
    assert len(page.all("use")) == 3
    assert sum(str(link["href"]).startswith("#r1-cleanse") for link in page.all("a")) == 2


def test_the_plane_of_a_refused_round_has_the_labels_that_came_into_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    def record(*arguments: Any, images: States, **more: Any) -> Plane:
        seen.append(dict(zip(images.ids.to_pylist(), images.given.to_pylist(), strict=True)))
        return report_plane(*arguments, images=images, **more)

    monkeypatch.setattr(stage, "report_plane", record)
    first = run.suspects[0]["id"]
    run.gates = {"r1": True, "r2": False}
    run.verdicts = {("r1", "cleanse_neighbours"): [verdict(run.suspects[0], "relabel", label_after="iii")]}
    run.write()
    for name in run.gates:
        run.report(round_name=name)
    assert [labels[first] for labels in seen] == ["i", "iii"]
    assert seen[0] | {first: "iii"} == seen[1]


def test_the_axis_holds_every_interval_and_marks_lie_in_order() -> None:
    comparison = {name: {"accuracy": interval(mean, half)} for name, mean, half in (("a", 0.61, 0.03), ("b", 0.7, 0.1))}
    figure = interval_figure(comparison, "b")
    first, last = figure.ticks[0], figure.ticks[-1]
    assert (first[0], last[0]) == (EDGE, 100 - EDGE)
    low, high = float(first[1]), float(last[1])
    assert low <= 0.58
    assert high >= 0.8
    assert len(figure.ticks) <= 7
    for mark, row in zip(figure.marks, comparison.values(), strict=True):
        for key in ("low", "mean", "high"):
            share = (row["accuracy"][key] - low) / (high - low)
            assert getattr(mark, key) == pytest.approx(EDGE + (100 - 2 * EDGE) * share, abs=0.01)


@pytest.mark.parametrize("accuracy", [0.0, 1.0, 0.5])
def test_the_axis_of_a_point_has_a_length(accuracy: float) -> None:
    figure = interval_figure({"a": {"accuracy": interval(accuracy, 0.0)}}, "a")
    assert len(figure.ticks) >= 2
    assert EDGE <= figure.marks[0].mean <= 100 - EDGE


@pytest.mark.parametrize("gains", [[(0.2, 0.05)], [(-0.2, 0.05)], [(0.004, 0.002), (-0.001, 0.0005)], [(0.0, 0.0)]])
def test_the_axis_of_gains_holds_every_interval_and_no_gain(gains: list[tuple[float, float]]) -> None:
    parts = [Part(f"{number}", "a", "b", interval(*gain), "not shown") for number, gain in enumerate(gains)]
    figure = gain_figure(parts)
    assert figure is not None
    (none,) = [position for position, text in figure.ticks if float(text.replace("−", "-")) == 0]
    assert figure.base == none
    (first, low), *_, (last, high) = [(place, float(text.replace("−", "-"))) for place, text in figure.ticks]
    assert (first, last) == (EDGE, 100 - EDGE)
    for mark, part in zip(figure.marks, parts, strict=True):
        for key in ("low", "mean", "high"):
            share = (part.gain[key] - low) / (high - low)
            assert 0 <= share <= 1
            assert getattr(mark, key) == pytest.approx(EDGE + (100 - 2 * EDGE) * share, abs=0.01)


def test_of_no_parts_there_is_no_figure() -> None:
    assert gain_figure([]) is None


def photograph(run: Run, row: dict[str, Any], height: int = 300) -> None:
    """Make the image of a sample a JPEG of 400 pixels across."""
    sink = io.BytesIO()
    pixels = np.random.default_rng(height).integers(0, 256, (height, 400, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(sink, format="JPEG")
    run.images[row["id"]] = sink.getvalue()


def size_of(image: dict[str, str | None]) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(str(image["src"]).partition(",")[2]))).size


def test_photographs_are_shown_at_160_pixels_and_tiny_images_as_they_are(run: Run) -> None:
    first, second, third, *_ = run.suspects
    photograph(run, second)
    photograph(run, first, height=800)
    photograph(run, run.suspects[4])
    page = read(run.write().report(evidence=4))
    cards = [image for image in page.all("img") if image.get("class") == "picture"]
    shown = {str(image["alt"]).split(",")[0]: (image["width"], size_of(image)) for image in cards}
    assert shown == {
        second["name"]: ("160", (160, 120)),
        first["name"]: ("160", (80, 160)),
        third["name"]: ("96", (16, 16)),
    }
    evidence = [image for image in page.all("img") if str(image["alt"]).startswith("neighbour")]
    assert sorted((str(image["width"]), size_of(image)) for image in evidence) == [
        ("44", (16, 16)),
        ("44", (16, 16)),
        ("68", (112, 84)),
    ]


def test_a_damaged_photograph_says_what_to_do(run: Run) -> None:
    photograph(run, run.suspects[0])
    run.write()
    for name in ("prepared", "refined"):
        damage(run.path(f"data/{name}"), run.suspects[0]["id"], run.images[run.suspects[0]["id"]][:300])
    with pytest.raises(UserError, match=rf"the image of {run.suspects[0]['id']} is damaged .*`dvc checkout --force"):
        run.report()


def test_leaks_are_shown_with_both_pictures_where_these_are_stored(run: Run) -> None:
    kept, out = run.suspects[0], [f"{number:016x}" for number in range(3)]
    run.leaks = [
        {"id": one, "name": f"train/i/{one}.jpg", "split": "train", "label": "i", "kept_in": "val"} for one in out
    ]
    run.write()
    others = [kept["id"], "e" * 16, None]
    rows = [
        leak | {"kept_id": other, "kind": kind}
        for leak, other, kind in zip(run.leaks, others, ("near", "group", "exact"), strict=True)
    ]
    write_table(run.path("data/prepared/leaks.parquet"), pa.Table.from_pylist(rows))
    page = read(run.report())
    assert f"train val {kept['name']} nearly the same picture" in page.text
    assert "holds nearly the same picture, or an image of the same group, or the same pixels" in page.text
    assert not [image for image in page.all("img") if str(image["alt"]).startswith(("left out", "kept in"))]
    photograph(run, kept)
    stored = {out[0]: run.images[kept["id"]], kept["id"]: run.images[kept["id"]], out[1]: run.images[run.book[0]]}
    table = samples_table([kept | {"id": one} for one in stored], run.classes)
    write_dataset(run.path("data/prepared/leaks"), table, images=list(stored.items()))
    page = read(run.report())
    pictured = [image for image in page.all("img") if str(image["alt"]).startswith(("left out", "kept in"))]
    assert [(image["alt"], size_of(image)) for image in pictured] == [
        (f"left out: {rows[0]['name']}", (160, 120)),
        ("kept in val", (160, 120)),
        (f"left out: {rows[1]['name']}", (16, 16)),
    ]


def test_the_page_of_large_photographs_stays_within_its_bound(tmp_path: Path) -> None:
    for large, small in ((0, 0), (1, 0), (338, 1152), (338, 0), (50, 200), (3000, 12_000)):
        card, witness = limits(large, small)
        assert large * card + small * witness <= PAGE_BYTES * 3 / 4
    run = Run(tmp_path)
    for row in run.suspects:
        photograph(run, row)
    run.verdicts["r1", "cleanse_final"] = [verdict(row, "drop", evidence=run.book) for row in run.suspects]
    run.write()
    whole = run.report().stat().st_size
    pictures = len(run.suspects) * 160 * 120
    assert whole < 400_000 + pictures  # a JPEG of theirs has 200 KB
