"""People's overrides applied to the dataset that the rounds left: the last word on each image.

The rounds do not know them, so that a decision costs no training; what a round dropped comes back as it was delivered,
in the place of a copy of its class: classes stay balanced, and no dataset outgrows what the judge allows.
"""

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from winnow.dataset.samples import class_names, column, labels_by_id, samples_table
from winnow.pipeline.messages import UserError, shown
from winnow.verdicts.apply import apply_verdicts
from winnow.verdicts.ledger import DECIDED, DROP, REFINED, VERDICT_SCHEMA
from winnow.verdicts.overrides import Override

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
    now, before = labels_by_id(accepted), _decided(ledger)
    delivered = [row for row in prepared.to_pylist() if row["id"] in overrides]
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


def restored(accepted: pa.Table, refined: pa.Table) -> int:
    """How many images came back."""
    return len(set(refined["id"].to_pylist()) - set(accepted["id"].to_pylist()))


def _demand_judged(absent: list[dict[str, str]], ledger: pa.Table) -> None:
    """Refuse to bring back what no round has dropped: the source has it since they ran.

    Raises:
        UserError: a row is of an image that the ledger did not drop.
    """
    dropped = set(ledger.filter(pa.array(column(ledger, "action") == DROP))["id"].to_pylist())
    for row in absent:
        if row["id"] not in dropped:
            name = shown(row["name"])
            raise UserError(f"{CHANGED}: {name} is overridden, and no round has judged it; `make run` comes first")


def _decided(ledger: pa.Table) -> dict[str, str | None]:
    """By id the label that a decision before the first round gave; None: it dropped the image."""
    given = ledger.filter(pa.array(column(ledger, "stage") == DECIDED))
    return dict(zip(given["id"].to_pylist(), given["label_after"].to_pylist(), strict=True))


def _without_copies(samples: pa.Table, surplus: Counter[str]) -> pa.Table:
    """The samples without as many copies of each class as ``surplus`` says, its last ones; fewer where it has fewer."""
    rows = samples.to_pylist()
    for place in range(len(rows) - 1, -1, -1):
        row = rows[place]
        if row["parent"] is not None and surplus[row["label"]]:
            surplus[row["label"]] -= 1
            del rows[place]
    return samples_table(rows, class_names(samples))


def _with_restored(accepted: pa.Table, prepared: pa.Table, back: list[dict[str, object]]) -> pa.Table:
    """The samples with the images that come back in their places; unchanged where none does.

    The rounds may have moved validation images to train: one that comes back follows the rest of its group.
    """
    if not back:
        return accepted
    place = {identifier: number for number, identifier in enumerate(prepared["id"].to_pylist())}
    rows = accepted.to_pylist()
    split = {row["group"]: row["split"] for row in rows}
    source = [row for row in rows if row["parent"] is None]
    source += [{**row, "split": split.get(row["group"], row["split"])} for row in back]
    source.sort(key=lambda row: place.get(str(row["id"]), len(place)))
    return samples_table([*source, *(row for row in rows if row["parent"] is not None)], class_names(accepted))
