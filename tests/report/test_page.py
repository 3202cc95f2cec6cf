"""The page: what it says, that it says it safely, and that nothing is missing where a source has nothing to say."""

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from stages.report import Params
from tests.support.page import Page, read
from tests.support.refusals import refused_params
from tests.support.runs import Run, arms, verdict
from winnow.dataset.images import encode_png
from winnow.pictures.embed import picture_uri
from winnow.report.decisions import read_script, source_key
from winnow.report.page import headline
from winnow.report.text import visible

STAGES = [("first", "verdict"), ("second", "cleansing"), ("last", "cleansing")]
NASTY = "<script>alert(1)</script>\"'`&amp;\n\u202e名 {{ 7*7 }}"


def scripts(page: Path) -> list[str]:
    """What stands in the script elements, byte for byte."""
    html = page.read_bytes().decode("utf-8")
    return re.findall(r"<script[^>]*>(.*?)</script>", html, flags=re.DOTALL)


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
    assert text.index("r1 , first verdict") < text.index("r1 , second cleansing") < text.index("r2 , first verd")
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


def test_the_script_knows_every_card_exactly_in_the_order_of_the_page(tmp_path: Path) -> None:
    name = "<b>\u2028</script> \r\n"
    run = Run(tmp_path, classes=[name, "ii", "iii"], file_name=f"{{number}} {name}")
    first, second, third, *_ = run.suspects
    run.verdicts["r1", "cleanse_influence"] = [
        verdict(first, "drop", support=-2.0),
        verdict(second, "drop", support=float("nan")),
    ]
    run.verdicts["r1", "cleanse_final"] = [verdict(third, "relabel", label_after=name), verdict(first, "drop")]
    data, _ = scripts(run.write().report())
    assert json.loads(data) == {
        "source": source_key(row["id"] for row in run.suspects),
        "classes": [name, "ii", "iii"],
        "columns": ["sample", "action", "label", "by", "note", "time", "hash"],
        "stages": [f"{one}, {stage} {what}" for one in ("r1", "r2") for stage, what in STAGES],
        "images": [[row["id"], row["name"], row["given_label"], row["pixel_hash"]] for row in (first, second, third)],
        "cards": [
            [0, 0, "drop", first["label"], None, -2.0],
            [1, 0, "drop", second["label"], None, None],
            [0, 2, "drop", first["label"], None, 0.0],
            [2, 2, "relabel", third["label"], name, 0.0],
        ],
    }


def test_an_image_has_one_place_to_link_to_its_last_card(run: Run) -> None:
    twice = run.suspects[0]
    run.verdicts["r1", "cleanse_final"] = [verdict(twice, "drop")]
    page = read(run.write().report())
    links = [one for one in page.all("a") if one.get("class") == "link"]
    assert [one.get("id") for one in links if one["href"] == f"#image-{twice['id']}"] == [None, f"image-{twice['id']}"]
    assert sorted(str(one["id"]) for one in links if "id" in one) == sorted({str(one["href"])[1:] for one in links})


def test_a_page_without_cards_has_no_script(tmp_path: Path) -> None:
    page = read(Run(tmp_path, gates={"r1": False}).write().report())
    assert not page.all("script")
    assert not [one for one in page.all("div") if one.get("id") in ("tools", "bar")]


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
    path = run.write().report()
    page = read(path)
    assert page.all("script") == [{"type": "application/json", "id": "data"}, {}]
    assert scripts(path)[1] == read_script().text
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on")]
    shown = "<script>alert(1)</script>\"'`&amp;\\n\\u202e名 {{ 7*7 }}"
    assert page.text.count(shown) > 10
    assert "\u202e" not in page.text
    assert any(shown in str(image["alt"]) for image in page.all("img"))


