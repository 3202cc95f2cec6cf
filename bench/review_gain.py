"""Measure what decisions in the review page gain: the faults left in the refined set, before and after them.

    python -m bench.review_gain RUN [DECISIONS]

RUN is the folder of a finished run of a source whose truth is known (data/truth.parquet); it is changed: the decisions
are written to its overrides.csv, and ``winnow apply`` carries them out. DECISIONS are 200 if left out. A script stands
for the person: it takes the images in the order of the queue and presses the key of what the truth says.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from playwright.sync_api import Page

from bench.review_page import SHOWN, chromium, opened, reviewing
from winnow.dataset.samples import labels_by_id, only_source, only_splits, read_samples
from winnow.pipeline.files import read_table

Labels = Mapping[str, str | None]  # by id; None: shows no class, or was dropped


def main(run: Path, decisions: int) -> None:
    """Decide, apply, and print how well the refined set agrees with the truth."""
    run = run.resolve()
    truth = read_table(run / "data/truth.parquet", columns=["id", "label"])
    shows: Labels = dict(zip(truth["id"].to_pylist(), truth["label"].to_pylist(), strict=True))
    print(f"before: {_agreement(run, shows)}")
    with reviewing(run) as (address, folder), chromium() as browser:
        with opened(browser, address, width=1440, height=900) as page:
            for _ in range(decisions):
                page.wait_for_function(SHOWN)
                _decide(page, shows)
            page.wait_for_function("() => document.querySelector('#saved').textContent.includes('All saved')")
        (run / "overrides.csv").write_bytes((folder / "overrides.csv").read_bytes())
    environment = {**os.environ, "PYTHONPATH": str(run)}
    subprocess.run([sys.executable, "-m", "winnow", "apply"], cwd=run, env=environment, check=True)
    print(f"after {decisions} decisions: {_agreement(run, shows)}")


def _decide(page: Page, shows: Labels) -> None:
    """Press the key of what the image in front shows."""
    identifier = page.locator("#work").get_attribute("data-id")
    assert identifier is not None
    label = shows[identifier]
    if label is None:
        page.keyboard.press("d")
        return
    names = page.locator("#labels button .word").all_inner_texts()
    if label in names:
        page.keyboard.press(str(names.index(label) + 1))
    else:
        page.keyboard.press("r")
        page.keyboard.type(label)
        page.keyboard.press("Enter")


def _agreement(run: Path, shows: Labels) -> str:
    """Precision, recall and F1 of what was dropped or relabelled, of the source images of train and val.

    An image that was touched counts as right where it was a fault and now is as the truth has it, or is dropped.
    """
    given = labels_by_id(only_splits(read_samples(run / "data/prepared"), "train", "val"))
    now = labels_by_id(only_source(read_samples(run / "data/refined")))
    faults = {one for one, label in given.items() if shows[one] != label}
    touched = {one for one, label in given.items() if now.get(one) != label}
    right = {one for one in faults & touched if now.get(one) in (None, shows[one])}
    precision, recall = len(right) / max(1, len(touched)), len(right) / max(1, len(faults))
    left = sum(one in now and now[one] != shows[one] for one in given)
    f1 = 2 * len(right) / max(1, len(faults) + len(touched))
    return (
        f"F1 {f1:.3f}, precision {precision:.3f}, recall {recall:.3f}; "
        f"{left} of {len(set(given) & set(now))} images left have a label that they do not show"
    )


def run_command(arguments: Sequence[str]) -> None:
    """The command line."""
    if not 1 <= len(arguments) <= 2:
        raise SystemExit(__doc__)
    main(Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 200)


if __name__ == "__main__":
    run_command(sys.argv[1:])
