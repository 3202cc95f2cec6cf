"""Measure how long a decision takes in the review page, from the key to the next picture and the server's answer.

    python -m bench.review_latency RUN [DECISIONS] [PAUSE]

RUN is the folder of a finished run, which is only read; DECISIONS are 200 if left out, PAUSE milliseconds between two
of them (150) stand for the person, who looks at the picture. The browser measures: the time of the event of the key;
the picture counts as shown after the frame that painted it, the decision as saved when the page says so, which it does
after the answer of the server, whose row is on the disk by then.
"""

import sys
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from bench.review_page import SHOWN, chromium, opened, reviewing

WATCH = """() => {
  const stage = document.querySelector("#stage"), saved = document.querySelector("#saved");
  const now = {start: null, shown: null, saved: null};
  window.measured = [];
  const done = () => {
    if (now.start === null || now.shown === null || now.saved === null) return;
    window.measured.push([now.shown - now.start, now.saved - now.start]);
    now.start = null;
  };
  addEventListener("keydown", (event) => Object.assign(now, {start: event.timeStamp, shown: null, saved: null}), true);
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => { now.shown = performance.now(); done(); })))
    .observe(stage, {attributes: true, attributeFilter: ["data-shown"]});
  new MutationObserver(() => {
    if (!saved.textContent.includes("All saved")) return;
    now.saved = performance.now();
    done();
  }).observe(saved, {childList: true, characterData: true, subtree: true});
}"""


def main(run: Path, decisions: int, pause: float) -> None:
    """Decide, and print the percentiles."""
    with reviewing(run) as (address, folder), chromium() as browser:
        with opened(browser, address, width=1440, height=900) as page:
            page.evaluate(WATCH)
            for number, key in enumerate(islice(cycle("kd2k1"), decisions), 1):
                page.wait_for_function(SHOWN)
                page.wait_for_timeout(pause)
                page.keyboard.press(key)
                page.wait_for_function("number => window.measured.length === number", arg=number)
            times = np.asarray(page.evaluate("window.measured"))  # (decisions, 2) ms
        rows = len((folder / "overrides.csv").read_text(encoding="utf-8").splitlines()) - 1
    print(f"review_latency: {decisions} decisions, {rows} rows in overrides.csv, pause {pause:g} ms")
    for name, values in (("next picture shown", times[:, 0]), ("saved", times[:, 1]), ("both", times.max(axis=1))):
        middle, high = np.percentile(values, [50, 95])
        print(f"  {name}: p50 {middle:.1f} ms, p95 {high:.1f} ms, longest {values.max():.1f} ms")


def run_command(arguments: Sequence[str]) -> None:
    """The command line."""
    if not 1 <= len(arguments) <= 3:
        raise SystemExit(__doc__)
    decisions = int(arguments[1]) if len(arguments) > 1 else 200
    main(Path(arguments[0]), decisions, float(arguments[2]) if len(arguments) > 2 else 150.0)


if __name__ == "__main__":
    run_command(sys.argv[1:])
