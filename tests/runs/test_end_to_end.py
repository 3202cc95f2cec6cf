"""The whole pipeline on tiny data in a repository of its own, as a user runs it."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from bench.formats import FORMATS, Table, type_name
from tests.support.workspace import TINY, Workspace
from winnow.commands.run import unrolled
from winnow.dataset.samples import read_samples

pytestmark = pytest.mark.slow
ARMS = ["baseline", "hydra", "hydra-random", "hydra-faa", "hydra-faa-inversion", "full"]
ALL = [
    "draw",
    "prepare",
    "value@r1",
    "cleanse_influence@r1",
    "search_policy@r1",
    "augment@r1",
    "train_encoder@r1",
    "embed@r1",
    "cleanse_neighbours@r1",
    "find_edge_cases@r1",
    "augment_edge_cases@r1",
    "cleanse_final@r1",
    "gate@r1",
    "refined",
    "export",
    *(f"arm@{arm}" for arm in ARMS),
    *(f"judge@{arm}" for arm in ARMS),
    "summarise",
    "report",
]


@pytest.fixture(scope="module")
def done(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which everything ran once."""
    return finished.copy(tmp_path_factory.mktemp("end to end") / "first run")


def test_everything_ran(done: Workspace) -> None:
    assert set(yaml.safe_load((done.folder / "dvc.lock").read_text())["stages"]) == set(ALL)


def test_afterwards_nothing_is_to_be_done(done: Workspace) -> None:
    assert done.dvc("status", "-q").returncode == 0
    assert done.repro() == []
    assert done.run("git", "status", "--porcelain").stdout == ""


def test_contracts_hold(done: Workspace) -> None:
    comparison = json.loads((done.folder / "metrics/comparison.json").read_text())
    assert list(comparison) == ARMS
    assert set(comparison["hydra"]["accuracy"]) == {"mean", "low", "high", "seeds"}
    assert set(comparison["hydra"]["gain"]) == {"mean", "low", "high"}
    assert "gain" not in comparison["baseline"]
    refinement = json.loads((done.folder / "metrics/refinement.json").read_text())
    assert {"precision", "recall", "f1"} <= set(json.dumps(refinement).replace('"', " ").replace(":", " ").split())
    scores = pq.read_table(done.folder / "data/r1/influence/scores.parquet")
    samples = pq.read_table(done.folder / "data/prepared/samples.parquet").to_pylist()
    book = {row["id"] for row in samples if row["split"] == "label_book"}
    assert set(scores.column_names) == {"id", "min", "mean", "score"} | book
    assert set(scores["id"].to_pylist()) == {row["id"] for row in samples if row["split"] in ("train", "val")}
    verdicts = pq.read_table(done.folder / "data/r1/cleanse_influence/verdicts.parquet").to_pylist()
    dropped = {row["id"] for row in verdicts if row["action"] == "drop"}
    left = {row["id"] for row in pq.read_table(done.folder / "data/r1/influenced/samples.parquet").to_pylist()}
    assert left == {row["id"] for row in samples} - dropped
    for row in verdicts:
        assert row["reason"]
        assert set(row["evidence"]) <= book
        assert (row["action"] == "drop") <= bool(row["evidence"])
    for arm in comparison:
        for seed in (0, 1):
            figures = json.loads((done.folder / f"metrics/judge/{arm}/seed-{seed}.json").read_text())
            assert {"accuracy", "n_test", "n_train", "best_epoch", "loss", "recall"} <= set(figures)
            assert (done.folder / f"models/judge/{arm}/seed-{seed}.safetensors").exists()


@pytest.mark.parametrize("one", [one for one in FORMATS if isinstance(one, Table)], ids=lambda one: one.title)
def test_tables_have_the_columns_that_docs_formats_names(done: Workspace, one: Table) -> None:
    path = re.sub("<[a-z]+>", "*", one.path.replace("<dataset>", "data/refined"))
    files = sorted(done.folder.glob(path))
    assert files
    book = read_samples(done.folder / "data/prepared").filter(pc.field("split") == "label_book")["id"].to_pylist()
    named = [(name, type_name(kind)) for name, (kind, _) in one.columns.items()]
    wanted = [(i, kind) for name, kind in named for i in (book if name == "<label-book id>" else [name])]
    for file in files:
        assert [(field.name, type_name(field.type)) for field in pq.read_schema(file)] == wanted


def test_pixels_are_stored_once_however_many_datasets_carry_them(done: Workspace) -> None:
    def shards(dataset: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (done.folder / dataset / "images").glob("*.parquet")}

    assert shards("data/prepared") == shards("data/r1/influenced") == shards("data/arms/hydra")
    assert shards("data/prepared").items() <= shards("data/refined").items() == shards("data/r1/accepted").items()
    (content,) = shards("data/prepared").values()
    cached = [path for path in (done.folder / ".dvc/cache").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size == len(content) and path.read_bytes() == content for path in cached) == 1


def test_metrics_and_plots_are_shown(done: Workspace) -> None:
    shown = done.dvc("metrics", "show").stdout
    assert "baseline.accuracy.mean" in shown
    assert "metrics/judge" not in shown
    done.dvc("plots", "show", "--out", "plots")
    page = (done.folder / "plots/index.html").read_text()
    shutil.rmtree(done.folder / "plots")
    for title in ("Test accuracy per arm", "Validation accuracy per epoch", "harm score"):
        assert title in page


