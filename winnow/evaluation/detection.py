"""The outcome of the verdicts for the train and val images, and its comparison with the truth where it is known."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.metrics import average_precision_score, roc_auc_score

from winnow.dataset.samples import column, labels_by_id
from winnow.verdicts.fates import Fate, fates
from winnow.verdicts.ledger import DECIDED, DROP, KEEP, PIPELINE, REFINED, RELABEL, by_stage

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
    "signals.<signal>.ranking_auc": "the same for each signal of the cleansing by neighbours alone, and their mean",
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
    for action in actions:
        if action not in counts:
            raise ValueError(f"an action must be one of {', '.join(ACTIONS)}, got {action!r}")
        counts[action] += 1
    return counts


def count_overridden(fate: Mapping[str, Fate]) -> dict[str, int]:
    """How many images people decided on, by what their last word makes of the label delivered."""
    done = []
    for image in fate.values():
        for verdict in [one for one in image.verdicts if one.by != PIPELINE][-1:]:
            same = verdict.label_after in (None, image.given)
            done.append(DROP if verdict.action == DROP else KEEP if same else RELABEL)
    return count_actions(done)


def count_decisions(ledger: pa.Table) -> dict[str, int]:
    """How many images people decided on before the first round, and at the end."""
    stages = column(ledger, "stage")
    return {"before": int((stages == DECIDED).sum()), "at_end": int((stages == REFINED).sum())}


def against_truth(fate: Mapping[str, Fate], truth: Mapping[str, str | None]) -> dict[str, float | int]:
    """Precision, recall and F1 of the images dropped or relabelled, counted over the images whose truth is known.

    A fault is an image whose true class is not the one delivered, or that has none (junk). Figures that would divide
    by zero are left out, but precision is 0 when nothing was touched, as in scikit-learn.

    Args:
        fate: by id.
        truth: true class by id; None is junk.

    Returns:
        ``faults``, ``touched``, ``precision``; ``recall`` and ``f1`` where there are faults; ``relabels_right``, the
        share of relabelled images that now carry their true class, where there are any. Empty without truth.
    """
    known = [(fate[identifier], label) for identifier, label in truth.items() if identifier in fate]
    if not known:
        return {}
    faults = sum(image.given != label for image, label in known)
    touched = sum(image.touched for image, _ in known)
    hits = sum(image.touched and image.given != label for image, label in known)
    relabelled = [image.label == label for image, label in known if image.touched and image.label is not None]
    figures: dict[str, float | int] = {"faults": faults, "touched": touched}
    figures["precision"] = hits / touched if touched else 0.0
    if faults:
        figures |= {"recall": hits / faults, "f1": 2 * hits / (faults + touched)}
    if relabelled:
        figures["relabels_right"] = sum(relabelled) / len(relabelled)
    return figures


def ranking_against_truth(
    label_quality: Mapping[str, float], given: Mapping[str, str], truth: Mapping[str, str | None]
) -> dict[str, float]:
    """How well a ranking puts the faults first, whatever the verdicts were.

    Args:
        label_quality: by id, or any other ranking; lower is worse.
        given: label as delivered, by id.
        truth: true class by id; None is junk.

    Returns:
        ``ranking_auc``: the chance that a fault ranks below a sound image; ``ranking_average_precision``: the
        precision averaged over the faults found on the way down. Empty unless there are both faults and sound images.
    """
    known = [identifier for identifier in truth if identifier in label_quality and identifier in given]
    faulty = [given[identifier] != truth[identifier] for identifier in known]
    if len(set(faulty)) < 2:
        return {}
    harm = [-label_quality[identifier] for identifier in known]
    return {
        "ranking_auc": float(roc_auc_score(faulty, harm)),
        "ranking_average_precision": float(average_precision_score(faulty, harm)),
    }


def refine(
    *,
    samples: pa.Table,
    truth: pa.Table,
    scores: pa.Table,
    signals: pa.Table,
    ledger: pa.Table,
    prepare: dict[str, Any],
    estimates: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """metrics/refinement.json.

    Args:
        samples: train and val as delivered.
        truth: id, label, noise.
        scores: id, label_quality.
        signals: id, and a column a signal, lower is worse; NaN where it is unknown.
        ledger: every verdict, in the order of the pipeline; rows about copies are counted by stage alone.
        prepare: the prepare stage's counts.
        estimates: by data/<round>/<stage> of the cleansings, in order: their estimate.json.
    """
    given = labels_by_id(samples, "given_label")
    known = dict(zip(truth["id"].to_pylist(), truth["label"].to_pylist(), strict=True))
    changed = ledger.filter(pa.array((column(ledger, "stage") == DECIDED) & (column(ledger, "action") != KEEP)))
    quality = dict(zip(scores["id"].to_pylist(), scores["label_quality"].to_pylist(), strict=True))
    for identifier in changed["id"].to_pylist():  # it was valued under the label that a person gave
        quality.pop(identifier, None)
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for (round_name, stage), table in by_stage(ledger).items():
        source = np.isin(column(table, "id"), list(given))
        actions = count_actions(table["action"].filter(pa.array(source)).to_pylist())
        actions["copies_dropped"] = int((~source & (column(table, "action") == "drop")).sum())
        counts.setdefault(round_name, {})[stage] = actions
    fate = fates(given, ledger)
    return {
        "images": len(given),
        "dropped": sum(image.label is None for image in fate.values()),
        "relabelled": sum(image.touched and image.label is not None for image in fate.values()),
        "overridden": count_overridden(fate),
        "decisions": count_decisions(ledger),
        **against_truth(fate, known),
        **ranking_against_truth(quality, given, known),
        **_signals_against_truth(signals, given, known),
        "touched_share": sum(image.touched for image in fate.values()) / max(1, len(fate)),
        **_estimated(estimates),
        "verdicts": counts,
        "rejected_files": prepare["rejected_total"],
        "leaks_removed": prepare["leaks_total"],
    }


def _estimated(estimates: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The first estimate of the share of faults, where there is one, and the stages that only ranked."""
    known = [one["estimated_faults"] for one in estimates.values() if "estimated_faults" in one]
    stopped = [" ".join(place.split("/")[-2:]) for place, one in estimates.items() if one["stopped"]]
    # One text, since `dvc metrics` compares no lists.
    return {**({"estimated_faults": known[0]} if known else {}), "stopped": ", ".join(stopped)}


def _signals_against_truth(
    signals: pa.Table, given: Mapping[str, str], truth: Mapping[str, str | None]
) -> dict[str, dict[str, dict[str, float]]]:
    """``signals``: by signal, how well it alone ranks the faults; nothing without truth."""
    ranked = {}
    for name in signals.column_names:
        pairs = zip(signals["id"].to_pylist(), signals[name].to_pylist(), strict=True)
        if name != "id":
            figures = ranking_against_truth({i: value for i, value in pairs if value == value}, given, truth)
            if figures:
                ranked[name] = figures
    return {"signals": ranked} if ranked else {}
