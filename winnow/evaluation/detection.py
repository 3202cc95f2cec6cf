"""The outcome of the verdicts for the train and val images, and its comparison with the truth where it is known."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.metrics import average_precision_score, roc_auc_score

from winnow.verdicts.ledger import DECIDED, DROP, KEEP, PIPELINE, REFINED, RELABEL, by_stage
from winnow.verdicts.states import States, as_numpy, combined, last_verdicts, places, states

COUNTED = ("id", "round", "stage", "action", "label_after", "by")  # columns of a ledger that are read here

ACTIONS = (KEEP, DROP, RELABEL)

REFINEMENT = {  # key of metrics/refinement.json: meaning; the figures against the truth are absent without a truth.csv
    "images": "train and val images as delivered",
    "dropped": "of these, dropped in the end",
    "relabelled": "of these, with another class than delivered in the end",
    "overridden.<action>": "images that people keep, drop or relabel",
    "decisions.before": "images that people decided on before the first round (decided.csv)",
    "decisions.at_end": "images whose overrides were applied at the end, to what the rounds left (overrides.csv)",
    "faults": "images whose true class is not the one delivered, or that show no class",
    "touched": "images dropped or relabelled, counted over those whose truth is known",
    "precision": "share of the touched images that are faults; 0 when none was touched",
    "recall": "share of the faults that were touched",
    "f1": "harmonic mean of the two",
    "relabels_right": "share of the relabelled images that now have their true class",
    "ranking_auc": "chance that label_quality of data/<round>/value/scores.parquet ranks a fault below a sound image",
    "ranking_average_precision": "average precision of the same ranking",
    "signals.<signal>.ranking_auc": "the same for each signal of the first cleansing by neighbours alone, and for the "
    "support that they give together; without images that were relabelled before it",
    "signals.<signal>.ranking_average_precision": "likewise",
    "verdicts.<round>.<stage>.<action>": "verdicts of the stage on delivered images",
    "verdicts.<round>.<stage>.copies_dropped": "augmented copies that the stage dropped",
    "touched_share": "share of the train and val images that were dropped or relabelled",
    "estimated_faults": "estimated share of them that are faults, by the first cleansing",
    "stopped": "round and stage of the cleansings that only ranked, since they would have touched far more than that, "
    "with commas between; empty: none",
    "rejected_files": "files of the source that are no samples",
    "leaks_removed": "images left out because a higher split holds one of their group",
}


def count_actions(actions: Iterable[str]) -> dict[str, int]:
    """How many verdicts of each kind; every kind is a key, so that two runs can be compared.

    Raises:
        ValueError: an action that is none of the three.
    """
    counts = dict.fromkeys(ACTIONS, 0)
    for action, count in Counter(actions).items():
        if action not in counts:
            raise ValueError(f"an action must be one of {', '.join(ACTIONS)}, got {action!r}")
        counts[action] = count
    return counts


def count_overridden(images: States, ledger: pa.Table) -> dict[str, int]:
    """How many images people decided on, by what their last word makes of the label delivered.

    Args:
        images: the images.
        ledger: every verdict on them, in order.
    """
    last = last_verdicts(images.ids, ledger["id"], as_numpy(pc.not_equal(ledger["by"], PIPELINE)))
    decided = np.flatnonzero(last >= 0)
    words = ledger.select(["action", "label_after"]).take(pa.array(last[decided]))
    pairs = zip(words.to_pylist(), images.given.take(pa.array(decided)).to_pylist(), strict=True)
    return count_actions(
        DROP if word["action"] == DROP else KEEP if word["label_after"] in (None, given) else RELABEL
        for word, given in pairs
    )


def count_decisions(ledger: pa.Table) -> dict[str, int]:
    """How many images people decided on before the first round, and at the end."""
    return {name: int(_is(ledger, "stage", stage).sum()) for name, stage in (("before", DECIDED), ("at_end", REFINED))}


def against_truth(images: States, truth: pa.Array) -> dict[str, float | int]:
    """Precision, recall and F1 of the images dropped or relabelled.

    A fault is an image whose true class is not the one delivered, or that has none (junk). Figures that would divide
    by zero are left out, but precision is 0 when nothing was touched, as in scikit-learn.

    Args:
        images: M images whose truth is known.
        truth: (M,) true class; null is junk.

    Returns:
        ``faults``, ``touched``, ``precision``; ``recall`` and ``f1`` where there are faults; ``relabels_right``, the
        share of relabelled images that now carry their true class, where there are any. Empty without truth.
    """
    if not len(truth):
        return {}
    faulty, is_touched, is_relabelled = faults_of(images.given, truth), images.touched, images.relabelled  # (M,)
    faults, touched, relabelled = int(faulty.sum()), int(is_touched.sum()), int(is_relabelled.sum())
    hits = int((faulty & is_touched).sum())
    figures: dict[str, float | int] = {"faults": faults, "touched": touched}
    figures["precision"] = hits / touched if touched else 0.0
    if faults:
        figures |= {"recall": hits / faults, "f1": 2 * hits / (faults + touched)}
    if relabelled:
        right = ~faults_of(images.label, truth)  # (M,) under their true class
        figures["relabels_right"] = int((is_relabelled & right).sum()) / relabelled
    return figures


def faults_of(labels: pa.Array, truth: pa.Array) -> npt.NDArray[np.bool_]:
    """(M,) whether a label is not the true class; an image without one, junk, is a fault under any label.

    Args:
        labels: (M,).
        truth: (M,) true class; null is junk.
    """
    return as_numpy(pc.fill_null(pc.not_equal(labels, truth), True)).astype(bool)


def ranking_against_truth(
    label_quality: npt.NDArray[np.floating[Any]], faulty: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """How well a ranking puts the faults first, whatever the verdicts were.

    Args:
        label_quality: (M,), or any other ranking; lower is worse.
        faulty: (M,) whether the image is a fault.

    Returns:
        ``ranking_auc``: the chance that a fault ranks below a sound image; ``ranking_average_precision``: the
        precision averaged over the faults found on the way down. Empty unless there are both faults and sound images.
    """
    if faulty.all() or not faulty.any():
        return {}
    return {
        "ranking_auc": float(roc_auc_score(faulty, -label_quality)),
        "ranking_average_precision": float(average_precision_score(faulty, -label_quality)),
    }


def refine(
    *,
    samples: pa.Table,
    truth: pa.Table,
    scores: pa.Table,
    signals: pa.Table,
    first_verdicts: pa.Table,
    ledger: pa.Table,
    prepare: dict[str, Any],
    estimates: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """metrics/refinement.json.

    Args:
        samples: train and val as delivered.
        truth: id, label, noise.
        scores: id, label_quality, of the first round.
        signals: id, and a column a signal, lower is worse, of the first cleansing by neighbours; NaN where unknown.
        first_verdicts: id, action of the cleansing before, which may be of a round that was refused.
        ledger: every verdict, in the order of the pipeline, with the columns ``COUNTED``; rows about copies are
            counted by stage alone.
        prepare: the prepare stage's counts.
        estimates: by data/<round>/<stage> of the cleansings, in order: their estimate.json.
    """
    images = states(samples["id"], samples["given_label"], ledger)
    known, true = _known(images, truth)
    faulty = faults_of(known.given, true)
    # What is measured of an image under another label says nothing about the label delivered.
    decided = ledger.filter(pc.equal(ledger["stage"], DECIDED))
    quality = _as_delivered(scores, decided)
    supports = _as_delivered(_as_delivered(signals, decided), first_verdicts)
    return {
        "images": len(images.ids),
        "dropped": int(images.dropped.sum()),
        "relabelled": int(images.relabelled.sum()),
        "overridden": count_overridden(images, ledger),
        "decisions": count_decisions(ledger),
        **against_truth(known, true),
        **_ranking(quality, "label_quality", known.ids, faulty),
        **_signals_against_truth(supports, known.ids, faulty),
        "touched_share": int(images.touched.sum()) / max(1, len(images.ids)),
        **_estimated(estimates),
        "verdicts": _verdict_counts(ledger, images.ids),
        "rejected_files": prepare["rejected_total"],
        "leaks_removed": prepare["leaks_total"],
    }


def _as_delivered(table: pa.Table, verdicts: pa.Table) -> pa.Table:
    """The rows of images that none of these verdicts gave another label, or dropped."""
    changed = verdicts["id"].filter(pc.not_equal(verdicts["action"], KEEP))
    return table.filter(pc.invert(pc.is_in(table["id"], combined(changed))))


def _verdict_counts(ledger: pa.Table, ids: pa.Array) -> dict[str, dict[str, dict[str, int]]]:
    """By round and stage the verdicts on delivered images, and the copies that were dropped."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for (round_name, stage), table in by_stage(ledger).items():
        source = as_numpy(pc.is_in(table["id"], ids)).astype(bool)
        actions = count_actions(table["action"].filter(pa.array(source)).to_pylist())
        actions["copies_dropped"] = int((~source & _is(table, "action", DROP)).sum())
        counts.setdefault(round_name, {})[stage] = actions
    return counts


