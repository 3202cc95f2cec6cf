"""The comparison with other rankings against slow and obvious versions."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from bench.bootstrap import best_f1, draws, spreads, verdict_f1
from bench.peers import OURS, SUPPORT, Ranked, cleanlab_scores, figures, published_scores, rank
from bench.results_peers import LESS_OURS, add_source, peers_section, peers_table
from tests.support.workspace import Workspace
from winnow.dataset.samples import label_indices, only_splits, read_samples
from winnow.model.inputs import read_inputs
from winnow.pipeline.files import read_table
from winnow.pipeline.params import load_params
from winnow.representation.support import Support, read_support

CSV = """split,file,given_label,review_error,net_a,net_b
train,one.png,i,0,0.9,0.7
train,two.png,i,1,0.1,0.3
train,gone.png,i,1,0.0,0.0
"""
GIVEN = {"a": "i", "b": "i"}


def noisy_ranking(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Faults, and a ranking that finds most of them."""
    rng = np.random.default_rng(seed)
    faulty = rng.random(count) < 0.2
    return faulty, rng.normal(size=count) - 1.5 * faulty


def test_the_best_f1_is_the_best_of_all_thresholds() -> None:
    faulty, ranking = noisy_ranking(80, 0)
    slow = max(f1_score(faulty, ranking <= threshold) for threshold in ranking)
    assert best_f1(faulty, -ranking) == pytest.approx(slow)


def test_a_resample_has_faults_and_sound_images() -> None:
    faulty = np.array([True, *[False] * 5])
    rows = draws(faulty, count=200, seed=0)
    assert rows.shape == (200, 6)
    assert all(0 < faulty[row].sum() < 6 for row in rows)


def test_a_ranking_against_itself_differs_by_nothing_and_one_against_noise_by_its_worth() -> None:
    faulty, ranking = noisy_ranking(400, 1)
    noise = np.random.default_rng(2).normal(size=400)
    resamples = draws(faulty, count=300, seed=0)
    figure, difference = spreads(faulty, ranking, ranking, resamples)["average precision"]
    assert figure.value == pytest.approx(average_precision_score(faulty, -ranking))
    assert figure.low < figure.value < figure.high
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)
    _, difference = spreads(faulty, ranking, noise, resamples)["AUC"]
    assert 0 < difference.low < difference.value < difference.high


def test_the_verdicts_f1_is_the_usual_one() -> None:
    faulty, ranking = noisy_ranking(300, 3)
    found = verdict_f1(faulty, ranking < -1, draws(faulty, count=100, seed=0))
    assert found.value == pytest.approx(f1_score(faulty, ranking < -1))
    assert found.low < found.value < found.high


def test_cleanlab_puts_an_improbable_label_lowest_by_every_method() -> None:
    probability = np.array([[0.9, 0.1], [0.05, 0.95], [0.6, 0.4]])
    for scores in cleanlab_scores(probability, np.array([0, 0, 0])).values():
        assert np.argmin(scores) == 1


def test_published_predictions_are_matched_by_file_name(tmp_path: Path) -> None:
    (tmp_path / "peers.csv").write_text(CSV)
    scores, reviewed = published_scores(tmp_path / "peers.csv", {"train/i/one.png": "a", "train/i/two.png": "b"}, GIVEN)
    assert scores["published: net_a"] == {"a": 0.9, "b": 0.1}
    assert scores["published: mean of them"] == pytest.approx({"a": 0.8, "b": 0.2})
    assert reviewed == {"a": False, "b": True}


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "peers.csv").write_text(CSV)
    with pytest.raises(SystemExit, match=r"two images are called one\.png"):
        published_scores(tmp_path / "peers.csv", {"train/i/one.png": "a", "train/ii/one.png": "b"}, GIVEN)


def test_the_figures_are_those_of_the_rankings_and_the_table_has_a_row_for_each() -> None:
    faulty, ranking = noisy_ranking(60, 4)
    other = "cleanlab: self_confidence"
    found = figures(Ranked(faulty, ranking < -1, {OURS: ranking, other: ranking[::-1]}))
    assert (found["images"], found["faults"]) == (60, faulty.sum())
    ours, theirs = found["rankings"][OURS], found["rankings"][other]
    assert ours["average precision"]["value"] == pytest.approx(average_precision_score(faulty, -ranking))
    assert LESS_OURS not in ours
    difference = theirs["average precision"]["value"] - ours["average precision"]["value"]
    assert theirs[LESS_OURS]["value"] == pytest.approx(difference)
    assert found["verdicts"]["value"] == pytest.approx(f1_score(faulty, ranking < -1))
    lines = peers_table(found).split("\n")
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == [OURS, other, "Winnow: verdicts"]
    assert f"{difference:+.3f} [" in lines[3]


