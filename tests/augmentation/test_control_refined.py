"""The controls of the refined dataset's parts: what is left out, what stands instead, and inversions undone exactly."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from stages import control_refined
from tests.support.augmented import (
    AUGMENT,
    CARD,
    RANGES,
    Inputs,
    by_augment,
    by_edge_cases,
    copies_in,
    line_art,
    photographs,
)
from tests.support.stages import jobs_here
from winnow.augmentation.controls import is_inverted
from winnow.augmentation.rendering import read_steps
from winnow.dataset.arrays import ArrayStore
from winnow.dataset.images import stored_images
from winnow.dataset.samples import only_splits, read_samples
from winnow.model import extraction
from winnow.pictures.decode import decode
from winnow.pictures.pixel_hash import pixel_hash
from winnow.pipeline.files import digest

POLICY: dict[str, Any] = {
    "sub_policies": [
        [
            {"operation": "rotate", "probability": 0.9, "magnitude": 0.8},
            {"operation": "invert", "probability": 0.6, "magnitude": 1.0},
        ],
        [{"operation": "rotate", "probability": 1.0, "magnitude": 0.7}],
    ],
    "operations": ["rotate", "invert"],
    "limits": {"invert": {"ii": 0.0, "b": 0.0}},
    "cut": [],
}
PARAMS = replace(AUGMENT, budget=36)
OUTPUTS = ("without_edge_cases", "plain_copies", "without_inversion")
Maker = Callable[[Path, dict[str, Any]], Inputs]
MAKERS: list[Maker] = [line_art, photographs]


def run(inputs: Inputs, refined: Path, folder: Path, *, seed: int = 3, max_copies: int = 20) -> dict[str, Path]:
    made = {name: folder / name for name in OUTPUTS}
    files = {name: path for name, path in inputs.items() if name != "dataset"}
    with mock.patch.object(extraction, "run_jobs", jobs_here):
        control_refined.main(seed, RANGES, 0.4, max_copies, refined=refined, **files, **made)
    return made


@dataclass(frozen=True)
class Work:
    """A refined dataset and its controls."""

    photographs: bool
    inputs: Inputs
    refined: Path  # what a round makes: copies by the policy and of edge cases, a share of each inverted
    made: dict[str, Path]


@pytest.fixture(scope="module", params=MAKERS, ids=["line art", "photographs"])
def work(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Of either kind of source."""
    folder = tmp_path_factory.mktemp("work")
    inputs: Inputs = request.param(folder, POLICY)
    inverted = by_augment(inputs, folder / "augment", PARAMS)["by_policy_inverted"]
    refined = by_edge_cases({**inputs, "dataset": inverted}, folder, 20, max_images=60)
    return Work(request.param is photographs, inputs, refined, run(inputs, refined, folder / "out"))


def per_class(folder: Path) -> Counter[str]:
    return Counter(only_splits(read_samples(folder), "train")["label"].to_pylist())


def pixels_in(folder: Path) -> dict[str, np.ndarray]:
    """Of each copy its pixels, by id."""
    ids = [row["id"] for row in copies_in(folder)]
    return {one: decode(content, max_pixels=10**6) for one, content in stored_images(folder, ids).items()}


def inversions(row: dict[str, Any]) -> int:
    return sum(step["operation"] == "invert" for step in json.loads(row["operations"]))


def test_edge_cases_are_left_out_or_replaced_one_for_one(work: Work) -> None:
    refined, made = work.refined, work.made
    rows = read_samples(refined).to_pylist()
    ordinary = [row for row in rows if row["origin"] != "edge_case"]
    assert 0 < len(ordinary) < len(rows)
    assert read_samples(made["without_edge_cases"]).to_pylist() == ordinary
    assert read_samples(made["plain_copies"]).to_pylist()[: len(ordinary)] == ordinary
    assert per_class(made["plain_copies"]) == per_class(refined)
    plain = [row for row in copies_in(made["plain_copies"]) if row["origin"] == "plain"]
    assert len(plain) == len(rows) - len(ordinary)
    source = {row["id"]: row["label"] for row in rows if row["parent"] is None and row["split"] == "train"}
    times = Counter(row["parent"] for row in plain)
    for label in set(source.values()):
        counts = [times[one] for one, of in source.items() if of == label]
        assert max(counts) - min(counts) <= 1
    pixels = pixels_in(made["plain_copies"])
    for row in plain:
        assert row["label"] == source[row["parent"]]
        assert row["name"].split("#")[1].startswith("plain-")
        steps = [step["operation"] for step in json.loads(row["operations"])]
        assert set(steps) - {"invert"} == {"rotate_degrees", "shift_x", "shift_y", "zoom", "shear"}
        if not work.photographs:  # a rendered copy's is of the pixels before the JPEG
            assert row["pixel_hash"] == pixel_hash(pixels[row["id"]])
    turned = Counter(row["label"] for row in plain if inversions(row) % 2)
    assert not {"ii", "b"} & set(turned)
    others = Counter(row["label"] for row in plain)
    assert all(turned[label] >= round(0.4 * others[label]) for label in others if label not in ("ii", "b"))


