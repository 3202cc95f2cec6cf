"""presets/published.yaml against the method paper, step by step, by what its values do."""

import importlib
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stages import cleanse_influence, search_policy, value
from tests.support.datasets import make_dataset, no_overrides
from tests.support.imports import ROOT
from tests.support.inputs import competition_inputs
from tests.support.profiles import HEAD, SUPPORT
from winnow.augmentation.policy import Policy, Step, draw_from_policy
from winnow.backbone.choice import request_of, resolve
from winnow.cleansing.neighbour_rule import Rule, judge_by_neighbours
from winnow.commands.edited_params import with_changes
from winnow.commands.presets import preset_changes
from winnow.dataset.samples import read_samples
from winnow.evaluation.gate import Decision
from winnow.evaluation.intervals import Interval
from winnow.influence import spread
from winnow.pipeline.params import load_params, read_params
from winnow.policy_search.search import Duel
from winnow.representation.contrastive import contrastive_loss
from winnow.transforms.operations import Applied, apply
from winnow.verdicts.ledger import DROP, KEEP, RELABEL

PARAMS = with_changes(read_params(), preset_changes("published", read_params()))
CLASSES = ["i", "ii", "iii"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """params.yaml with the preset."""
    place = tmp_path_factory.mktemp("published") / "params.yaml"
    place.write_text(yaml.safe_dump(PARAMS, sort_keys=False))
    return place


def section(stage: str, file: Path, name: str = "params") -> Any:
    """What a stage reads, with the preset."""
    key, kind = importlib.import_module(f"stages.{stage}").SECTIONS[name]
    return load_params(key, kind, file)


def test_the_model_is_the_fixed_one_whatever_the_source() -> None:
    assert resolve(request_of(PARAMS)).competition


# --- step 1: HyDRA, Eq. 2, min + std ------------------------------------------------------------------------------


class StoppedError(Exception):
    """A stage has come to what a test is about."""


def test_one_trajectory_trains_on_every_image_as_it_is_and_takes_each_gradient_where_it_was_used(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sequence[Any]] = []

    def stop(_: object, jobs: Sequence[Any], **__: object) -> None:
        seen.extend(jobs)
        raise StoppedError

    monkeypatch.setattr(spread, "run_jobs", stop)
    dataset = make_dataset(tmp_path / "set", {"train": 12, "val": 6, "label_book": 3})
    written = {name: tmp_path / name for name in ("scores", "curve", "influence", "quality")}
    inputs = competition_inputs(tmp_path, "model", "pixels", "features", "user_signals")
    judged = {name: tmp_path / name for name in ("classes", "planted")}  # read after the valuation
    with pytest.raises(StoppedError):
        value.main(
            section("value", file), HEAD, SUPPORT, dataset=dataset, delivered=dataset, **inputs, **judged, **written
        )
    ((data, members, plan, *_),) = seen
    assert len(data.images) == 18
    assert members.all()
    assert plan.replay
    assert plan.epochs_on(10**6) == plan.epochs
    assert set(vars(plan.views).values()) == {0.0}


def test_dropped_is_what_lies_below_min_and_std_of_any_label_book_image_and_nothing_else(
    tmp_path: Path, file: Path
) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 90, "val": 30, "label_book": 6})
    rows = read_samples(dataset).to_pylist()
    suspects = [row["id"] for row in rows if row["split"] != "label_book"]
    book = [row["id"] for row in rows if row["split"] == "label_book"]
    effect = np.random.default_rng(1).normal(0, 1, (120, 6)) ** 3
    effect[:, 0] = np.random.default_rng(2).normal(9, 1, 120)  # every image helps this one, and yet its minimum goes
    columns = {name: effect[:, j] for j, name in enumerate(book)}
    quality = np.ones(120)  # the valuation is sure of every label
    pq.write_table(
        pa.table({"id": suspects, "label_quality": quality, "harm_p": quality, **columns}), tmp_path / "scores.parquet"
    )
    cleanse_influence.main(
        section("cleanse_influence", file),
        SUPPORT,
        dataset=dataset,
        delivered=dataset,
        classes=tmp_path / "classes.parquet",  # there is none: the ensemble has no say
        planted=tmp_path / "planted.parquet",
        estimate=tmp_path / "estimate.json",
        **competition_inputs(tmp_path, "model", "pixels", "features", "user_signals"),
        scores=tmp_path / "scores.parquet",
        overrides=no_overrides(tmp_path),
        round="r1",
        cleansed=tmp_path / "out",
        verdicts=tmp_path / "verdicts.parquet",
        sheet=tmp_path / "sheet.png",
    )
    wanted = {
        suspects[i]
        for i in range(120)
        for j in range(6)
        if effect[i, j] < min(effect[:, j]) + math.sqrt(np.mean((effect[:, j] - np.mean(effect[:, j])) ** 2))
    }
    dropped = {row["id"] for row in pq.read_table(tmp_path / "verdicts.parquet").to_pylist() if row["action"] == DROP}
    assert dropped == wanted
    assert suspects[int(effect[:, 0].argmin())] in dropped
    assert len(dropped) < 40


