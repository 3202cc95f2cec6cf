"""Find an augmentation policy within the magnitudes that the label check allows.

Nobody searches: one candidate is taken (`by: fixed`). Or the judge tries all candidates in short runs, where there is
no backbone, by which it would have to extract the features of every candidate's copies. Or a critic searches for a
policy that matches the data, as published.

Reads   --dataset  dataset; of its train split the source images
        --model    JSON: the model
        --pixels   arrays of the source images at its size, which the search sees as small as its critic does
        --features arrays of their features
        --user     folder with the user's own code and weights
        --networks folder with the ensemble's classifiers and their folds, by which labels are checked
Writes  --policy   JSON: sub_policies; operations offered; limits by class of these and of inversion; cut, the report of
                   the label check; of a candidate also its name, and how many sub-policies a copy takes
        --table    CSV, one row per stage of a sub-policy
        --curve    CSV, one row per step: losses and gradient penalty, means over the searches; no row by the judge
        --trials   CSV, one row per rung and candidate, the best first; no row by the critic
        --sheet    PNG, source images beside their copies
Params  search_policy, head
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.augmentation.balance import demand_pairs
from winnow.augmentation.policy import Policy, within_limits
from winnow.dataset.draws import id_hashes, some_by_hash
from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.model.extraction import Extraction
from winnow.model.inputs import Inputs, read_inputs
from winnow.pipeline.fields import BelowOne, Seed, section
from winnow.pipeline.files import write_bytes, write_csv, write_json
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.policy_search.backbone_check import BackboneCheck, find_limits_by_backbone
from winnow.policy_search.candidates import Candidate, policies_of
from winnow.policy_search.ensemble_check import find_limits_by_ensemble
from winnow.policy_search.halving import TRIALS, Trial, winner
from winnow.policy_search.judged import Halving, search_by_judge
from winnow.policy_search.label_check import LabelCheck, find_limits
from winnow.policy_search.label_check_training import Check
from winnow.policy_search.looks import negative_share, without_unseen_looks
from winnow.policy_search.search import CURVE, Settings, search
from winnow.policy_search.sheet import TABLE, policy_sheet, policy_table, shown_on_sheet
from winnow.representation.files import read_networks, with_folds
from winnow.training.head import HeadProfile
from winnow.training.network import INPUT_SIZE

LOOKED_AT = 10_000  # images by which the share of negatives is measured at most
TILE = 64  # pixels of a picture on the sheet
INVERSION = "invert"  # checked even if it is not offered to the search, since augment also inverts copies


@section
class Params:
    """Section `search_policy`."""

    seed: Seed
    by: Literal["fixed", "judge", "critic"]
    fixed: str  # the candidate that is taken without a search
    candidates: dict[str, Candidate]  # that the judge tries
    halving: Halving  # how it does
    search: Settings  # of the critic; its operations are those of the candidates, too
    shown_look: BelowOne  # share of the train and val images that must be negatives, before copies may be
    limits: bool  # whether copies keep to the magnitudes that the label check allows; false: as published
    label_check: Check  # before the search
    backbone_check: BackboneCheck  # the same, where there is a backbone

    def __post_init__(self) -> None:
        if self.fixed not in self.candidates:
            raise ValueError(f"fixed must be one of candidates ({', '.join(self.candidates)}), got {self.fixed!r}")


def main(
    params: Params,
    head: HeadProfile,
    *,
    dataset: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user: Path,
    networks: Path,
    policy: Path,
    table: Path,
    curve: Path,
    trials: Path,
    sheet: Path,
) -> None:
    """Run the stage on the files given."""
    samples = read_samples(dataset)
    train = only_splits(only_source(samples), "train")  # N rows
    demand_pairs(samples, dataset)
    inputs, ids = read_inputs(model, pixels, features), train["id"].to_pylist()
    check = _label_check(params, head, inputs, Extraction(inputs.card, user), dataset, samples, networks)
    kept = [name for name in params.search.operations if not params.limits or max(check.limits[name].values()) > 0]
    if not kept:
        raise UserError(
            "params.yaml: no class's label survives any of search_policy.search.operations, or no image shows their "
            "look; offer milder ones"
        )
    losses, tried = np.empty((0, len(CURVE))), list[Trial]()
    if params.by == "fixed":
        found = replace(_candidates(params, check, kept, [params.fixed])[params.fixed], candidate=params.fixed)
    elif params.by == "judge" and not inputs.on_features:
        found, tried = _by_judge(params, check, inputs.images(dataset, ids), train, kept)  # as augment has them
    else:
        some = train.take(
            pa.array(
                some_by_hash(np.arange(len(train)), id_hashes(train["id"]), params.search.most_images, params.seed)
            )
        )
        images = inputs.small(dataset, some["id"].to_pylist(), INPUT_SIZE)
        found, losses = _by_critic(params, check, images, some, kept)
    final = within_limits(
        replace(found, operations=tuple(params.search.operations), limits=check.limits, cut=tuple(check.report))
    )
    rows = ([step, *(f"{loss:.5g}" for loss in row)] for step, row in enumerate(losses.tolist(), start=1))
    write_csv(curve, ["step", *CURVE], rows)
    write_csv(trials, TRIALS, (trial.row() for trial in tried))
    write_csv(table, TABLE, policy_table(final))
    labels = column(train, "label")
    shown = shown_on_sheet(labels, seed=params.seed)
    small = inputs.small(dataset, [ids[row] for row in shown], TILE)
    write_bytes(sheet, policy_sheet(final, small, labels[shown], seed=params.seed))
    write_json(policy, final.to_json())
    by = f"candidate {final.candidate}, " if final.candidate else ""
    kept_to = _summary(check, kept) if params.limits else "without limits"
    print(f"search_policy: {by}{len(final.sub_policies)} sub-policies from {len(train)} images; {kept_to}")


def _by_critic(
    params: Params, check: LabelCheck, images: npt.NDArray[np.uint8], train: pa.Table, kept: list[str]
) -> tuple[Policy, npt.NDArray[np.float64]]:
    """The policy that Faster AutoAugment finds, and its losses."""
    limits = (
        np.array([[check.limits[name][label] for name in kept] for label in class_names(train)], dtype=np.float32)
        if params.limits
        else None
    )
    return search(images, label_indices(train), limits, replace(params.search, operations=kept), seed=params.seed)


def _by_judge(
    params: Params, check: LabelCheck, images: npt.NDArray[np.uint8], train: pa.Table, kept: list[str]
) -> tuple[Policy, list[Trial]]:
    """The policy of the candidate that helps the model most, and the trials of all."""
    policies = _candidates(params, check, kept, list(params.candidates))
    trials = search_by_judge(
        policies,
        images,
        label_indices(train),
        class_names(train),
        params.halving,
        groups=train["group"].to_pylist(),
        seed=params.seed,
    )
    best = winner(trials)
    return replace(policies[best], candidate=best), trials


def _candidates(params: Params, check: LabelCheck, kept: list[str], names: list[str]) -> dict[str, Policy]:
    """The policies of some candidates; a UserError where none of them changes an image."""
    asked = {name: params.candidates[name] for name in names}
    policies = policies_of(asked, kept, check.limits, sub_policies=params.halving.sub_policies, seed=params.seed)
    if not policies:
        raise UserError(
            f"params.yaml: {', '.join(names)} of search_policy.candidates would change no image by the operations that "
            f"labels survive ({', '.join(kept)}); add one that does and name it in search_policy.fixed, or offer more "
            "in search_policy.search.operations"
        )
    return policies


def _label_check(
    params: Params,
    head: HeadProfile,
    inputs: Inputs,
    extraction: Extraction,
    dataset: Path,
    samples: pa.Table,
    networks: Path,
) -> LabelCheck:
    """The limits of every operation that copies may be made by; none where the label check is off."""
    if not params.limits:
        return LabelCheck({}, [])
    train, classes = only_splits(only_source(samples), "train"), class_names(samples)
    offered, ids, labels = params.search.operations, train["id"].to_pylist(), label_indices(train)
    checked = [*offered, *({INVERSION} - set(offered))]
    if inputs.on_features:
        found = find_limits_by_backbone(
            train,
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
    else:
        images = inputs.small(dataset, ids, INPUT_SIZE)
        found = _by_networks(params, images, train, classes, checked, networks)
    delivered = only_splits(only_source(samples), "train", "val")["id"]
    some = delivered.take(
        pa.array(some_by_hash(np.arange(len(delivered)), id_hashes(delivered), LOOKED_AT, params.seed))
    )
    share = negative_share(inputs.small(dataset, some.to_pylist(), INPUT_SIZE))
    return without_unseen_looks(found, share=share, least=params.shown_look)


def _by_networks(
    params: Params,
    images: npt.NDArray[np.uint8],
    train: pa.Table,
    classes: list[str],
    operations: list[str],
    networks: Path,
) -> LabelCheck:
    """The limits by the ensemble, or by classifiers of their own."""
    labels, check, seed = label_indices(train), params.label_check, params.seed
    if check.by == "own":
        groups = train["group"].to_pylist()
        return find_limits(images, labels, classes, operations, check, groups=groups, seed=seed)
    ensemble = read_networks(networks, classes=len(classes))
    _, folds = with_folds(train, ensemble.folds, networks)  # of every repeat; the first judges
    states = ensemble.classifiers[0]
    return find_limits_by_ensemble(images, labels, classes, operations, check, folds=folds[0], states=states, seed=seed)


def _summary(check: LabelCheck, kept: list[str]) -> str:
    refused = [name for name in check.limits if name not in kept]
    cut = sum(limit < 1 for by_class in check.limits.values() for limit in by_class.values())
    return f"labels survive less than the whole range in {cut} pairs of operation and class" + (
        f"; refused for every class: {', '.join(refused)}" if refused else ""
    )


SECTIONS: Sections = {"params": ("search_policy", Params), "head": ("head", HeadProfile)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
