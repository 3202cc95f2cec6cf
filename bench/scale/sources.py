"""Write the sources of the measurements of scale: ``python -m bench.scale.sources FOLDER [NAME ...]``.

Each is a zip of stored files, written image by image; equal names give equal bytes.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.plant import Row
from bench.scale.fashion import write_fashion
from bench.scale.many_classes import write_classes
from bench.scale.numerals import write_numerals

SOURCES: dict[str, Callable[[Path], list[Row]]] = {
    "fm2k": partial(write_fashion, images=2_000),
    "fm8k": partial(write_fashion, images=8_000),
    "fm20k": partial(write_fashion, images=20_000),
    "fm70k": partial(write_fashion, images=70_000),
    "k100x70": partial(write_classes, classes=100, images=70),
    "k1000": partial(write_classes, classes=1_000, images=70),
    "num2k": partial(write_numerals, images=2_000),
    "num300k": partial(write_numerals, images=300_000),
}


def write_source(name: str, folder: Path) -> Path:
    """The zip of that name in a folder, written where it is not there yet."""
    out = folder / f"{name}.zip"
    if not out.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = out.with_suffix(".part")
        rows = SOURCES[name](part)
        part.replace(out)
        faults = sum(not label or label != path.split("/")[1] for path, label, _ in rows)
        print(f"scale: {out}: {len(rows)} images that are judged, {faults} of them faults", flush=True)
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(SOURCES)}; all by default")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(SOURCES)):
        parser.error(f"no such source: {', '.join(unknown)}; there are {', '.join(SOURCES)}")
    for name in options.names or SOURCES:
        write_source(name, options.folder)


if __name__ == "__main__":
    main()
