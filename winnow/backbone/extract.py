"""Features of images by a frozen backbone, batch by batch."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch

from winnow.backbone.card import Card
from winnow.backbone.loading import Backbone
from winnow.backbone.resize import normalised


def extract(
    backbone: Backbone, batches: Iterable[npt.NDArray[np.uint8]], card: Card, device: torch.device
) -> Iterator[npt.NDArray[np.float32]]:
    """Features of one batch after the other, in float32; on the CPU the same batch gives the same bytes.

    Args:
        backbone: put into evaluation mode and onto the device.
        batches: (n, S, S, C) with 1 or 3 channels; n may differ.
        card: of the backbone.
        device: that it runs on.

    Yields:
        (n, D) for each batch.
    """
    backbone.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    for batch in batches:
        with torch.inference_mode():  # not around the yield: it would hold in the caller too
            pixels = normalised(torch.from_numpy(np.ascontiguousarray(batch)).to(device), card)  # (n, 3, S, S)
            found = backbone.features(pixels).float().cpu().numpy()  # (n, D)
        yield found
