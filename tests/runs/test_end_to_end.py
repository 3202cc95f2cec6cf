"""The whole pipeline on tiny data in a repository of its own, as a user runs it."""

import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from bench.formats import FORMATS, Table, type_name
from tests.support.stages import run_here, stages_in
from tests.support.workspace import ALL, TINY, Workspace
from winnow.backbone.card import read_card
from winnow.commands.run import unrolled
from winnow.dataset.arrays import ArrayStore
from winnow.dataset.samples import read_samples
from winnow.model.known_rows import KNOWN_COLUMNS

pytestmark = pytest.mark.slow
ARMS = list(TINY["compare.arms"])
SEEDS = TINY["compare.seeds"]


@pytest.fixture(scope="module")
def copied(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return finished.copy(tmp_path_factory.mktemp("end to end") / "first run")


@pytest.fixture
def done(copied: Workspace) -> Iterator[Workspace]:
    """A workspace in which everything ran once; as committed again when the test has ended."""
    yield copied
    if copied.dirty():
        copied.bring_back()


def test_everything_ran(done: Workspace) -> None:
    assert set(stages_in(done)) == set(ALL)


def test_afterwards_nothing_is_to_be_done(done: Workspace) -> None:
    assert done.status() == {}
    assert done.repro() == []
    assert not done.dirty()


def test_numerals_are_the_competitions_whose_model_has_no_features(done: Workspace) -> None:
    assert read_card(done.folder / "data/model.json").why.startswith("auto: 100 % of ")
    assert read_card(done.folder / "data/model.json").competition
    samples = read_samples(done.folder / "data/prepared")
    assert set(ArrayStore(done.folder / "data/pixels").ids) == set(samples["id"].to_pylist())
    assert not ArrayStore(done.folder / "data/features").ids


def test_networks_that_learnt_nothing_touch_nothing(done: Workspace) -> None:
    """Of one epoch: they cannot tell faults from sound images, and know it."""
    for stage in ("cleanse_influence", "cleanse_neighbours", "cleanse_final"):
        estimate = json.loads((done.folder / f"data/r1/{stage}/estimate.json").read_text())
        assert set(estimate) == {"estimated_faults", "expected_left", "touched", "stopped"}
        verdicts = pq.read_table(done.folder / f"data/r1/{stage}/verdicts.parquet").to_pylist()
        assert {row["action"] for row in verdicts} == {"keep"}


def test_contracts_hold(done: Workspace) -> None:
    comparison = json.loads((done.folder / "metrics/comparison.json").read_text())
    assert list(comparison) == ARMS
    assert set(comparison["full"]["accuracy"]) == {"mean", "low", "high", "seeds"}
    assert set(comparison["full"]["gain"]) == {"mean", "low", "high"}
    assert "gain" not in comparison["baseline"]
    refinement = json.loads((done.folder / "metrics/refinement.json").read_text())
    assert {"precision", "recall", "f1"} <= set(json.dumps(refinement).replace('"', " ").replace(":", " ").split())
    scores = pq.read_table(done.folder / "data/r1/value/scores.parquet")
    samples = pq.read_table(done.folder / "data/prepared/samples.parquet").to_pylist()
    book = {row["id"] for row in samples if row["split"] == "label_book"}
    assert set(scores.column_names) == {"id", "min", "mean", "label_quality", "score", "harm", "harm_p"} | book
    assert set(scores["id"].to_pylist()) == {row["id"] for row in samples if row["split"] in ("train", "val")}
    verdicts = pq.read_table(done.folder / "data/r1/cleanse_influence/verdicts.parquet").to_pylist()
    dropped = {row["id"] for row in verdicts if row["action"] == "drop"}
    left = read_samples(done.folder / "data/r1/cleanse_influence/dataset")["id"].to_pylist()
    assert set(left) == {row["id"] for row in samples} - dropped
    for row in verdicts:
        assert row["reason"]
        assert set(row["evidence"]) <= book
    for arm in comparison:
        for seed in SEEDS:
            figures = json.loads((done.folder / f"metrics/judge/{arm}/seed-{seed}.json").read_text())
            assert {"accuracy", "n_test", "n_train", "best_epoch", "loss", "recall"} <= set(figures)
            assert (done.folder / f"models/judge/{arm}/seed-{seed}.safetensors").exists()


# What a command writes where its user says is no output of a stage; the competition's model has no features.
OUTPUTS = [one for one in FORMATS if isinstance(one, Table) and "/" in one.path and one.columns is not KNOWN_COLUMNS]


@pytest.mark.parametrize("one", OUTPUTS, ids=lambda one: one.title)
def test_tables_have_the_columns_that_docs_formats_names(done: Workspace, one: Table) -> None:
    path = re.sub("<[a-z]+>", "*", one.path.replace("<dataset>", "data/refined"))
    files = sorted(done.folder.glob(path))
    assert files
    book = read_samples(done.folder / "data/prepared").filter(pc.field("split") == "label_book")["id"].to_pylist()
    named = [(name, type_name(kind)) for name, (kind, _) in one.columns.items()]
    by_name = {"<label-book id>": book, "class:<class>": []}  # the second instead of the first, of large label books
    wanted = [(one, kind) for name, kind in named for one in by_name.get(name, [name])]
    for file in files:
        assert [(field.name, type_name(field.type)) for field in pq.read_schema(file)] == wanted


def test_pixels_are_stored_once_however_many_datasets_carry_them(done: Workspace) -> None:
    def shards(dataset: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (done.folder / dataset / "images").glob("*.parquet")}

    assert shards("data/prepared") == shards("data/r1/cleanse_influence/dataset") == shards("data/arms/baseline")
    assert shards("data/prepared").items() <= shards("data/refined").items() == shards("data/r1/gate/dataset").items()
    cached = [path for path in (done.folder / ".dvc/cache").rglob("*") if path.is_file()]
    for content in shards("data/prepared").values():
        assert sum(path.stat().st_size == len(content) and path.read_bytes() == content for path in cached) == 1


def test_metrics_and_plots_are_shown(done: Workspace) -> None:
    shown = done.dvc("metrics", "show").stdout
    assert "baseline.accuracy.mean" in shown
    assert "metrics/judge" not in shown
    done.dvc("plots", "show", "--out", "plots")
    page = (done.folder / "plots/index.html").read_text()
    shutil.rmtree(done.folder / "plots")
    for title in ("Test accuracy per arm", "Validation accuracy per epoch", "Images per label quality"):
        assert title in page


def same_again(first: Workspace, again: Workspace, stage: str) -> None:
    """All that the stage wrote is the same, byte for byte."""
    for out in stages_in(first)[stage]["outs"]:
        files = [path for path in (first.folder / out["path"]).rglob("*") if path.is_file()]
        for file in files or [first.folder / out["path"]]:
            other = again.folder / file.relative_to(first.folder)
            assert other.read_bytes() == file.read_bytes(), f"{stage}: {other}"


def test_every_stage_gives_the_same_bytes_in_another_process(done: Workspace, tmp_path: Path) -> None:
    """In this one, from the files of the stages that ran here before it, all outputs removed first."""
    again = done.copy(tmp_path / "again")
    for top in ("data", "report", *(f"models/{name}" for name in ("r1", "judge"))):  # models/user is the user's own
        shutil.rmtree(again.folder / top)
    for stage in ALL:
        if stage == "judge":  # its fingerprint is of all modules that are loaded
            again.run(sys.executable, *stages_in(done)[stage]["cmd"].split()[1:])
        else:
            run_here(again, stage)
        same_again(done, again, stage)


@pytest.mark.campaign
def test_the_same_commit_gives_the_same_bytes(done: Workspace, tmp_path: Path) -> None:
    again = Workspace.new(tmp_path / "second run", TINY)
    again.repro()
    assert (again.folder / "dvc.lock").read_bytes() == (done.folder / "dvc.lock").read_bytes()


def test_a_changed_rule_reruns_only_what_depends_on_it(done: Workspace) -> None:
    output = done.dvc("exp", "run", "-S", "cleanse_final.by=neighbours").stdout
    after = ALL[ALL.index("cleanse_final@r1") : ALL.index("arm@baseline")]
    assert re.findall(r"Running stage '(.+?)'", output) == [*after, "arm@full", "judge", "summarise", "report"]
    ran = yaml.safe_load((done.folder / "params.yaml").read_text())["cleanse_final"]["by"]
    assert ran == "neighbours"
    changed = json.loads(done.dvc("metrics", "diff", "--json").stdout)
    figures = changed["metrics/refinement.json"]["verdicts.r1.cleanse_final.drop"]
    assert figures["old"] < figures["new"] == figures["old"] + figures["diff"]
    assert all("seconds" not in name for named in changed.values() for name in named)  # no noise of timings
    done.bring_back()
    assert done.status() == {}


def test_an_override_runs_the_last_stages_alone(done: Workspace) -> None:
    samples = pq.read_table(done.folder / "data/prepared/samples.parquet").to_pylist()
    named = next(row["id"] for row in samples if row["split"] == "train")
    with (done.folder / "overrides.csv").open("a") as file:
        file.write(f"{named},drop,,mia,\n")
    assert set(done.status()) == {"overrides"}
    before = (done.folder / "data/export/manifest.parquet").read_bytes()
    output = done.run(sys.executable, "-m", "winnow", "apply").stdout
    assert re.findall(r"python -m stages\.(\w+)", output) == ["overrides", "refined", "export"]
    assert named not in read_samples(done.folder / "data/refined")["id"].to_pylist()
    assert (done.folder / "data/export/manifest.parquet").read_bytes() != before
    assert set(done.status()) == {"arm@full", "summarise", "report"}
    assert "nothing had changed" in done.run(sys.executable, "-m", "winnow", "apply").stdout


def test_decisions_that_a_run_takes_as_input_reach_everything_after_prepare(done: Workspace) -> None:
    assert (done.folder / "data/decided/samples.parquet").read_bytes() == (
        done.folder / "data/prepared/samples.parquet"
    ).read_bytes()
    samples = pq.read_table(done.folder / "data/prepared/samples.parquet").to_pylist()
    named = next(row["name"] for row in samples if row["split"] == "train")
    (done.folder / "decided.csv").write_text(f"sample,action,label,by,note\n{named},drop,,mia,\n")
    run_here(done, "decided")
    assert {"decided", "ensemble@r1", "value@r1", "cleanse_influence@r1", "gate@r1"} <= set(done.status())
    assert not {"refined", "arm@baseline"} & set(done.status())


LAST = ["refined", "export", "arm@full", "judge", "summarise", "report"]  # after the last round, whichever that is


def stages_of(number: int) -> list[str]:
    """The stages of a round."""
    return [stage.replace("@r1", f"@r{number}") for stage in ALL if "@r1" in stage]


def check_round(done: Workspace, number: int) -> None:
    """A round that is the last started from source images, and the ledger knows it."""
    ledger = pq.read_table(done.folder / "data/refined/ledger.parquet")
    assert set(ledger["round"].to_pylist()) <= {f"r{n}" for n in range(1, number + 1)}
    started = pq.read_table(done.folder / f"data/r{number}/cleanse_influence/dataset/samples.parquet")
    assert started["parent"].null_count == started.num_rows


def test_a_further_round_leaves_the_one_before_as_it_is(done: Workspace) -> None:
    done.set_params(unrolled(2))
    commands = done.commands()
    assert set(done.status()) == {*stages_of(2), "refined", "export", "report"}
    for stage in [*stages_of(2), "refined"]:
        run_here(done, stage, commands[stage])
    assert not set(stages_of(1)) & set(done.status())
    check_round(done, 2)


@pytest.mark.campaign
def test_further_rounds_rerun_nothing_of_those_before(done: Workspace) -> None:
    for number in (2, 3):
        done.set_params(unrolled(number))
        assert set(done.repro()) <= {*stages_of(number), *LAST}
        assert set(stages_of(number)) <= set(stages_in(done))
        check_round(done, number)


def test_a_new_arm_and_a_new_seed_train_nothing_that_was_trained(done: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in (done.folder / "models/judge").rglob("*") if path.is_file()}
    arms = {**TINY["compare.arms"], "hydra": "data/r1/cleanse_influence/dataset"}
    done.set_params({"compare.seeds": [*SEEDS, 2], "compare.arms": arms, "compare.judged": list(arms)})
    output = done.dvc("repro").stdout
    assert re.findall(r"Running stage '(.+?)'", output) == ["arm@hydra", "judge", "summarise", "report"]
    assert f"{len(SEEDS) + len(arms)} trained, {len(before) // 3} reused" in output
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert list(json.loads((done.folder / "metrics/comparison.json").read_text())) == list(arms)


# --- make run ---------------------------------------------------------------------------------------------------


RUN = ["python", "-m", "winnow", "run"]


@pytest.fixture
def elsewhere(done: Workspace, tmp_path: Path) -> Path:
    """A source of the user's own: bare classes, below a path that holds spaces, brackets and a quote."""
    source = tmp_path / "my [own] source's (1)"
    with zipfile.ZipFile(done.folder / "data/synthetic.zip") as archive:
        archive.extractall(source, [name for name in archive.namelist() if name.startswith("train/")])
    return source / "train"


def test_a_source_that_is_missing_is_one_line_and_changes_nothing(done: Workspace) -> None:
    lines = (done.folder / "params.yaml").read_bytes()
    missing = done.run(*RUN, "--source", "no/such/place", check=False)
    assert missing.returncode == 1
    assert missing.stderr.count("\n") == 1
    assert "no/such/place" in missing.stderr
    assert (done.folder / "params.yaml").read_bytes() == lines


def check_run(done: Workspace, source: Path) -> str:
    """What ``make run SOURCE=...`` says; the source is in params.yaml."""
    output = done.run(*RUN, "--source", str(source)).stdout
    assert "the label book is unverified" in output
    assert "error reduction" in output
    assert yaml.safe_load((done.folder / "params.yaml").read_text())["dataset"]["source"] == str(source)
    return output


def test_a_source_anywhere_is_prepared_and_checked_before_the_long_stages(done: Workspace, elsewhere: Path) -> None:
    """The stages after it are frozen here; test_a_source_anywhere_runs_to_its_end runs them."""
    file = done.folder / "dvc.yaml"
    pipeline = yaml.safe_load(file.read_text())
    for name, stage in pipeline["stages"].items():
        stage.get("do", stage)["frozen"] = name not in ("synthesise", "prepare", "overrides", "decided")
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    output = check_run(done, elsewhere)
    assert re.findall(r"Running stage '(.+?)'", output) == ["prepare", "overrides", "decided"]


@pytest.mark.campaign
def test_a_source_anywhere_runs_to_its_end(done: Workspace, elsewhere: Path) -> None:
    check_run(done, elsewhere)
    assert done.status() == {}


def test_a_run_that_fails_puts_the_params_back(done: Workspace, elsewhere: Path) -> None:
    lines = (done.folder / "params.yaml").read_bytes()
    for file in sorted(elsewhere.glob("*/*"))[::2]:  # the headers are whole, so that only decoding finds it
        file.write_bytes(file.read_bytes()[:-40])
    failed = done.run(*RUN, "--source", str(elsewhere), check=False)
    assert failed.returncode == 1
    assert (done.folder / "params.yaml").read_bytes() == lines
    done.bring_back()
    assert done.repro() == []
