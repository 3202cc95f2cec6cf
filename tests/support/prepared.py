"""One run of the prepare stage, and what it wrote or why it refused."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stages.prepare import Params, main
from winnow.dataset.samples import read_samples
from winnow.pipeline.messages import UserError

PARAMS = Params(
    seed=0,
    val_fraction=0.2,
    test_fraction=0.2,
    label_book_per_class=5,
    near_duplicates=True,
    max_unreadable=0.05,
    max_image_pixels=1_000_000,
)
# Params `model`, `weights`, `pixels`, `frozen` and `resize`, as params.yaml has them.
REQUEST: dict[str, Any] = {
    "model_name": "auto",
    "weights": "default",
    "pixels": 0,
    "frozen": True,
    "resize": "letterbox",
}


class Prepared:
    """What one run of the stage wrote."""

    def __init__(self, source: Path, out: Path, params: Params = PARAMS, model: str = "auto") -> None:
        self.out, self.prepared, self.test = out, out / "prepared", out / "test"
        self.truth, self.metrics, self.model = out / "truth.parquet", out / "prepare.json", out / "model.json"
        main(
            str(source),
            params,
            **REQUEST | {"model_name": model},
            prepared=self.prepared,
            test=self.test,
            truth=self.truth,
            model=self.model,
            facts=out / "facts",
            metrics=self.metrics,
        )
        self.counts = json.loads(self.metrics.read_text())
        self.rejected = {row["name"]: row["reason"] for row in self.rows("rejected")}

    def rows(self, table: str) -> list[dict[str, Any]]:
        return pq.read_table(self.prepared / f"{table}.parquet").to_pylist()

    def samples(self) -> list[dict[str, Any]]:
        return read_samples(self.prepared).to_pylist() + read_samples(self.test).to_pylist()

    def splits(self) -> dict[str, str]:
        return {row["name"]: row["split"] for row in self.samples()}

    def nonzero(self, start: str) -> dict[str, int]:
        return {key.removeprefix(start): n for key, n in self.counts.items() if key.startswith(start) and n}


def refused(source: Path, out: Path, params: Params = PARAMS) -> str:
    with pytest.raises(UserError) as caught:
        Prepared(source, out, params)
    assert not out.exists()  # nothing is written before the source is known to work
    assert "\n" not in str(caught.value)
    return str(caught.value)
