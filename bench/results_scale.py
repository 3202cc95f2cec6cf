"""Seconds and memory by the number of images, as a table and a picture of docs/results.md.

metrics/scale.json has what ``python -m bench.scale record`` found. Each measurement has its commit, date and machine:

    series.<kind>.sizes.<size>.<step>    seconds, cpu_seconds, peak and mapped (bytes); of the stages that do not train
    others.<source>.steps.<step>         the same, of a source that stands alone
    whole.<source>.steps.<stage>         the same, of a whole run that has ended
    whole.<source>.results               faults, dropped, relabelled, f1; accuracy and error_reduction by arm
"""

from collections.abc import Mapping

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
    "train to one and a half times its images (1.05 times above 100,000), those of edge cases to four times. Sources "
    "are parts of Fashion-MNIST with known faults. CPU seconds are those of all processes of a stage, memory is what "
    "they hold at one moment (looked at ten times a second), pages of files not counted, which the kernel takes back. "
    "The exponent is the larger of the slope over all sizes and of that between the two largest, of log seconds or "
    "log bytes over log images; a start of some seconds flattens it."
)


def scale_section(figures: Figures) -> str:
    """The section of docs/results.md."""
    parts = ["## Scale", wrapped(INTRODUCTION)]
    for kind, words in KINDS.items():
        if series := figures.get("series", {}).get(kind):
            parts += [wrapped(f"The model: {words}. {_basis(series)}"), scale_table(series["sizes"])]
    parts.append("![Seconds and memory by the number of images](pictures/scale.png)")
    for name, one in figures.get("others", {}).items():
        parts += [wrapped(f"Another source: {name}. {_basis(one)}"), plain_table(one["steps"])]
    for name, one in figures.get("whole", {}).items():
        parts += [wrapped(f"The whole method, with what trains: {name}. {_basis(one)}"), plain_table(one["steps"])]
        parts.append(wrapped(_came_of(one["results"])))
    return "\n\n".join(parts)


def _basis(measurement: Figures) -> str:
    """Of which code, when and where."""
    return f"Commit {measurement['commit']}, {measurement['date']}; {measurement['machine']}."


def _came_of(found: Figures) -> str:
    """A sentence on what came of a whole run."""
    arms = ", ".join(f"{arm} {interval_text(one)}" for arm, one in found["accuracy"].items())
    less = ", ".join(f"{arm} {interval_text(one)}" for arm, one in found["error_reduction"].items())
    verdicts = f"It ended with {found['dropped']:,} images dropped and {found['relabelled']:,} relabelled"
    if "f1" in found:
        verdicts += f", F1 {found['f1']:.3f} against {found['faults']:,} known faults"
    return f"{verdicts}; accuracy {arms}; error reduction {less}."


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


def plain_table(steps: Figures) -> str:
    """A row a step: seconds and memory."""
    rows = [
        (step, f"{took['seconds']:,.0f}", f"{took['cpu_seconds']:,.0f}", f"{took['peak'] / 2**20:,.0f}")
        for step, took in steps.items()
    ]
    return markdown_table(("stage", "s", "CPU s", "MiB"), rows)
