"""The default cleansing of a source, its stages called one after another in this process, without copies in between.

Features are kept by the content of the image that they are of, so that a source planted anew costs its changed images.
"""

import contextlib
import hashlib
import inspect
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

import stages.cleanse_final
import stages.cleanse_influence
import stages.cleanse_neighbours
import stages.embed
import stages.ensemble
import stages.pixels
import stages.predictions
import stages.prepare
import stages.train_encoder
import stages.value
from winnow.backbone.card import Card, read_card
from winnow.backbone.extract import extract
from winnow.backbone.loading import load_backbone
from winnow.dataset.arrays import INDEX_SCHEMA, ArrayStore, gather, write_part, write_rows
from winnow.dataset.images import stored_images
from winnow.dataset.samples import read_samples
from winnow.model.extraction import BATCH, Extraction
from winnow.model.squares import batches
from winnow.pipeline.files import ROOT, read_table, write_table
from winnow.pipeline.params import PARAMS, load_params, read_params
from winnow.training.network import pick_device
from winnow.verdicts.ledger import VERDICT_SCHEMA, extend_ledger
from winnow.verdicts.overrides import write_overrides

USER = ROOT / "models" / "user"
MODEL = {"model_name": "auto", "weights": "default", "pixels": 0, "frozen": True, "resize": "letterbox"}  # the defaults
CLEANSINGS = ("cleanse_influence", "cleanse_neighbours", "cleanse_final")  # stages with verdicts, in their order


@dataclass
class Chain:
    """A folder in which stages run, and what they all read."""

    folder: Path
    shared: dict[str, Any] = field(default_factory=dict)  # path of an input, or another value, by its option
    params: Path = PARAMS

    def run(
        self, stage: ModuleType, inputs: Mapping[str, Path], *, given: Mapping[str, object] | None = None
    ) -> dict[str, Path]:
        """Run a stage, with the params, and give its outputs by option.

        Args:
            stage: the module.
            inputs: options that are inputs of this stage alone; those that are not shared either are its outputs.
            given: params in place of params.yaml's.

        Raises:
            ValueError: an option is neither: nobody gave it, and the stage did not write it.
        """
        name, values = stage.__name__.rpartition(".")[2], dict(given or {})
        sections = {key: section for key, section in stage.SECTIONS.items() if key not in values}
        values |= {key: load_params(section, kind, self.params) for key, (section, kind) in sections.items()}
        kinds = inspect.signature(stage.main).parameters.values()
        options = [one.name for one in kinds if one.kind is inspect.Parameter.KEYWORD_ONLY]
        known = {key: value for key, value in {**self.shared, **inputs}.items() if key in options}
        outputs = {key: self.folder / name / key for key in options if key not in known}
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(io.StringIO()), threadpool_limits(1):
            stage.main(**values, **known, **outputs)
        if unwritten := [key for key, path in outputs.items() if not path.exists()]:
            raise ValueError(f"{name} must be given its inputs or write its outputs, it did not write {unwritten}")
        return outputs


@dataclass(frozen=True)
class Prepared:
    """A source at the size of its model, with features, and a chain to go on with."""

    chain: Chain
    dataset: Path
    truth: Path
    features: Path


def prepare_with_features(source: Path, folder: Path, *, cache: Path) -> Prepared:
    """Prepare a source with the default model, and get the features of its train, val and label-book images.

    Args:
        source: a folder or a zip; what ``auto`` takes for the competition's has no features.
        folder: where everything is written.
        cache: folder of features by content, which grows.
    """
    chain = Chain(folder, {"round": "r1", "user": USER})
    made = chain.run(stages.prepare, {}, given={"source": str(source), **MODEL})
    chain.shared |= {"model": made["model"]}
    pixels = chain.run(stages.pixels, {"prepared": made["prepared"]})["pixels"]
    features, overrides = folder / "features", folder / "overrides.parquet"
    card = read_card(made["model"])
    if card.competition:
        write_rows(features, [])
    else:
        fill_features(made["prepared"], pixels, card, cache=cache, features=features)
    write_overrides(overrides, {})
    (folder / "nothing.csv").write_text("name\n")  # no predictions of the user's own
    nothing = dict.fromkeys(("predictions", "vectors"), str(folder / "nothing.csv"))
    said = chain.run(stages.predictions, {"prepared": made["prepared"]}, given=nothing)["resolved"]
    chain.shared |= {"pixels": pixels, "features": features, "overrides": overrides, "user_signals": said}
    return Prepared(chain, made["prepared"], made["truth"], features)


