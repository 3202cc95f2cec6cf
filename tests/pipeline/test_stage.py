"""The stage edge: strict params, whole-or-nothing writes, the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.imports import ROOT
from tests.support.processes import ended, heed_interrupts
from winnow.pipeline.fields import Count, section
from winnow.pipeline.files import digest, read_table, write_bytes, write_json, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import ParamsError, load_params


@section
class Inner:
    rate: float


@section
class Section:
    k: Count
    fraction: float
    guard: bool
    name: str
    many: list[int]
    inner: Inner


GOOD = "part:\n  {k: 3, fraction: 0.5, guard: true, name: a, many: [1, 2], inner: {rate: 0.1}}\n"


def params_file(folder: Path, text: str) -> Path:
    file = folder / "params.yaml"
    file.write_text(text)
    return file


def test_a_good_section_is_typed(tmp_path: Path) -> None:
    loaded = load_params("part", Section, params_file(tmp_path, GOOD))
    assert loaded == Section(3, 0.5, True, "a", [1, 2], Inner(0.1))
    assert load_params("part.many", list[int], params_file(tmp_path, GOOD)) == [1, 2]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("fraction: 0.5", "fraction: 1", r"params.yaml: part.fraction must be float, got 1 \(int\)"),
        ("fraction: 0.5", "fraction: .nan", "part.fraction must be finite, got nan"),
        ("fraction: 0.5", "fraction: 1e-3x", r"part.fraction must be float, got '1e-3x' \(str\)"),
        ("k: 3", "k: true", r"part.k must be int, got True \(bool\)"),
        ("k: 3", "k: 0", "part.k must be at least 1, got 0"),
        ("k: 3", "kk: 3", "part.kk is unknown"),  # and not: k is missing
        ("k: 3", "3: 3", "holds the key 3, which is no text; put it into quotes"),
        ("k: 3, ", "", "part.k is missing; it must be int"),
        ("k: 3", "k: 3, kk: 4", "part.kk is unknown; known here: k, fraction, guard, name, many, inner"),
        ("[1, 2]", "[1, x]", r"part.many\[1\] must be int, got 'x' \(str\)"),
        ("[1, 2]", "[1, 2.0]", r"part.many\[1\] must be int, got 2.0 \(float\)"),
        ("[1, 2]", "", "part.many must be list\\[int\\], got nothing"),
        ("{rate: 0.1}", "{rate: }", "part.inner.rate must be float, got nothing"),
        ("{rate: 0.1}", "7", r"part.inner must be a section, got 7 \(int\)"),
        ("part:", "parts:", "section part is missing"),
    ],
)
def test_a_slip_is_named(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in GOOD
    with pytest.raises(ParamsError, match=message):
        load_params("part", Section, params_file(tmp_path, GOOD.replace(before, after, 1)))


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "not valid YAML"), ("- 1\n", "must hold sections"), ("", "must hold sections")]
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        load_params("part", Section, params_file(tmp_path, text))


def test_a_missing_file_says_how_to_get_it_back(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"params.yaml is missing; bring it back with `git checkout params.yaml`"):
        load_params("part", Section, tmp_path / "params.yaml")


def test_nan_is_no_metric(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "m.json", {"accuracy": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_json_keeps_six_digits_and_order(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"b": 1 / 3, "a": {"n": 1234567}})
    assert (tmp_path / "m.json").read_text() == '{\n  "b": 0.333333,\n  "a": {\n    "n": 1234567\n  }\n}\n'
    assert list(json.loads((tmp_path / "m.json").read_text())) == ["b", "a"]


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "file", b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_table_fits_its_schema_or_says_why_not(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("score", pa.float64(), nullable=False), ("id", pa.string())])
    path = tmp_path / "t.parquet"
    write_table(path, pa.table({"id": ["x", None], "score": pa.array([1, 2], pa.float32()), "more": [0, 0]}))
    assert read_table(path, schema).equals(pa.table({"score": [1.0, 2.0], "id": ["x", None]}, schema=schema))
    for column, message in (
        (["low", "high"], "column score must hold double, got string; run `dvc repro`"),
        ([1.0, None], "column score has gaps; run `dvc repro`"),
    ):
        write_table(path, pa.table({"id": ["x", "y"], "score": column}))
        with pytest.raises(UserError, match=message):
            read_table(path, schema)
    write_table(path, pa.table({"id": ["x", "y"]}))
    with pytest.raises(UserError, match="has no column score; run `dvc repro`"):
        read_table(path, schema)


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / name, pa.table({"id": ["x", "y"], "score": [0.5, 1.0]}))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_digest_sees_content_names_and_nothing_else(tmp_path: Path) -> None:
    for folder, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        write_bytes(tmp_path / folder / "file", content)
    write_bytes(tmp_path / "d" / "other", b"1")
    a, b, c, d = (digest([tmp_path / folder]) for folder in "abcd")
    assert a == b
    assert len({a, c, d}) == 3


STAGE = '''"""What it does."""
from pathlib import Path
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import run_stage

def main(k: int, *, into: Path) -> None:
    """Run."""
    if k != 1:
        raise UserError("k is off; set it to 1")
    into.write_text(str(k))

run_stage(main, __doc__, {"k": ("cleanse_influence.votes", int)})
'''


def test_a_stage_is_told_its_paths_and_says_its_errors_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "sample_stage.py"
    root = Path(__file__).resolve().parents[2]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), *arguments]
        return subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True)

    script.write_text(STAGE)
    assert run("--into", "out").returncode == 0
    assert (tmp_path / "out").read_text() == "1"
    assert "What it does." in run("--help").stdout
    assert "--into" in run().stderr
    (tmp_path / ".out.0badcafe.partial").touch()  # of a killed run
    (tmp_path / ".other.0badcafe.partial").touch()
    assert run("--into", "out").returncode == 0
    assert (tmp_path / "out").read_text() == "1"
    assert [path.name for path in tmp_path.glob(".*.partial")] == [".other.0badcafe.partial"]
    script.write_text(STAGE.replace("k != 1", "k == 1"))
    failed = run("--into", "out")
    assert (failed.returncode, failed.stderr) == (1, "sample_stage: k is off; set it to 1\n")


EDITED = """
import sys
from pathlib import Path
import winnow.pipeline.stage as edge
from winnow.pipeline.stage import run_stage
from stages import mine

