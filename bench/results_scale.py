"""Seconds and memory by the number of images, as a table and a picture of docs/results.md.

metrics/scale.json has what ``python -m bench.scale --record`` measured:

    provenance                     commit, date, machine
    kinds.<kind>.<size>.<step>     seconds, cpu_seconds, peak and mapped (bytes); of the stages that do not train
    others.<source>.<step>         the same, of sources that stand alone
    whole.<source>.<stage>         the same, of a whole run
    results.<source>               faults, dropped, relabelled, f1; accuracy and error_reduction by arm
"""

from collections.abc import Mapping, Sequence

from bench.results_text import Figures, markdown_table, wrapped
from bench.scale.fit import exponent
from bench.scale.targets import BOUNDED, MOST_MEMORY, MOST_TIME
from winnow.evaluation.comparison_table import interval_text

KINDS = {
    "competition": "networks of small images",
    "backbone": "features of a backbone, whose own computing is next to nothing",
}
INTRODUCTION = (
    "`python -m bench.scale`: every stage that does not train, each in a process as DVC starts it, in a copy of the "
    "repository; what trains is given, predictions that are right about 95 % of the images among it, and copies bring "
    "train to one and a half times its images, those of edge cases to four times. Sources are parts of Fashion-MNIST "
    "with planted faults. CPU seconds are those of all processes of a stage, memory is what they hold at one moment "
    "(looked at ten times a second), pages of files not counted, which the kernel takes back. The exponent is the "
    "larger of the slope over all sizes and of that between the two largest, of log seconds or log bytes over log "
    "images; a start of some seconds flattens it."
)


def scale_section(figures: Figures) -> str:
    """The section of docs/results.md."""
    basis = figures["provenance"]
    parts = [
        "## Scale",
        wrapped(INTRODUCTION),
        wrapped(f"Commit {basis['commit']}, {basis['date']}; {basis['machine']}."),
    ]
    for kind, words in KINDS.items():
        if by_size := figures.get("kinds", {}).get(kind):
            parts += [wrapped(f"The model: {words}."), scale_table(by_size)]
    for group, words in (("others", "Sources of other kinds."), ("whole", "The whole method, with what trains.")):
        if figures.get(group):
            parts += [wrapped(words), plain_table(figures[group])]
    parts += [wrapped(_came_of(name, found)) for name, found in figures.get("results", {}).items()]
    return "\n\n".join([*parts, "![Seconds and memory by the number of images](pictures/scale.png)"])


def _came_of(name: str, found: Figures) -> str:
    """A sentence on what came of a whole run."""
    arms = ", ".join(f"{arm} {interval_text(one)}" for arm, one in found["accuracy"].items())
    less = ", ".join(f"{arm} {interval_text(one)}" for arm, one in found["error_reduction"].items())
    verdicts = f"{found['dropped']:,} images dropped and {found['relabelled']:,} relabelled"
    if "f1" in found:
        verdicts += f", F1 {found['f1']:.3f} against {found['faults']:,} known faults"
    return f"{name}: {verdicts}; accuracy {arms}; error reduction {less}."


def costs(by_size: Figures, step: str, figure: str) -> dict[int, float]:
    """A figure of a step by size."""
    return {int(size): steps[step][figure] for size, steps in by_size.items() if step in steps}


def scale_table(by_size: Figures) -> str:
    """A row a step: CPU seconds and memory by size, and both exponents; what misses its target is bold."""
    sizes = sorted(map(int, by_size))
    header = (
        "stage",
        *(f"{size:,}: CPU s" for size in sizes),
        "exponent",
        *(f"{size:,}: MiB" for size in sizes),
        "exponent",
    )
    names = dict.fromkeys(step for size in sizes for step in by_size[str(size)])
    rows = []
    for step in names:
        cells = [step]
        for figure, scale, most in (("cpu_seconds", 1, MOST_TIME), ("peak", 2**20, MOST_MEMORY)):
            found = costs(by_size, step, figure)
            cells += [f"{found[size] / scale:,.0f}" if size in found else "" for size in sizes]
            cells.append(_exponent(found, most, bounded=step in BOUNDED))
        rows.append(cells)
    return markdown_table(header, rows)


def _exponent(found: Mapping[int, float], most: float, *, bounded: bool) -> str:
    if len(found) < 2:
        return ""
    value = exponent(found)
    text = f"{round(value, 2) + 0.0:.2f}"  # no -0.00
    return f"**{text}**" if bounded and value > most else text


def plain_table(by_source: Figures) -> str:
    """A row a step: seconds and memory of sources that stand alone."""
    sources: Sequence[str] = list(by_source)
    header = ("stage", *(f"{one}: {what}" for one in sources for what in ("s", "CPU s", "MiB")))
    names = dict.fromkeys(step for one in sources for step in by_source[one])
    rows = []
    for step in names:
        cells = [step]
        for one in sources:
            took = by_source[one].get(step)
            cells += (
                [f"{took['seconds']:,.0f}", f"{took['cpu_seconds']:,.0f}", f"{took['peak'] / 2**20:,.0f}"]
                if took
                else [""] * 3
            )
        rows.append(cells)
    return markdown_table(header, rows)
