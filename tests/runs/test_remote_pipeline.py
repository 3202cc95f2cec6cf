"""A whole pipeline's data on a real S3 server: what a clone, a teammate and another project get of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bench.pipeline import pretend_run
from bench.s3_server import s3_server
from tests.support.datasets import make_dataset
from tests.support.repository import COUNTS, REFINED, Repository
from tests.support.workspace import Workspace
from winnow.dataset.samples import read_samples

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repository, Repository]]:
    """The pipeline as if it had run, pushed by ``dvc push``; and a clone of it with nothing pulled."""
    folder = tmp_path_factory.mktemp("travelled")
    dataset = make_dataset(folder / "dataset", COUNTS)
    (folder / "here").mkdir()
    with s3_server(folder / "server") as server:
        workspace = Workspace.new(folder / "here", {})
        server.configure(workspace.folder, level="repo")
        here = Repository(workspace.folder, server)
        pretend_run(here.folder, dataset, here.environment)
        here.commit()
        here.dvc("push")
        yield here, here.clone(folder / "there")


@pytest.mark.parametrize("folder", ["data/r1/cleanse_influence/dataset", "data/refined"])
def test_a_clone_pulls_what_it_names_and_no_more(
    travelled: tuple[Repository, Repository], tmp_path: Path, folder: str
) -> None:
    here, _ = travelled
    there = here.clone(tmp_path / "there")
    there.dvc("pull", folder)
    files = [path.relative_to(there.folder) for path in (there.folder / "data").rglob("*.parquet")]
    assert files
    assert all(path.is_relative_to(folder) for path in files)
    assert read_samples(there.folder / folder).equals(read_samples(here.folder / folder))
    shards = len(list((here.folder / folder / "images").iterdir()))
    assert len(there.cached()) == 2 + shards  # its list, its table, its shards


@pytest.mark.parametrize("beside", [REFINED, "refined"])
def test_one_file_of_a_folder_comes_alone_and_beside_the_folder_or_its_stage(
    travelled: tuple[Repository, Repository], tmp_path: Path, beside: str
) -> None:
    here, _ = travelled
    there = here.clone(tmp_path / "there")
    table = f"{REFINED}/samples.parquet"
    there.winnow("pull", table)
    found = [path.relative_to(there.folder) for path in (there.folder / "data").rglob("*") if path.is_file()]
    assert [str(path) for path in found if path.name != ".gitignore"] == [table]
    assert (there.folder / table).read_bytes() == (here.folder / table).read_bytes()
    assert len(there.cached()) == 2  # the folder's list, and the table
    there.winnow("pull", table, beside)
    assert read_samples(there.folder / REFINED).equals(read_samples(here.folder / REFINED))
    assert list((there.folder / REFINED / "images").iterdir())


def test_a_clone_has_nothing_to_do_and_a_changed_param_runs_what_it_must(
    travelled: tuple[Repository, Repository],
) -> None:
    _, there = travelled
    there.dvc("pull", "--quiet")
    assert there.dvc("status").stdout == "Data and pipelines are up to date.\n"
    assert "Running stage" not in there.dvc("repro").stdout
    params = yaml.safe_load((there.folder / "params.yaml").read_text())
    params["cleanse_influence"]["votes"] += 1
    (there.folder / "params.yaml").write_text(yaml.safe_dump(params))
    changed = [line for line in there.dvc("status").stdout.splitlines() if line and not line[0].isspace()]
    assert changed == ["cleanse_influence@r1:"]
    there.run("git", "checkout", "--quiet", "--", ".")


@pytest.mark.parametrize("folder", ["data/r1/cleanse_influence/dataset", "data/refined", "data/export"])
def test_another_project_gets_a_folder(travelled: tuple[Repository, Repository], tmp_path: Path, folder: str) -> None:
    """Neither Winnow nor a DVC repository: the address of the repository and the path are all it knows."""
    here, there = travelled
    origin = f"file://{there.folder}"
    other = Repository(tmp_path / "other", here.server)
    other.folder.mkdir()
    del other.environment["PYTHONPATH"]
    other.dvc("get", origin, folder, "--out", "set")
    wanted = {path.relative_to(here.folder / folder): path for path in (here.folder / folder).rglob("*.*")}
    first = next(iter(wanted))
    program = (
        "import sys, dvc.api\n"
        f"content = dvc.api.read('{folder}/{first}', repo={origin!r}, mode='rb')\n"
        f"dvc.api.DVCFileSystem({origin!r}).get({folder!r}, 'by api', recursive=True)\n"
        "sys.stdout.buffer.write(content)\n"
    )
    content = subprocess.run(
        [sys.executable, "-c", program], cwd=other.folder, env=other.environment, check=True, capture_output=True
    ).stdout
    assert content == wanted[first].read_bytes()
    for copy in ("set", "by api"):
        assert {path.relative_to(other.folder / copy) for path in (other.folder / copy).rglob("*.*")} == set(wanted)
        assert all((other.folder / copy / name).read_bytes() == path.read_bytes() for name, path in wanted.items())
