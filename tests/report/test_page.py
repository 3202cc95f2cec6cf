"""The page: what it says, that it says it safely, and that nothing is missing where a source has nothing to say."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from stages import report as stage
from stages.report import Params
from tests.support.datasets import damage
from tests.support.refusals import refused_params
from tests.support.runs import Run, arms, interval, verdict
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import samples_table
from winnow.pictures.embed import picture_uri
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError
from winnow.report.figures import EDGE, interval_figure
from winnow.report.page import Plane, headline, visible
from winnow.report.pictures import PAGE_BYTES, limits
from winnow.report.plane import report_plane
from winnow.verdicts.fates import Fate

NASTY = "<script>alert(1)</script>\"'`&amp;\n\u202e名 {{ 7*7 }}"
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Elements of a page: by tag the attributes, the text, and whether every element is closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(page: Path) -> Page:
    parsed = Page(page.read_text(encoding="utf-8"))
    assert not parsed.open
    return parsed


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two dropped for their influence, one relabelled by its neighbours, one of its copies passed over."""
    made = Run(tmp_path)
    first, second, third, *_ = rows = made.suspects
    copied = made.copy_of(third)
    made.verdicts["r1", "cleanse_influence"] = [
        verdict(first, "drop", support=-2.0, reason="harms 2 label-book images", evidence=made.book[:2]),
        verdict(second, "drop", support=-5.0, reason="harms 6 label-book images", evidence=made.book),
        *(verdict(row) for row in rows[2:]),
    ]
    near = [rows[4]["id"], rows[5]["id"], copied["id"], "f" * 16]
    made.verdicts["r1", "cleanse_neighbours"] = [
        verdict(third, "relabel", label_after="ii", support=0.25, reason="all neighbours are ii", evidence=near),
        verdict(copied, "drop", reason="a copy"),
    ]
    made.refined = [row | ({"label": "ii"} if row is third else {}) for row in made.refined if row not in rows[:2]]
    return made


def test_the_headline_and_the_counts_are_those_of_the_data(run: Run) -> None:
    text = read(run.write().report()).text
    assert "50 % fewer errors" in text
    assert "accuracy 0.600 → 0.800, error reduction 50.0 % (95 % interval 45.0 % to 55.0 %; 3 seeds" in text
    facts = re.search(
        r"images delivered to train and validate (\d+) dropped, (\S+) % (\d+) relabelled, \S+ % (\d+)", text
    )
    assert facts is not None
    assert facts.groups() == ("27", "7.4", "2", "1")
    assert "in the refined set, 1 of them augmented copies 26" in text


def test_verdicts_stand_by_round_and_stage_worst_first_with_their_evidence(run: Run) -> None:
    page = read(run.write().report(evidence=4))
    text = page.text
    assert text.index("harms 6 label-book images") < text.index("harms 2 label-book images")
    assert (
        text.index("r1 , cleanse influence") < text.index("r1 , cleanse neighbours") < text.index("r2 , cleanse infl")
    )
    assert "25 kept, 2 dropped, 0 relabelled" in text
    assert "support −5, train" in text
    assert "+ 2 more" in text  # six of the label book, four shown
    assert "a copy" not in text.replace("a copy that", "")
    pictures = [image for image in page.all("img") if image.get("class") == "picture"]
    assert len(pictures) == 3
    assert pictures[0]["alt"] == f"{run.suspects[1]['name']}, delivered as ii"
    png = base64.b64decode(str(pictures[0]["src"]).removeprefix("data:image/png;base64,"))
    assert png == run.images[run.suspects[1]["id"]]
    evidence = [str(image["alt"]) for image in page.all("img") if "class" not in image]
    assert [alt for alt in evidence if alt.startswith("label book")] == [
        f"label book: {c}" for c in ("i", "ii", "iii", "i", "i", "ii")
    ]
    assert len([alt for alt in evidence if alt.startswith("neighbour: ")]) == 3  # a copy that was kept among them
    gone = [span for span in page.all("span") if span.get("class") == "gone"]
    assert len(gone) == 1


def test_a_group_is_capped_and_says_how_many_more_and_where(run: Run) -> None:
    run.verdicts["r2", "cleanse_final"] = [
        verdict(row, "drop", support=float(number), reason=f"number {number};")
        for number, row in enumerate(run.suspects)
    ]
    text = read(run.write().report(cards=20)).text
    ledger = run.path("data/refined/ledger.parquet").as_posix()
    assert "Dropped 27 images, the worst 20 here" in text
    assert f"7 more in {ledger}" in text
    assert "number 19;" in text
    assert "number 20;" not in text
    assert "The next 8" in text  # folded


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

    def record(*arguments: Any, fate: dict[str, Fate], **more: Any) -> Plane:
        seen.append({identifier: image.given for identifier, image in fate.items()})
        return report_plane(*arguments, fate=fate, **more)

    monkeypatch.setattr(stage, "report_plane", record)
    first = run.suspects[0]["id"]
    run.gates = {"r1": True, "r2": False}
    run.verdicts = {("r1", "cleanse_neighbours"): [verdict(run.suspects[0], "relabel", label_after="iii")]}
    run.write()
    for name in run.gates:
        run.report(round_name=name)
    assert [labels[first] for labels in seen] == ["i", "iii"]
    assert seen[0] | {first: "iii"} == seen[1]