@pytest.mark.parametrize("maker", MAKERS)
def test_without_its_inversion_a_copy_is_the_one_before_it(tmp_path: Path, maker: Maker) -> None:
    """Stage augment inverts copies of the found policy; undone, they are these again: id, name, bytes and all."""
    inputs = maker(tmp_path, {**POLICY, "sub_policies": POLICY["sub_policies"][1:]})
    arms = by_augment(inputs, tmp_path, PARAMS)
    made = run(inputs, arms["by_policy_inverted"], tmp_path / "out")["without_inversion"]
    assert sum(inversions(row) for row in copies_in(arms["by_policy_inverted"])) > 5
    by_id = {row["id"]: row for row in copies_in(made)}
    assert by_id == {row["id"]: row for row in copies_in(arms["by_policy"])}
    assert stored_images(made, list(by_id)) == stored_images(arms["by_policy"], list(by_id))


def test_only_inverted_copies_change_and_no_negative_is_left(work: Work) -> None:
    refined, made = work.refined, work.made["without_inversion"]
    before, after = copies_in(refined), {row["name"]: row for row in read_samples(made).to_pylist()}
    assert per_class(made) == per_class(refined)
    assert len(after) == len(read_samples(refined))
    old, new = pixels_in(refined), pixels_in(made)
    changed = {row["origin"] for row in before if inversions(row) % 2}
    assert changed == {"inversion", "faster_autoaugment", "edge_case"}
    for row in before:
        found = after[row["name"].replace("#inversion-", "#faster_autoaugment-")]
        if inversions(row) % 2 == 0:
            assert found == row
            continue
        steps = [step for step in json.loads(row["operations"]) if step["operation"] != "invert"]
        assert json.loads(found["operations"]) == steps
        assert found["id"] != row["id"]
        assert found["origin"] != "inversion"
        same = ("split", "label", "given_label", "parent", "channels", "width", "height", "group")
        assert {name: found[name] for name in same} == {name: row[name] for name in same}
        if not work.photographs:
            np.testing.assert_array_equal(new[found["id"]], 255 - old[row["id"]])
            assert found["pixel_hash"] == pixel_hash(new[found["id"]])
        else:  # the padding above and below a photograph stays, its content turns; JPEG leaves a little
            lines = slice(4, 12)
            turned = new[found["id"]][lines].astype(int) + old[row["id"]][lines]
            assert abs(turned - 255).mean() < 5


@pytest.mark.parametrize("work", [photographs], indirect=True)
def test_copies_of_photographs_have_the_features_of_their_pictures(work: Work) -> None:
    for folder in work.made.values():
        stores = [ArrayStore(part) for part in (folder / "features").iterdir()]
        for one, pixels in pixels_in(folder).items():
            expected = ((pixels / 255 - np.array(CARD.mean)) / np.array(CARD.std)).mean(axis=(0, 1))
            (found,) = [store.row(one) for store in stores if one in store]
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("work", [photographs], indirect=True)
def test_plain_copies_keep_to_the_most_of_one_photograph(work: Work, tmp_path: Path) -> None:
    made = run(work.inputs, work.refined, tmp_path, max_copies=10)["plain_copies"]
    times = Counter(row["parent"] for row in copies_in(made) if row["label"] == "c")
    assert set(times.values()) == {10}  # three images, and 40 of the class wanted


@pytest.mark.parametrize("maker", MAKERS)
def test_a_refined_dataset_without_copies_is_what_the_three_are(
    tmp_path: Path, maker: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = maker(tmp_path, POLICY)
    made = run(inputs, inputs["dataset"], tmp_path / "out")
    assert {digest([folder]) for folder in made.values()} == {digest([inputs["dataset"]])}
    said = capsys.readouterr().out
    assert said.startswith("control_refined: the refined dataset has no copies, as after a round that was not accepted")


def test_the_same_seed_gives_the_same_bytes(work: Work, tmp_path: Path) -> None:
    again = run(work.inputs, work.refined, tmp_path / "again")
    assert digest([*again.values()]) == digest([*work.made.values()])


@pytest.mark.parametrize("work", [line_art], indirect=True)
def test_plain_copies_alone_depend_on_the_seed(work: Work, tmp_path: Path) -> None:
    other = run(work.inputs, work.refined, tmp_path, seed=4)
    assert [digest([work.made[name]]) == digest([other[name]]) for name in OUTPUTS] == [True, False, True]


def test_copies_that_are_made_some_at_once_are_as_many_and_no_two_have_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = line_art(tmp_path)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = copies_in(by_edge_cases(inputs, tmp_path / "whole", 20, max_images=60))
    monkeypatch.setattr("winnow.augmentation.copying.AT_ONCE", 2)  # so that copies of one image are made apart
    parts = copies_in(by_edge_cases(inputs, tmp_path / "parts", 20, max_images=60))
    assert max(Counter(row["parent"] for row in whole).values()) > 2
    assert [row["name"] for row in parts] == [row["name"] for row in whole]
    assert len({row["id"] for row in parts}) == len(parts)
    inverted = [[is_inverted(read_steps(row["operations"])) for row in rows] for rows in (parts, whole)]
    assert inverted[0] == inverted[1]
    assert any(inverted[0])
