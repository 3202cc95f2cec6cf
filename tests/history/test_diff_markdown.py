"""``winnow diff --md``: counts against their definition, metrics, what is said without data, and hostile names."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.support.imports import ROOT
from tests.support.workspace import Workspace
from winnow.commands.diff import answer
from winnow.history.changes import COLUMNS, Change, Changes, compare
from winnow.history.figures import FigureRow
from winnow.history.markdown import as_markdown, code, link, shown_changes
from winnow.pipeline.messages import UserError
from winnow.verdicts.ledger import VERDICT_SCHEMA

RENDER = MarkdownIt("commonmark", {"html": True}).enable("table")


def interval(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.02, "high": mean + 0.02}


def comparison(*means: float, profile: str = "glance") -> dict[str, Any]:
    arms = {
        f"arm{number}": {"n_test": 100, "profile": profile, "accuracy": interval(mean)}
        for number, mean in enumerate(means)
    }
    arms["arm1"]["error_reduction"] = interval((means[1] - means[0]) / (1 - means[0]))
    return arms


def commit_metrics(workspace: Workspace, tag: str, **files: dict[str, Any]) -> None:
    for name, content in files.items():
        file = workspace.folder / f"metrics/{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))
    workspace.commit(tag)
    workspace.run("git", "tag", tag)


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every table, as written; a bar in a cell would make one too many."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[re.split(r" *\| *", line)[1:-1] for line in block if "---" not in line] for block in blocks]


def test_the_counts_by_class_are_those_of_the_tables(history: Workspace) -> None:
    text, exit_code = answer(["one", "two", "--md"], history.folder)
    assert exit_code == 1
    assert "### What changed: `one` → `two`" in text
    assert "Neither side has metrics in git." in text
    assert (
        "**2 dropped, 1 added, 2 relabelled, 1 moved**: 11 → 10 images and 2 → 2 augmented copies (1 new, 1 gone)."
        in text
    )
    assert tables(text) == [
        [
            ["class", "dropped", "added", "relabelled from it", "relabelled to it", "moved"],
            ["`<b>`", "2", "", "", "1", "1"],
            ["`i`", "", "1", "1", "", ""],
            ["`ii`", "", "", "1", "1", ""],
        ]
    ]


@given(st.data())
def test_any_two_states_are_counted_as_sets_count_them(data: st.DataObject) -> None:
    labels = st.sampled_from(["a", "b", "c|`"])
    states = [
        data.draw(st.dictionaries(st.integers(0, 12), st.tuples(labels, st.sampled_from(["train", "val"]))))
        for _ in range(2)
    ]
    kind = pa.schema([(name, pa.string()) for name in COLUMNS])
    rows = [
        [
            {"id": f"{n}", "name": f"{n}.png", "split": split, "label": label, "origin": "source", "parent": None}
            for n, (label, split) in state.items()
        ]
        for state in states
    ]
    sides = [pa.Table.from_pylist(one, schema=kind) for one in rows]
    empty = VERDICT_SCHEMA.empty_table()
    text = as_markdown("x", "y", "z", figures=[], changes=compare(sides[0], sides[1], empty, empty))
    before, after = states
    both = before.keys() & after.keys()
    expected = {}
    for label in ("a", "b", "c|`"):
        counts = [
            sum(before[n][0] == label for n in before.keys() - both),
            sum(after[n][0] == label for n in after.keys() - both),
            sum(before[n][0] == label != after[n][0] for n in both),
            sum(after[n][0] == label != before[n][0] for n in both),
            sum(after[n][0] == label and before[n][1] != after[n][1] for n in both),
        ]
        if any(counts):
            expected[code(label)] = [f"{count}" if count else "" for count in counts]
    assert {name: cells for table in tables(text) for name, *cells in table[1:]} == expected


def test_metrics_have_their_intervals_and_what_changed(root: Path) -> None:
    workspace = Workspace(root)
    commit_metrics(
        workspace, "a", comparison=comparison(0.6, 0.7), refinement={"f1": 0.5, "dropped": 3, "precision": 1}
    )
    commit_metrics(
        workspace, "b", comparison=comparison(0.6, 0.8), refinement={"f1": 0.75, "dropped": 4, "precision": 1}
    )
    text, exit_code = answer(["a", "b", "--md"], root)
    assert exit_code == 1  # the data is the same, the metrics are not
    assert tables(text) == [
        [
            ["figure", "before", "after", "change"],
            ["accuracy, `arm0`", "0.600 [0.580, 0.620]", "0.600 [0.580, 0.620]", ""],
            ["accuracy, `arm1`", "0.700 [0.680, 0.720]", "0.800 [0.780, 0.820]", "+0.100"],
            ["error reduction, `arm1`", "0.250 [0.230, 0.270]", "0.500 [0.480, 0.520]", "+0.250"],
            ["F1 of the verdicts", "0.500", "0.750", "+0.250"],
        ]
    ]
    assert "The same images under the same labels: 10 → 10 images" in text
    assert answer(["b", "HEAD", "--md"], root)[1] == 0
    assert "The metrics are the same on both sides." in answer(["b", "workspace", "--md"], root)[0]


def test_figures_of_other_profiles_are_not_subtracted(root: Path) -> None:
    workspace = Workspace(root)
    commit_metrics(workspace, "a", comparison=comparison(0.6, 0.7))
    commit_metrics(workspace, "b", comparison=comparison(0.6, 0.8, profile="competition"))
    text = answer(["a", "b", "--md"], root)[0]
    assert [row[-1] for row in tables(text)[0][1:]] == ["", "", ""]
    assert "Not comparable: `arm1`, profile `glance` and `competition`." in text
    assert "| accuracy, `arm0` | – | 0.600 [0.580, 0.620] |  |" in answer(["one", "b", "--md"], root)[0]


def test_a_metrics_file_that_is_none_is_named(root: Path) -> None:
    (root / "metrics").mkdir()
    (root / "metrics/comparison.json").write_text("[1]")
    with pytest.raises(UserError, match=r"workspace: metrics/comparison.json is not what the pipeline writes"):
        answer(["two", "--md"], root)


def test_without_data_the_metrics_are_told_and_that_the_images_are_not(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit_metrics(Workspace(root), "a", comparison=comparison(0.6, 0.7))
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(root), str(bare)], check=True)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(bare), str(clone)], check=True)
    sheet, page = tmp_path / "sheet.png", tmp_path / "page.html"
    text, exit_code = answer(["one", "a", "--md", "--sheet", str(sheet), "--html", str(page)], clone)
    assert exit_code == 1
    assert "| accuracy, `arm1` | – | 0.700 [0.680, 0.720] |  |" in text
    assert "Not the same on both sides, as dvc.lock has it. The images were not compared: their data is not on" in text
    assert "only the metrics are compared: one: data/refined" in capsys.readouterr().err
    assert not sheet.exists()
    assert not page.exists()
    same, exit_code = answer(["two", "a", "--md"], clone)
    assert exit_code == 1  # the metrics
    assert "The same on both sides, as dvc.lock has it." in same
    assert answer(["two", "main~1", "--md"], clone)[1] == 0


def test_where_only_the_pictures_are_missing_the_images_are_counted(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for shard in root.glob("data/refined/images/*.parquet"):
        shard.unlink()
    for file in (root / ".dvc/cache").rglob("*"):
        if file.is_file() and file.read_bytes()[:4] == b"PAR1" and b"bytes" in file.read_bytes():
            file.unlink()
    text, _ = answer(["one", "two", "--md", "--html", str(tmp_path / "page.html")], root)
    assert "2 dropped, 1 added" in text
    assert text.endswith("Pictures: not on this machine.")
    assert "no pictures: " in capsys.readouterr().err


def test_links_lead_to_addresses_and_paths_are_named(history: Workspace, tmp_path: Path) -> None:
    page, sheet = tmp_path / "page.html", tmp_path / "sheet.png"
    options = ["one", "two", "--md", "--html", str(page), "--sheet", str(sheet)]
    text = answer(options, history.folder)[0]
    assert f"Every change with its picture and reason: {code(str(page))}" in text
    urls = ["--html-url", "https://example.org/a b)>|`?x=1#y", "--sheet-url", "https://example.org/s.png"]
    text = answer([*options, *urls], history.folder)[0]
    assert "[Every change with its picture and reason](<https://example.org/a%20b%29%3E%7C%60?x=1#y>)" in text
    assert "[Contact sheet of 6 of 6 changes. " in text
    assert "](<https://example.org/s.png>)" in text
    assert page.exists()
    with pytest.raises(UserError, match="a link must begin with https"):
        link("x", "javascript://alert(1)")


@pytest.mark.parametrize("options", [["--sheet", "a.png"], ["--html-url", "https://a"], ["--md", "--json"]])
def test_options_that_do_not_go_together_are_refused(
    history: Workspace, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        answer(["one", *options], history.folder)
    assert "error: " in capsys.readouterr().err


@given(st.text())
@example("`")
@example("``a|b`` @octocat #1 <img src=x> https://a.b ![x](y)")
@example("a\\|b\\")
@example("\u202e\n\r\t\u2028|")
@example(" ")
@example("x" * 5000)
def test_a_name_stays_in_its_code_span_in_a_table_too(name: str) -> None:
    text = code(name)
    assert len(text) <= 12 * 90
    html = RENDER.render(f"| class | n |\n| --- | --- |\n| {text} | 1 |\n")
    (body,) = re.findall(r"<tbody>\s*<tr>\s*(.*?)\s*</tr>\s*</tbody>", html, flags=re.DOTALL)
    first, second = re.findall(r"<td>(.*?)</td>", body, flags=re.DOTALL)
    assert second == "1"
    assert re.fullmatch(r"<code>[^<>]*</code>", first), first


def test_hostile_names_notify_nobody_and_are_no_markup(root: Path) -> None:
    workspace = Workspace(root)
    hostile = "@octocat <img src=x> ![x](y) ` |"
    commit_metrics(workspace, "a", comparison=comparison(0.6, 0.7))
    figures = comparison(0.6, 0.8, profile=hostile)
    figures["arm0"]["n_test"] = {hostile: 1}
    commit_metrics(workspace, "b", comparison=figures)
    hostile_names_are_no_markup(answer(["a", "b", "--md"], root)[0])
    branch = "x`|<b>@octocat"
    workspace.run("git", "branch", branch, "one")
    hostile_names_are_no_markup(answer([branch, "two", "--md"], root)[0])


def hostile_names_are_no_markup(text: str) -> None:
    html = RENDER.render(text)
    assert "octocat" in html
    ours = {"h3", "h4", "p", "code", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert set(re.findall(r"<(\w+)", html)) <= ours
    assert "@" not in re.sub(r"<code>.*?</code>", "", html, flags=re.DOTALL)


def test_the_longest_comment_is_one_that_github_takes() -> None:
    name = "|`" * 400
    changes = [Change(f"{n}", f"{name}{n}", f"{n}{name}", None, "train", None) for n in range(3000)]
    figures = [
        FigureRow("accuracy", f"{name}{n}", "0.1", "0.2", "+0.1", True, unlike=[("profile", name, name)])
        for n in range(3000)
    ]
    everything = Changes(3000, 0, changes, [], [], [], [])
    text = as_markdown(name, name, name, figures=figures, changes=everything, links=[link("x", name)])
    assert len(text) < 60_000
    assert "| 2,970 other classes | 2,970 |" in text
    assert "2960 more figures: `dvc metrics diff`." in text


def test_the_changes_shown_are_of_every_kind_and_the_worst() -> None:
    def change(number: int, before: str | None, after: str | None) -> Change:
        return Change(f"{number}", f"{number}", before, after, "train", "train")

    changes = Changes(
        9, 9, [change(n, "a", None) for n in range(60)], [change(99, None, "a")], [change(98, "a", "b")], [], []
    )
    shown = shown_changes(changes, 40)
    assert [kind for kind, _ in shown] == ["dropped"] * 38 + ["added", "relabelled"]
    assert [one.id for _, one in shown][:3] == ["0", "1", "2"]


def test_what_the_job_of_a_pull_request_installs_is_enough(history: Workspace) -> None:
    """The workflow installs DVC and five packages; none of the others may be needed."""
    job = (ROOT / ".github/workflows/test.yml").read_text()
    (program,) = re.findall(r"awk '(.*?)' requirements\.txt", job)
    chosen = subprocess.run(
        ["awk", program, str(ROOT / "requirements.txt")], capture_output=True, text=True, check=True
    ).stdout
    five = re.findall(r"^([a-z0-9-]+)==", chosen, flags=re.MULTILINE)
    assert five == ["jinja2", "markupsafe", "numpy", "pillow", "pyarrow"]
    assert chosen.count("--hash=sha256:") >= 5
    others = [
        "torch",
        "torchvision",
        "timm",
        "scipy",
        "sklearn",
        "faiss",
        "joblib",
        "safetensors",
        "imagehash",
        "openTSNE",
    ]
    script = (
        f"import sys; [sys.modules.__setitem__(name, None) for name in {others!r}]; import runpy; "
        "sys.argv = ['winnow', 'diff', '--md', 'one', 'two']; runpy.run_module('winnow', run_name='__main__')"
    )
    done = history.run(sys.executable, "-c", script, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "2 dropped, 1 added" in done.stdout


def test_the_job_compares_with_where_the_branch_began(root: Path, tmp_path: Path) -> None:
    """What others merged into the target meanwhile is no change of the branch."""
    workspace = Workspace(root)
    commit_metrics(workspace, "began", comparison=comparison(0.6, 0.7))
    workspace.run("git", "checkout", "--quiet", "-b", "target")
    commit_metrics(workspace, "moved-on", comparison=comparison(0.1, 0.2))
    workspace.run("git", "checkout", "--quiet", "-b", "feature", "began")
    commit_metrics(workspace, "ended", comparison=comparison(0.6, 0.8))
    steps = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["metrics"]["steps"]
    (script,) = [step["run"] for step in steps if step.get("name", "").startswith("Compare")]
    (root / "build/diff").mkdir(parents=True)
    environment = {"TARGET": "target", "HEAD": "feature", "RUN": "https://example.org/1"}
    environment["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary")
    command = ["bash", "-e", "-c", script]
    subprocess.run(command, cwd=root, env=workspace.environment() | environment, check=True, capture_output=True)
    text = (root / "build/diff.md").read_text()
    began = workspace.run("git", "rev-parse", "began").stdout.strip()
    assert f"### What changed: `{began}` → `feature`" in text
    assert tables(text)[0][2] == ["accuracy, `arm1`", "0.700 [0.680, 0.720]", "0.800 [0.780, 0.820]", "+0.100"]
    assert "The older side is the commit at which this branch left its target." in text
    assert (tmp_path / "summary").read_text() == text