def test_what_the_source_says_is_text_and_never_markup(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        classes=[NASTY, "' onerror='x", "ok"],
        file_name=f"{{number}} {NASTY.replace('{', '{{').replace('}', '}}')}",
    )
    first, second, *_ = run.suspects
    run.verdicts["r1", "cleanse_neighbours"] = [
        verdict(first, "drop", reason=NASTY, evidence=run.book),
        verdict(second, "relabel", label_after=NASTY, evidence=[first["id"]]),
    ]
    run.rejected = [{"name": NASTY, "reason": NASTY}]
    run.leaks = [{"id": "a", "name": NASTY, "split": "train", "label": NASTY, "kept_in": "val"}]
    run.comparison[NASTY] = run.comparison.pop("arm2")
    page = read(run.write().report())
    assert not page.all("script")
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on")]
    shown = "<script>alert(1)</script>\"'`&amp;\\n\\u202e名 {{ 7*7 }}"
    assert page.text.count(shown) > 10
    assert "\u202e" not in page.text
    assert any(shown in str(image["alt"]) for image in page.all("img"))


def test_the_page_needs_nothing_but_itself(run: Run) -> None:
    html = run.write().report().read_text(encoding="utf-8")
    page = Page(html)
    for tag, attributes in page.elements:
        for key in ("src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"):
            value = attributes.get(key)
            assert value is None or value.startswith(("data:", "#")), (tag, key, value[:80])
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert not re.search(r"url\(|@import|@font-face", style)
    assert "default-src 'none'; img-src data:;" in html
    assert all(set(image) & {"alt"} and image["alt"] for image in page.all("img"))
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]
    assert "prefers-color-scheme: dark" in style


def test_equal_runs_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        pages.append(Run(Path()).write().report().read_bytes())
    assert pages[0] == pages[1]


def test_a_refused_round_is_marked_and_truth_is_told_where_known(run: Run) -> None:
    run.gates["r2"] = False
    run.refinement = {"faults": 20, "touched": 10, "precision": 0.9, "recall": 0.45, "f1": 0.6}
    text = read(run.write().report()).text
    assert "r1 , cleanse final" in text
    assert "r2 , cleanse final" not in text  # what a refused round said was not done
    assert "those that were faulty 90.0 %" in text
    assert "20 faults among the images" in text
    assert "of the relabelled images" not in text


def test_the_gate_the_sheets_and_the_leaks_are_on_the_page(run: Run) -> None:
    run.gates["r2"] = False
    run.leaks = [{"id": "a", "name": "train/i/7.png", "split": "train", "label": "i", "kept_in": "val"}]
    run.write()
    sheets = {}
    for number, title in enumerate(("policy", "edge_cases")):
        picture = encode_png(np.full((4, 4, 1), 60 * number, np.uint8))
        (run.folder / f"metrics/plots/r2/{title}.png").write_bytes(picture)
        sheets[title] = picture_uri(picture)
    page = read(run.report())
    assert re.search(r"r1 accepted .*0\.010.* 0\.700 0\.710 15 3 r2 refused .*0\.010", page.text), page.text
    assert "1 image left out because another split holds the same pixels" in page.text
    assert "train/i/7.png i train val" in page.text
    shown = [str(image["src"]) for image in page.all("img") if str(image["alt"]).startswith("Sheet of small pictures")]
    assert [str(image["alt"]) for image in page.all("img") if image["src"] in shown] == [
        f"Sheet of small pictures: {title} of round r2" for title in ("policy", "edge cases")
    ]
    assert shown == list(sheets.values())


def test_a_run_with_nothing_to_say_gives_a_page(tmp_path: Path) -> None:
    run = Run(tmp_path, comparison=arms(0.5), colour=True, embedded=[])
    run.refined = [row for row in run.samples if row["label"] != "iii"]
    text = read(run.write().report()).text
    assert "50.0 % of the test images right" in text
    assert "no error reduction to state" in text
    assert "Nothing was dropped or relabelled here." in text
    assert "No image delivered was embedded in this round." in text
    assert "None: every file of the source could be read." in text
    assert "iii 9 0 emptied 0" in text
    assert "Faults found" not in text


