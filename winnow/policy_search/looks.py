"""Looks that the images show: black on white, and its negative.

A look that copies have and no image shows costs the model room for what it will never be asked. The label check cannot
see that, since it asks whether a label survives, not whether anybody delivers such images.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from winnow.policy_search.label_check import CUT, LabelCheck
from winnow.transforms.geometry import border_colour
from winnow.transforms.operations import OPERATIONS, to_images

CHUNK = 1024  # images held as float at once

NOT_SHOWN = "look not shown"  # verdict


def negative_share(images: npt.NDArray[np.uint8]) -> float:
    """Share of the images that look like negatives of the others, by the brightness of their border.

    With b the median brightness of an image's border, and B the median of b over all images, an image is a negative
    where b is nearer to 1 - B than to B: on white paper where its border is dark. Photographs, whose borders have any
    brightness, count as negatives often; of them the label check alone decides.

    Args:
        images: (N, H, W, C); without any, the share is 0.
    """
    if not len(images):
        return 0.0
    parts = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    border = np.concatenate([border_colour(to_images(part)).mean(dim=(1, 2, 3)).numpy() for part in parts])  # (N,)
    usual = float(np.median(border))
    return float((np.abs(border - (1 - usual)) < np.abs(border - usual)).mean())


def without_unseen_looks(check: LabelCheck, *, share: float, least: float) -> LabelCheck:
    """The label check, every operation with a ``look`` refused for all classes where too few images have that look.

    In the report its verdicts are ``NOT_SHOWN`` in the place of all but ``CUT``, which is a finding of its own.

    Args:
        check: the limits found.
        share: of the images that have the look.
        least: share from which on the look counts as shown.
    """
    if share >= least:
        return check
    refused = {name for name in check.limits if OPERATIONS[name].look}
    limits = {
        name: dict.fromkeys(by_class, 0.0) if name in refused else by_class for name, by_class in check.limits.items()
    }
    report = [
        {**row, "verdict": NOT_SHOWN} if row["operation"] in refused and row["verdict"] != CUT else row
        for row in check.report
    ]
    return replace(check, limits=limits, report=report)
