"""Tables and settings that a person or another machine may write: sound ones, and how each is read."""

import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from bench.fuzz.containers import sound_files
from stages.prepare import Params
from winnow.augmentation.policy_file import load_policy
from winnow.dataset.images import stored_images, write_dataset
from winnow.dataset.samples import read_samples, samples_table
from winnow.intake.source import open_source
from winnow.intake.user_tables import read_embeddings, read_predictions
from winnow.pipeline.files import ROOT, read_table, write_table
from winnow.pipeline.params import load_params, read_params
from winnow.verdicts.decision_rows import read_decision_rows
from winnow.verdicts.overrides_csv import resolve_overrides

CLASSES = ("a", "b")
CELLS = (
    b"",
    b"\0",
    b'"',
    b"'",
    b"9" * 5_000,
    b"-1",
    b"1e999",
    b"nan",
    b"2024-13-45",
    b"=1+1",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"x" * 200_000,
    b"[" * 5_000,
    b"{" * 5_000,
    b"&a [*a, *a]",
    b"!!python/object/apply:os.system [true]",
    b"null",
    b"true",
    b"a/x.png",
    b"../a",
    b"relabel",
    b"\r",
    b"\xc2\x85",
    b"\xed\xa0\x80",
)


@dataclass
class Table:
    """A kind of file."""

    make: Callable[[Path], None]  # writes a sound one
    read: Callable[[Path], Any]  # UserError where it is refused; else what it says
    is_binary: bool = False
    says: Callable[[Any], Any] = lambda read: None  # what must not change unseen; by default anything may

    @functools.cached_property
    def content(self) -> bytes:
        """A sound one."""
        with tempfile.TemporaryDirectory() as name:
            self.make(Path(name) / "file")
            return (Path(name) / "file").read_bytes()


def _text(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    return write


def _samples() -> pa.Table:
    rows: list[dict[str, object]] = []
    for number, name in enumerate(sound_files()):
        label = name.split("/")[0]
        row: dict[str, object] = {
            "id": f"{number:016x}",
            "name": name,
            "split": "train",
            "label": label,
            "given_label": label,
        }
        row |= {"origin": "source", "pixel_hash": f"{number:032x}", "channels": 3, "width": 22, "height": 18}
        rows.append(row | {"group": f"{number:016x}"})
    return samples_table(rows, CLASSES)


SCORES = pa.schema(
    [pa.field("id", pa.string(), nullable=False), pa.field("label_quality", pa.float64(), nullable=False)]
)


def _scores() -> pa.Table:
    ids = _samples()["id"].to_pylist()
    return pa.table([ids, [1 / (n + 1) for n in range(len(ids))]], schema=SCORES)


def _beside(name: str) -> Callable[[Path], None]:
    """A reader of the file beside a sound source's classes."""

    def read(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for file, content in [*sound_files().items(), (name, path.read_bytes())]:
                (Path(folder) / file).parent.mkdir(exist_ok=True)
                (Path(folder) / file).write_bytes(content)
            with open_source(Path(folder)) as source:
                source.truth()
                source.groups()

    return read


def _shard(path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        ids = _samples()["id"].to_pylist()
        images = list(zip(ids, sound_files().values(), strict=True))
        write_dataset(Path(name) / "dataset", _samples(), images=images)
        (file,) = (Path(name) / "dataset" / "images").iterdir()
        file.rename(path)


def _read_shard(path: Path) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "images").mkdir()
        (Path(name) / "images" / "shard.parquet").write_bytes(path.read_bytes())
        return stored_images(Path(name), _samples()["id"].to_pylist())


def _read_samples(path: Path) -> pa.Table:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "samples.parquet").write_bytes(path.read_bytes())
        return read_samples(Path(name))


def _predictions(path: Path) -> None:
    names = list(sound_files())
    pq.write_table(pa.table({"name": names, "a": [0.25] * len(names), "b": [0.75] * len(names)}), path)


def _read_settings(path: Path) -> None:
    read_params(path)
    load_params("prepare", Params, path)


def _settings() -> str:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return yaml.safe_dump({name: params[name] for name in ("dataset", "prepare", "compare", "gate")})


FIRST, *OTHERS = sound_files()
TRUTH = "name,label,noise\n" + "".join(f"{name},{name[0]},0\n" for name in sound_files())
GROUPS = "name,group\n" + "".join(f"{name},g{n // 2}\n" for n, name in enumerate(sound_files()))
PREDICTIONS = "name,a,b\n" + "".join(f"{name},0.25,0.75\n" for name in sound_files())
EMBEDDINGS = "name,e0,e1\n" + "".join(f"{name},{n},-0.5\n" for n, name in enumerate(sound_files()))
OVERRIDES = f"sample,action,label,by,note\n{FIRST},keep,,someone,words\n{OTHERS[0]},relabel,a,,\n"
POLICY = {
    "sub_policies": [[{"operation": "rotate", "probability": 0.5, "magnitude": 0.25}]] * 2,
    "operations": ["rotate", "invert"],
    "limits": {"rotate": {"a": 1.0, "b": 0.5}, "invert": {"a": 0.0, "b": 0.0}},
    "cut": [{"operation": "rotate", "class": "a", "magnitude": 0.5, "images": 3}],
}

TABLES: dict[str, Table] = {
    "truth.csv": Table(_text(TRUTH), _beside("truth.csv")),
    "groups.csv": Table(_text(GROUPS), _beside("groups.csv")),
    "predictions.csv": Table(_text(PREDICTIONS), lambda path: read_predictions(path, _samples(), CLASSES)),
    "predictions.parquet": Table(
        _predictions, lambda path: read_predictions(path, _samples(), CLASSES), is_binary=True
    ),
    "embeddings.csv": Table(_text(EMBEDDINGS), lambda path: read_embeddings(path, _samples())),
    "overrides.csv": Table(
        _text(OVERRIDES), lambda path: resolve_overrides(read_decision_rows(path), _samples(), "overrides.csv")
    ),
    "policy.json": Table(_text(json.dumps(POLICY, indent=2)), load_policy),
    "params.yaml": Table(_text(_settings()), _read_settings),
    "samples.parquet": Table(
        lambda path: write_table(path, _samples()),
        _read_samples,
        is_binary=True,
        says=lambda table: (table.to_pylist(), table.schema.metadata),
    ),
    "scores.parquet": Table(
        lambda path: write_table(path, _scores()),
        lambda path: read_table(path, SCORES),
        is_binary=True,
        says=lambda table: table.to_pylist(),
    ),
    "images.parquet": Table(_shard, _read_shard, is_binary=True, says=lambda images: images),
}
