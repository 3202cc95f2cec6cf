"""Where a revision's tables come from: workspace, cache, remote, older versions; and what is said where they lack."""

import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.history import (
    NAMES,
    before_renames,
    row,
    write,
)
from tests.support.workspace import Workspace
from winnow.commands.diff import DATASET, answer, diff
from winnow.history.revision import WORKSPACE, open_revision
from winnow.history.verdicts import read_verdicts
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError
from winnow.verdicts.ledger import VERDICT_SCHEMA, extend_ledger, read_ledger, write_ledger


def test_data_that_the_cache_lacks_is_asked_for_in_one_sentence(root: Path) -> None:
    shutil.rmtree(root / ".dvc/cache")
    with pytest.raises(UserError, match=r"one: data/refined is not in the cache, and no default remote is set; check"):
        answer(["one", "two"], root)


def test_only_the_tables_are_read_without_pictures(root: Path) -> None:
    for object_ in (root / ".dvc/cache/files/md5").glob("*/*"):
        if b"PNG" in object_.read_bytes():
            object_.unlink()
    assert answer(["one", "two"], root)[1] == 1


def test_what_the_cache_lacks_is_pulled_from_the_remote(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / ".dvc/cache", tmp_path / "remote")
    shutil.rmtree(root / ".dvc/cache")
    (root / ".dvc/config.local").write_text(
        f"['remote \"away\"']\n    url = {tmp_path / 'remote'}\n[core]\n    remote = away\n"
    )
    text, code = answer(["one", "two"], root)
    assert code == 1
    assert "dropped (2)" in text
    pulled = [file for file in (root / ".dvc/cache/files/md5").glob("*/*") if file.is_file()]
    assert len(pulled) == 2 * (1 + 1 + 2)  # of each: the folder's list, the samples, two verdict tables
    shutil.rmtree(tmp_path / "remote")
    shutil.rmtree(root / ".dvc/cache")
    with pytest.raises(UserError, match="is not in the cache nor on the remote away; run `dvc push` where it was made"):
        answer(["one", "two"], root)


def test_an_object_that_comes_damaged_from_the_remote_does_not_stay(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / ".dvc/cache", tmp_path / "remote")
    shutil.rmtree(root / ".dvc/cache")
    (root / ".dvc/config.local").write_text(
        f"['remote \"away\"']\n    url = {tmp_path / 'remote'}\n[core]\n    remote = away\n"
    )
    for file in (tmp_path / "remote/files/md5").glob("*/" + "[0-9a-f]" * 30):
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[:-1])
    damaged = "one: data/refined/samples.parquet is damaged on the remote away; run `make push` where it was made"
    with pytest.raises(UserError, match=re.escape(damaged)):
        answer(["one", "two"], root)
    assert {file.suffix for file in (root / ".dvc/cache/files/md5").glob("*/*")} == {".dir"}


def test_a_damaged_list_of_files_and_a_foreign_lock_say_what_to_do(root: Path) -> None:
    for file in (root / ".dvc/cache/files/md5").glob("*/*.dir"):
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(UserError, match=r"the list of the files of data/refined is damaged; delete .*\.dir and get it"):
        answer(["one", "two"], root)
    (root / "dvc.lock").write_text("stages: {refined: 3}\n")
    with pytest.raises(
        UserError, match=r"workspace: DVC cannot read the pipeline \('.*dvc\.lock' validation failed: .*mend"
    ):
        diff(open_revision(WORKSPACE, root), open_revision(WORKSPACE, root), "data/r1/influenced")


def test_a_dataset_without_the_rest_tells_why_by_its_own_ledger(root: Path) -> None:
    one, here = open_revision("one", root), open_revision(WORKSPACE, root)
    wanted = diff(one, here, DATASET)
    assert any(change.verdict for change in wanted.dropped)
    stages = ("cleanse_influence", "cleanse_neighbours")
    tables = [pq.read_table(root / f"data/r1/{stage}/verdicts.parquet") for stage in stages]
    write_ledger(root / DATASET, extend_ledger(read_ledger(root / DATASET), tables))
    shutil.rmtree(root / "data/r1")
    assert diff(one, here, DATASET) == wanted