def test_the_same_commit_gives_the_same_bytes(done: Workspace, tmp_path: Path) -> None:
    again = Workspace.new(tmp_path / "second run", TINY)
    again.repro()
    assert (again.folder / "dvc.lock").read_bytes() == (done.folder / "dvc.lock").read_bytes()


def test_a_changed_threshold_reruns_only_what_depends_on_it(done: Workspace) -> None:
    done.dvc("exp", "run", "-S", "cleanse_final.support=0.9")
    ran = yaml.safe_load((done.folder / "params.yaml").read_text())["cleanse_final"]["support"]
    assert ran == 0.9
    changed = json.loads(done.dvc("metrics", "diff", "--json").stdout)
    figures = changed["metrics/refinement.json"]["verdicts.r1.cleanse_final.drop"]
    assert figures["old"] < figures["new"] == figures["old"] + figures["diff"]
    assert all("seconds" not in name for named in changed.values() for name in named)  # no noise of timings
    done.run("git", "checkout", "--quiet", "--", ".")
    done.dvc("checkout")
    done.set_params({"cleanse_final.support": 0.8})
    after = ALL[ALL.index("cleanse_final@r1") : ALL.index("arm@baseline")]
    assert done.repro() == [*after, "arm@full", "judge@full", "summarise", "report"]
    done.run("git", "checkout", "--quiet", "--", ".")
    done.dvc("checkout")
    assert done.dvc("status", "-q").returncode == 0


def test_a_persons_word_reruns_the_cleansing_and_no_valuing(done: Workspace) -> None:
    samples = pq.read_table(done.folder / "data/prepared/samples.parquet").to_pylist()
    word = next(row["id"] for row in samples if row["split"] == "train")
    with (done.folder / "overrides.csv").open("a") as file:
        file.write(f"{word},drop,,mia,\n")
    stale = set(json.loads(done.dvc("status", "--json").stdout))
    assert stale == {f"{name}@r1" for name in ("cleanse_influence", "cleanse_neighbours", "cleanse_final", "gate")}
    done.run("git", "checkout", "--quiet", "--", ".")


def test_further_rounds_rerun_nothing_of_those_before(done: Workspace) -> None:
    for number in (2, 3):
        done.set_params(unrolled(number))
        own = [stage.replace("@r1", f"@r{number}") for stage in ALL if "@r1" in stage]
        assert set(done.repro()) == {*own, "refined", "export", "arm@full", "judge@full", "summarise", "report"}
    ledger = pq.read_table(done.folder / "data/refined/ledger.parquet")
    assert set(ledger["round"].to_pylist()) <= {"r1", "r2", "r3"}
    for name in ("r2", "r3"):
        begun = pq.read_table(done.folder / f"data/{name}/influenced/samples.parquet")
        assert begun["parent"].null_count == begun.num_rows  # a round starts from source images
    done.run("git", "checkout", "--quiet", "--", ".")
    done.dvc("checkout")


def test_a_new_seed_trains_that_seed_alone(done: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in (done.folder / "models").rglob("seed-0.safetensors")}
    done.set_params({"compare.seeds": [0, 1, 2]})
    output = done.dvc("repro").stdout
    assert output.count("1 trained, 2 reused") == len(ARMS)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    done.run("git", "checkout", "--quiet", "--", ".")
    done.dvc("checkout")


def test_a_source_anywhere_and_a_missing_one(done: Workspace) -> None:
    """A folder whose path holds spaces, brackets and a quote; then one that is not there."""
    source = done.folder.parent / "my [own] source's (1)"
    with zipfile.ZipFile(done.folder / "data/synthetic.zip") as archive:
        archive.extractall(source, [name for name in archive.namelist() if name.startswith("train/")])
    lines = (done.folder / "params.yaml").read_bytes()
    command = ["python", "-m", "winnow", "run", "--source"]
    missing = done.run(*command, "no/such/place", check=False)
    assert missing.returncode == 1
    assert missing.stderr.count("\n") == 1
    assert "no/such/place" in missing.stderr
    assert (done.folder / "params.yaml").read_bytes() == lines
    output = done.run(*command, str(source / "train")).stdout
    assert "the label book is unverified" in output
    assert "error reduction" in output
    assert yaml.safe_load((done.folder / "params.yaml").read_text())["dataset"]["source"] == str(source / "train")
    done.run("git", "checkout", "--quiet", "--", ".")
    done.dvc("checkout")


def test_a_run_that_fails_puts_the_params_back(done: Workspace) -> None:
    lines = (done.folder / "params.yaml").read_bytes()
    source = done.folder.parent / "half broken"
    with zipfile.ZipFile(done.folder / "data/synthetic.zip") as archive:
        archive.extractall(source, [name for name in archive.namelist() if name.startswith("train/i")])
    for number, file in enumerate(sorted((source / "train/ii").iterdir())):
        if number % 2:  # the headers are whole, so that only decoding finds it
            file.write_bytes(file.read_bytes()[:-40])
    failed = done.run("python", "-m", "winnow", "run", "--source", str(source), check=False)
    assert failed.returncode == 1
    assert (done.folder / "params.yaml").read_bytes() == lines
    done.run("git", "checkout", "--quiet", "--", ".")
    done.dvc("checkout")
    assert done.repro() == []
