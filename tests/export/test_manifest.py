"""The manifest and the facts of many images, against the fate of each."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.exports import METRICS
from winnow.dataset.samples import labels_by_id, samples_table
from winnow.export.facts import gather
from winnow.export.manifest import manifest, missing_classes
from winnow.export.names import Exported, file_names
from winnow.verdicts.fates import fates
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, VERDICT_SCHEMA

CLASSES = ["a", "b/c", "d"]  # the second is no safe folder
FOLDERS = {"a": "a", "b/c": "class_0001", "d": "d"}


def delivered(rng: np.random.Generator, count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"i{n}", "name": f"train/{rng.integers(3)}/{'X' if n % 7 else 'x'}{n // 3}.png", "label": label}
        | {"split": "val" if n % 4 == 0 else "train", "given_label": label, "origin": "source", "group": f"i{n}"}
        for n, label in enumerate(rng.choice(CLASSES, count).tolist())
    ]


def judged(rng: np.random.Generator, rows: list[dict[str, Any]]) -> pa.Table:
    """Three stages, each with a verdict on most images."""
    found = []
    for stage in ("one", "two", "three"):
        for row in rows:
            action = str(rng.choice([KEEP, KEEP, DROP, RELABEL]))
            after = {KEEP: row["label"], DROP: None, RELABEL: str(rng.choice(CLASSES))}[action]
            if rng.random() < 0.8:
                by = "somebody" if rng.random() < 0.05 else "winnow"
                said = {"reason": f"{stage} {row['id']}", "support": float(rng.random()), "evidence": [], "by": by}
                found.append(
                    {"id": row["id"], "round": "r1", "stage": stage, "action": action, "label_before": row["label"]}
                    | {"label_after": after, **said}
                )
    return pa.Table.from_pylist(found, schema=VERDICT_SCHEMA)


def test_manifest_and_facts_are_those_of_each_images_fate() -> None:
    rng = np.random.default_rng(0)
    rows = delivered(rng, 200)
    ledger = judged(rng, rows)
    kept = [row | {"label": str(rng.choice([row["label"], *CLASSES]))} for row in rows if rng.random() < 0.8]
    copies = [row | {"id": f"c{row['id']}", "parent": row["id"], "name": f"{row['name']}#x"} for row in kept[:20]]
    prepared, refined = samples_table(rows, CLASSES), samples_table([*kept, *copies], CLASSES)
    quality = {row["id"]: float(rng.random()) for row in rows[:150]}
    formats = {row["id"]: "PNG" for row in copies}
    listed = manifest(refined, ledger, formats=formats, label_quality=quality)

    every = [*kept, *copies]
    names = file_names(
        [
            Exported(row["id"], f"{row['split']}/{FOLDERS[row['label']]}", row["name"] if row in kept else "", "PNG")
            for row in every
        ]
    )
    fate = fates(labels_by_id(refined, "given_label"), ledger, labels_by_id(refined))
    for row, found in zip(every, listed.to_pylist(), strict=True):
        folder, one = FOLDERS[row["label"]], fate[row["id"]].confirming
        verdict = {name: getattr(one, name, None) for name in ("round", "stage", "action", "reason", "support")}
        assert found == verdict | {"file": f"{row['split']}/{folder}/{names[row['id']]}", "folder": folder} | {
            **{name: row.get(name) for name in ("id", "name", "split", "label", "given_label", "origin", "parent")},
            "label_quality": quality.get(row["id"]) if row["label"] == row["given_label"] else None,
            "sha256": None,
        }
    assert len(set(listed["file"].to_pylist())) == len(listed)

    facts = gather(
        *(listed, prepared, refined, ledger),
        *("title", "mit", "model"),
        prepare=METRICS["counts"],
        gate=METRICS["gate"],
        estimate=METRICS["estimate"],
        checked={},
    )
    of_source = fates(labels_by_id(prepared, "given_label"), ledger, labels_by_id(refined)).values()
    assert facts.delivered == 200
    assert facts.copies == 20
    assert facts.dropped == sum(one.label is None for one in of_source)
    assert facts.relabelled == sum(one.touched and one.label is not None for one in of_source)
    assert facts.by_people == sum(any(verdict.by != "winnow" for verdict in one.verdicts) for one in of_source)
    assert dict(facts.counts) == Counter((row["split"], row["label"]) for row in every)
    actions = Counter((verdict.stage, verdict.action) for one in of_source for verdict in one.verdicts)
    for stage in ("one", "two", "three"):
        wanted = {action: actions[stage, action] for action in (DROP, RELABEL)}
        assert dict(facts.stages["r1", stage]) == wanted


def test_a_class_without_images_is_named_by_split() -> None:
    rows: list[dict[str, object]] = [{"split": "train", "label": "a"}, {"split": "val", "label": "d"}]
    assert list(missing_classes(samples_table(rows, CLASSES))) == [
        *(("train", "b/c"), ("train", "d")),
        *(("val", "a"), ("val", "b/c")),
    ]
