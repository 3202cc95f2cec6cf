"""Features of images by a frozen backbone, batch by batch."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch

from winnow.backbone.card import Card
from winnow.backbone.loading import Backbone
from winnow.backbone.resize import normalised

# Images that go through the network together. On a CPU few: of EfficientNet-Lite0's maps at 224 pixels those of four
# images stay in the cache; a core does 36 images a second by fours and 21 by 32s.
TOGETHER = {"cpu": 4, "cuda": 256}


def extract(
    backbone: Backbone, batches: Iterable[npt.NDArray[np.uint8]], card: Card, device: torch.device
) -> Iterator[npt.NDArray[np.float32]]:
    """Features of one batch after the other, in float32.

    On the CPU the same batch and number of threads give the same bytes; the same image at another place in a batch may
    differ in the last bits. Several processes of one thread are faster than one process of several threads.

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
            part = np.array(batch[start : start + step])  # a copy: PyTorch warns of a memory map, which is read-only
            with torch.inference_mode():  # not around the yield: it would hold in the caller too
                features = backbone.features(normalised(torch.from_numpy(part).to(device), card))
            found[start : start + step] = features.float().cpu().numpy()
        yield found
