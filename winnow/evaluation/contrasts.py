"""What each part of the method is worth: the arm with it against the arm without it.

Nothing heavy is imported, so that a run with nothing to do can show its result at once.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

CONTRASTS = {  # key of metrics/contrasts.json: meaning
    "<part>.with": "arm with this part of the method",
    "<part>.without": "arm without it, or with a fair control in its place",
    "<part>.gain.mean": "mean accuracy of the first minus that of the second",
    "<part>.gain.low": "lower end of its 95 % interval, paired by seed and test image",
    "<part>.gain.high": "upper end",
}

Pairs = Mapping[str, Sequence[str]]  # part of the method: the arm with it, the arm without it


def contrasts(
    pairs: Pairs, judged: Collection[str], gain: Callable[[str, str], Mapping[str, float]]
) -> dict[str, dict[str, Any]]:
    """metrics/contrasts.json: the parts of which both arms are judged, in the order given.

    Args:
        pairs: section ``compare.contrasts`` of params.yaml.
        judged: the arms that are.
        gain: mean, low and high of the first arm's accuracy minus the second's.
    """
    return {
        part: {"with": having, "without": lacking, "gain": dict(gain(having, lacking))}
        for part, (having, lacking) in pairs.items()
        if having in judged and lacking in judged
    }


def shown(gain: Mapping[str, float], margin: float) -> str:
    """How a gain reads.

    Args:
        gain: its mean, low and high.
        margin: accuracy that a part may cost and still be called non-inferior.
    """
    if gain["low"] == gain["high"] == 0:
        return "no difference: the arms are equal"
    if gain["low"] > 0:
        return "helps"
    if gain["high"] < 0:
        return "harms"
    return f"non-inferior by {margin:g}" if gain["low"] > -margin else "not shown"
