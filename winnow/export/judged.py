"""What is known of every delivered train and val image, in the form that the exports for other tools share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import class_names, only_source, only_splits
from winnow.export.corrections import fates_in
from winnow.export.names import Exported, file_names, folder_names
from winnow.verdicts.fates import Fate
from winnow.verdicts.ledger import DROP, KEEP, RELABEL
from winnow.verdicts.states import states_in


@dataclass(frozen=True, slots=True)
class Judged:
    """A delivered image, and what became of it."""

    id: str
    file: str  # path below the folder of images: <split>/<folder of the class delivered>/<file>
    name: str  # path inside the source
    split: str
    given: str  # class as delivered
    label: str | None  # class now; None when dropped
    reason: str  # of the verdict that decided; empty where the image was kept as delivered
    by: str  # who decided; empty likewise
    quality: float | None  # of the label delivered, in [0, 1], lower is worse; None where it was not measured
    predicted: str | None  # the likeliest class by the ensemble, out of fold; None where it is not known
    confidence: float | None  # its probability
    pixel_hash: str
    group: str  # shared by images that belong together

    @property
    def action(self) -> str:
        """What was done with it: keep, drop or relabel."""
        return DROP if self.label is None else KEEP if self.label == self.given else RELABEL

    @property
    def shown(self) -> str:
        """The class that it is shown under: that now, or as delivered where the image was dropped."""
        return self.given if self.label is None else self.label


def judged_images(
    prepared: pa.Table,
    refined: pa.Table,
    ledger: pa.Table,
    *,
    label_quality: Mapping[str, float],
    probabilities: Mapping[str, npt.NDArray[np.float32]],
    formats: Mapping[str, str],
) -> list[Judged]:
    """The delivered train and val images, in the order of the table.

    Args:
        prepared: samples as delivered.
        refined: samples now.
        ledger: every verdict, in order.
        label_quality: by id, of the label delivered, where it was measured.
        probabilities: by id (K,), out of fold; NaN where unknown.
        formats: by id the format of an image's content, where its suffix is not one that every loader reads.
    """
    source = only_splits(only_source(prepared), "train", "val")
    classes = class_names(prepared)
    rows = source.select(["id", "name", "split", "given_label", "pixel_hash", "group"]).to_pylist()
    folders = folder_names(classes)
    within = {row["id"]: f"{row['split']}/{folders[row['given_label']]}" for row in rows}
    names = file_names(
        [Exported(row["id"], within[row["id"]], row["name"], formats.get(row["id"], "")) for row in rows]
    )
    touched = fates_in(source.filter(states_in(source["id"], source["given_label"], refined).touched), ledger, refined)
    found = []
    for row in rows:
        one = touched.get(row["id"], Fate(row["given_label"], row["given_label"]))
        deciding = one.deciding
        predicted, confidence = likeliest(probabilities.get(row["id"]), classes)
        found.append(
            Judged(
                **{name: row[name] for name in ("id", "name", "split", "pixel_hash", "group")},
                file=f"{within[row['id']]}/{names[row['id']]}",
                given=one.given,
                label=one.label,
                reason=deciding.reason if deciding else "",
                by=deciding.by if deciding else "",
                quality=_rounded(label_quality.get(row["id"])),
                predicted=predicted,
                confidence=confidence,
            )
        )
    return found


def likeliest(probability: npt.NDArray[Any] | None, classes: list[str]) -> tuple[str | None, float | None]:
    """The class of the highest probability, and this; None where none is known."""
    if probability is None or np.isnan(probability).all():
        return None, None
    best = int(np.nanargmax(probability))
    return classes[best], _rounded(float(probability[best]))


def _rounded(value: float | None) -> float | None:
    """At six significant digits: the last bits differ between machines."""
    return None if value is None else float(f"{value:.6g}")
