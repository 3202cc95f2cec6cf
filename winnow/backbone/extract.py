"""Features of images by a frozen backbone, batch by batch."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch

from winnow.backbone.card import Card
from winnow.backbone.loading import Backbone
from winnow.backbone.normalise import normalised

# Images that go through the network together. On a CPU one: its maps stay in the cache, and what comes out is its own;
# of EfficientNet-Lite0 at 224 pixels a core does 38 images a second by ones, 32 by fours and 27 by eights.
TOGETHER = {"cpu": 1, "cuda": 32}


def extract(
    backbone: Backbone, batches: Iterable[npt.NDArray[np.uint8]], card: Card, device: torch.device
) -> Iterator[npt.NDArray[np.float32]]:
    """Features of one batch after the other, in float32.

    The same image gives the same bytes whatever is beside it: on the CPU it is alone, and on other devices a batch is
    filled up, since another number of images may be summed in another order. Several processes of one thread are faster
    than one process of several threads.

    Args:
        backbone: put into evaluation mode and onto the device.
        batches: (n, S, S, C) with 1 or 3 channels; n may differ, and is a matter of memory, not of speed.
        card: of the backbone.
        device: that it runs on.

    Yields:
        (n, D) for each batch.
    """
    backbone.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    step = TOGETHER.get(device.type, TOGETHER["cuda"])
    for batch in batches:
        found = np.empty((len(batch), backbone.dimensions), np.float32)  # (n, D)
        for start in range(0, len(batch), step):
            some = batch[start : start + step]
            # A copy in any case: PyTorch warns of a memory map, which is read-only.
            part = np.concatenate([some, np.repeat(some[:1], step - len(some), axis=0)])
            with torch.inference_mode():  # not around the yield: it would hold in the caller too
                features = backbone.features(normalised(torch.from_numpy(part).to(device), card))
            found[start : start + step] = features[: len(some)].float().cpu().numpy()
        yield found
