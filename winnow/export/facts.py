"""What the dataset card and the metadata for programs say of an export beside its files: counts, origin, figures."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import class_names, only_source, only_splits
from winnow.verdicts.ledger import KEEP, PIPELINE, by_stage
from winnow.verdicts.states import as_numpy, combined, states_in


@dataclass(frozen=True)
class Facts:
    """Of an export."""

    title: str
    license: str  # as params.yaml has it; may be `unknown`
    model: str  # that the images were judged by
    classes: list[str]  # of the source, by class index
    folders: Mapping[str, str]  # by class its folder, of those that have files
    counts: Mapping[tuple[str, str], int]  # files by split and class
    copies: int  # files that are augmented copies
    delivered: int  # source images of train and val, before the first verdict
    dropped: int  # of them
    relabelled: int  # of them
    by_people: int  # of them, those about which a person decided, a decision to keep included
    stages: Mapping[tuple[str, str], Mapping[str, int]]  # by round and stage: source images dropped and relabelled
    figures: Mapping[str, float]  # those known when the export is written; keys of FIGURES
    label_book_verified: bool | None  # as delivered; None where it is not known
    label_book: int  # its images
    label_book_checked: int  # of them, those that a person looked at
    label_book_wrong: int  # of them, those that this person did not leave under their label
    moved: int  # files of source images that were delivered in val and are in train now
    accepted: bool | None  # whether the last round was; None where it is not known

    def total(self, split: str) -> int:
        """Files of a split."""
        return sum(count for (of, _), count in self.counts.items() if of == split)


FIGURES = {  # of the facts: meaning
    "estimated_faults": "estimated share of faults among the delivered images",
    "expected_left": "share of faults expected after the first cleansing",
    "gain": "accuracy on held-out images after training on the last round's images, minus that before",
    "gain_low": "lower end of its 90 % interval",
    "gain_high": "upper end",
}


def gather(
    listed: pa.Table,
    prepared: pa.Table,
    refined: pa.Table,
    ledger: pa.Table,
    title: str,
    license_name: str,
    model: str,
    *,
    prepare: Mapping[str, Any],
    gate: Mapping[str, Any],
    estimate: Mapping[str, Any],
    checked: Mapping[str, bool],
) -> Facts:
    """The facts of an export.

    Args:
        listed: its manifest.
        prepared: samples as delivered.
        refined: samples now.
        ledger: every verdict, in order.
        title: of the dataset.
        license_name: of the images.
        model: name of the model that judged the images.
        prepare: metrics/prepare.json.
        gate: metrics/gate/<round>.json of the last round.
        estimate: of the first cleansing stage.
        checked: by id of the label-book images that people looked at, whether they left them under their label.
    """
    source = only_splits(only_source(prepared), "train", "val")
    state = states_in(source["id"], source["given_label"], refined)
    by_people = ledger["id"].filter(pc.not_equal(ledger["by"], PIPELINE))
    counts = listed.group_by(["split", "label", "folder"]).aggregate([("file", "count")]).to_pylist()
    return Facts(
        title=title,
        license=license_name,
        model=model,
        classes=class_names(refined),
        folders={row["label"]: row["folder"] for row in counts},
        counts={(row["split"], row["label"]): row["file_count"] for row in counts},
        copies=len(listed) - listed["parent"].null_count,
        delivered=len(source),
        dropped=int(state.dropped.sum()),
        relabelled=int(state.relabelled.sum()),
        by_people=int(as_numpy(pc.is_in(state.ids, value_set=combined(by_people))).sum()),
        stages=_stages(ledger, state.ids),
        figures=_figures(gate, estimate),
        label_book_verified=prepare.get("label_book_verified"),
        label_book=len(only_splits(prepared, "label_book")),
        label_book_checked=len(checked),
        label_book_wrong=sum(not right for right in checked.values()),
        moved=_moved(prepared, listed),
        accepted=gate.get("accepted"),
    )


def _moved(prepared: pa.Table, listed: pa.Table) -> int:
    train = only_splits(listed, "train")["id"]
    return int(as_numpy(pc.is_in(only_splits(prepared, "val")["id"], value_set=combined(train))).sum())


def _stages(ledger: pa.Table, source: pa.Array) -> dict[tuple[str, str], Counter[str]]:
    """By round and stage, in their order, how many source images each action but keep befell."""
    found = {}
    for key, table in by_stage(ledger).items():
        changed = pc.and_(pc.not_equal(table["action"], KEEP), pc.is_in(table["id"], value_set=source))
        counts = pc.value_counts(table["action"].filter(changed)).to_pylist()
        found[key] = Counter({one["values"]: one["counts"] for one in counts})
    return found


def _figures(gate: Mapping[str, Any], estimate: Mapping[str, Any]) -> dict[str, float]:
    """Those of FIGURES that the last round has."""
    gain = gate.get("gain") or {}
    found = {
        "estimated_faults": estimate.get("estimated_faults"),
        "expected_left": estimate.get("expected_left"),
        "gain": gain.get("mean"),
        "gain_low": gain.get("low"),
        "gain_high": gain.get("high"),
    }
    return {name: float(value) for name, value in found.items() if value is not None}
