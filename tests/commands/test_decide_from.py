"""winnow decide --from: what people decided in another tool becomes rows of overrides.csv, or one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import Run
from tests.support.tools import (
    annotation,
    as_fiftyone_exports,
    as_label_studio_exports,
    finished_run,
    write,
)
from winnow.commands import decide, export
from winnow.dataset.samples import read_samples, samples_table
from winnow.export.decisions_in import Images, decision
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError
from winnow.verdicts.decision_rows import read_decision_rows
from winnow.verdicts.overrides_csv import read_overrides_csv


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return finished_run(tmp_path / "run")


@pytest.fixture
def samples(run: Run, tmp_path: Path) -> list[dict[str, Any]]:
    """What FiftyOne has of an export; a test edits them as a person would."""
    export.answer(["--to", "fiftyone", str(tmp_path / "out")], run.folder)
    found: list[dict[str, Any]] = as_fiftyone_exports(json.loads((tmp_path / "out/samples.json").read_bytes()))[
        "samples"
    ]
    return found


@pytest.fixture
def tasks(run: Run, tmp_path: Path) -> list[dict[str, Any]]:
    """What Label Studio has of an export; a test annotates them."""
    export.answer(["--to", "label-studio", str(tmp_path / "out")], run.folder)
    return as_label_studio_exports(json.loads((tmp_path / "out/tasks.json").read_bytes()))


def taken(run: Run, file: Path, tool: str, *options: str) -> str:
    text, code = decide.answer(["--from", tool, str(file), *options], run.folder)
    assert code == 0
    return text


def from_fiftyone(run: Run, samples: list[dict[str, Any]], *options: str) -> str:
    file = write(run.path("fiftyone/samples.json"), {"samples": samples})
    return taken(run, file.parent, "fiftyone", "--by", "mia", *options)


def from_label_studio(run: Run, tasks: list[dict[str, Any]], *options: str) -> str:
    return taken(run, write(run.path("export.json"), tasks), "label-studio", *options)


def rows(run: Run) -> list[tuple[str, str, str]]:
    """Image by its place among the suspects, action and label of each row."""
    place = {row["name"]: str(number) for number, row in enumerate(run.suspects)}
    return [(place[row.sample], row.action, row.label) for row in read_decision_rows(run.path("overrides.csv"))]


# --- FiftyOne: image 0 was dropped, 1 relabelled from 名 <é> to i, the others kept ------------------------------------


def test_tags_and_corrected_labels_of_fiftyone_become_rows(run: Run, samples: list[dict[str, Any]]) -> None:
    samples[0]["tags"].append("keep")
    samples[1]["tags"].append("keep")
    samples[2]["tags"].append("drop")
    samples[3]["ground_truth"]["label"] = "a/b"
    samples[4]["ground_truth"]["label"] = "i"
    samples[4]["tags"].append("keep")
    told = from_fiftyone(run, samples)
    wanted = [
        ("0", "keep", ""),
        ("1", "relabel", "i"),
        ("2", "drop", ""),
        ("3", "relabel", "a/b"),
        ("4", "relabel", "i"),
    ]
    assert rows(run) == wanted
    assert "5 decisions of" in told
    assert "1 drop, 1 keep, 3 relabel" in told
    assert "passed over: 22 samples without a decision" in told
    assert "`winnow apply` carries them out" in told
    labels = {
        one.row.sample: one.label
        for one in read_overrides_csv(run.path("overrides.csv"), run.path("data/prepared")).values()
    }
    assert list(labels.values()) == ["i", "i", None, "a/b", "i"]


def test_a_label_corrected_back_to_the_one_delivered_is_kept(run: Run, samples: list[dict[str, Any]]) -> None:
    samples[1]["ground_truth"]["label"] = "名 <é>"
    from_fiftyone(run, samples)
    assert rows(run) == [("1", "keep", "")]


def test_a_row_says_who_when_and_of_which_picture(run: Run, samples: list[dict[str, Any]]) -> None:
    samples[2]["tags"].append("drop")
    samples[3]["tags"].append("drop")
    samples[3]["last_modified_at"] = {"$date": 1764237600123}
    from_fiftyone(run, samples)
    first, second = read_decision_rows(run.path("overrides.csv"))
    assert (first.by, first.note, first.time) == ("mia", "from FiftyOne", "2026-11-27T10:00:00.500000Z")
    assert second.time == "2025-11-27T10:00:00.123000Z"
    assert first.sample == run.suspects[2]["name"]


def test_undo_takes_a_decision_back_and_a_second_time_nothing_happens(run: Run, samples: list[dict[str, Any]]) -> None:
    samples[2]["tags"].append("drop")
    from_fiftyone(run, samples)
    assert "1 already there" in from_fiftyone(run, samples)
    samples[2]["tags"][-1] = "undo"
    for sample in samples:
        sample["last_modified_at"] = {"$date": "2026-11-27T11:00:00Z"}
    from_fiftyone(run, samples)
    assert "1 already there" in from_fiftyone(run, samples)
    assert rows(run) == [("2", "drop", ""), ("2", "undo", "")]


def test_a_decision_older_than_the_one_in_the_file_changes_nothing(run: Run, samples: list[dict[str, Any]]) -> None:
    file, name = run.path("overrides.csv"), run.suspects[2]["id"]
    file.write_text(f"sample,action,label,by,note,time\n{name},keep,,tom,,2026-11-27T12:00:00Z\n")
    before = file.read_bytes()
    samples[2]["tags"].append("drop")
    told = from_fiftyone(run, samples)
    assert "0 decisions of" in told
    assert "1 older than overrides.csv has" in told
    assert file.read_bytes() == before


def test_what_an_older_row_says_of_the_image_by_its_id_is_not_said_again(
    run: Run, samples: list[dict[str, Any]]
) -> None:
    run.path("overrides.csv").write_text(f"sample,action,label,by,note\n{run.suspects[2]['id']},drop\n")
    before = run.path("overrides.csv").read_bytes()
    samples[2]["tags"].append("drop")
    assert "1 already there" in from_fiftyone(run, samples)
    assert run.path("overrides.csv").read_bytes() == before


def test_an_image_whose_file_changed_since_is_still_found_and_told_of(run: Run, samples: list[dict[str, Any]]) -> None:
    samples[2]["tags"].append("drop")
    from_fiftyone(run, samples)
    rows, classes = read_samples(run.path("data/prepared")).to_pylist(), ["i", "名 <é>", "a/b"]
    (changed,) = (row for row in rows if row["id"] == run.suspects[2]["id"])
    changed |= {"id": "f" * 16, "pixel_hash": "f" * 32}
    write_table(run.path("data/prepared/samples.parquet"), samples_table(rows, classes))
    (found,) = read_overrides_csv(run.path("overrides.csv"), run.path("data/prepared")).items()
    assert (found[0], found[1].label, found[1].stale) == ("f" * 16, None, True)


@pytest.mark.parametrize("other", ["train/i/e\u0301.png", "'=x/train.png"])
def test_an_image_is_named_by_its_id_where_its_name_may_mean_another(run: Run, other: str) -> None:
    names = {"train/i/e\u0301.png": "train/i/\u00e9.png", "'=x/train.png": "=x/train.png"}
    rows = read_samples(run.path("data/prepared")).to_pylist()
    first, second, third = [row for row in rows if row["split"] == "train"][:3]
    first["name"], second["name"] = names[other], other
    images = Images.of(samples_table(rows, ["i", "名 <é>", "a/b"]))
    texts = [decision(images.rows[row["id"]], None).sample for row in (first, third)]
    assert texts == [first["id"], third["name"]]


@pytest.mark.parametrize(
    ("tags", "label", "said"),
    [
        (["drop", "keep"], "a/b", "tag drop and tag keep contradict each other; take one away in FiftyOne"),
        (["drop"], "i", "tag drop and label 'i' contradict each other"),
        (["undo"], "i", "tag undo and label 'i' contradict each other"),
        ([], None, "ground_truth has no label; give it one in FiftyOne, or tag the sample drop"),
        ([], "nope", "'nope' is no class of this source; choose one of 'i', '名 <é>', 'a/b'"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_no_row(
    run: Run, samples: list[dict[str, Any]], tags: list[str], label: str | None, said: str
) -> None:
    samples[0]["tags"].append("keep")
    samples[2]["tags"] += tags
    samples[2]["ground_truth"]["label"] = label
    before = run.path("overrides.csv").read_bytes()
    with pytest.raises(UserError) as caught:
        from_fiftyone(run, samples)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{run.path('fiftyone/samples.json')}, {run.suspects[2]['name']}: ")
    assert run.path("overrides.csv").read_bytes() == before


def test_decisions_that_would_empty_a_class_are_refused_together(run: Run, samples: list[dict[str, Any]]) -> None:
    for sample in samples:
        if sample["given_label"]["label"] == "a/b":
            sample["tags"].append("drop")
    before = run.path("overrides.csv").read_bytes()
    with pytest.raises(UserError, match=r"nothing of .* was taken over, since with its decisions .*leaves"):
        from_fiftyone(run, samples)
    assert run.path("overrides.csv").read_bytes() == before


def test_samples_of_another_run_are_refused(run: Run, samples: list[dict[str, Any]]) -> None:
    samples[0]["winnow_id"] = "0" * 16
    with pytest.raises(
        UserError, match=r"'0000000000000000' is the id of no train or val image of this source; export"
    ):
        from_fiftyone(run, samples)
    del samples[0]["winnow_id"]
    with pytest.raises(UserError, match=r"samples\.json is not what was expected at samples\.0\.winnow_id"):
        from_fiftyone(run, samples)


# --- Label Studio -----------------------------------------------------------------------------------------------------


def test_annotations_of_label_studio_become_rows(run: Run, tasks: list[dict[str, Any]]) -> None:
    tasks[0]["annotations"] = [annotation("i")]
    tasks[1]["annotations"] = [annotation("名 <é>")]
    tasks[2]["annotations"] = [annotation("a/b", drop=True)]  # the label that was predicted, and drop
    tasks[3]["annotations"] = [annotation("a/b")]
    tasks[4]["annotations"] = [annotation(drop=True)]
    tasks[5]["annotations"] = [annotation("i", was_cancelled=True), annotation()]
    told = from_label_studio(run, tasks)
    assert rows(run) == [
        ("0", "keep", ""),
        ("1", "keep", ""),
        ("2", "drop", ""),
        ("3", "relabel", "a/b"),
        ("4", "drop", ""),
    ]
    assert "21 tasks without an annotation" in told
    assert "2 annotations skipped or empty" in told


def test_the_latest_of_several_annotations_counts_wherever_it_stands(run: Run, tasks: list[dict[str, Any]]) -> None:
    late = annotation("a/b", updated_at="2026-11-27T13:00:00+01:00")
    tasks[3]["annotations"] = [late, annotation("名 <é>", updated_at="2026-11-27T11:30:00Z")]
    told = from_label_studio(run, tasks)
    assert rows(run) == [("3", "relabel", "a/b")]
    assert "1 replaced by a later one on the same image" in told


@pytest.mark.parametrize(
    ("completed_by", "by"),
    [
        ({"id": 7, "email": "tom@example.org"}, "tom@example.org"),
        (7, "Label Studio user 7"),
        (None, "mia"),
    ],
)
def test_a_row_says_who_annotated_and_when(run: Run, tasks: list[dict[str, Any]], completed_by: Any, by: str) -> None:
    tasks[3]["annotations"] = [annotation("a/b", completed_by=completed_by)]
    from_label_studio(run, tasks, "--by", "mia")
    (row,) = read_decision_rows(run.path("overrides.csv"))
    assert (row.by, row.note, row.time) == (by, "from Label Studio", "2026-11-27T10:00:00.250000Z")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            {"from_name": "sentiment", "value": {"choices": ["x"]}},
            "answers to 'sentiment', not to label or action; use",
        ),
        ({"from_name": "label", "value": {"choices": ["i", "a/b"]}}, "2 classes are chosen; choose one"),
        ({"from_name": "label", "value": {"choices": ["x"]}}, "'x' is no class of this source"),
        ({"from_name": "action", "value": {"choices": ["burn"]}}, "'burn' is no action; choose drop, or none"),
    ],
)
def test_an_answer_that_cannot_be_meant_is_one_sentence(
    run: Run, tasks: list[dict[str, Any]], result: dict[str, Any], said: str
) -> None:
    tasks[3]["annotations"] = [annotation(result=[result])]
    before = run.path("overrides.csv").read_bytes()
    with pytest.raises(UserError) as caught:
        from_label_studio(run, tasks)
    assert said in str(caught.value)
    assert run.suspects[3]["name"] in str(caught.value)
    assert run.path("overrides.csv").read_bytes() == before


def test_a_class_that_a_spreadsheet_would_run_comes_back_as_it_is(tmp_path: Path) -> None:
    run = Run(tmp_path, classes=["=i", "-1", "@x"]).write()
    run.path("overrides.csv").write_text("sample,action,label,by,note\n")
    row = run.suspects[1]
    data = {"winnow_id": row["id"], "name": row["name"], "pixel_hash": ""}
    told = from_label_studio(run, [{"data": data, "annotations": [annotation("=i")]}])
    assert "1 relabel" in told
    assert [one.label for one in read_overrides_csv(run.path("overrides.csv"), run.path("data/prepared")).values()] == [
        "=i"
    ]
    assert "1 already there" in from_label_studio(run, [{"data": data, "annotations": [annotation("=i")]}])


# --- files that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not what was expected"),
        (b"[" * 100_000, "is not what was expected"),
        (b'{"samples": 3}', "is not what was expected"),
        (b"\xff\xfe", "is not what was expected"),
        (b'[{"image": "x.png", "id": 1, "label": "i", "annotator": 1}]', "at 0.data"),
        (b"[1e999]", "is not what was expected"),
    ],
)
@pytest.mark.parametrize("tool", ["fiftyone", "label-studio"])
def test_a_file_that_is_another_is_one_sentence(run: Run, tool: str, content: bytes, said: str) -> None:
    file = run.path("x.json")
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        taken(run, file, tool)
    assert str(caught.value).startswith(f"{file} is not what was expected")
    assert said in str(caught.value) or tool == "fiftyone"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("tool", ["fiftyone", "label-studio"])
def test_a_missing_file_and_an_image_are_one_sentence(run: Run, tool: str) -> None:
    with pytest.raises(UserError, match=r"none\.json is no file; name"):
        taken(run, run.path("none.json"), tool)
    run.path("x.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"x\.png must be a file \.json; name"):
        taken(run, run.path("x.png"), tool)


def test_without_overrides_csv_it_is_made(run: Run, tasks: list[dict[str, Any]]) -> None:
    run.path("overrides.csv").unlink()
    tasks[3]["annotations"] = [annotation("a/b")]
    from_label_studio(run, tasks)
    assert rows(run) == [("3", "relabel", "a/b")]
