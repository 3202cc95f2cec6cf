"""One run on docs/results.md: what it was measured with, its arms, its parts, its verdicts and its gate.

A record has the arms of one run, with intervals over seeds and test images, or under ``over_repeats`` what
metrics/repeats.json has of several runs of the whole pipeline, with intervals over repeats and test images. One that
says under ``parts`` which arms tell what a part of the method is worth has their contrasts, by the same intervals.
"""

from collections.abc import Sequence

from bench.results_text import Figures, amount, interval_cell, markdown_table, wrapped
from winnow.evaluation.comparison_table import interval_text
from winnow.evaluation.contrasts import shown

METHOD = {  # arm: its training images; each has all that the row above has
    "baseline": "as delivered",
    "hydra": "what the first verdict leaves; until version 0.5 harmful images dropped",
    "hydra-random": "with copies by random operations",
    "hydra-faa": "with copies by the found policy",
    "hydra-faa-inversion": "the same, a third of the copies inverted",
    "full": "the refined dataset: cleansed again, copies of edge cases added, cleansed once more",
}
CONTROLS = {  # that tell what a part is worth
    "quality-drop": "until version 0.5: as many dropped as in hydra, those of the lowest label quality",
    "baseline-dealt": "the source as it came, trained on its validation images but for ten a class",
    "influence-drop": "as many dropped as hydra drops and relabels, those of the lowest removal effect",
    "hydra-random-chained": "with copies by random operations, as many in a row and limited as the found policy's",
    "hydra-affine": "with copies by a mild affine chosen by hand, for scale",
    "hydra-faa-inversion-cleansed": "what cleanse_neighbours leaves of hydra-faa-inversion",
    "full-plain-copies": "full with as many copies of ordinary images in place of those of edge cases",
    "full-without-edge-cases": "full without the copies of edge cases",
    "full-without-inversion": "full without inverted copies",
}
HEADER = ("arm", "training images", "accuracy [95 % interval]", "error reduction", "gain on the row above")
README_HEADER = ("arm", "training images", "accuracy", "error reduction", "gain on the row above")
PARTS_HEADER = ("part", "with", "without", "gain [95 % interval]", "reading")
SUMMARY_HEADER = ("run", "profile, seeds", "test images", "baseline", "full", "error reduction", "commit")
NOT_MEASURED = "not measured"


def arms_of(record: Figures) -> Figures:
    """By arm: training images, accuracy, error reduction, gain."""
    arms: Figures = record.get("over_repeats", record)["arms"]
    return arms


def summary_row(record: Figures) -> tuple[str, ...]:
    """The record's row of the page's first table."""
    basis, arms = record["provenance"], arms_of(record)
    full = arms.get("full", {})
    return (
        basis["title"],
        f"{basis['profile']}, {_seeds(record)}",
        f"{basis['n_test']:,}",
        interval_text(arms["baseline"]["accuracy"]),
        interval_cell(full.get("accuracy")),
        interval_cell(full.get("error_reduction")),
        basis["commit"],
    )


def readme_table(record: Figures) -> str:
    """The table of README.md, whose length is limited, and a line with its provenance; controls are left out."""
    basis = record["provenance"]
    rows = [(arm, *_cells(arm, row)) for arm, row in arms_of(record).items() if arm not in CONTROLS]
    machine = basis["machine"].partition(":")[0]
    over = _of_seeds(basis["seeds"])
    if "over_repeats" in record:
        over = f"Mean over {record['over_repeats']['repeats']} repeats of {over}"
    return "\n\n".join([markdown_table(README_HEADER, rows), f"{over}; commit {basis['commit']}, machine {machine}."])


def record_section(record: Figures) -> str:
    """The record's section of the page."""
    basis = record["provenance"]
    facts = [
        ("question", basis["question"]),
        ("source", basis["source"]),
        ("command", f"`{basis['command']}`"),
        ("commit, date", f"{basis['commit']}, {basis['date']}"),
        ("machine", basis["machine"]),
        ("profile, rounds", f"{basis['profile']}, {basis['rounds']}"),
        ("seeds, test images", f"{_seeds(record)}, {basis['n_test']:,}"),
    ]
    texts = [basis["note"], " ".join([*detection(_verdicts(record)), *_gates(record)])]
    parts = [
        f"## {basis['title']}",
        markdown_table(("", ""), facts),
        *_over_repeats(record),
        arms_table(arms_of(record)),
        *_parts(record),
        *(wrapped(text) for text in texts if text),
    ]
    return "\n\n".join(parts)


def arms_table(arms: Figures) -> str:
    """The table of arms."""
    return markdown_table(HEADER, [(arm, *_cells(arm, row)) for arm, row in arms.items()])