def fill_features(dataset: Path, pixels: Path, card: Card, *, cache: Path, features: Path) -> None:
    """Write what the stage ``features`` would, computing what the cache does not have.

    Args:
        dataset: whose source images are wanted.
        pixels: of the stage ``pixels``.
        card: of a frozen backbone.
        cache: folder of features by content.
        features: the folder written.
    """
    ids = read_samples(dataset)["id"].to_pylist()
    content = {one: hashlib.sha256(data).hexdigest() for one, data in stored_images(dataset, ids).items()}
    kept = cache / Extraction(card, USER).fingerprint()[:16]
    missing = {content[one]: one for one in ids if content[one] not in ArrayStore(kept)}
    if missing:
        _extend(kept, list(missing), list(missing.values()), ArrayStore(pixels), card)
    rows = gather([ArrayStore(kept)], [content[one] for one in ids], where=kept)
    features.mkdir(parents=True)
    write_rows(features, [(ids, rows)])


def cleansed(prepared: Prepared) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Scores, signals and ledger of the default cleansing of a prepared source."""
    chain, source = prepared.chain, prepared.dataset
    given = {"dataset": source, "delivered": source}  # the first round's
    judged = chain.run(stages.ensemble, given)
    scores = chain.run(stages.value, {**given, **judged})["scores"]
    first = chain.run(stages.cleanse_influence, {**given, "scores": scores, **judged})
    dataset = first["cleansed"]
    encoders = chain.run(stages.train_encoder, {"dataset": dataset, "networks": judged["networks"]})["encoders"]
    seen = chain.run(stages.embed, {"dataset": dataset, "encoders": encoders})
    kept = {"dataset": dataset, "scores": scores, "earlier": first["verdicts"], "expected": first["estimate"]}
    second = chain.run(stages.cleanse_neighbours, {**kept, **seen})
    left = {"dataset": second["cleansed"], "earlier": second["verdicts"], "encoders": encoders, "scores": scores}
    left |= {"classes": seen["classes"], "planted": seen["planted"], "expected": second["estimate"]}
    third = chain.run(stages.cleanse_final, left)
    tables = [read_table(made["verdicts"], VERDICT_SCHEMA) for made in (first, second, third)]
    return read_table(scores), read_table(second["signals"]), extend_ledger(VERDICT_SCHEMA.empty_table(), tables)


def finished(repository: Path, folder: Path) -> tuple[Prepared, pa.Table, pa.Table]:
    """What a run of the pipeline made of its source: the source, scores and ledger of its first round.

    Args:
        repository: a copy of this one, in which at least that round's cleansing has run.
        folder: where stages that go on with it write.

    Raises:
        SystemExit: it has not run as far.
    """
    data, params = repository / "data", repository / "params.yaml"
    name = next(iter(read_params(params)["rounds"]))
    verdicts = [data / name / stage / "verdicts.parquet" for stage in CLEANSINGS]
    if missing := [str(file) for file in verdicts if not file.exists()]:
        raise SystemExit(f"{', '.join(missing)}: missing; run `dvc repro cleanse_final` in {repository}")
    shared: dict[str, Any] = {"round": name, "user": repository / "models" / "user", "model": data / "model.json"}
    shared |= {option: data / option for option in ("pixels", "features")}
    shared |= {"overrides": data / "decided.parquet", "user_signals": data / "predictions"}
    prepared = Prepared(Chain(folder, shared, params), data / "prepared", data / "truth.parquet", shared["features"])
    tables = [read_table(file, VERDICT_SCHEMA) for file in verdicts]
    scores = read_table(data / name / "value" / "scores.parquet")
    return prepared, scores, extend_ledger(VERDICT_SCHEMA.empty_table(), tables)


def _extend(kept: Path, names: list[str], ids: list[str], pixels: ArrayStore, card: Card) -> None:
    """Add the features of some images to the cache, under the names given."""
    backbone = load_backbone(card, user_folder=USER)
    parts = extract(backbone, batches((pixels.row(one) for one in ids), BATCH), card, pick_device())
    rows = np.concatenate(list(parts)).astype(np.float16)
    kept.mkdir(parents=True, exist_ok=True)
    array = write_part(kept, names, rows)
    places = [{"id": name, "array": array, "row": row} for row, name in enumerate(names)]
    index = [pa.Table.from_pylist(places, schema=INDEX_SCHEMA)]
    if (kept / "index.parquet").exists():
        index.insert(0, read_table(kept / "index.parquet", INDEX_SCHEMA))
    write_table(kept / "index.parquet", pa.concat_tables(index))
