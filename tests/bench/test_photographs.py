"""The comparison with a plain baseline: its arithmetic, its wiring, and that features are computed once by content."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats

import bench.chain
import bench.photographs
from bench.chain import Chain, fill_features
from bench.photographs import Comparison, Outcome, compare, mean_interval, measure, table
from bench.plant import Shares
from tests.support.datasets import make_dataset
from tests.support.sources import encoded, make_folder
from winnow.backbone.choice import Facts, Request, resolve
from winnow.dataset.arrays import ArrayStore, write_rows
from winnow.dataset.samples import read_samples
from winnow.model.squares import squares

CARD = resolve(Request("auto", "default", 32, True, "letterbox"), Facts(1, 0.0, 0.0, 0.0))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each extraction was of; colours of parts of an image stand for its backbone's features."""
    counts: list[int] = []

    def extract(backbone: object, batches: Iterable[np.ndarray], card: object, device: object) -> Iterator[np.ndarray]:
        found = [batch[:, ::28, ::28].reshape(len(batch), -1).astype(np.float32) / 255 for batch in batches]
        counts.append(sum(map(len, found)))
        yield from found

    monkeypatch.setattr(bench.chain, "extract", extract)
    monkeypatch.setattr(bench.chain, "load_backbone", lambda card, user_folder: None)
    return counts


def filled(dataset: Path, out: Path, cache: Path) -> dict[str, np.ndarray]:
    """Features by name."""
    samples = read_samples(dataset)
    out.mkdir()
    (out / "pixels").mkdir()
    write_rows(out / "pixels", squares(dataset, samples["id"].to_pylist(), CARD))
    fill_features(dataset, out / "pixels", CARD, cache=cache, features=out / "features")
    store = ArrayStore(out / "features")
    return {name: store.row(one) for one, name in zip(*(samples[c].to_pylist() for c in ("id", "name")), strict=True)}


def test_features_are_computed_once_for_equal_bytes(tmp_path: Path, computed: list[int]) -> None:
    cache = tmp_path / "cache"
    first = filled(make_dataset(tmp_path / "a", {"train": 6, "val": 3}), tmp_path / "1", cache)
    again = filled(make_dataset(tmp_path / "b", {"train": 6, "val": 6}), tmp_path / "2", cache)
    assert computed == [9, 3]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    filled(make_dataset(tmp_path / "c", {"train": 6, "val": 6}), tmp_path / "3", cache)
    assert computed == [9, 3]


def stage(main: Any, sections: dict[str, tuple[str, type]] | None = None) -> Any:
    return SimpleNamespace(__name__="stages.example", main=main, SECTIONS=sections or {})


def test_a_stage_gets_what_is_shared_its_inputs_and_places_for_the_rest(tmp_path: Path) -> None:
    seen: dict[str, object] = {}

    def main(source: str, kept: int, *, round: str, dataset: Path, result: Path) -> None:
        seen.update(source=source, kept=kept, round=round, dataset=dataset, result=result)
        result.write_text("done")

    sections = {"source": ("dataset.source", str), "kept": ("embed.neighbours", int)}
    chain = Chain(tmp_path, {"round": "r1", "unasked": tmp_path})
    outputs = chain.run(stage(main, sections), {"dataset": tmp_path}, given={"source": "here"})
    assert outputs == {"result": tmp_path / "example" / "result"}
    assert seen == {"source": "here", "kept": 30, "round": "r1", "dataset": tmp_path, "result": outputs["result"]}


def test_an_input_that_nobody_gave_is_noticed(tmp_path: Path) -> None:
    def main(*, forgotten: Path) -> None:
        pass

    with pytest.raises(ValueError, match=r"example must be given its inputs.*forgotten"):
        Chain(tmp_path).run(stage(main), {})


def test_the_interval_is_students() -> None:
    values = [0.1, 0.4, 0.2, 0.35]
    mean, low, high = mean_interval(values)
    assert mean == pytest.approx(np.mean(values))
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 3, np.mean(values), stats.sem(values)))
    assert mean_interval([0.3]) == (0.3, 0.3, 0.3)


def outcome(f1: float, right: float | None = None) -> Outcome:
    return Outcome(0.5, 0.5, f1, 0.01, 0.9, 0.8, right)


def test_differences_are_paired_and_what_is_unknown_is_left_out() -> None:
    found = Comparison([outcome(0.8, 0.5), outcome(0.7), outcome(0.9, 1.0)], [outcome(0.7), outcome(0.8), outcome(0.6)])
    assert found.known("difference", "f1") == pytest.approx([0.1, -0.1, 0.3])
    assert found.values("ours", "relabels_right") == [0.5, None, 1.0]
    assert found.known("difference", "relabels_right") == []
    lines = {line[:40].strip(): line[40:].split() for line in table(found, range(3))}
    assert lines["f1, ours"][:4] == ["0.800", "0.700", "0.900", "0.800"]
    assert lines["relabels_right, ours"][:4] == ["0.500", "-", "1.000", "0.750"]
    assert "relabels_right, plain" not in lines


def test_without_the_photographs_the_row_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench.photographs, "SOURCE", tmp_path / "absent.zip")
    assert measure(images=1, rounds=1) == []
    assert capsys.readouterr().out == f"  skipped: {tmp_path / 'absent.zip'} is absent\n"


def test_both_ways_rank_first_what_is_plain_to_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computed: list[int]
) -> None:
    rng = np.random.default_rng(0)
    files = {}
    for split, count in (("train", 24), ("val", 8), ("label_book", 4), ("test", 4)):
        for k, colour in enumerate(((200, 40, 40), (40, 200, 40), (40, 40, 200))):
            for n in range(count):
                pixels = rng.normal(colour, 25, (12, 16, 3)).clip(0, 255).astype(np.uint8)
                picture = Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC)
                files[f"{split}/{'abc'[k]}/{n:02}.jpg"] = encoded(picture, "JPEG")
    monkeypatch.setattr(bench.photographs, "WORK", tmp_path / "work")
    shares = Shares(wrong=0.08, junk=0.0, test=0.0)
    found = compare(make_folder(tmp_path / "source", files), [0], shares=shares)
    assert computed == [3 * 36]  # the label book too, but not the test set
    assert found.plain == [Outcome(1.0, 1.0, 1.0, 0.0, 1.0, 1.0)]
    (mine,) = found.ours
    assert (mine.precision, mine.sound_touched) == (1.0, 0.0)
    assert [mine.ranking_auc, mine.ranking_average_precision] == pytest.approx([1.0, 1.0])
