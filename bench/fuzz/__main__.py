"""Spoilt images, containers and tables through all that reads them: ``make fuzz``.

Every input is made from the seed and its number. It must be accepted, or refused with one sentence, within 20 seconds
and 1.5 GB, and change nothing beside it; an image accepted must give the same pixels again. Findings are left in
build/fuzz/<seed>-<number>/, and ``--only NUMBER`` repeats one. A run that was stopped goes on where it was, unless the
code has changed.
"""

import argparse
import json
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from bench.fuzz.campaign import MEMORY, Campaign, Result, batches
from bench.fuzz.checks import ACCEPTED, SECONDS, Finding
from bench.fuzz.inputs import input_of
from bench.timing import machine
from winnow.pipeline.files import ROOT, digest, write_bytes, write_json

FOLDER = ROOT / "build" / "fuzz"
RECORD = ROOT / "metrics" / "fuzz.json"  # which `make results` reads
KEPT = 5  # inputs kept of one and the same fault
CODE = ("winnow", "stages", "bench/fuzz")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many, in all (default: 100000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many; the next run goes on")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this input alone, with what is found")
    parser.add_argument("--record", action="store_true", help=f"write the summary to {RECORD.relative_to(ROOT)} too")
    options = parser.parse_args()
    if options.only is not None:
        raise SystemExit(repeat(options.seed, options.only))
    state = run(options.inputs, options.seed, 60 * options.minutes, FOLDER)
    if options.record and state["inputs"] >= options.inputs:
        write_json(RECORD, summary(state, options.seed))
    raise SystemExit(1 if state["findings"] else 0)


def repeat(seed: int, number: int) -> int:
    """One input again: 1 where it is a finding, else 0."""
    with Campaign(seed) as campaign:
        result = campaign.run([number])
    one = input_of(seed, number)
    print(f"fuzz: input {number} of seed {seed}: {one.format}, {one.way}; {result.fates.get(number, 'no answer')}")
    for finding in result.findings:
        print(f"fuzz: {finding.what}\n{finding.detail}")
    return bool(result.findings)


def run(inputs: int, seed: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Read inputs until there are so many, or the time is over.

    Args:
        inputs: how many there are in all.
        seed: of the inputs.
        seconds: that this run may take.
        folder: of the findings and of what is done so far.

    Returns:
        Counts: inputs, seconds, by_format {format: {inputs, accepted}}, by_way, findings {what: inputs}.
    """
    file, code = folder / f"{seed}.json", digest([ROOT / part for part in CODE])
    state: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
    if state.get("code") != code:
        state = {"code": code, "inputs": 0, "seconds": 0.0, "by_format": {}, "by_way": {}, "findings": {}}
    began = told = time.monotonic()
    spent = state["seconds"]
    with Campaign(seed) as campaign:
        for numbers in batches(inputs, state["inputs"]):
            if time.monotonic() - began > seconds:
                break
            result = campaign.run(numbers)
            count(state, seed, numbers, result)
            for finding in result.findings:
                keep(state, seed, numbers, finding, folder)
            state["seconds"] = spent + time.monotonic() - began
            write_json(file, state)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(line(state), flush=True)
    print(line(state))
    return state


def line(state: dict[str, Any]) -> str:
    """The state as a line of text."""
    rate = state["inputs"] / max(state["seconds"], 1e-9)
    return f"fuzz: {state['inputs']:,} inputs, {rate:.0f} a second; {sum(state['findings'].values())} findings"


def count(state: dict[str, Any], seed: int, numbers: Sequence[int], result: Result) -> None:
    """Add a batch to the counts."""
    state["inputs"] = numbers[-1] + 1
    made = [input_of(seed, number) for number in numbers]
    for one in made:
        counts = state["by_format"].setdefault(one.format, {"inputs": 0, "accepted": 0})
        counts["inputs"] += 1
        counts["accepted"] += result.fates.get(one.number) == ACCEPTED
    state["by_way"] = dict(Counter(state["by_way"]) + Counter(one.way for one in made))


def keep(state: dict[str, Any], seed: int, numbers: Sequence[int], finding: Finding, folder: Path) -> None:
    """Count a finding, and keep what it takes to look at it: the words, and the file."""
    state["findings"][finding.what] = state["findings"].get(finding.what, 0) + 1
    number = finding.number
    print(f"fuzz: {finding.what}: --seed {seed} --only {numbers[0] if number is None else number}", flush=True)
    if state["findings"][finding.what] > KEPT:
        return
    place = folder / f"{seed}-{numbers[0]}-batch" if number is None else folder / f"{seed}-{number}"
    facts: dict[str, Any] = {"what": finding.what, "detail": finding.detail, "numbers": list(numbers)}
    if number is not None:
        one = input_of(seed, number)
        facts = {"what": finding.what, "detail": finding.detail, "format": one.format, "way": one.way}
        write_bytes(place / Path(one.name).name, one.content)
    write_json(place / "finding.json", facts)


def summary(state: dict[str, Any], seed: int) -> dict[str, Any]:
    """What docs/results.md says of a run."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    facts = {name: state[name] for name in ("inputs", "seconds", "by_format", "by_way", "findings")}
    limits = {"seconds": SECONDS, "megabytes": MEMORY // 10**6}
    basis = {"seed": seed, "commit": commit.stdout.strip(), "date": date.today().isoformat(), "machine": machine()}
    return {**facts, "limits": limits, "provenance": basis}


if __name__ == "__main__":
    main()