def detection(figures: Figures) -> list[str]:
    """Sentences on the verdicts; those against the truth where it is known.

    Args:
        figures: as metrics/refinement.json, each one number or one a repeat; empty where nothing is known.
    """
    if not figures:
        return []
    images, dropped, relabelled = (amount(figures[key]) for key in ("images", "dropped", "relabelled"))
    found = [f"Of {images} train and val images {dropped} were dropped and {relabelled} relabelled."]
    if "f1" in figures:
        text = " and ".join(f"{key} {amount(figures[key], '.3f')}" for key in ("precision", "recall"))
        if "relabels_right" in figures:
            text += f"; {amount(figures['relabels_right'], '.1%').replace('%', ' %')} of the relabels are right"
        f1 = amount(figures["f1"], ".3f")
        found.append(f"Against {amount(figures['faults'])} known faults: F1 {f1}, {text}.")
    if "ranking_auc" in figures:
        auc, precision = (amount(figures[f"ranking_{key}"], ".3f") for key in ("auc", "average_precision"))
        found.append(f"The ranking of the faults by label quality has AUC {auc}, average precision {precision}.")
    return [" ".join(found)]


def parts_overview(records: Sequence[Figures]) -> list[str]:
    """What each part is worth in every run that tells; nothing where fewer than two do."""
    told = [record for record in records if "parts" in record]
    if len(told) < 2:
        return []
    worth = [
        {part: f"{reading}: {gain}" if gain else reading for part, (_, _, gain, reading) in _worth(record).items()}
        for record in told
    ]
    parts = dict.fromkeys(part for one in worth for part in one)
    rows = [(part, *(one.get(part, "") for one in worth)) for part in parts]
    titles = [record["provenance"]["title"] for record in told]
    return ["## What each part of the method is worth", markdown_table(("part", *titles), rows)]


def _cells(arm: str, row: Figures) -> tuple[str, ...]:
    """Of a control the row above is no measure."""
    return (
        amount(row["n_train"]) if "n_train" in row else "",
        interval_text(row["accuracy"]),
        interval_cell(row.get("error_reduction")),
        "" if arm in CONTROLS else interval_cell(row.get("gain"), sign="+"),
    )


def _of_seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def _seeds(record: Figures) -> str:
    seeds = record["provenance"]["seeds"]
    return f"{record['over_repeats']['repeats']} repeats of {seeds}" if "over_repeats" in record else str(seeds)


def _verdicts(record: Figures) -> Figures:
    found: Figures = record["over_repeats"]["refinement"] if "over_repeats" in record else record.get("detection", {})
    return found


def _over_repeats(record: Figures) -> list[str]:
    if "over_repeats" not in record:
        return []
    count, seeds = record["over_repeats"]["repeats"], _of_seeds(record["provenance"]["seeds"])
    return [
        wrapped(
            f"Every figure is the mean over {count} repeats of the whole pipeline ({seeds} each), the intervals "
            "are over repeats and test images. What a repeat counts is shown as the mean (least to greatest)."
        )
    ]


def _parts(record: Figures) -> list[str]:
    if "parts" not in record:
        return []
    rows = [(part, *cells) for part, cells in _worth(record).items()]
    return ["### What each part of the method is worth", markdown_table(PARTS_HEADER, rows)]


def _worth(record: Figures) -> dict[str, tuple[str, str, str, str]]:
    """By part: the arm with it, the arm without it, its gain and the reading; one that was not measured is said so."""
    contrasts, rows = record.get("over_repeats", record).get("contrasts", {}), {}
    for part, (having, lacking) in record["parts"].items():
        gain = contrasts[part]["gain"] if part in contrasts else None
        reading = shown(gain, record["margin"]) if gain else NOT_MEASURED
        rows[part] = (having, lacking, interval_cell(gain, sign="+"), reading)
    return rows


def _gates(record: Figures) -> list[str]:
    """Sentences on the gate, which a record has by round; in older ones one question was asked of one round."""
    if "gate" in record:
        return [_one_question(record["gate"])]
    which = "In repeat 0 the" if "over_repeats" in record else "The"
    return [_of_round(which, name, figures) for name, figures in record.get("gates", {}).items()]


def _one_question(figures: Figures) -> str:
    return (
        f"The gate {'accepted' if figures['accepted'] else 'rejected'} the round: accuracy "
        f"{figures['incoming']['mean']:.3f} before and {figures['candidate']['mean']:.3f} after it on "
        f"{figures['images']:,} validation and label-book images, gain {interval_text(figures['gain'], sign='+')}."
    )


def _of_round(which: str, round_name: str, figures: Figures) -> str:
    named = {"cleansing": "cleansing gains", "augmentation": "the copies", "gain": "both together"}
    asked = [f"{words} {interval_text(figures[key], sign='+')}" for key, words in named.items() if key in figures]
    return (
        f"{which} gate {'accepted' if figures['accepted'] else 'rejected'} round {round_name} (margin "
        f"{figures['margin']:g}): on {figures['images']:,} images, each held out, {', '.join(asked)} (90 % intervals)."
    )
