"""The comparison with other rankings of suspect labels, as a table and as a section of docs/results.md.

metrics/peers.json has by name of a source what ``python -m bench.peers SOURCE --record NAME`` measured on it:

    provenance               title, command, commit, date, machine
    images, faults           train and val images whose truth is known, and those of them whose label is wrong
    rankings.<name>.<figure> value, low, high; of the columns of HEADER, the last absent in our own ranking
    verdicts                 value, low, high: F1 of what the verdicts dropped or relabelled
"""

import json
from pathlib import Path

from bench.results_text import Figures, markdown_table, wrapped
from winnow.pipeline.files import write_json

LESS_OURS = "average precision less ours"
HEADER = ("ranking", "AUC", "average precision", "best F1", LESS_OURS)
INTRODUCTION = (
    "How the train and val images of a source are ranked by suspicion, against the truth: by our label quality, by "
    "cleanlab's scores on our out-of-fold class probabilities, and by other people's published predictions where there "
    "are any. Intervals are 95 % intervals of a bootstrap over the images. The best F1 is that of the best threshold, "
    "which is found with the truth; the verdicts need none. These figures are a report: nothing is chosen by them."
)


def peers_table(figures: Figures) -> str:
    """Every ranking of one source, and our verdicts.

    Args:
        figures: of one source.
    """
    rows = [
        (name, *(_spread(found[key]) for key in HEADER[1:-1]), _spread(found.get(LESS_OURS), "+"))
        for name, found in figures["rankings"].items()
    ]
    return markdown_table(HEADER, [*rows, ("Winnow: verdicts", "", "", _spread(figures["verdicts"]), "")])


def peers_section(sources: Figures) -> str:
    """The section of the page: metrics/peers.json."""
    parts = ["## Rankings of suspect labels", wrapped(INTRODUCTION)]
    for figures in sources.values():
        basis = figures["provenance"]
        text = (
            f"`{basis['command']}`, commit {basis['commit']}, {basis['date']}, on {basis['machine']}: "
            f"{figures['images']:,} images, {figures['faults']:,} of them faults."
        )
        parts += [f"### {basis['title']}", wrapped(text), peers_table(figures)]
    return "\n\n".join(parts)


def add_source(file: Path, name: str, figures: Figures) -> None:
    """Write the figures of one source into metrics/peers.json; those of others stay.

    Args:
        file: of the figures.
        name: of the source.
        figures: of it.
    """
    before = json.loads(file.read_bytes()) if file.exists() else {}
    write_json(file, before | {name: figures})


def _spread(figures: Figures | None, sign: str = "") -> str:
    """A value with its interval, to three decimals; empty where there is none."""
    if figures is None:
        return ""
    value, low, high = (f"{figures[key]:{sign}.3f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
