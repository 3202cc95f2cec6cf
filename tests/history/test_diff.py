"""The diff between revisions of a small repository: text, JSON, HTML, pictures, exit codes."""

import base64
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.support.datasets import damage
from tests.support.history import (
    BOOK,
    CLASSES,
    HOSTILE,
    NAMES,
    identify,
    png,
    row,
    write,
)
from tests.support.workspace import Workspace
from winnow.commands.diff import answer
from winnow.dataset import images as stored
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import samples_table
from winnow.history.pictures import read_pictures
from winnow.history.revision import open_revision
from winnow.pipeline.messages import UserError


class Page(HTMLParser):
    """The elements of a page, its texts, and the pictures in it."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags = set[str]()
        self.texts, self.pictures, self.attributes = list[str](), list[bytes](), list[tuple[str, str | None]]()
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        source = dict(attrs).get("src")
        if source is not None:
            self.pictures.append(base64.b64decode(source.removeprefix("data:image/png;base64,")))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_what_a_person_reads(history: Workspace) -> None:
    text, code = answer(["one", "two"], history.folder)
    assert code == 1
    assert text.splitlines() == [
        "data/refined: one > two",
        "different samples: source 11 > 10, augmented 2 > 2",
        "",
        "dropped (2)",
        '  train/<b>/"><script>alert(1)</script>.png  <b>  r1 cleanse_influence: harms <i>2</i> images (-0.25)',
        "  'train/<b>/it\\'s\\ntwo \"lines\" & more.png'  <b>  r1 cleanse_influence: harms <i>2</i> images (-0.25)",
        "",
        "added (1)",
        "  train/i/0.png  i  no longer: r1 cleanse_influence: harms 1 image (-0.25)",
        "",
        "relabelled (2)",
        "  train/ii/2.png  ii > <b>  r1 cleanse_neighbours: all are <b>",
        "  train/ii/3.png  i > ii    no longer: r1 cleanse_neighbours: 2 of 3 are i (0.5)",
        "",
        "moved (1)",
        "  train/ii/2.png  train > val  r1 cleanse_neighbours: all are <b>",
        "",
        "augmented",
        "  class  origin  before  after  new  gone",
        "  i      random  2       2      1    1",
    ]


def test_what_a_program_reads(history: Workspace) -> None:
    text, code = answer(["one", "main", "--json"], history.folder)
    told = json.loads(text)
    assert code == 1
    assert {key: told[key] for key in ("dataset", "old", "new", "same", "sources")} == {
        "dataset": "data/refined",
        "old": "one",
        "new": "main",
        "same": False,
        "sources": {"before": 11, "after": 10},
    }
    assert [change["name"] for change in told["dropped"]] == HOSTILE
    assert told["relabelled"][1] == {
        "id": identify(NAMES[7]),
        "name": NAMES[7],
        "label_before": "i",
        "label_after": "ii",
        "split_before": "train",
        "split_after": "train",
        "round": "r1",
        "stage": "cleanse_neighbours",
        "reason": "2 of 3 are i",
        "support": 0.5,
        "evidence": [identify(BOOK[0])],
        "by": "winnow",
        "undone": True,
    }
    assert told["relabelled"][0]["support"] is None
    assert told["augmented"] == [{"label": "i", "origin": "random", "before": 2, "after": 2, "new": 1, "gone": 1}]


@pytest.mark.parametrize("pair", [["main", "two"], ["main"], ["HEAD~0", "workspace"], ["one", "HEAD~1"]])
def test_the_same_has_exit_code_0(history: Workspace, pair: list[str]) -> None:
    text, code = answer(pair, history.folder)
    assert code == 0
    assert "the same samples" in text
    assert json.loads(answer([*pair, "--json"], history.folder)[0])["same"] is True


def test_the_workspace_is_what_lies_on_disk(root: Path) -> None:
    write(root / "data/refined", [row(name) for name in NAMES[:3]])
    text, code = answer(["two"], root)
    assert code == 1
    assert "source 10 > 3, augmented 2 > 0" in text
    assert "train/i/3.png  " in text


def test_another_dataset_is_compared_where_asked(history: Workspace) -> None:
    for path in ("data/prepared", "data/prepared/", str(history.folder / "data/prepared")):
        assert answer(["one", "two", "--dataset", path], history.folder)[1] == 0


def test_an_experiment_is_a_revision(root: Path, history: Workspace) -> None:
    commit = history.run("git", "rev-parse", "one").stdout.strip()
    reference = root / ".git/refs/exps/ab/cdef/puffy-daks"
    reference.parent.mkdir(parents=True)
    reference.write_text(commit + "\n")
    assert answer(["puffy-daks", "one"], root)[1] == 0


def test_the_page_shows_every_change_and_needs_nothing_else(history: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "page.html"
    answer(["one", "two", "--html", str(file)], history.folder)
    page = Page(file.read_bytes())
    shown = [*HOSTILE, NAMES[0], NAMES[6], NAMES[7], NAMES[6]]
    assert page.pictures == [png(name) for name in shown]
    assert not page.tags & {"script", "b", "i", "link", "iframe", "object"}
    assert not [pair for pair in page.attributes if re.match("on|href|action", pair[0])]
    assert "http:" not in file.read_text().lower()
    assert "https:" not in file.read_text().lower()
    text = "\n".join(page.texts)
    assert HOSTILE[0] in text
    assert repr(HOSTILE[1]) in text
    assert "harms <i>2</i> images" in text
    assert dict(page.attributes)["content"].startswith("default-src 'none'; img-src data:")  # type: ignore[union-attr]


def test_no_shard_is_read_after_the_last_picture_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "SHARD_ROWS", 1)
    write(root / "data/refined", [row(name) for name in NAMES[:2]])
    shards = sorted((root / "data/refined/images").glob("*"))
    (held,) = pq.read_table(shards[0])["id"].to_pylist()
    shards[1].write_bytes(b"nonsense")
    assert list(read_pictures(open_revision("workspace", root), "data/refined", [held])) == [held]


def photograph(tint: int) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (640, 480), (tint, 90, 30)).save(sink, format="JPEG")
    return sink.getvalue()


def test_photographs_are_shown_at_160_pixels(root: Path, tmp_path: Path) -> None:
    rows = [row("train/i/new.jpg"), row("train/i/tiny.png")]
    images = [(rows[0]["id"], photograph(200)), (rows[1]["id"], png(NAMES[0]))]
    write_dataset(root / "data/refined", samples_table(rows, CLASSES), images=images)
    answer(["two", "--html", str(tmp_path / "page.html")], root)
    html = (tmp_path / "page.html").read_text()
    kind, content = re.findall(
        r'<img class="large" src="data:image/(\w+);base64,([^"]*)" alt="train/i/new.jpg">', html
    )[0]
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert image.size == (160, 120)
    assert image.format == kind.upper()
    assert '<img src="data:image/png;base64,' in html  # a tiny image is drawn as before


def test_a_damaged_picture_says_what_to_do(root: Path, tmp_path: Path) -> None:
    rows = [row("train/i/new.jpg")]
    write_dataset(root / "data/refined", samples_table(rows, CLASSES), images=[(rows[0]["id"], photograph(1))])
    damage(root / "data/refined", rows[0]["id"], photograph(1)[:400])
    with pytest.raises(
        UserError, match=rf"workspace: the image of {rows[0]['id']} in data/refined/images/.* is damaged"
    ):
        answer(["two", "--html", str(tmp_path / "page.html")], root)


def test_a_picture_that_no_shard_holds_is_said_to_be_missing(root: Path, tmp_path: Path) -> None:
    write_dataset(root / "data/refined", samples_table([row("train/i/new.png")], CLASSES))
    answer(["two", "--html", str(tmp_path / "page.html")], root)
    page = Page((tmp_path / "page.html").read_bytes())
    assert "no picture is stored" in page.texts
    assert png(NAMES[0]) in page.pictures  # of the older side


def test_exit_codes_and_streams_of_the_command(history: Workspace) -> None:
    def command(*arguments: str) -> tuple[int, str, str]:
        done = history.run(sys.executable, "-m", "winnow.diff", *arguments, check=False)
        return done.returncode, done.stdout, done.stderr

    code, out, err = command("one")
    assert (code, err) == (1, "")
    assert out.startswith("data/refined: one > workspace\n")
    assert command("two")[::2] == (0, "")
    code, out, err = command("nobody", "--json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("diff: 'nobody' is no commit")


def test_make_compare_prints_both_and_ends_well_though_they_differ(history: Workspace) -> None:
    python = history.folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (history.folder / ".venv/.installed").touch()
    done = history.run("make", "compare", "REV=one")
    assert "metrics that differ" in done.stdout
    assert "data/refined: one > workspace" in done.stdout
    assert r"'no'\''body'" in history.run("make", "--dry-run", "compare", "REV=no'body").stdout
