"""Measure speed, memory and the faults found among photographs: ``python -m bench.run [TOPIC ...]``.

Ratios are of one run on one machine, round by round; the figures are written to build/bench.json too.
"""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from bench import (
    augment,
    diff,
    influence,
    judge,
    memory,
    near_duplicates,
    photographs,
    prepare,
    remote,
    representation,
    rounds,
    search,
)
from bench.timing import Figure, machine
from winnow.pipeline.files import write_json

RESULT = Path("build/bench.json")
TOPICS: dict[str, Callable[..., list[Figure]]] = {
    "influence": influence.measure,
    "judge": judge.measure,
    "prepare": prepare.measure,
    "near_duplicates": near_duplicates.measure,
    "memory": memory.measure,
    "augment": augment.measure,
    "search": search.measure,
    "representation": representation.measure,
    "photographs": photographs.measure,
    "remote": remote.measure,
    "diff": diff.measure,
    "round": rounds.measure,
}


def main() -> None:
    """Measure the topics named, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="topic", help=f"of {', '.join(TOPICS)}; all by default")
    parser.add_argument("--images", type=int, default=1536, help="images per training pass (default: 1536)")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions, interleaved (default: 5)")
    options = parser.parse_args()
    unknown = sorted(set(options.topics) - set(TOPICS))
    if unknown:
        parser.error(f"no such topic: {', '.join(unknown)}; there are {', '.join(TOPICS)}")
    here = machine()
    print("bench: " + ", ".join(f"{key} {value}" for key, value in here.items()))
    results: dict[str, list[Figure]] = {}
    for topic in options.topics or TOPICS:
        print(f"\n{topic}: median (least to greatest), {options.rounds} rounds", flush=True)
        results[topic] = TOPICS[topic](images=options.images, rounds=options.rounds)
        print("\n".join(figure.line() for figure in results[topic]), flush=True)
        as_json = {name: [dataclasses.asdict(f) | {"met": f.met} for f in found] for name, found in results.items()}
        write_json(RESULT, {"machine": here, "rounds": options.rounds, "images": options.images, **as_json})
    print(f"\nbench: written to {RESULT}")


if __name__ == "__main__":
    main()