def test_a_source_is_recorded_beside_the_others_and_shown(tmp_path: Path) -> None:
    faulty, ranking = noisy_ranking(60, 5)
    found = figures(Ranked(faulty, ranking < -1, {OURS: ranking}))
    basis = {"command": "python -m bench.peers x.zip", "commit": "abc1234", "date": "2026-01-01", "machine": "a cpu"}
    file = tmp_path / "metrics" / "peers.json"
    for name, title in (("planted", "Planted"), ("real", "Old"), ("real", "Real")):
        add_source(file, name, {"provenance": basis | {"title": title}, **found})
    page = peers_section(json.loads(file.read_bytes()))
    assert [line for line in page.split("\n") if line.startswith("#")] == [
        "## Rankings of suspect labels",
        "### Planted",
        "### Real",
    ]
    text = " ".join(page.split())
    assert "nothing is chosen by them" in text
    assert f"`python -m bench.peers x.zip`, commit abc1234, 2026-01-01, on a cpu: 60 images, {faulty.sum()}" in text
    assert page.count(peers_table(found)) == 2


def test_predictions_of_other_data_are_refused(tmp_path: Path) -> None:
    (tmp_path / "peers.csv").write_text(CSV)
    with pytest.raises(SystemExit, match=r"two\.png is a v in the source and a i in .*peers\.csv"):
        published_scores(tmp_path / "peers.csv", {"train/i/one.png": "a", "train/v/two.png": "b"}, {"a": "i", "b": "v"})
    with pytest.raises(SystemExit, match=r"is about none of the source's images"):
        published_scores(tmp_path / "peers.csv", {"train/i/three.png": "c"}, {"c": "i"})


def test_a_finished_run_is_ranked_by_its_own_scores_and_verdicts(finished: Workspace, tmp_path: Path) -> None:
    data = finished.folder / "data"
    ranked = rank(finished.folder, None, tmp_path, run=True)
    samples = only_splits(read_samples(data / "prepared"), "train", "val").to_pylist()
    scores = {row["id"]: row["label_quality"] for row in read_table(data / "r1/value/scores.parquet").to_pylist()}
    truth = {row["id"]: row["label"] for row in read_table(data / "truth.parquet").to_pylist()}
    assert ranked.rankings[OURS].tolist() == [scores[row["id"]] for row in samples]
    assert ranked.faulty.tolist() == [truth[row["id"]] != row["given_label"] for row in samples]
    labels: dict[str, str | None] = {row["id"]: row["given_label"] for row in samples}
    for stage in ("cleanse_influence", "cleanse_neighbours", "cleanse_final"):
        for row in read_table(data / "r1" / stage / "verdicts.parquet").to_pylist():
            labels[row["id"]] = None if row["action"] == "drop" else row["label_after"]
    assert ranked.touched.tolist() == [labels[row["id"]] != row["given_label"] for row in samples]
    everything, own = read_samples(data / "prepared"), tmp_path / "embed"
    user = finished.folder / "data/predictions"
    inputs = read_inputs(data / "model.json", data / "pixels", data / "features")
    settings = load_params("support", Support, finished.folder / "params.yaml")
    measured, probability = read_support(
        inputs,
        data / "prepared",
        everything,
        settings,
        classes=own / "classes",
        planted=own / "planted",
        user_signals=user,
    )
    rows, filed = everything["id"].to_pylist(), label_indices(everything)
    support = dict(zip(rows, measured.support(filed).tolist(), strict=True))
    assert ranked.rankings[SUPPORT].tolist() == [support[row["id"]] for row in samples]
    given = dict(zip(rows, probability[np.arange(len(rows)), filed].tolist(), strict=True))
    classifier = ranked.rankings["cleanlab: self_confidence"]
    np.testing.assert_allclose(classifier, [given[row["id"]] for row in samples], atol=1e-6)


def test_a_run_that_has_not_cleansed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("rounds: {first: {input: data/prepared}}\n")
    with pytest.raises(SystemExit, match=r"data/first/cleanse_influence/verdicts\.parquet.*missing; run `dvc repro"):
        rank(tmp_path, None, tmp_path, run=True)