# --- step 2: Faster AutoAugment -----------------------------------------------------------------------------------


def test_the_search_has_no_limits_no_label_check_and_as_many_sub_policies_as_published(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def stop(images: np.ndarray, labels: np.ndarray, limits: object, settings: Any, *, seed: int) -> None:
        seen.update(limits=limits, settings=settings)
        raise StoppedError

    monkeypatch.setattr(search_policy, "search", stop)
    for check in ("find_limits", "find_limits_by_ensemble", "find_limits_by_backbone"):
        monkeypatch.setattr(search_policy, check, None)  # calling it would fail
    written = {name: tmp_path / name for name in ("networks", "policy", "table", "curve", "trials", "sheet")}
    inputs = competition_inputs(tmp_path, "model", "pixels", "features", "user")
    dataset = make_dataset(tmp_path / "set", {"train": 12, "val": 6, "label_book": 3})
    with pytest.raises(StoppedError):
        search_policy.main(section("search_policy", file), HEAD, dataset=dataset, **inputs, **written)
    assert seen["limits"] is None
    settings = seen["settings"]
    assert (settings.sub_policies, settings.stages, settings.searches) == (10, 2, 1)
    assert settings.operations == PARAMS["search_policy"]["search"]["operations"]  # none is refused
    assert round(settings.steps * 2 * settings.batch / 1650) == 20  # epochs; a step takes real and other images
    assert settings.classifier_steps == 0


def test_a_stage_of_the_search_is_the_weighted_sum_of_all_operations(file: Path) -> None:
    """With probabilities that are sure, so that no draw is left but those of the operations, which are without one."""
    settings = section("search_policy", file).search
    images, labels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 1), dtype=np.uint8), np.arange(8) % 2
    duel = Duel(images, labels, 2, None, settings, torch.Generator().manual_seed(0))
    policy = duel.policy
    assert policy.weight.shape == (10, 2, len(settings.operations))
    # Inversion is the one operation without a random sign: it gets three quarters, and half of what it does.
    place = settings.operations.index("invert")
    with torch.no_grad():
        policy.weight[:] = -math.inf
        policy.weight[..., place] = 0.05 * math.log(3)
        policy.weight[..., (place + 1) % len(settings.operations)] = 0.0
        policy.probability[:] = 1 - 1e-6
        policy.magnitude[:] = 0.0
        policy.magnitude[..., place] = 1.0
    given = torch.rand((3, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    inverted = apply("invert", given, torch.ones(3), torch.Generator())
    once = 0.75 * inverted + 0.25 * given  # the other operation at magnitude 0 is the identity
    twice = 0.75 * apply("invert", once, torch.ones(3), torch.Generator()) + 0.25 * once
    out = policy(given, torch.zeros(3, dtype=torch.long), None, torch.Generator().manual_seed(2))
    assert torch.allclose(out, twice, atol=1e-4)


def test_policy_and_critic_learn_by_adam_at_the_published_rate_and_the_policy_has_no_further_term(file: Path) -> None:
    settings = section("search_policy", file).search
    images, labels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 1), dtype=np.uint8), np.arange(8) % 2
    duel = Duel(images, labels, 2, None, settings, torch.Generator().manual_seed(0))
    for optimiser in (duel.policy_optimiser, duel.critic_optimiser):
        assert isinstance(optimiser, torch.optim.Adam)
        (group,) = optimiser.param_groups
        assert (group["lr"], group["betas"]) == (0.001, (0.0, 0.999))
    source = torch.rand((4, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    sub_policy, classes = torch.arange(4), torch.tensor([0, 1, 0, 1])
    augmented = duel.policy(source, sub_policy, None, torch.Generator().manual_seed(2))
    with torch.no_grad():
        values, logits = duel.critic(augmented)
    wanted = -values.mean() + 0.1 * torch.nn.functional.cross_entropy(logits, classes)
    loss, _ = duel._step_policy(source, augmented, classes)
    assert loss == pytest.approx(float(wanted), rel=1e-4)


def test_a_copy_takes_one_sub_policy_as_it_stands(file: Path) -> None:
    operations = ("shear_x", "rotate", "invert", "translate_x")
    first = (Step("shear_x", 1.0, 0.9), Step("rotate", 1.0, 0.8))
    second = (Step("invert", 1.0, 1.0), Step("translate_x", 1.0, 0.7))
    drawn = draw_from_policy(
        Policy(operations, (first, second)),
        ["i", "ii"] * 50,
        torch.Generator().manual_seed(0),
        chained=section("augment", file).chained,
    )
    as_they_stand = [[Applied(step.operation, step.magnitude) for step in steps] for steps in (first, second)]
    assert all(steps in as_they_stand for steps in drawn)
    assert 30 < sum(steps == as_they_stand[0] for steps in drawn) < 70  # uniformly


# --- steps 3 to 5: neighbours, edge cases, neighbours again -------------------------------------------------------


def test_encoders_pull_a_class_together_and_push_others_apart_by_a_margin(file: Path) -> None:
    contrast = section("train_encoder", file).contrast
    degrees = torch.tensor([0.0, 90.0, 20.0])
    points = torch.stack([torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))], dim=1)
    loss = contrastive_loss(contrast)(points, torch.tensor([0, 0, 1]))

    def distance(apart: float) -> float:
        return 2 * math.sin(math.radians(apart) / 2)

    # One pair of the class; of the two pairs across, the one that is nearer than the margin.
    assert distance(20) < contrast.margin < distance(70)
    assert float(loss) == pytest.approx(distance(90) + contrast.margin - distance(20), rel=1e-4)