def test_a_run_without_any_verdict_gives_a_page(tmp_path: Path) -> None:
    text = read(Run(tmp_path, gates={"r1": False}).write().report()).text
    assert "No stage of this run decides about images." in text
    assert "33 images: 0 dropped, 0 relabelled in this round" in text


def test_many_rejected_files_are_capped(run: Run) -> None:
    run.rejected = [{"name": f"file {n};", "reason": "empty file"} for n in range(40)]
    text = read(run.write().report()).text
    assert "40 files, the first 25 shown" in text
    assert "file 24;" in text
    assert "file 25;" not in text


@pytest.mark.parametrize(
    ("means", "said"), [((0.6, 0.9), "better"), ((0.6, 0.61), "unclear"), ((0.6, 0.5), "worse"), ((0.6,), "nothing")]
)
def test_the_headline_claims_no_more_than_the_interval(means: tuple[float, ...], said: str) -> None:
    assert headline(arms(*means)) == said


def test_more_errors_and_unclear_results_are_called_so(tmp_path: Path) -> None:
    assert "25 % more errors" in read(Run(tmp_path / "a", comparison=arms(0.6, 0.5)).write().report()).text
    text = read(Run(tmp_path / "b", comparison=arms(0.6, 0.61)).write().report()).text
    assert "No proven change in errors" in text
    assert "The interval holds 0" in text


def test_supports_that_are_missing_come_last(tmp_path: Path) -> None:
    run = Run(tmp_path)
    supports = [None, 3.0, float("nan"), -1.0]
    run.verdicts["r1", "cleanse_final"] = [
        verdict(row, "drop", support=support, reason=f"number {n};")
        for n, (row, support) in enumerate(zip(run.suspects, supports, strict=False))
    ]
    text = read(run.write().report()).text
    assert re.findall(r"number (\d);", text)[:4] == ["3", "1", "0", "2"]
    assert "support –, train" in text


def test_the_axis_holds_every_interval_and_marks_lie_in_order() -> None:
    comparison = {name: {"accuracy": interval(mean, half)} for name, mean, half in (("a", 0.61, 0.03), ("b", 0.7, 0.1))}
    figure = interval_figure(comparison)
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
    figure = interval_figure({"a": {"accuracy": interval(accuracy, 0.0)}})
    assert len(figure.ticks) >= 2
    assert EDGE <= figure.marks[0].mean <= 100 - EDGE


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


def test_the_model_that_judges_and_why_are_told(run: Run) -> None:
    text = read(run.write().report()).text
    assert "Judged by competition, trained from scratch, 64 x 64 pixels, stretched : both sides of every image" in text
    run.model = {"model": "timm:x", "weights": "default", "pixels": 224, "resize": "centre", "frozen": True, "why": ""}
    text = read(run.write().report()).text
    assert "Judged by timm:x, weights default, frozen, 224 x 224 pixels, the centre cropped ." in text


@pytest.mark.parametrize(
    ("model", "frozen", "said"),
    [
        ("competition", False, "the competition's fixed model"),
        ("timm:x", True, "a linear head on timm:x"),
        ("timm:x", False, "timm:x, fine-tuned,"),
    ],
)
def test_what_is_trained_on_every_arm_is_named(run: Run, model: str, frozen: bool, said: str) -> None:
    run.model = {"model": model, "weights": "none", "pixels": 64, "resize": "stretch", "frozen": frozen, "why": ""}
    text = read(run.write().report()).text
    assert f"An arm is a dataset that the same model ( {said} ) is trained on" in text
    assert ("fixed model" in text) == (model == "competition")
    run.comparison = arms(0.5)
    text = read(run.write().report()).text
    assert f"Trained on arm0 , {said} has an accuracy of 0.500" in text
    assert ("fixed model" in text) == (model == "competition")


def test_estimated_faults_and_what_stopped_at_a_ranking_are_told(run: Run) -> None:
    assert "Estimated share" not in read(run.write().report()).text
    run.refinement = {
        "estimated_faults": 0.042,
        "touched_share": 0.031,
        "stopped": "r1 cleanse_neighbours, r2 cleanse_final",
    }
    text = read(run.write().report()).text
    assert "Estimated share of faulty images: 4.2 % ; share dropped or relabelled: 3.1 %" in text
    assert text.count("It stopped at a ranking for people") == 2
    stopped = text.index("It stopped at a ranking")
    assert text.index("r1 , cleanse neighbours") < stopped < text.index("r1 , cleanse final")
    assert text.index("r2 , cleanse final") < text.rindex("It stopped at a ranking")


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


def test_visible_text_is_one_line_and_printable() -> None:
    assert visible("a\tb\u200f\x00é名") == "a\\tb\\u200f\\x00é名"
    assert visible("plain <b>") == "plain <b>"


def test_params_out_of_range_are_refused() -> None:
    with refused_params(Params, "cards must be at least 1, got 0"):
        Params(cards=0, evidence=1)
