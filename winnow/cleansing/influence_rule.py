"""The method's rule on influence: drop images that harm a label-book image more than the others do.

Source: the method paper's min + std criterion, conservative on purpose, since a larger one overfits the label book.
Differs by two params: ``guard`` also demands a negative effect, because where |min| < std the threshold is positive and
helpful images would be dropped; ``votes`` can require more than one label-book image.
"""

import numpy as np
import numpy.typing as npt


def harmful_votes(effect: npt.NDArray[np.floating], *, guard: bool) -> npt.NDArray[np.bool_]:
    """Which label-book images vote to drop which images.

    $$ E_{ij} < \\min_i E_{ij} + \\mathrm{std}_i E_{ij} $$, and with ``guard`` also $E_{ij} < 0$.

    Args:
        effect: (N, M) removal effects; below 0 means that removing i lowers the loss on j.
        guard: off is the rule as published.

    Returns:
        (N, M) bool.

    Raises:
        ValueError: no rows, no columns, or an effect that is not finite.
    """
    if effect.ndim != 2 or effect.size == 0:
        raise ValueError(f"effect must be (N, M) with N and M at least 1, got shape {effect.shape}")
    if not np.isfinite(effect).all():
        raise ValueError(f"{int((~np.isfinite(effect)).sum())} effects are not finite")
    threshold = effect.min(axis=0) + effect.std(axis=0)  # (M,)
    votes: npt.NDArray[np.bool_] = effect < threshold  # (N, M)
    return votes & (effect < 0) if guard else votes
