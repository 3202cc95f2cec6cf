"""croissant.json of the export: valid for mlcroissant, and its records are the images with their manifest rows."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.exports import exported
from tests.support.runs import Run, verdict

# mlcroissant, in a process of its own: its libraries warn of their own future.
READ = """
import json, logging, sys
import mlcroissant

logging.disable(logging.WARNING)
dataset = mlcroissant.Dataset(jsonld=sys.argv[1])
issues = dataset.metadata.issues
def plain(value):
    if isinstance(value, bytes):
        return value.decode()
    return [value.size, value.convert("RGB").tobytes().hex()] if hasattr(value, "tobytes") else value
records = {
    name: [{key.split("/")[1]: plain(value) for key, value in record.items()} for record in dataset.records(name)]
    for name in sys.argv[2:]
}
print(json.dumps({"errors": sorted(issues.errors), "warnings": sorted(issues.warnings), "records": records}))
"""


def read(folder: Path, *names: str) -> dict[str, Any]:
    """What mlcroissant makes of the metadata and of some sets of records."""
    if importlib.util.find_spec("mlcroissant") is None:
        pytest.skip("mlcroissant is not installed (requirements-dev.txt)")
    command = [sys.executable, "-I", "-c", READ, str(folder / "croissant.json"), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with a class whose folder has another name, a relabelled image and one without a verdict."""
    run = Run(tmp_path_factory.mktemp("run"), classes=["a/b", "名 é", "c"], gates={"r1": True})
    first, second, *_ = run.suspects
    run.refined = [row | ({"label": "c"} if row is first else {}) for row in run.refined]
    run.verdicts["r1", "cleanse_influence"] = [verdict(first, "relabel", label_after="c"), verdict(second)]
    run.write()
    title, licence = 'Numbers "and" more', "CC-BY-4.0"
    return exported(
        run.path("data/refined"), run.path("data/prepared"), run.path("export"), title=title, licence=licence
    )


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    """What mlcroissant reads; it takes seconds to start."""
    return read(folder, "images", "classes", "splits")


def test_mlcroissant_finds_no_error_and_misses_only_what_a_publisher_knows(folder: Path, found: dict[str, Any]) -> None:
    assert found["errors"] == []
    missed = [line.split('"')[-2].rpartition("/")[2] for line in found["warnings"]]
    assert sorted(missed) == ["citeAs", "datePublished", "version"]
    assert json.loads((folder / "croissant.json").read_bytes())["license"] == "CC-BY-4.0"


def test_records_are_the_images_with_their_rows_of_the_manifest(folder: Path, found: dict[str, Any]) -> None:
    records = found["records"]["images"]
    rows = {row["file"]: row for row in pq.read_table(folder / "manifest.parquet").to_pylist()}
    assert {record["file"] for record in records} == set(rows)
    assert len(records) == len(rows) == 27
    for record in records:
        row = rows[record["file"]]
        for name in ("id", "split", "label", "given_label", "label_quality", "action", "reason", "sha256"):
            assert record[name] == row[name], name
        assert hashlib.sha256((folder / record["file"]).read_bytes()).hexdigest() == record["sha256"]
        assert record["image"][0] == [16, 16]
    assert sum(record["label"] != record["given_label"] for record in records) == 1
    assert len({record["image"][1] for record in records}) == 27


def test_classes_and_splits_are_listed(found: dict[str, Any]) -> None:
    names = {kind: [record["name"] for record in found["records"][kind]] for kind in ("classes", "splits")}
    assert names == {"classes": ["a/b", "名 é", "c"], "splits": ["train", "val"]}


def test_checksums_and_sizes_are_those_of_the_files(folder: Path) -> None:
    objects = json.loads((folder / "croissant.json").read_bytes())["distribution"]
    described = {one["contentUrl"]: one for one in objects if one["@type"] == "cr:FileObject"}
    assert set(described) == {"corrections.csv", "manifest.parquet"}
    for name, one in described.items():
        content = (folder / name).read_bytes()
        assert one["sha256"] == hashlib.sha256(content).hexdigest()
        assert one["contentSize"] == f"{len(content)} B"


def test_a_changed_table_is_not_read(folder: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(folder, tmp_path / "export")
    with (changed / "manifest.parquet").open("ab") as file:
        file.write(b" ")
    with pytest.raises(AssertionError, match="Hash of downloaded file"):
        read(changed, "images")
