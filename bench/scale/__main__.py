"""Seconds and memory of every stage at growing sizes.

    python -m bench.scale [NAME ...] [--kind backbone] [--only STEP ...]   of stages that do not train; continues
    python -m bench.scale whole [NAME ...]                                 of whole runs; continues
    python -m bench.scale offenders                                        what misses its target, of what is measured
    python -m bench.scale record                                           metrics/scale.json and the picture

NAME is one of the sources of ``bench.scale.sources``, which are written where they are not there yet.
"""

import argparse
import signal
from pathlib import Path

from bench.scale.clone import KINDS
from bench.scale.measure import PLACE, line, measure
from bench.scale.record import gathered, offenders, record
from bench.scale.sources import SOURCES, write_source
from bench.scale.whole import run_whole
from winnow.commands.terminal import interrupt_on

SIZES = ("fm2k", "fm20k", "fm70k")
VERBS = ("whole", "offenders", "record")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(SOURCES)}; {', '.join(SIZES)} by default"
    )
    parser.add_argument("--place", type=Path, default=PLACE, help="folder of the copies and sources")
    parser.add_argument("--only", nargs="+", default=[], metavar="STEP", help="run these, also those that have run")
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="of the model")
    options = parser.parse_args()
    interrupt_on(signal.SIGTERM, signal.SIGHUP)  # what runs ends with this command
    verb, names = "", options.names
    if names and names[0] in VERBS:
        verb, *names = names
    if unknown := sorted(set(names) - set(SOURCES)):
        parser.error(f"no such source: {', '.join(unknown)}; there are {', '.join(SOURCES)}")
    if verb == "record":
        record(options.place)
    elif verb == "offenders":
        for kind, series in gathered(options.place)["series"].items():
            sizes = ", ".join(f"{size:,}" for size in sorted(map(int, series["sizes"])))
            print("\n".join([f"{kind}, at {sizes} images:", *offenders(series["sizes"], every=True), ""]))
    else:
        for name in names or (SIZES[-1:] if verb else SIZES):
            source = write_source(name, options.place)
            if verb:
                for stage, took in run_whole(source, place=options.place).items():
                    print(line(name, stage, took))
            else:
                measure(source, kind=options.kind, place=options.place, only=options.only)


if __name__ == "__main__":
    main()
