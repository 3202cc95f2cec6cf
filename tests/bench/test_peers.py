"""The comparison with other rankings against slow and obvious versions."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from bench.bootstrap import best_f1, draws, spreads, verdict_f1
from bench.peers import OURS, Ranked, cleanlab_scores, figures, published_scores
from bench.results_peers import LESS_OURS, add_source, peers_section, peers_table

CSV = """split,file,given_label,review_error,net_a,net_b
train,one.png,i,0,0.9,0.7
train,two.png,i,1,0.1,0.3
train,gone.png,i,1,0.0,0.0
"""


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
    scores, reviewed = published_scores(tmp_path / "peers.csv", {"train/i/one.png": "a", "train/i/two.png": "b"})
    assert scores["published: net_a"] == {"a": 0.9, "b": 0.1}
    assert scores["published: mean of them"] == pytest.approx({"a": 0.8, "b": 0.2})
    assert reviewed == {"a": False, "b": True}


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "peers.csv").write_text(CSV)
    with pytest.raises(SystemExit, match=r"two images are called one\.png"):
        published_scores(tmp_path / "peers.csv", {"train/i/one.png": "a", "train/ii/one.png": "b"})


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