def test_the_page_needs_nothing_but_itself(run: Run) -> None:
    page_file = run.write().report()
    html = page_file.read_text(encoding="utf-8")
    page = Page(html)
    for tag, attributes in page.elements:
        for key in ("src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"):
            value = attributes.get(key)
            assert value is None or value.startswith(("data:", "#")), (tag, key, value[:80])
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert not re.search(r"url\(|@import|@font-face", style)
    (policy,) = [str(one["content"]) for one in page.all("meta") if "http-equiv" in one]
    digest = base64.b64encode(hashlib.sha256(scripts(page_file)[1].encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{digest}'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
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
    assert "r1 , last cleansing" in text
    assert "r2 , last cleansing" not in text  # what a refused round said was not done
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


PARTS = {
    "valuation": {"with": "arm1", "without": "arm0", "gain": {"mean": 0.1, "low": 0.05, "high": 0.15}},
    "inversion": {"with": "arm2", "without": "arm1", "gain": {"mean": -0.02, "low": -0.03, "high": -0.01}},
    NASTY: {"with": "arm2", "without": NASTY, "gain": {"mean": 0.0, "low": -0.008, "high": 0.008}},
    "edge cases": {"with": "arm2", "without": "arm0", "gain": {"mean": 0.01, "low": -0.01, "high": 0.03}},
}


def test_every_part_has_its_arms_its_gain_and_its_reading(run: Run) -> None:
    run.contrasts = PARTS
    page = read(run.write().report())
    text = page.text.partition("What each part is worth")[2]
    assert "valuation arm1 arm0 +0.100 +0.050 to +0.150 helps inversion arm2 arm1 −0.020 −0.030 to −0.010 harms" in text
    assert "+0.000 −0.008 to +0.008 non-inferior by 0.01 edge cases arm2 arm0 +0.010 −0.010 to +0.030 not shown" in text
    assert "\u202e" not in page.text
    assert len(page.all("script")) == 2
    kinds = [one.get("class") for one in page.all("g")]
    assert kinds[:7] == [None, None, "good", "good", "bad", None, None]  # three arms, four parts
    assert {"href": "#parts"} in page.all("a")


def test_without_contrasts_there_is_no_chapter_of_parts(run: Run) -> None:
    page = read(run.write().report())
    assert "What each part is worth" not in page.text
    assert {"href": "#parts"} not in page.all("a")


def test_the_page_is_about_the_last_arm_that_is_no_control(run: Run) -> None:
    run.comparison = arms(0.6, 0.8, 0.7)
    run.controls = {"arm2": "data/r1/elsewhere", "another": "data/x"}
    page = read(run.write().report())
    assert "50 % fewer errors" in page.text
    assert "trained on arm1 instead of arm0" in page.text
    assert [row for row in page.all("tr") if row.get("class") == "last"] == [{"role": "row", "class": "last"}]
    assert [one.get("class") for one in page.all("g")][:3] == [None, "good", None]
    assert re.search(
        r"arm2 102 0\.700 \S+ to \S+ 25\.0 % [\d. %]+ to [\d. %]+ – ", page.text
    )  # the row above is no measure


@pytest.mark.parametrize(
    ("means", "said"), [((0.6, 0.9), "better"), ((0.6, 0.61), "unclear"), ((0.6, 0.5), "worse"), ((0.6,), "nothing")]
)
def test_the_headline_claims_no_more_than_the_interval(means: tuple[float, ...], said: str) -> None:
    assert headline(list(arms(*means).values())[-1]) == said


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
    assert "Share of faulty images" not in read(run.write().report()).text
    run.refinement = {
        "estimated_faults": 0.042,
        "touched_share": 0.031,
        "stopped": "r1 cleanse_neighbours, r2 cleanse_final",
    }
    text = read(run.write().report()).text
    assert (
        "Share of faulty images as the first verdict estimates it: 4.2 % ; share dropped or relabelled: 3.1 %" in text
    )
    assert text.count("It stopped at a ranking for people") == 2
    stopped = text.index("It stopped at a ranking")
    assert text.index("r1 , second cleansing") < stopped < text.index("r1 , last cleansing")
    assert text.index("r2 , last cleansing") < text.rindex("It stopped at a ranking")


def test_visible_text_is_one_line_and_printable() -> None:
    assert visible("a\tb\u200f\x00é名") == "a\\tb\\u200f\\x00é名"
    assert visible("plain <b>") == "plain <b>"


def test_params_out_of_range_are_refused() -> None:
    with refused_params(Params, "cards must be at least 1, got 0"):
        Params(cards=0, evidence=1)
