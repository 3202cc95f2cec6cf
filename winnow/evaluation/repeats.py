"""Several draws of the whole pipeline: what a repeat keeps, and figures with intervals over repeats and test images.

Seeds of the judge alone say how far two trainings on one refined dataset differ. The refined dataset is itself a draw:
with other seeds other images are dropped and other copies made. A repeat runs everything from shifted seeds on the same
source and splits, and its answers are averaged over its seeds: (R, N) shares of right answers, whose crossed layout
(``winnow.evaluation.intervals``) has the repeats as readers. What differs between seeds is then part of what differs
between repeats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.evaluation.comparison import ArmResult
from winnow.evaluation.contrasts import CONTRASTS, Pairs, contrasts
from winnow.evaluation.intervals import NO_CHANGE, accuracy_interval, error_reduction_interval, gain_interval
from winnow.pipeline.messages import UserError

Right = npt.NDArray[np.bool_]

REPEAT = {  # key of metrics/repeats/<n>.json: meaning
    "repeat": "number of the repeat, from 0; its seeds are shifted by so many thousands",
    "inputs": "digest of code, params and source; a file of the same inputs is not made again",
    "profile": "section of `judge.profiles`",
    "n_test": "test images",
    "images": "digest of their ids",
    "arms.<arm>.n_train": "training images of the arm",
    "arms.<arm>.trained": "digest of the training curves, equal for arms with the same images",
    "arms.<arm>.right[]": "by seed: bits in hexadecimal, 1 where a test image, by id, is classified right",
    "refinement": "as metrics/refinement.json",
}
SUMMARY = {  # key of metrics/repeats.json: meaning
    "repeats": "how many",
    "seeds": "of the judge in each",
    "n_test": "test images",
    "profile": "section of `judge.profiles`",
    "arms.<arm>.accuracy.mean": "mean test accuracy over repeats and seeds",
    "arms.<arm>.accuracy.low": "lower end of its 95 % interval over repeats and test images",
    "arms.<arm>.accuracy.high": "upper end",
    "arms.<arm>.error_reduction.mean": "share of the first arm's errors that this one does not make; low, high",
    "arms.<arm>.gain.mean": "mean accuracy minus that of the arm before it; low, high",
    "arms.<arm>.n_train[]": "training images, by repeat",
    "contrasts.<part>.with": CONTRASTS["<part>.with"],
    "contrasts.<part>.without": CONTRASTS["<part>.without"],
    "contrasts.<part>.gain.mean": "as in metrics/contrasts.json, over repeats and test images; low, high",
    "refinement.<figure>[]": "figures of metrics/refinement.json that are numbers, by repeat",
}


@dataclass(frozen=True)
class Basis:
    """What every arm of a repeat shares."""

    repeat: int
    inputs: str  # digest of code, params and source
    images: str  # digest of the test images' ids


def packed(right: Right) -> list[str]:
    """(S, N) answers as S hexadecimal texts."""
    return [np.packbits(row).tobytes().hex() for row in right]


def unpacked(texts: Sequence[str], images: int) -> Right:
    """The (S, N) answers of ``packed``."""
    rows = [np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=images) for text in texts]
    return np.stack(rows).astype(bool)


def record(basis: Basis, arms: Mapping[str, ArmResult], refinement: Mapping[str, Any]) -> dict[str, Any]:
    """metrics/repeats/<n>.json."""
    first = next(iter(arms.values()))
    return {
        "repeat": basis.repeat,
        "inputs": basis.inputs,
        "profile": first.profile,
        "n_test": len(first.test_ids),
        "images": basis.images,
        "arms": {
            name: {"n_train": arm.n_train, "trained": arm.trained, "right": packed(arm.right)}
            for name, arm in arms.items()
        },
        "refinement": dict(refinement),
    }


def over_repeats(records: Sequence[Mapping[str, Any]], pairs: Pairs) -> dict[str, Any]:
    """metrics/repeats.json.

    Args:
        records: of two or more repeats.
        pairs: section ``compare.contrasts`` of params.yaml.

    Raises:
        UserError: the repeats have other arms, seeds or test images.
    """
    first = records[0]
    for one in records[1:]:
        for key, of in (
            ("test images", lambda r: (r["n_test"], r["images"])),
            ("arms", lambda r: list(r["arms"])),
            ("numbers of seeds", lambda r: {len(arm["right"]) for arm in r["arms"].values()}),
            ("profiles", lambda r: r["profile"]),
        ):
            if of(one) != of(first):
                raise UserError(
                    f"metrics/repeats: {first['repeat']}.json and {one['repeat']}.json have other {key}; delete the "
                    "one that is out of date, and run the same command again"
                )
    count = first["n_test"]
    shares = {
        name: np.stack([unpacked(one["arms"][name]["right"], count).mean(axis=0) for one in records])  # (R, N)
        for name in first["arms"]
    }

    def alike(having: str, lacking: str) -> bool:
        """Whether two arms were trained alike in every repeat; not known of repeats of earlier versions."""
        pairs = [[one["arms"][name] for name in (having, lacking)] for one in records]
        return all(
            "trained" in a and (a["n_train"], a["trained"]) == (b["n_train"], b.get("trained")) for a, b in pairs
        )

    def gain(having: str, lacking: str) -> dict[str, float]:
        same = alike(having, lacking)
        return (NO_CHANGE if same else gain_interval(shares[having], shares[lacking])).figures()

    baseline = next(iter(shares))
    arms: dict[str, dict[str, Any]] = {}
    before = None
    for name, share in shares.items():
        arms[name] = {"accuracy": accuracy_interval(share).figures()}
        if before is not None:
            reduction = error_reduction_interval(share, shares[baseline])
            if reduction is not None:
                arms[name]["error_reduction"] = (NO_CHANGE if alike(name, baseline) else reduction).figures()
            arms[name]["gain"] = gain(name, before)
        arms[name]["n_train"] = [one["arms"][name]["n_train"] for one in records]
        before = name
    figures = [
        key
        for key, value in first["refinement"].items()
        if isinstance(value, int | float) and all(key in one["refinement"] for one in records)
    ]
    return {
        "repeats": len(records),
        "seeds": len(next(iter(first["arms"].values()))["right"]),
        "n_test": count,
        "profile": first["profile"],
        "arms": arms,
        "contrasts": contrasts(pairs, shares, gain),
        "refinement": {key: [one["refinement"][key] for one in records] for key in figures},
    }
