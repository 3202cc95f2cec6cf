"""The files of a finished run, small and made up: what the report and the export read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.prepare import LEAKS_SCHEMA, REJECTED_SCHEMA
from stages.report import Params, main
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import sample_id, samples_table
from winnow.pictures.contact_sheet import contact_sheet
from winnow.pipeline.files import write_bytes, write_json, write_table
from winnow.verdicts.ledger import VERDICT_SCHEMA, extend_ledger, read_ledger, write_ledger

STAGES = ("cleanse_influence", "cleanse_neighbours", "cleanse_final")
COUNTS = {"train": 18, "val": 9, "label_book": 6}
Row = dict[str, Any]
COMPETITION = {
    "model": "competition",
    "weights": "none",
    "pixels": 64,
    "resize": "stretch",
    "frozen": False,
    "why": "both sides of every image have at most 64 pixels",
}


def interval(mean: float, half: float = 0.02) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


def arms(*means: float) -> dict[str, Any]:
    """A comparison of as many arms as means."""
    table: dict[str, Any] = {}
    for number, mean in enumerate(means):
        row = {"n_train": 100 + number, "n_test": 2420, "profile": "tiny", "accuracy": interval(mean) | {"seeds": 3}}
        if number:
            row |= {"error_reduction": interval((mean - means[0]) / (1 - means[0]), 0.05)}
            row |= {"gain": interval(mean - means[number - 1])}
        table[f"arm{number}"] = row
    return table


def verdict(row: Row, action: str = "keep", **changes: Any) -> Row:
    """A verdict on a sample; a support of 0 and no evidence unless stated."""
    after = None if action == "drop" else row["label"]
    told = {"id": row["id"], "action": action, "label_before": row["label"], "label_after": after}
    return {**told, "reason": f"{action} it", "support": 0.0, "evidence": [], "by": "winnow", **changes}


@dataclass
class Run:
    """Two rounds of a run; a test changes what it is about, and then writes the files."""

    folder: Path
    classes: list[str] = field(default_factory=lambda: ["i", "ii", "iii"])
    colour: bool = False
    comparison: dict[str, Any] = field(default_factory=lambda: arms(0.6, 0.7, 0.8))
    controls: dict[str, str] = field(default_factory=dict)
    contrasts: dict[str, Any] = field(default_factory=dict)
    refinement: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=lambda: dict(COMPETITION))
    rejected: list[Row] = field(default_factory=list)
    leaks: list[Row] = field(default_factory=list)
    gates: dict[str, bool] = field(default_factory=lambda: {"r1": True, "r2": True})
    verdicts: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    embedded: list[Row] | None = None
    file_name: str = "{number}.png"
    samples: list[Row] = field(init=False)
    refined: list[Row] = field(init=False)
    images: dict[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        generator = np.random.default_rng(0)
        self.samples, self.images = [], {}
        for split, count in COUNTS.items():
            for number in range(count):
                label = self.classes[number % len(self.classes)]
                pixels = generator.integers(0, 256, (16, 16, 3 if self.colour else 1), dtype=np.uint8)
                png, name = encode_png(pixels), f"{split}/{label}/{self.file_name.format(number=number)}"
                row: Row = {
                    "id": sample_id(name, png),
                    "name": name,
                    "split": split,
                    "label": label,
                    "given_label": label,
                }
                row |= {
                    "origin": "source",
                    "parent": None,
                    "pixel_hash": sample_id("", png) * 2,
                    "channels": pixels.shape[-1],
                }
                row |= {"width": 16, "height": 16, "group": row["id"]}
                self.samples.append(row)
                self.images[row["id"]] = png
        self.refined = list(self.samples)

    @property
    def suspects(self) -> list[Row]:
        return [row for row in self.samples if row["split"] != "label_book"]

    @property
    def book(self) -> list[str]:
        return [row["id"] for row in self.samples if row["split"] == "label_book"]

    def copy_of(self, row: Row, number: int = 0) -> Row:
        """An augmented copy of a sample, put into the refined set."""
        child = row | {"id": f"{number:016x}", "origin": "random", "parent": row["id"]}
        self.images[child["id"]] = self.images[row["id"]]
        self.refined.append(child)
        return child

    def path(self, name: str) -> Path:
        return self.folder / name

    def write(self) -> "Run":
        for name, rows in (("prepared", self.samples), ("refined", self.refined)):
            pictures = ((row["id"], self.images[row["id"]]) for row in rows)
            write_dataset(self.path(f"data/{name}"), samples_table(rows, self.classes), images=pictures)
        for name, rows, schema in (("rejected", self.rejected, REJECTED_SCHEMA), ("leaks", self.leaks, LEAKS_SCHEMA)):
            write_table(self.path(f"data/prepared/{name}.parquet"), pa.Table.from_pylist(rows, schema=schema))
        write_json(self.path("metrics/comparison.json"), self.comparison)
        write_json(self.path("metrics/contrasts.json"), self.contrasts)
        write_json(self.path("metrics/refinement.json"), {"verdicts": {}} | self.refinement)
        write_json(self.path("data/model.json"), self.model)
        keys = [(name, stage) for name, accepted in self.gates.items() if accepted for stage in STAGES]
        told = {key: self.verdicts.get(key) or [verdict(self.suspects[-1])] for key in keys}
        tables = [
            pa.Table.from_pylist([{**row, "round": name, "stage": stage} for row in rows], schema=VERDICT_SCHEMA)
            for (name, stage), rows in told.items()
        ]
        write_ledger(self.path("data/refined"), extend_ledger(read_ledger(self.path("data/refined")), tables))
        embedded = self.samples if self.embedded is None else self.embedded
        for round_name, accepted in self.gates.items():
            points = np.random.default_rng(1).normal(0, 30, (2, len(embedded)))
            ids = pa.array([row["id"] for row in embedded], pa.string())
            table = pa.table({"id": ids, "x": points[0], "y": points[1]})
            write_table(self.path(f"data/{round_name}/embed/embeddings.parquet"), table)
            gains = dict.fromkeys(("gain", "cleansing", "augmentation"), interval(0.01))
            gate = {"accepted": accepted, "margin": 0.03, **gains, "images": 15, "seeds": 3}
            gate |= {"incoming": {"mean": 0.7}, "candidate": {"mean": 0.71}}
            write_json(self.path(f"metrics/gate/{round_name}.json"), gate)
            for title in ("policy", "edge_cases"):
                sheet = contact_sheet([], [], columns=2, tile=20)
                write_bytes(self.path(f"metrics/plots/{round_name}/{title}.png"), sheet)
        return self

    def report(self, *, cards: int = 48, evidence: int = 4, round_name: str | None = None) -> Path:
        """Run the stage on the files, of the last round unless another is named; where the page is."""
        page, last = self.path("report/index.html"), round_name or list(self.gates)[-1]
        main(
            Params(cards=cards, evidence=evidence),
            {name: {"input": "data/prepared"} for name in self.gates},
            self.controls,
            0.01,
            comparison=self.path("metrics/comparison.json"),
            contrasts=self.path("metrics/contrasts.json"),
            refinement=self.path("metrics/refinement.json"),
            model=self.path("data/model.json"),
            prepared=self.path("data/prepared"),
            refined=self.path("data/refined"),
            round=last,
            embeddings=self.path(f"data/{last}/embed/embeddings.parquet"),
            gates=self.path("metrics/gate"),
            sheets=[self.path(f"metrics/plots/{last}/{title}.png") for title in ("policy", "edge_cases")],
            page=page,
            classes=self.path("report/classes.csv"),
        )
        return page
