"""The datamodelling score and the retraining behind it, against their definitions written out."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bench.ranks import rank_correlation
from bench.studies.fidelity import agreement
from tests.influence.test_hydra import OPTIMISERS, Tiny, nothing, tiny_run
from tests.support.reference_hydra import trained_weights
from winnow.influence.trajectory import train
from winnow.training.network import centre_views


def written_out(a: list[float], b: list[float]) -> float:
    """Pearson's correlation of ranks; equal values share the mean of the places that they take."""

    def ranks(values: list[float]) -> list[float]:
        return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]

    left, right = ranks(a), ranks(b)
    mean = (len(a) + 1) / 2
    covariance = sum((x - mean) * (y - mean) for x, y in zip(left, right, strict=True))
    spread = sum((x - mean) ** 2 for x in left) * sum((y - mean) ** 2 for y in right)
    return covariance / spread**0.5


def test_rank_correlation_equals_the_definition_with_ties() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, (9, 4)).astype(float), rng.integers(0, 5, (9, 4)).astype(float)
    expected = [written_out(a[:, j].tolist(), b[:, j].tolist()) for j in range(4)]
    np.testing.assert_allclose(rank_correlation(a, b), expected, rtol=1e-12)


def test_rank_correlation_without_ties_is_spearmans_formula() -> None:
    a, b = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]), np.array([[10.0], [-3.0], [40.0], [30.0], [99.0]])
    differences = np.array([1, 2, 3, 4, 5]) - np.array([2, 1, 4, 3, 5])
    np.testing.assert_allclose(rank_correlation(a, b), [1 - 6 * (differences**2).sum() / (5 * 24)], rtol=1e-12)


def test_a_constant_column_and_unequal_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="column 1 is constant"):
        rank_correlation(np.array([[1.0, 2.0], [2.0, 2.0]]), np.array([[1.0, 2.0], [2.0, 3.0]]))
    with pytest.raises(ValueError, match=r"got \(2, 2\) and \(3, 2\)"):
        rank_correlation(np.zeros((2, 2)), np.zeros((3, 2)))


def test_the_score_is_the_mean_over_the_label_book_inside_its_interval() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.normal(size=(12, 5))
    measured = predicted + rng.normal(size=(12, 5))
    score = agreement(predicted, measured)
    expected = np.mean([written_out(predicted[:, j].tolist(), measured[:, j].tolist()) for j in range(5)])
    assert score.mean == pytest.approx(expected, rel=1e-12)
    assert score.low < score.mean < score.high
    perfect = agreement(predicted, 3 * predicted)
    assert (perfect.low, perfect.mean, perfect.high) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("name", ["plain", "momentum, dampening, decay, cosine", "nesterov"])
def test_weight_zero_is_the_removal_that_the_objective_speaks_of(name: str) -> None:
    """Sample i's epsilon at -1/N, in the reference's own training loop."""
    weights = torch.ones(10)
    weights[[2, 7]] = 0.0
    run = dataclasses.replace(tiny_run(OPTIMISERS[name]), weights=weights)  # batches of 4, 4 and 2
    trajectory = train(run, tick=nothing)
    inputs, model = centre_views(run.images), Tiny(torch.Generator().manual_seed(run.seed))
    parameters = dict(model.named_parameters())

    def loss(flat: Tensor, i: int) -> Tensor:
        parts = flat.split([parameter.numel() for parameter in parameters.values()])
        named = {key: part.view(parameters[key].shape) for key, part in zip(parameters, parts, strict=True)}
        logits = torch.func.functional_call(model, named, (inputs[i : i + 1],))
        return functional.cross_entropy(logits, run.labels[i : i + 1])

    start = torch.cat([parameter.detach().flatten() for parameter in parameters.values()])
    batches = [batch.tolist() for batch in trajectory.batches]
    epsilon = [-1 / 10 if i in (2, 7) else 0.0 for i in range(10)]
    expected = trained_weights(start, loss, batches, trajectory.rates, run.sgd, samples=10, epsilon=epsilon)
    found = torch.cat([trajectory.state[key].flatten() for key in parameters])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