edge.CODE = Path.cwd()
read = iter([1, 2 if sys.argv[-1] == "params" else 1])
edge.load_params = lambda *_: next(read)

def main(k: int, *, csv: Path, edit: str) -> None:
    if edit == "touch":
        Path("overrides.csv").touch()
    elif edit != "params":
        Path(edit).write_text("# changed")

run_stage(main, "", {"k": ("cleanse_influence.votes", int)}, edited_by_people=["csv"])
"""


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ("nothing.txt", None),
        ("touch", None),
        ("params", "params.yaml: cleanse_influence.votes"),
        ("overrides.csv", "overrides.csv"),
        ("stages/mine.py", "{folder}/stages/mine.py"),
    ],
)
def test_a_stage_fails_if_what_it_read_was_edited_while_it_ran(tmp_path: Path, edit: str, told: str | None) -> None:
    """DVC hashes what a stage read when it has ended, and would take the outputs for those of the edited files."""
    (tmp_path / "stages").mkdir()
    files = {"edited.py": EDITED, "stages/__init__.py": "", "stages/mine.py": "", "overrides.csv": "sample,action\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    command = [sys.executable, "edited.py", "--csv", "overrides.csv", "--edit", edit]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    changed = f"{told} was changed while the stage ran, which read it before; run it again\n" if told else ""
    assert done.stderr == (changed and f"edited: {changed.format(folder=tmp_path)}")
    assert done.returncode == (1 if told else 0)


POOLS = """
from pathlib import Path
import sklearn.neighbors, torch
from threadpoolctl import threadpool_info
from winnow.pipeline.stage import run_stage

def main(*, into: Path) -> None:
    into.write_text(" ".join(str(pool["num_threads"]) for pool in threadpool_info()))

if __name__ == "__main__":
    most = max(pool["num_threads"] for pool in threadpool_info())
    run_stage(main, "", {})
    print(most)
"""


def test_a_stage_computes_in_one_thread_so_that_its_bytes_do_not_depend_on_the_cores(tmp_path: Path) -> None:
    (tmp_path / "pools.py").write_text(POOLS)
    threads = {name: "3" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, "pools.py", "--into", "out"]
    environment = {**os.environ, **threads, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
    assert set((tmp_path / "out").read_text().split()) == {"1"}


HELP_OF_ALL = """
import contextlib, io, runpy, sys
for name in sys.argv[1:]:
    sys.argv, told = [name, "--help"], io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        runpy.run_module(f"stages.{name}", run_name="__main__", alter_sys=True)
    print(name, "usage: " in told.getvalue() and "Writes  --" in told.getvalue())
"""


def test_every_stage_explains_itself_from_any_directory(tmp_path: Path) -> None:
    stages = sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    told = python("-c", HELP_OF_ALL, *stages)  # in one process: the imports take seconds
    assert told.stdout.splitlines() == [f"{name} True" for name in stages], told.stderr
    alone = python("-m", "stages.refined")
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "the following arguments are required: --accepted" in alone.stderr


def test_an_interrupt_while_a_stage_imports_leaves_no_traceback() -> None:
    stage = subprocess.Popen(
        [sys.executable, "-m", "stages.value"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,
    )
    with ended(stage):
        while "libarrow" not in Path(f"/proc/{stage.pid}/maps").read_text():  # its own imports have begun
            assert stage.poll() is None
            time.sleep(0.01)
        stage.send_signal(signal.SIGINT)
        told = stage.communicate()[0]
    assert told == "interrupted before anything was written; run the same command again to go on\n"
    assert stage.returncode == -signal.SIGINT