@pytest.mark.parametrize("stage", ["cleanse_neighbours", "cleanse_final"])
@given(data=st.data())
def test_relabelled_is_what_all_neighbours_give_one_other_label(stage: str, file: Path, data: st.DataObject) -> None:
    rule: Rule = section(stage, file, "rule")
    count = data.draw(st.integers(1, 8))
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    votes = st.one_of(
        st.lists(st.integers(0, 2), min_size=rule.k, max_size=rule.k), st.integers(0, 2).map(lambda one: [one] * rule.k)
    )
    voted = np.array(data.draw(st.lists(votes, min_size=count, max_size=count)))
    assert rule.by == "neighbours"
    none = np.zeros(count, dtype=bool)
    verdicts = judge_by_neighbours(
        labels,
        voted,
        np.ones(count),  # none is farther than the others
        classes=CLASSES,
        rule=rule,
        copies=none,
    )
    for label, row, verdict in zip(labels.tolist(), voted.tolist(), verdicts, strict=True):
        if set(row) == {row[0]} and row[0] != label:
            assert (verdict.action, verdict.label) == (RELABEL, row[0])
        else:  # it lies among its class, or among others without their agreement
            assert verdict.action == (KEEP if 2 * row.count(label) >= rule.k else DROP)


@pytest.mark.parametrize("stage", ["cleanse_neighbours", "cleanse_final"])
def test_dropped_is_what_is_far_from_its_nearest_neighbour_and_a_new_label_needs_no_nearness(
    stage: str, file: Path
) -> None:
    rule: Rule = section(stage, file, "rule")
    labels, voted = np.array([0] * 9 + [1]), np.array([[0] * rule.k] * 10)
    distance = np.array([1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.1, 50.0, 50.0])
    none = np.zeros(10, dtype=bool)
    verdicts = judge_by_neighbours(labels, voted, distance, classes=CLASSES, rule=rule, copies=none)
    assert [one.action for one in verdicts] == [KEEP] * 8 + [DROP, RELABEL]


