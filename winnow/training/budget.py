"""How long a run lasts that is bounded by its updates: many images are then seen less often."""

import math


def epochs_within(epochs: int, *, most_steps: int, batch: int, images: int) -> int:
    """Epochs of a run on so many images: as many as were asked for, or as fit into the updates, at least 1.

    Args:
        epochs: asked for.
        most_steps: updates at most; 0: no limit.
        batch: images an update.
        images: trained on, at least one.
    """
    if not most_steps:
        return epochs
    return max(1, min(epochs, most_steps // math.ceil(images / batch)))
