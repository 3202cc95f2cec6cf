"""winnow export: every delivered train and val image with what was done with it, in the published form of a tool."""

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import jsonschema
import pyarrow.parquet as pq
import pytest

from tests.support.runs import Run
from tests.support.tools import (
    CLASSES,
    FIFTYONE_METADATA,
    FIFTYONE_SAMPLES,
    LABEL_STUDIO_TASKS,
    finished_run,
)
from winnow.commands.export import answer
from winnow.export.datalab import DATALAB
from winnow.export.label_studio import interface
from winnow.pipeline.files import digest
from winnow.pipeline.messages import UserError

# cleanlab, in a process of its own: its libraries warn of their own future.
DATALAB_RUN = """
import json
import numpy as np
from cleanlab import Datalab

rng = np.random.default_rng(0)
features = rng.normal(size=(40, 3))
features[1] = features[0]
right = features[:, 0] > 0
first = 1 / (1 + np.exp(3 * features[:, 0]))
labels = np.array(["a", "b"])[right.astype(int)]
lab = Datalab({"label": labels}, label_name="label", verbosity=0)
wanted = {"label": {}, "outlier": {}, "near_duplicate": {}}
lab.find_issues(pred_probs=np.c_[first, 1 - first], features=features, issue_types=wanted)
issues = {name: lab.get_issues(name) for name in wanted}
print(json.dumps({
    "all": {name: str(kind) for name, kind in lab.get_issues().dtypes.items()},
    "label": {name: str(kind) for name, kind in issues["label"].dtypes.items()},
    "sets": [[int(row) for row in rows] for rows in issues["near_duplicate"]["near_duplicate_sets"]][:2],
    "scores": [[float(f(t[n + "_score"])) for f in (min, max)] for n, t in issues.items()],
}))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finished_run(tmp_path_factory.mktemp("run"))


def exported(run: Run, folder: Path, to: str, *options: str) -> str:
    text, code = answer(["--to", to, str(folder), *options], run.folder)
    assert code == 0
    return text


def read(file: Path) -> Any:
    return json.loads(file.read_bytes())


def test_fiftyone_gets_every_delivered_image_in_its_published_form(run: Run, tmp_path: Path) -> None:
    told = exported(run, tmp_path / "out", "fiftyone")
    assert f"27 images for fiftyone in {tmp_path / 'out'}" in told
    jsonschema.validate(metadata := read(tmp_path / "out/metadata.json"), FIFTYONE_METADATA)
    jsonschema.validate(found := read(tmp_path / "out/samples.json"), FIFTYONE_SAMPLES)
    assert metadata["info"]["default_classes"] == CLASSES
    by_id = {sample["winnow_id"]: sample for sample in found["samples"]}
    assert list(by_id) == [row["id"] for row in run.suspects]
    files = {identifier: (tmp_path / "out" / sample["filepath"]).read_bytes() for identifier, sample in by_id.items()}
    assert files == {row["id"]: run.images[row["id"]] for row in run.suspects}


def test_fiftyone_sees_what_was_done_and_what_the_classifiers_say(run: Run, tmp_path: Path) -> None:
    exported(run, tmp_path / "out", "fiftyone")
    first, second, third, *_, last = read(tmp_path / "out/samples.json")["samples"]

    def seen(sample: dict[str, Any]) -> list[Any]:
        labels = [sample[name]["label"] for name in ("ground_truth", "given_label")]
        return [*labels, sample["winnow_label"], sample["winnow_action"], sample["winnow_reason"], sample["tags"]]

    assert seen(first) == ["i", "i", "i", "drop", "shows nothing", ["train", "winnow_drop"]]
    assert seen(second) == ["i", "名 <é>", "i", "relabel", "=1+1", ["train", "winnow_relabel"]]
    assert seen(third) == ["a/b", "a/b", "a/b", "keep", "", ["train"]]
    assert (third["prediction"]["label"], third["prediction"]["confidence"]) == ("i", 0.6)
    assert (first["label_quality"], third["label_quality"]) == (0, 0.08)
    assert (last["prediction"], last["label_quality"], last["tags"]) == (None, None, ["val"])
    assert third["pixel_hash"] == run.suspects[2]["pixel_hash"]


def test_label_studio_gets_tasks_with_predictions_in_its_published_form(run: Run, tmp_path: Path) -> None:
    exported(run, tmp_path / "out", "label-studio")
    jsonschema.validate(tasks := read(tmp_path / "out/tasks.json"), LABEL_STUDIO_TASKS)
    assert [task["data"]["winnow_id"] for task in tasks] == [row["id"] for row in run.suspects]
    results = [one["result"][0] for task in tasks for one in task["predictions"]]
    assert len({one["id"] for one in results}) == len(results) == 2 * 27 - 1
    first, second, third, *_ = tasks

    def predicted(task: dict[str, Any]) -> list[tuple[str, str, str, float | None]]:
        return [
            (one["model_version"], result["from_name"], *result["value"]["choices"], one.get("score"))
            for one in task["predictions"]
            for result in one["result"]
        ]

    assert predicted(first) == [("winnow", "action", "drop", None), ("ensemble", "label", "i", 0.6)]
    assert predicted(second)[0] == ("winnow", "label", "i", None)  # valued was the label delivered
    assert predicted(third)[0] == ("winnow", "label", "a/b", 0.08)


def test_label_studios_interface_offers_the_classes_and_drop_under_the_names_of_the_predictions(
    run: Run, tmp_path: Path
) -> None:
    exported(run, tmp_path / "out", "label-studio")
    view = ElementTree.parse(tmp_path / "out/interface.xml").getroot()
    choices = {tag.get("name"): [one.get("value") for one in tag] for tag in view.iter("Choices")}
    assert choices == {"label": CLASSES, "action": ["drop"]}
    assert {tag.get("toName") for tag in view.iter("Choices")} == {"image"}
    assert [tag.attrib for tag in view.iter("Image")] == [{"name": "image", "value": "$image"}]


def test_a_class_with_a_dollar_sign_is_no_reference_to_a_tasks_data() -> None:
    """Label Studio puts a task's data in the place of $5 in a choice's value; it exports the alias."""
    view = ElementTree.fromstring(interface(["US$5 <b>", "US_5 <b>"]))
    choices = next(tag for tag in view.iter("Choices") if tag.get("name") == "label")
    assert [dict(one.attrib) for one in choices] == [
        {"value": "US_5 <b>_", "alias": "US$5 <b>", "html": "US$5 &lt;b&gt;"},
        {"value": "US_5 <b>"},
    ]


def test_addresses_of_label_studio_lead_to_the_files(run: Run, tmp_path: Path) -> None:
    exported(run, tmp_path / "out", "label-studio")
    exported(run, tmp_path / "web", "label-studio", "--url", "https://example.org/x/")
    exported(run, tmp_path / "bare", "label-studio", "--url", "https://example.org/x")
    web = "https://example.org/x/"
    for folder, prefix in (("out", "/data/local-files/?d=data/"), ("web", web), ("bare", web)):
        addresses = [task["data"]["image"] for task in read(tmp_path / folder / "tasks.json")]
        assert addresses[1] == f"{prefix}train/class_0001/n%20%231%20%C3%A9.png"
    files = {file.relative_to(tmp_path / "out/data").as_posix() for file in (tmp_path / "out/data").rglob("*.png")}
    assert {unquote(address.removeprefix(prefix)) for address in addresses} == files


def test_datalab_has_the_columns_and_types_of_cleanlabs_own(run: Run, tmp_path: Path) -> None:
    if importlib.util.find_spec("cleanlab") is None:
        pytest.skip("cleanlab is not installed (requirements-dev.txt)")
    done = subprocess.run([sys.executable, "-I", "-c", DATALAB_RUN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own = json.loads(done.stdout.splitlines()[-1])
    exported(run, tmp_path / "issues.parquet", "datalab")
    ours = {name: str(kind) for name, kind in pq.read_table(tmp_path / "issues.parquet").to_pandas().dtypes.items()}
    wanted = own["all"] | own["label"]
    assert set(wanted) <= set(DATALAB)
    assert {name: ours[name] for name in wanted} == wanted
    assert own["sets"] == [[1], [0]]  # other rows, by their number, as ours
    assert all(0 <= low <= high <= 1 for low, high in own["scores"])


def test_datalab_says_what_was_found(run: Run, tmp_path: Path) -> None:
    exported(run, tmp_path / "issues.parquet", "datalab")
    rows = pq.read_table(tmp_path / "issues.parquet").to_pylist()
    assert [row["id"] for row in rows] == [row["id"] for row in run.suspects]
    assert [row["is_label_issue"] for row in rows] == [True, True] + [False] * 25
    assert [row["is_outlier_issue"] for row in rows] == [True] + [False] * 26
    assert [n for n, row in enumerate(rows) if row["is_near_duplicate_issue"]] == [2, 3]
    assert [rows[n]["near_duplicate_sets"] for n in (1, 2, 3)] == [[], [3], [2]]
    assert [rows[n]["near_duplicate_score"] for n in (1, 2)] == [1, 0]
    one = rows[1]
    assert [one[name] for name in ("given_label", "predicted_label", "label", "label_score", "outlier_score")] == [
        "名 <é>",
        "i",
        "i",
        0.04,
        0.6,
    ]
    assert [rows[-1][name] for name in ("predicted_label", "label_score", "outlier_score")] == [None, None, None]


def test_the_csv_is_the_same_table_and_runs_no_formula(run: Run, tmp_path: Path) -> None:
    exported(run, tmp_path / "issues.csv", "datalab")
    exported(run, tmp_path / "issues.parquet", "datalab")
    with (tmp_path / "issues.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    for row, wanted in zip(found, pq.read_table(tmp_path / "issues.parquet").to_pylist(), strict=True):
        assert list(row) == list(wanted)
        for name, value in wanted.items():
            assert row[name].removeprefix("'") == ("" if value is None else str(value)), name
    assert found[1]["reason"] == "'=1+1"


@pytest.mark.parametrize("to", ["fiftyone", "label-studio"])
def test_equal_runs_give_equal_bytes(run: Run, tmp_path: Path, to: str) -> None:
    for name in ("one", "two"):
        exported(run, tmp_path / name, to)
    assert digest([tmp_path / "one"]) == digest([tmp_path / "two"])


@pytest.mark.parametrize("to", ["fiftyone", "label-studio"])
def test_nothing_is_written_over(run: Run, tmp_path: Path, to: str) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already, and nothing is written over it; name a new one"):
        answer(["--to", to, str(tmp_path)], run.folder)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    exported(run, tmp_path / "empty", to)


def test_a_table_needs_a_known_suffix_and_a_new_name(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must end in \.parquet or \.csv"):
        answer(["--to", "datalab", str(tmp_path / "issues.txt")], run.folder)
    exported(run, tmp_path / "issues.csv", "datalab")
    with pytest.raises(UserError, match="exists already"):
        answer(["--to", "datalab", str(tmp_path / "issues.csv")], run.folder)


def test_without_a_run_the_remedy_is_named(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    (run.path("data/refined") / "samples.parquet").unlink()
    with pytest.raises(UserError, match=r"data/refined/samples.parquet is missing; run `dvc repro`"):
        answer(["--to", "datalab", str(tmp_path / "issues.csv")], run.folder)
    assert not (tmp_path / "issues.csv").exists()