def test_the_cache_may_lie_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / ".dvc/cache").rename(tmp_path / "elsewhere")
    (root / ".dvc/config.local").write_text("[cache]\n    dir = ../../elsewhere\n")
    assert answer(["one", "two"], root)[1] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "^'nobody' is no commit, branch, tag or experiment here; `git branch --all`"),
        ([""], "^'' is no commit"),
        (["bare"], "^bare has no dvc.lock; name a commit in which `dvc repro` has run$"),
        (
            ["one", "two", "--dataset", "data/nothing"],
            "^one: dvc.lock names no data/nothing/samples.parquet; run `dvc repro`, or name",
        ),
        (["one", "two", "--dataset", ".."], "^one: dvc.lock names no ../samples.parquet"),
        (
            ["workspace", "--dataset", "data/nothing"],
            "^data/nothing/samples.parquet is not in the workspace, and dvc.lock",
        ),
    ],
)
def test_trouble_says_what_to_do(history: Workspace, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        answer(arguments, history.folder)


def test_a_missing_and_a_damaged_table_of_the_workspace_say_what_to_do(root: Path) -> None:
    (root / "data/refined/samples.parquet").write_bytes(b"nonsense")
    with pytest.raises(
        UserError,
        match=r"^workspace: data/refined/samples.parquet is not a whole parquet table \(.*; delete \S+t and",
    ):
        answer(["one"], root)
    shutil.rmtree(root / "data/refined")
    with pytest.raises(UserError, match="is not in the workspace; run `dvc repro`, or `dvc pull` where"):
        answer(["one"], root)
    (root / "dvc.lock").write_text("stages:\n<<<<<<< HEAD\n  prepare:\n")
    with pytest.raises(
        UserError, match=r"workspace: DVC cannot read the pipeline \(.*dvc.lock', YAML file structure is corr"
    ):
        answer(["one"], root)


def test_outside_a_repository(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"this is no DVC repository: it has no \.dvc; run it in a clone of one"):
        answer(["main"], tmp_path)


def test_verdict_tables_of_what_is_no_more_are_left_out(root: Path) -> None:
    """dvc.lock keeps them."""
    lock = yaml.safe_load((root / "dvc.lock").read_text())
    for stage, path in (("cleanse_final@r1", "r1/cleanse_final"), ("cleanse_influence@r2", "r2/cleanse_influence")):
        lock["stages"][stage] = {"cmd": "true", "outs": [{"path": f"data/{path}/verdicts.parquet", "md5": "0" * 32}]}
    (root / "dvc.lock").write_text(yaml.safe_dump(lock))
    for name in ("workspace", "one"):
        outputs = open_revision(name, root).outputs
        assert [path for path in outputs if path.endswith("verdicts.parquet")] == [
            f"data/r1/{stage}/verdicts.parquet" for stage in ("cleanse_influence", "cleanse_neighbours")
        ]


class Tables:
    """A revision of a few verdict tables, by path in the order of dvc.yaml."""

    name = "tables"

    def __init__(self, folder: Path, tables: dict[str, pa.Table]) -> None:
        self._folder = folder
        self.outputs: dict[str, str | None] = dict.fromkeys(tables)
        for path, table in tables.items():
            write_table(folder / path, table)

    def files(self, folder: str) -> list[str]:
        return [path for path in self.outputs if path.startswith(f"{folder}/")]

    def file(self, path: str) -> Path:
        return self._folder / path

    def committed(self, path: str) -> bytes | None:
        return None


def test_verdicts_come_round_by_round_and_in_a_round_stage_by_stage(tmp_path: Path) -> None:
    places = [(name, stage) for stage in ("s", "b", "a") for name in ("r10", "r1", "r2")]  # as dvc.yaml lists them
    tables = {
        f"data/{name}/{stage}/verdicts.parquet": pa.Table.from_pylist(
            [{"id": "0", "round": name, "stage": stage}], schema=VERDICT_SCHEMA
        )
        for name, stage in places
    }
    told = read_verdicts(Tables(tmp_path, tables), "data/prepared", pa.array(["0"]))
    got = list(zip(told["round"].to_pylist(), told["stage"].to_pylist(), strict=True))
    assert got == [(name, stage) for name in ("r1", "r2", "r10") for stage in ("s", "b", "a")]


REASONS = {
    "support 0.10": "winnow",
    "override": "unnamed",
    "override: seen": "unnamed",
    "override by ann": "ann",
    "override by ann lee: a smudge: no i": "ann lee",
    "overrides nothing": "winnow",
}


@pytest.mark.parametrize("path", ["data/refined/ledger.parquet", "data/r1/gate/verdicts.parquet"])
def test_verdicts_of_version_0_1_are_read(tmp_path: Path, path: str) -> None:
    plain = {"action": "keep", "label_before": "i", "label_after": "i", "score": 0.5, "evidence": ["1"]}
    rows = [{"id": f"{number}", **plain, "reason": reason} for number, reason in enumerate(REASONS)]
    if path.endswith("ledger.parquet"):
        rows = [{"round": "r1", "stage": "gate", **row} for row in rows]
    told = read_verdicts(
        Tables(tmp_path, {path: pa.Table.from_pylist(rows)}),
        "data/refined",
        pa.array(["others", *map(str, range(len(REASONS)))]),
    )
    assert told.schema.equals(VERDICT_SCHEMA)
    assert told.to_pylist() == [
        {"id": f"{number}", "round": "r1", "stage": "gate", "action": "keep", "label_before": "i", "label_after": "i"}
        | {"reason": reason, "support": 0.5, "evidence": ["1"], "by": by}
        for number, (reason, by) in enumerate(REASONS.items())
    ]


def test_a_table_that_is_no_verdict_table_is_refused(tmp_path: Path) -> None:
    other = Tables(tmp_path, {"data/refined/ledger.parquet": pa.table({"id": ["0"], "score": [0.5]})})
    with pytest.raises(
        UserError, match=r"tables: data/refined/ledger.parquet is no verdict table, it has no action, la"
    ):
        read_verdicts(other, "data/refined", pa.array(["0"]))


def test_a_revision_from_before_the_renames_is_compared_by_its_own_names(root: Path) -> None:
    wanted = answer(["one", "two"], root)
    copy = Workspace(root)
    copy.run("git", "checkout", "--quiet", "one")
    copy.dvc("checkout", "--quiet")
    before_renames(root)
    pipeline = (root / "dvc.yaml").read_text().replace("data/refined]", "data/refined, data/r1/influenced]")
    (root / "dvc.yaml").write_text(pipeline)
    write(root / "data/r1/influenced", [row(NAMES[0])])
    copy.dvc("commit", "--force", "--quiet")
    copy.commit("version 0.1")
    copy.run("git", "tag", "old")
    assert answer(["old", "two"], root)[0] == wanted[0].replace("one >", "old >")
    renamed = "data/r1/cleanse_influence/dataset"
    with pytest.raises(UserError, match=f"^old: dvc.lock names no {renamed}/.*; in this revision it is data/r1/influ"):
        answer(["old", "two", "--dataset", renamed], root)
