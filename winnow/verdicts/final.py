"""People's overrides applied to the dataset that the rounds left: the last word on each image.

The rounds do not know them, so that a decision costs no training; what a round dropped comes back as it was delivered,
in the place of a copy of its class: classes stay balanced, and no dataset outgrows what the judge allows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import LEAST, class_names, of_classes, samples_table
from winnow.pipeline.messages import UserError, shown
from winnow.verdicts.apply import apply_verdicts
from winnow.verdicts.ledger import DECIDED, DROP, REFINED, VERDICT_SCHEMA
from winnow.verdicts.overrides import Override
from winnow.verdicts.states import as_numpy, combined, places

CHANGED = "the source is not the one that the rounds ran on"


def apply_at_end(
    accepted: pa.Table, prepared: pa.Table, ledger: pa.Table, overrides: Mapping[str, Override], *, round_name: str
) -> tuple[pa.Table, pa.Table]:
    """The samples with the overrides applied, and a verdict for each of them, without support.

    An override that the whole run had as its input already, and that holds, is not given again.

    Args:
        accepted: samples that the rounds left, copies beside their source images.
        prepared: samples as prepared.
        ledger: the verdicts that led to ``accepted``.
        overrides: by id of an image of ``prepared``.
        round_name: for the verdicts.

    Returns:
        The samples, source images in the order of ``prepared``, then copies; and the verdicts in that order.

    Raises:
        UserError: ``accepted`` was not made of ``prepared``.
    """
    named = pa.array(list(overrides), pa.string())
    delivered = prepared.filter(pc.is_in(prepared["id"], named)).to_pylist()
    left = accepted.filter(pc.is_in(accepted["id"], named)).select(["id", "label"])
    now, before = dict(zip(*left.to_pydict().values(), strict=True)), _decided(ledger)
    if class_names(accepted) != class_names(prepared):
        raise UserError(f"{CHANGED}: its classes differ; `make run` comes first")
    _demand_judged([row for row in delivered if row["id"] not in now], ledger)
    verdicts = []
    for row in delivered:
        identifier, override = row["id"], overrides[row["id"]]
        if identifier in before and before[identifier] == now.get(identifier) == override.label:
            continue
        label = now.get(identifier, row["label"])
        verdicts.append(
            {
                "id": identifier,
                "round": round_name,
                "stage": REFINED,
                "action": override.action_on(label),
                "label_before": label,
                "label_after": override.label,
                "reason": override.reason,
                "evidence": [],
                "by": override.by,
            }
        )
    table = pa.Table.from_pylist(verdicts, schema=VERDICT_SCHEMA)
    back = [row for row in delivered if row["id"] not in now and overrides[row["id"]].label is not None]
    classes = class_names(accepted)
    samples = apply_verdicts(_with_restored(accepted, prepared, back), table, classes)
    return _without_copies(samples, Counter(str(overrides[str(row["id"])].label) for row in back)), table


def demand_classes(accepted: pa.Table, refined: pa.Table) -> None:
    """Refuse overrides that leave a class too few training images beside those that the rounds dropped.

    overrides.csv is checked against the source (``winnow.verdicts.overrides_csv``), which has those as well.

    Args:
        accepted: samples that the rounds left.
        refined: samples with the overrides applied.

    Raises:
        UserError: a class has fewer images than it needs, and fewer than before.
    """
    before, after = (Counter(_trained_on(samples)) for samples in (accepted, refined))
    for label in class_names(accepted):
        if after[label] < min(LEAST["train"], before[label]):
            raise UserError(
                f"the overrides leave {after[label] or 'no'} train image of class {shown(label)} beside those that the "
                f"rounds dropped, {LEAST['train']} must stay; take one back"
            )


def _trained_on(samples: pa.Table) -> list[str]:
    """The class of every source image in train."""
    chosen = pc.and_(pc.equal(samples["split"], "train"), pc.is_null(samples["parent"]))
    labels: list[str] = samples["label"].filter(chosen).to_pylist()
    return labels


def restored(accepted: pa.Table, refined: pa.Table) -> int:
    """How many images came back."""
    return int((places(refined["id"], accepted["id"]) < 0).sum())


def _demand_judged(absent: list[dict[str, str]], ledger: pa.Table) -> None:
    """Refuse to bring back what no round has dropped: the source has it since they ran.

    Raises:
        UserError: a row is of an image that the ledger did not drop.
    """
    if not absent:
        return
    dropped = set(ledger["id"].filter(pc.equal(ledger["action"], DROP)).to_pylist())
    for row in absent:
        if row["id"] not in dropped:
            name = shown(row["name"])
            raise UserError(f"{CHANGED}: {name} is overridden, and no round has judged it; `make run` comes first")


def _decided(ledger: pa.Table) -> dict[str, str | None]:
    """By id the label that a decision before the first round gave; None: it dropped the image."""
    given = ledger.select(["id", "label_after", "stage"]).filter(pc.equal(ledger["stage"], DECIDED))
    return dict(zip(given["id"].to_pylist(), given["label_after"].to_pylist(), strict=True))


def _without_copies(samples: pa.Table, surplus: Counter[str]) -> pa.Table:
    """The samples without as many copies of each class as ``surplus`` says, its last ones; fewer where it has fewer."""
    copies = np.flatnonzero(as_numpy(pc.is_valid(samples["parent"])))
    labels = combined(samples["label"]).take(pa.array(copies)).to_pylist()
    kept, surplus = np.ones(len(samples), bool), surplus.copy()
    for row, label in zip(reversed(copies.tolist()), reversed(labels), strict=True):
        if surplus[label]:
            surplus[label] -= 1
            kept[row] = False
    return of_classes(samples.filter(pa.array(kept)), class_names(samples))


def _with_restored(accepted: pa.Table, prepared: pa.Table, back: list[dict[str, object]]) -> pa.Table:
    """The samples with the images that come back in their places; unchanged where none does.

    The rounds may have moved validation images to train: one that comes back follows the rest of its group.
    """
    if not back:
        return accepted
    is_source = pc.is_null(accepted["parent"])
    ours = accepted.filter(pc.is_in(accepted["group"], _texts(row["group"] for row in back)))
    split = dict(zip(ours["group"].to_pylist(), ours["split"].to_pylist(), strict=True))
    classes = class_names(accepted)
    returned = samples_table([{**row, "split": split.get(row["group"], row["split"])} for row in back], classes)
    source = of_classes(pa.concat_tables([accepted.filter(is_source), returned]), classes)
    place = places(source["id"], prepared["id"])
    order = np.argsort(np.where(place < 0, len(prepared), place), kind="stable")
    return of_classes(pa.concat_tables([source.take(pa.array(order)), accepted.filter(pc.invert(is_source))]), classes)


def _texts(values: Iterable[object]) -> pa.Array:
    return pa.array(list(values), pa.string())
