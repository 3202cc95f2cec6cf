"""Search for an augmentation policy that matches the data, within the magnitudes that the label check allows.

Reads   --dataset  dataset; of its train split the source images
        --model    JSON: the model
        --pixels   arrays of the source images at its size, which the search sees as small as its critic does
        --features arrays of their features
        --user     folder with the user's own code and weights
Writes  --policy   JSON: sub_policies; operations offered; limits by class of these and of inversion; cut, the report of
                   the label check
        --table    CSV, one row per stage of a sub-policy
        --curve    CSV, one row per step: losses and gradient penalty, means over the searches
        --sheet    PNG, source images beside their copies
Params  search_policy, head
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.augmentation.balance import demand_pairs
from winnow.augmentation.policy import Policy, within_limits
from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.model.extraction import Extraction
from winnow.model.inputs import Inputs, read_inputs
from winnow.pipeline.fields import Seed, section
from winnow.pipeline.files import write_bytes, write_csv, write_json
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.policy_search.backbone_check import BackboneCheck, find_limits_by_backbone
from winnow.policy_search.label_check import LabelCheck, find_limits
from winnow.policy_search.label_check_training import Check
from winnow.policy_search.search import CURVE, Settings, search
from winnow.policy_search.sheet import TABLE, policy_sheet, policy_table
from winnow.training.head import HeadProfile
from winnow.training.network import INPUT_SIZE

TILE = 64  # pixels of a picture on the sheet
INVERSION = "invert"  # checked even if it is not offered to the search, since augment also inverts copies


@section
class Params:
    """Section `search_policy`."""

    seed: Seed
    search: Settings
    limits: bool  # whether copies keep to the magnitudes that the label check allows; false: as published
    label_check: Check  # before the search
    backbone_check: BackboneCheck  # the same, where there is a backbone


def main(
    params: Params,
    head: HeadProfile,
    *,
    dataset: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user: Path,
    policy: Path,
    table: Path,
    curve: Path,
    sheet: Path,
) -> None:
    """Run the stage on the files given."""
    samples = read_samples(dataset)
    train = only_splits(only_source(samples), "train")  # N rows
    classes, labels = class_names(samples), label_indices(train)
    demand_pairs(samples, dataset)
    inputs, ids = read_inputs(model, pixels, features), train["id"].to_pylist()
    images = inputs.small(dataset, ids, INPUT_SIZE)  # all that the critic sees
    offered = params.search.operations
    check = _label_check(params, head, inputs, Extraction(inputs.card, user), dataset, train, classes)
    kept = [name for name in offered if not params.limits or max(check.limits[name].values()) > 0]
    if not kept:
        raise UserError(
            "params.yaml: no class's label survives any of search_policy.search.operations; offer milder ones"
        )
    limits = (
        np.array([[check.limits[name][label] for name in kept] for label in classes], dtype=np.float32)
        if params.limits
        else None
    )
    found, losses = search(images, labels, limits, replace(params.search, operations=kept), seed=params.seed)
    final = within_limits(Policy(tuple(offered), found.sub_policies, check.limits, tuple(check.report)))
    rows = ([step, *(f"{loss:.5g}" for loss in row)] for step, row in enumerate(losses.tolist(), start=1))
    write_csv(curve, ["step", *CURVE], rows)
    write_csv(table, TABLE, policy_table(final))
    write_bytes(sheet, policy_sheet(final, inputs.small(dataset, ids, TILE), column(train, "label"), seed=params.seed))
    write_json(policy, final.to_json())
    kept_to = _summary(check, kept) if params.limits else "without limits"
    print(f"search_policy: {len(final.sub_policies)} sub-policies from {len(train)} images; {kept_to}")


def _label_check(
    params: Params,
    head: HeadProfile,
    inputs: Inputs,
    extraction: Extraction,
    dataset: Path,
    train: pa.Table,
    classes: list[str],
) -> LabelCheck:
    """The limits of every operation that copies may be made by; none where the label check is off."""
    if not params.limits:
        return LabelCheck({}, [])
    offered, ids, labels = params.search.operations, train["id"].to_pylist(), label_indices(train)
    checked = [*offered, *({INVERSION} - set(offered))]
    if not inputs.on_features:
        images, groups = inputs.small(dataset, ids, INPUT_SIZE), train["group"].to_pylist()
        return find_limits(images, labels, classes, checked, params.label_check, groups=groups, seed=params.seed)
    return find_limits_by_backbone(
        train.to_pylist(),
        labels,
        inputs.vectors(dataset, ids),
        classes,
        checked,
        params.label_check,
        params.backbone_check,
        inputs=inputs,
        extraction=extraction,
        head=head,
        seed=params.seed,
    )


def _summary(check: LabelCheck, kept: list[str]) -> str:
    refused = [name for name in check.limits if name not in kept]
    cut = sum(limit < 1 for by_class in check.limits.values() for limit in by_class.values())
    return f"labels survive less than the whole range in {cut} pairs of operation and class" + (
        f"; refused for every class: {', '.join(refused)}" if refused else ""
    )


SECTIONS: Sections = {"params": ("search_policy", Params), "head": ("head", HeadProfile)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