def resolved(text: str, key: str = "r1") -> str:
    """A path of dvc.yaml with the params of the preset, in the first round."""
    known = {"${key}": key, "${item.input}": PARAMS["rounds"]["r1"]["input"]}
    known["${train_encoder.dataset}"] = PARAMS["train_encoder"]["dataset"]
    for name, meant in known.items():
        text = text.replace(name, meant)
    return text


STAGES = {
    name: stage.get("do", stage) for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
}


def option(stage: str, name: str) -> str:
    (found,) = re.findall(rf"--{name} (\S+)", STAGES[stage]["cmd"])
    return resolved(found)


def written_by(path: str) -> str:
    """The stage that writes a path."""
    outs = {name: stage.get("outs", []) for name, stage in STAGES.items()}
    (found,) = [
        name
        for name, paths in outs.items()
        if path in [resolved(one if isinstance(one, str) else next(iter(one))) for one in paths]
    ]
    return found


def test_cleansing_and_augmentation_alternate_from_the_source_to_the_last_row() -> None:
    passed, path = ["gate"], option("gate", "candidate")
    while path != "data/decided":
        passed.append(written_by(path))
        path = option(passed[-1], "dataset")
    steps = ["cleanse_influence", "augment", "cleanse_neighbours", "augment_edge_cases", "cleanse_final", "gate"]
    assert passed[::-1] == steps


def test_encoders_learn_from_the_dataset_obtained_so_far_and_edge_cases_are_of_the_one_after_it() -> None:
    assert option("train_encoder", "dataset") == option("embed", "dataset") == "data/r1/augment/inverted"
    assert PARAMS["augment"]["inverted_share"] == 0  # so that these are the policy's copies
    assert option("find_edge_cases", "dataset") == option("augment_edge_cases", "dataset")
    assert written_by(option("find_edge_cases", "dataset")) == "cleanse_neighbours"


def test_no_measurement_refuses_a_round(file: Path) -> None:
    harm = Interval(-0.5, -0.6, -0.4)
    measured = Decision(harm, harm, harm, incoming=0.9, candidate=0.4, margin=0.03)
    assert not measured.accepted
    assert replace(measured, accept=section("gate", file).accept).accepted


# --- Table 1 ------------------------------------------------------------------------------------------------------


def test_the_arms_that_are_judged_are_the_rows_of_table_1() -> None:
    judged = PARAMS["compare"]["judged"]
    assert judged == ["baseline", "hydra", "hydra-random", "hydra-faa", "hydra-faa-inversion", "full"]
    rows = {arm: PARAMS["compare"]["arms"][arm] for arm in judged}
    made = [written_by(path) for path in list(rows.values())[1:-1]]
    assert rows["baseline"] == "data/prepared"
    assert made == ["cleanse_influence", "augment", "augment", "augment_inversion"]
    assert rows["full"] == "data/refined"
    assert rows["hydra-faa"] == PARAMS["augment_inversion"]["r1"]["dataset"] == option("augment", "by-policy")
    assert rows["hydra-random"] == option("augment", "by-random")
