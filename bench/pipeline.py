"""A repository in which the pipeline seems to have run: every output is there and recorded, and no stage ran.

What DVC and a remote do with a finished pipeline can then be measured and tested at any size in seconds.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from dvc.repo import Repo

from winnow.dataset.samples import only_splits, read_samples
from winnow.pipeline.files import write_bytes, write_table
from winnow.verdicts.overrides import write_overrides


def pretend_run(repository: Path, dataset: Path, environment: Mapping[str, str]) -> None:
    """Make every output that dvc.yaml declares and have DVC record them all.

    Args:
        repository: a git and DVC repository, a copy of this one.
        dataset: what every dataset of the pipeline is a copy of; it has train, val and label_book.
        environment: of DVC.
    """
    with Repo(str(repository)) as repo:
        outputs = [Path(os.path.relpath(out.fs_path, repository)) for out in repo.index.outs]
    for output in outputs:
        path = repository / output
        if output.name == "scores.parquet":
            write_table(path, random_scores(dataset))
        elif output.name in ("overrides.parquet", "decided.parquet"):
            write_overrides(path, {})
        elif output.suffix:
            write_bytes(path, f"in place of {output}\n".encode())
        elif output.parts[0] == "data":
            shutil.copytree(dataset, path, dirs_exist_ok=True)
        else:
            write_bytes(path / "seed-0.json", f"in place of {output}\n".encode())
    dvc = [sys.executable, "-m", "dvc", "commit", "--quiet", "--force"]
    subprocess.run(dvc, cwd=repository, env=dict(environment), check=True)


def random_scores(dataset: Path) -> pa.Table:
    """Removal effects of every train and val image, as ``value`` writes them."""
    samples = read_samples(dataset)
    suspects = only_splits(samples, "train", "val")["id"].to_pylist()
    book = only_splits(samples, "label_book")["id"].to_pylist()
    effects = np.random.default_rng(0).normal(size=(len(suspects), len(book)))
    columns = {"id": suspects} | {name: effects[:, j] for j, name in enumerate(book)}
    quality = effects.mean(axis=1)
    means = {"min": effects.min(axis=1), "mean": effects.mean(axis=1), "label_quality": quality, "score": quality}
    harm = {"harm": effects.min(axis=1), "harm_p": np.ones(len(suspects))}
    return pa.table(columns | means | harm)