def _known(images: States, truth: pa.Table) -> tuple[States, pa.Array]:
    """The images whose truth is known, and their true classes."""
    place = places(images.ids, truth["id"])  # (N,)
    rows = np.flatnonzero(place >= 0)
    known = States(*(column.take(pa.array(rows)) for column in (images.ids, images.given, images.label)))
    return known, combined(truth["label"]).take(pa.array(place[rows]))


def _is(ledger: pa.Table, name: str, value: str) -> npt.NDArray[np.bool_]:
    return as_numpy(pc.fill_null(pc.equal(ledger[name], value), False)).astype(bool)


def _estimated(estimates: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The first estimate of the share of faults, where there is one, and the stages that only ranked."""
    known = [one["estimated_faults"] for one in estimates.values() if "estimated_faults" in one]
    stopped = [" ".join(place.split("/")[-2:]) for place, one in estimates.items() if one["stopped"]]
    # One text, since `dvc metrics` compares no lists.
    return {**({"estimated_faults": known[0]} if known else {}), "stopped": ", ".join(stopped)}


def _signals_against_truth(
    signals: pa.Table, ids: pa.Array, faulty: npt.NDArray[np.bool_]
) -> dict[str, dict[str, dict[str, float]]]:
    """``signals``: by signal, how well it alone ranks the faults; nothing without truth."""
    names = [name for name in signals.column_names if name != "id"]
    ranked = {name: figures for name in names if (figures := _ranking(signals, name, ids, faulty))}
    return {"signals": ranked} if ranked else {}


def _ranking(table: pa.Table, name: str, ids: pa.Array, faulty: npt.NDArray[np.bool_]) -> dict[str, float]:
    """How well a column of a table ranks the faults, over the images of which it is known.

    Args:
        table: id, and the column; NaN where it is unknown.
        name: of the column.
        ids: (M,) of images whose truth is known.
        faulty: (M,).
    """
    place = places(table["id"], ids)
    values = combined(table[name]).to_numpy(zero_copy_only=False).astype(np.float64)  # null becomes NaN
    there = (place >= 0) & ~np.isnan(values)
    return ranking_against_truth(values[there], faulty[place[there]])
