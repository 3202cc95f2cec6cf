"""The page, the list and the picture show what was measured, and what misses its target."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.results_scale import scale_section
from bench.scale.clone import CHANGED
from bench.scale.picture import Axis, Panel, draw_scale
from bench.scale.record import gathered, offenders, picture_of, record
from bench.scale.whole import results_of
from winnow.pipeline.files import ROOT, write_json
from winnow.pipeline.json_files import read_json

MIB = 2**20
GB = 10**9


def step(cpu: float, peak: float) -> dict[str, float]:
    return {"seconds": cpu / 2, "cpu_seconds": cpu, "peak": peak, "mapped": 0}


BY_SIZE = {
    "2000": {"prepare": step(10, 100 * MIB), "report": step(1, 10 * MIB), "judge": step(1, 10 * MIB)},
    "20000": {"prepare": step(80, 110 * MIB), "report": step(100, 1000 * MIB), "judge": step(100, 20 * MIB)},
}
PROVENANCE = {"commit": "abc1234", "date": "2026-01-01", "machine": "a machine"}


def test_the_table_has_every_size_and_marks_what_misses_its_target() -> None:
    series = {"competition": PROVENANCE | {"sizes": BY_SIZE}}
    others = {"num300k, competition": PROVENANCE | {"commit": "def5678", "steps": {"prepare": step(1000, 500 * MIB)}}}
    page = scale_section({"series": series, "others": others})
    assert "small images. Commit abc1234, 2026-01-01; a machine." in page
    assert "num300k, competition. Commit def5678, 2026-01-01; a machine." in page
    assert "| stage | s | CPU s | MiB |" in page
    assert "| report | 1 | 100 | **2.00** | 10 | 1,000 | **2.00** |" in page
    assert "| prepare | 10 | 80 | 0.90 | 100 | 110 | 0.04 |" in page
    assert "| judge | 1 | 100 | 2.00 | 10 | 20 | **" not in page  # no target for what trains
    assert "| prepare | 500 | 1,000 | 500 |" in page
    assert all(len(line) <= 120 or line.startswith("|") for line in page.splitlines())


def test_a_whole_run_says_what_came_of_it() -> None:
    interval = {"mean": 0.8, "low": 0.7, "high": 0.9}
    result: dict[str, object] = {"dropped": 10, "relabelled": 1_234, "f1": 0.5, "faults": 40}
    result = {**result, "accuracy": {"full": interval}, "error_reduction": {"full": interval}}
    page = scale_section({"whole": {"fm70k": PROVENANCE | {"steps": {"judge": step(9, MIB)}, "results": result}}})
    text = " ".join(page.split())
    assert "| judge | 4 | 9 | 1 |" in page
    assert "10 images dropped and 1,234 relabelled, F1 0.500 against 40 known faults" in text
    assert "0.800 [0.700, 0.900]" in text


def test_offenders_are_those_that_grow_too_fast_or_too_large() -> None:
    lines = offenders(BY_SIZE)
    assert [line.split()[0] for line in lines] == ["report", "judge"]
    assert "TIME, MEMORY, 4 GB" in lines[0]
    assert "TIME" in lines[1]
    assert "(no target)" in lines[1]
    assert [line.split()[0] for line in offenders(BY_SIZE, every=True)] == ["report", "prepare", "judge"]
    large = {size: {"prepare": step(1, 5 * GB)} for size in ("2000", "70000")}
    assert offenders(large)[0].split()[-2:] == ["4", "GB"]


def test_a_power_law_is_a_straight_line_in_the_picture() -> None:
    axis = Axis(1, 10_000, 0, 400)
    assert [axis.place(10.0**power) for power in range(5)] == pytest.approx([0, 100, 200, 300, 400])
    panel = Panel("seconds", {"a": {10: 1.0, 100: 10.0}, "b": {10: 2.0}}, ((5.0, "most"),))
    content = draw_scale([panel, panel])
    assert content == draw_scale([panel, panel])
    image = Image.open(io.BytesIO(content))
    assert image.format == "PNG"
    assert len(np.unique(np.asarray(image.convert("L")))) > 2
    assert picture_of(BY_SIZE) != picture_of({"2000": BY_SIZE["2000"], "20000": BY_SIZE["2000"]})


def copy_of(place: Path, name: str, steps: dict[str, dict[str, float]], commit: str = "abc1234") -> None:
    write_json(place / name / "build/scale-done.json", {one: took | {"given": False} for one, took in steps.items()})
    (place / name / "build/scale-commit.txt").write_text(commit)


def test_a_record_keeps_what_has_no_copy_here(tmp_path: Path) -> None:
    place, metrics, picture = tmp_path / "place", tmp_path / "scale.json", tmp_path / "scale.png"
    for size, steps in BY_SIZE.items():
        copy_of(place, f"fm{int(size) // 1000}k-competition", steps)
    copy_of(place, "k1000-backbone", {"prepare": step(7, MIB)}, "def5678")
    for name, ended in (("fm70k-whole", True), ("k1000-whole", False)):
        copy_of(place, name, {})
        write_json(place / name / "build/scale-whole.json", {"judge": step(9, MIB)})
        if ended:
            write_json(place / name / "build/scale-results.json", {"dropped": 1})
    (place / "fm2k.zip").write_bytes(b"")
    found = gathered(place)
    assert found["series"] == {"competition": {"commit": "abc1234", "sizes": BY_SIZE}}
    assert found["others"] == {"k1000, backbone": {"commit": "def5678", "steps": {"prepare": step(7, MIB)}}}
    whole = {"commit": "abc1234", "steps": {"judge": step(9, MIB)}, "results": {"dropped": 1}}
    assert found["whole"] == {"fm70k": whole}  # of those that have ended
    stands = PROVENANCE | {"steps": {"prepare": step(1, MIB)}}
    write_json(metrics, {"others": {"num300k, backbone": stands, "k1000, backbone": stands}})
    record(place, metrics, picture)
    written = read_json(metrics)
    assert written["others"]["num300k, backbone"] == stands
    assert written["others"]["k1000, backbone"].items() >= found["others"]["k1000, backbone"].items()
    assert {"date", "machine"} <= written["whole"]["fm70k"].keys()
    assert picture.read_bytes() == picture_of(BY_SIZE)


@pytest.mark.parametrize(("name", "commit"), [("fm8k-competition", "def5678"), ("k1000-backbone", CHANGED)])
def test_a_series_is_of_one_commit_and_all_code_is_committed(tmp_path: Path, name: str, commit: str) -> None:
    copy_of(tmp_path, "fm2k-competition", BY_SIZE["2000"])
    copy_of(tmp_path, name, BY_SIZE["20000"], commit)
    with pytest.raises(SystemExit, match=name):
        record(tmp_path, tmp_path / "scale.json", tmp_path / "scale.png")
    assert not (tmp_path / "scale.json").exists()


def test_what_came_of_a_run_is_in_its_metrics() -> None:
    found = results_of(ROOT)
    arms = read_json(ROOT / "metrics/comparison.json")
    assert found["accuracy"] == {arm: row["accuracy"] for arm, row in arms.items()}
    assert list(found["error_reduction"]) == [arm for arm, row in arms.items() if "error_reduction" in row]
    assert found["f1"] == read_json(ROOT / "metrics/refinement.json")["f1"]
    page = scale_section({"whole": {"a": PROVENANCE | {"steps": {}, "results": found}}})
    assert f"F1 {found['f1']:.3f}" in " ".join(page.split())
