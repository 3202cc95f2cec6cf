"""The augment stage: four datasets that differ in their copies' operations alone."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.augment import Params, main
from tests.support.datasets import make_dataset
from tests.support.inputs import competition_inputs, no_pixels
from tests.support.refusals import refused_params
from winnow.augmentation.copies import Copies, invert_some, make_copies
from winnow.dataset.images import encode_png, read_images, write_dataset
from winnow.dataset.samples import column, only_splits, read_samples, samples_table
from winnow.pictures.pixel_hash import pixel_hash
from winnow.pipeline.files import digest
from winnow.pipeline.messages import UserError
from winnow.transforms.operations import OPERATIONS, Applied
from winnow.transforms.views import Ranges

COUNTS = {"train": 10, "val": 6, "label_book": 3}  # train: 4, 3 and 3 of three classes
ARMS = ("by_random", "by_policy", "by_policy_inverted", "by_affine")
RANGES = Ranges(rotate_degrees=10.0, shift=0.08, zoom=0.1, shear=0.1)
PARAMS = Params(seed=3, budget=37, multiple=1.5, max_copies=20, chained=1, inverted_share=0.4, affine=RANGES)
POLICY: dict[str, Any] = {
    "sub_policies": [
        [
            {"operation": "rotate", "probability": 0.9, "magnitude": 0.8},
            {"operation": "invert", "probability": 0.5, "magnitude": 0.6},
        ],
        [{"operation": "shear_x", "probability": 1.0, "magnitude": 0.7}],
    ],
    "operations": ["shear_x", "rotate", "invert", "gaussian_noise"],
    "limits": {"shear_x": {"ii": 0.25}, "rotate": {"ii": 0.0}},
    "cut": [],
}


def augment(
    folder: Path, dataset: Path, params: Params = PARAMS, policy: dict[str, object] = POLICY
) -> dict[str, Path]:
    folder.mkdir()
    (folder / "policy.json").write_text(json.dumps(policy))
    arms = {arm: folder / arm for arm in ARMS}
    inputs = competition_inputs(folder, "model", "pixels", "user")
    main(params, 10000, dataset=dataset, policy=folder / "policy.json", **inputs, **arms)
    return arms


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("source") / "set", COUNTS)


@pytest.fixture(scope="module")
def arms(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return augment(tmp_path_factory.mktemp("arms") / "out", source)


def copies_in(folder: Path) -> list[dict[str, object]]:
    return [row for row in read_samples(folder).to_pylist() if row["parent"] is not None]


@pytest.mark.parametrize("arm", ARMS)
def test_classes_are_equal_and_originals_ride_along(arm: str, arms: dict[str, Path], source: Path) -> None:
    before, after = read_samples(source), read_samples(arms[arm])
    assert Counter(only_splits(after, "train")["label"].to_pylist()) == {"i": 12, "ii": 12, "iii": 12}
    assert after.slice(0, len(before)).equals(before)
    assert after.schema.metadata == before.schema.metadata
    assert Counter(column(after, "split").tolist()) == {"train": 36, "val": 6, "label_book": 3}
    assert len(set(after["id"].to_pylist())) == len(after)


@pytest.mark.parametrize("arm", ARMS)
def test_copies_say_where_they_come_from(arm: str, arms: dict[str, Path], source: Path) -> None:
    parents = {row["id"]: row for row in only_splits(read_samples(source), "train").to_pylist()}
    rows = copies_in(arms[arm])
    pixels = read_images(arms[arm], [str(row["id"]) for row in rows], no_pixels(arms[arm]))
    assert len(rows) == 26
    for row, image in zip(rows, pixels, strict=True):
        parent = parents[row["parent"]]
        for name in ("split", "label", "given_label", "channels", "group", "width", "height"):
            assert row[name] == parent[name]
        assert row["pixel_hash"] == pixel_hash(image)
        name, way = str(row["name"]).split("#")
        assert name == parent["name"]
        assert way.rsplit("-", 1)[0] == row["origin"]
        for step in json.loads(str(row["operations"])):
            assert set(step) == {"operation", "magnitude"}
            assert step["operation"] in OPERATIONS or row["origin"] == "affine"
    assert len({row["name"] for row in rows}) == len(rows)


def test_arms_share_parents_and_differ_in_origin(arms: dict[str, Path]) -> None:
    parents = [[row["parent"] for row in copies_in(folder)] for folder in arms.values()]
    assert all(other == parents[0] for other in parents)
    origins = {arm: Counter(row["origin"] for row in copies_in(folder)) for arm, folder in arms.items()}
    assert origins["by_random"] == {"random": 26}
    assert origins["by_policy"] == {"faster_autoaugment": 26}
    assert origins["by_affine"] == {"affine": 26}
    # 8, 9 and 9 copies of the classes: round(0.4 x) is 3, 4 and 4.
    assert origins["by_policy_inverted"] == {"faster_autoaugment": 15, "inversion": 11}


def test_inverted_copies_are_the_found_ones_turned_dark(arms: dict[str, Path]) -> None:
    found, inverted = copies_in(arms["by_policy"]), copies_in(arms["by_policy_inverted"])
    pixels = read_images(arms["by_policy"], [str(row["id"]) for row in found], no_pixels(arms["by_policy"]))
    others = read_images(
        arms["by_policy_inverted"], [str(row["id"]) for row in inverted], no_pixels(arms["by_policy_inverted"])
    )
    turned = 0
    for row, other, image, after in zip(found, inverted, pixels, others, strict=True):
        before, steps = json.loads(str(row["operations"])), json.loads(str(other["operations"]))
        if other["origin"] != "inversion":
            assert {**row} == {**other}
            np.testing.assert_array_equal(after, image)
        elif any(step["operation"] == "invert" for step in before):
            assert steps == before
            np.testing.assert_array_equal(after, image)
        else:
            assert steps == [*before, {"operation": "invert", "magnitude": 1.0}]
            np.testing.assert_array_equal(after, 255 - image)
            turned += 1
    assert turned


def test_no_copy_is_inverted_of_a_class_whose_label_does_not_survive_it(source: Path, tmp_path: Path) -> None:
    arms = augment(tmp_path / "out", source, policy={**POLICY, "limits": {"invert": {"ii": 0.0, "iii": 0.5}}})
    labels = Counter(row["label"] for row in copies_in(arms["by_policy_inverted"]) if row["origin"] == "inversion")
    assert labels == {"i": 3, "iii": 4}
    for row in copies_in(arms["by_policy_inverted"]):
        assert row["label"] != "ii" or "invert" not in str(row["operations"])


def test_the_found_policy_keeps_to_a_classs_limits(arms: dict[str, Path]) -> None:
    rows = copies_in(arms["by_policy"])
    steps = [(row["label"], step) for row in rows for step in json.loads(str(row["operations"]))]
    assert {step["magnitude"] for label, step in steps if step["operation"] == "shear_x" and label == "ii"} == {0.25}
    assert {step["magnitude"] for label, step in steps if step["operation"] == "shear_x" and label != "ii"} == {0.7}
    assert not [step for label, step in steps if step["operation"] == "rotate" and label == "ii"]


@pytest.mark.parametrize("arm", ARMS)
def test_new_pixels_are_in_new_shards_only(arm: str, arms: dict[str, Path], source: Path) -> None:
    before = {shard.name: shard.read_bytes() for shard in (source / "images").iterdir()}
    after = {shard.name: shard.read_bytes() for shard in (arms[arm] / "images").iterdir()}
    assert before.items() < after.items()
    assert len(after) == len(before) + 1


def test_same_seed_same_bytes_other_seed_other_bytes(arms: dict[str, Path], source: Path, tmp_path: Path) -> None:
    again = augment(tmp_path / "again", source)
    other = augment(tmp_path / "other", source, replace(PARAMS, seed=4))
    for arm in ARMS:
        assert digest([again[arm]]) == digest([arms[arm]])
        assert digest([other[arm]]) != digest([arms[arm]])


def test_another_policy_leaves_the_random_copies_as_they_are(
    arms: dict[str, Path], source: Path, tmp_path: Path
) -> None:
    other = augment(tmp_path / "other", source, policy={**POLICY, "sub_policies": POLICY["sub_policies"][:1]})
    assert digest([other["by_policy"]]) != digest([arms["by_policy"]])
    for arm in ("by_random", "by_affine"):
        assert digest([other[arm]]) == digest([arms[arm]])


def test_chaining_changes_the_found_copies_alone(arms: dict[str, Path], source: Path, tmp_path: Path) -> None:
    chained = augment(tmp_path / "chained", source, replace(PARAMS, chained=3))
    plans = [(row["label"], json.loads(str(row["operations"]))) for row in copies_in(chained["by_policy"])]
    free = {(step["operation"], step["magnitude"]) for label, plan in plans if label != "ii" for step in plan}
    assert free == {("rotate", 0.2667), ("invert", 0.6), ("shear_x", 0.2333)}
    cut = [plan for label, plan in plans if label == "ii"]  # shear 0.25, no rotation
    sums = {round(sum(step["magnitude"] for step in plan if step["operation"] == "shear_x"), 3) for plan in cut}
    assert max(sums) == 0.25
    assert not [step for plan in cut for step in plan if step["operation"] == "rotate"]
    for arm in ("by_random", "by_affine"):
        assert digest([chained[arm]]) == digest([arms[arm]])
    with refused_params(Params, "chained must be at least 1, got 0"):
        replace(PARAMS, chained=0)


def test_earlier_copies_are_left_behind(arms: dict[str, Path], source: Path, tmp_path: Path) -> None:
    again = augment(tmp_path / "again", arms["by_random"])
    for arm in ARMS:
        assert read_samples(again[arm]).equals(read_samples(arms[arm]))


def test_grey_stays_grey_among_coloured_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = {
        f"{k}": rng.integers(0, 256, (16, 16, channels), dtype=np.uint8) for k, channels in enumerate((1, 3, 1, 3))
    }
    rows: list[dict[str, object]] = [
        {"id": k, "name": k, "split": "train", "label": "ab"[int(k) % 2], "given_label": "a", "origin": "source"}
        | {"pixel_hash": k, "channels": image.shape[-1], "width": 16, "height": 16, "group": k}
        for k, image in images.items()
    ]
    samples = samples_table(rows, ["a", "b"])
    write_dataset(tmp_path / "set", samples, images=[(k, encode_png(image)) for k, image in images.items()])
    params = replace(PARAMS, seed=0, budget=12, inverted_share=0.5)
    folders = augment(tmp_path / "out", tmp_path / "set", params)
    for folder in folders.values():
        for row in copies_in(folder):
            assert row["channels"] == (1 if row["label"] == "a" else 3)
            assert read_images(folder, [str(row["id"])], no_pixels(folder)).shape[-1] == row["channels"]


def test_a_class_of_one_image_is_augmented_from_it(tmp_path: Path) -> None:
    folders = augment(tmp_path / "out", make_dataset(tmp_path / "set", {"train": 4}))
    for folder in folders.values():
        rows = [row for row in copies_in(folder) if row["label"] == "iii"]
        assert len(rows) == 11
        assert len({row["parent"] for row in rows}) == 1


def test_a_set_that_is_balanced_already_is_handed_on(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 9, "val": 3})
    folders = augment(tmp_path / "out", dataset, replace(PARAMS, seed=0, budget=9, inverted_share=0.5))
    for folder in folders.values():
        assert read_samples(folder).equals(read_samples(dataset))


def test_a_source_that_has_as_much_as_the_budget_is_passed_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 10, "val": 3})
    folders = augment(tmp_path / "out", dataset, replace(PARAMS, seed=0, budget=10, inverted_share=0.5))
    for folder in folders.values():
        assert read_samples(folder).equals(read_samples(dataset))
    assert "no copies: 3 to 4 training images in 3 classes, as augment.budget allows" in capsys.readouterr().out


def test_a_refusal_comes_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    unknown = {**POLICY, "operations": ["shear_x", "wobble"]}
    with pytest.raises(UserError, match="wobble"):
        augment(tmp_path / "unknown", source, policy=unknown)
    assert sorted(path.name for path in (tmp_path / "unknown").iterdir()) == ["model.json", "policy.json"]


# --- copies -------------------------------------------------------------------------------------------------------


def lazy(times: int) -> tuple[Callable[..., object], list[int]]:
    """A draw that changes nothing in its first calls, and how many images each call was asked for."""
    asked: list[int] = []

    def draw(pixels: np.ndarray, labels: list[str], generator: object) -> tuple[np.ndarray, list[list[Applied]]]:
        asked.append(len(pixels))
        move = 0 if len(asked) <= times else 1
        changed = pixels + np.uint8(move) * (np.arange(len(pixels)) % 2 == 0)[:, None, None, None].astype(np.uint8)
        return changed, [[Applied("shear_x", float(move))] for _ in labels]

    return draw, asked


def test_a_copy_that_equals_its_parent_is_drawn_again_and_stays_at_last() -> None:
    parents = np.zeros((5, 2, 2, 1), np.uint8)
    draw, asked = lazy(1)
    copies = make_copies("random", draw, parents, ["i"] * 5, None)  # type: ignore[arg-type]
    assert asked == [5, 5, 2, 1]  # of five every other changes: three, then one of two, then the last
    assert (copies.pixels == 1).all()
    assert [steps[0].magnitude for steps in copies.plan] == [1.0] * 5
    draw, asked = lazy(100)
    copies = make_copies("random", draw, parents, ["i"] * 5, None)  # type: ignore[arg-type]
    assert asked == [5] * 9
    assert (copies.pixels == parents).all()


def test_an_even_number_of_inversions_is_none() -> None:
    pixels = np.full((3, 2, 2, 1), 10, np.uint8)
    twice = [Applied("invert", 0.5), Applied("invert", 1.0)]
    made = Copies(["faster_autoaugment"] * 3, pixels, [twice, [Applied("invert", 0.5)], []])
    after = invert_some(made, np.array([True, True, False]))
    assert after.pixels[:, 0, 0, 0].tolist() == [245, 10, 10]
    assert after.plan == [[*twice, Applied("invert", 1.0)], [Applied("invert", 0.5)], []]
    assert after.origin == ["inversion", "inversion", "faster_autoaugment"]
    assert (made.pixels == 10).all()
