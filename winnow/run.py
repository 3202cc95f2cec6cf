"""Run the pipeline as ``make run`` and ``make reproduce`` do.

    python -m winnow.run [--source PATH]
    python -m winnow.run --reproduce --source PATH [--seeds 5] [--profile competition] [--rounds 2]

params.yaml, overrides.csv and a source that is named are checked before anything else happens, and the classes before
any training. params.yaml is changed where asked, keeps its comments, and is put back if the run does not end well.
``--reproduce`` judges arm by arm and says how long the rest will take; stopped, it goes on where it was when started
again.
"""

import argparse
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ruamel.yaml import YAML

from winnow.comparison_table import comparison_text
from winnow.lock_file import mend_lock, readable
from winnow.stage import PARAMS, ROOT, Sections, UserError, load_params, read_params, write_bytes, write_csv

COMPARISON, REFINEMENT = ROOT / "metrics/comparison.json", ROOT / "metrics/refinement.json"
OVERRIDES = ROOT / "overrides.csv"
LOCK, PIPELINE = ROOT / "dvc.lock", ROOT / "dvc.yaml"


class RunFailedError(UserError):
    """``dvc repro`` ended with an error, which it has already told."""


def stored_source(given: str, caller: Path) -> str:
    """The source as params.yaml holds it: a relative path counts from the repository, wherever the caller stood."""
    if Path(given).is_absolute():
        return given
    return os.path.relpath(caller / given, ROOT)


@contextmanager
def changed_params(changes: Mapping[str, Any], file: Path = PARAMS) -> Iterator[None]:
    """params.yaml with some values changed; as it was if the block does not end well, unless edited meanwhile.

    Args:
        changes: new values by dotted key (``dataset.source``).
        file: the params file.
    """
    if not changes:
        yield
        return
    before = file.read_bytes()
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a long line stays one line
    document = yaml.load(before.decode())
    for key, value in changes.items():
        *sections, last = key.split(".")
        section = document
        for name in sections:
            section = section[name]
        if isinstance(value, list):
            section[last][:] = value  # in place, so that a list on one line stays on one line
        else:
            section[last] = value
    text = io.StringIO()
    yaml.dump(document, text)
    ours = text.getvalue().encode()
    write_bytes(file, ours)
    try:
        yield
    except BaseException:
        if file.read_bytes() == ours:
            write_bytes(file, before)
        else:
            print(f"run: {file.name} was edited meanwhile and is left so; this run had set {', '.join(changes)}")
        raise


def dvc(*arguments: str) -> None:
    """Run a DVC command from the root with this Python.

    Raises:
        RunFailedError: it did not end well.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    process = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=ROOT, env={**os.environ, "PATH": path})
    if process.returncode:
        raise RunFailedError(
            "the pipeline stopped; the lines above say why. Mended, the same command goes on from there"
        )


def judge_arms(arms: list[str], images: Mapping[str, int]) -> None:
    """Judge arm by arm, and say after each how long the rest will take.

    Args:
        arms: in the table's order.
        images: training images an arm; time grows with them.
    """
    measured_seconds, measured_images = 0.0, 0
    for number, arm in enumerate(arms, start=1):
        start = time.monotonic()
        dvc("repro", f"judge@{arm}")
        seconds = time.monotonic() - start
        if seconds > 30:  # shorter: it was there already, and says nothing of the rest
            measured_seconds, measured_images = measured_seconds + seconds, measured_images + images[arm]
        left = sum(images[other] for other in arms[number:])
        known = measured_images > 0 and left > 0
        rest = f", about {measured_seconds * left / measured_images / 60:.0f} minutes left" if known else ""
        print(f"reproduce: {number} of {len(arms)} arms judged{rest}", flush=True)


def reproduce() -> None:
    """The whole pipeline, the arms one after another with the time left on screen."""
    import pyarrow.parquet as pq

    arms = list(load_params("compare.arms", dict[str, str]))
    for arm in arms:
        dvc("repro", f"arm@{arm}")
    judge_arms(arms, {arm: pq.read_metadata(ROOT / "data/arms" / arm / "samples.parquet").num_rows for arm in arms})
    dvc("repro")


def unrolled(rounds: int) -> dict[str, Any]:
    """Changes to params.yaml that make the pipeline run so many rounds, each on what the one before handed on."""
    inputs = ["data/prepared", *(f"data/r{number}/accepted" for number in range(1, rounds))]
    named = {f"r{number}": {"input": given} for number, given in enumerate(inputs, start=1)}
    return {"rounds": named, "refined.round": f"r{rounds}"}


def print_table() -> None:
    """The result, from the committed metrics."""
    print("\n" + comparison_text(json.loads(COMPARISON.read_bytes()), json.loads(REFINEMENT.read_bytes())))


def check(source: str) -> None:
    """Stop before anything long if no pipeline can start on the source."""
    from winnow.source import check_source, resolve_source

    limits = read_params()["prepare"]
    check_source(resolve_source(source), max_unreadable=limits["max_unreadable"], max_pixels=limits["max_image_pixels"])


def check_overrides(file: Path = OVERRIDES) -> None:
    """Stop before anything long if the overrides cannot be read; a missing file is made again, without any."""
    from winnow.overrides import HEADER, read_overrides

    if not file.exists():
        write_csv(file, HEADER, [])
        print(f"run: {file.name} was missing and is made again, empty; `git checkout {file.name}` brings rows back")
    read_overrides(file)


def check_merged(files: Sequence[Path] = (PARAMS, LOCK)) -> None:
    """Stop if a merge left its marks in a file that DVC reads."""
    for file in files:
        if file.exists() and re.search("^(<<<<<<<|>>>>>>>) ", file.read_text(encoding="utf-8"), re.MULTILINE):
            remedy = (
                "take one side whole (`git checkout --ours dvc.lock`): what it does not describe is run again"
                if file == LOCK
                else "choose between the marked lines"
            )
            raise UserError(f"{file.name} holds a merge conflict; {remedy}, then `git add {file.name}`")


def check_lock(root: Path = ROOT) -> None:
    """Let DVC go on after it was killed while it wrote its lock."""
    file = root / LOCK.name
    if not file.exists() or readable(file.read_bytes()):
        return
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    try:
        with Repo(root) as repo, lock_repo(repo):  # another DVC may be writing it at this moment
            mended = mend_lock(file)
    except DvcException as error:
        raise UserError(f"{file.name} cannot be read, and DVC is at work here: {error}") from None
    if mended:
        print(f"run: {file.name} was cut short, as by a kill while DVC wrote it; the stages whole in it are kept")


def check_sections(params: Path = PARAMS, pipeline: Path = PIPELINE) -> None:
    """Stop if params.yaml has a section that no stage reads: most likely a slip in its name."""
    text = pipeline.read_text(encoding="utf-8")
    stages = read_params(pipeline)["stages"]
    bodies = [stage.get("do", stage) for stage in stages.values()]
    known = {name.split(".")[0] for body in bodies for name in body.get("params", [])}
    known |= set(re.findall(r"\$\{(\w+)", text)) - {"key", "item"}
    for section in read_params(params):
        if section not in known:
            raise UserError(f"{params.name}: section {section} is unknown; known: {', '.join(sorted(known))}")


def check_params(params: Path = PARAMS) -> None:
    """Stop before anything long if a stage would refuse its section of params.yaml."""
    from winnow.seed_files import check_seeds

    for file in sorted((ROOT / "stages").glob("[a-z]*.py")):
        sections: Sections = importlib.import_module(f"stages.{file.stem}").SECTIONS
        for section, kind in sections.values():
            load_params(section, kind, params)
    kept, voting = (load_params(name, int, params) for name in ("embed.neighbours", "cleanse_neighbours.k"))
    if voting > kept:
        raise UserError(
            f"params.yaml: cleanse_neighbours.k is {voting}, but embed.neighbours is {kept}: no more are kept; raise it"
        )
    check_seeds(load_params("compare.seeds", list[int], params))
    for section, kind in (("rounds", dict[str, dict[str, str]]), ("compare.arms", dict[str, str])):
        for name in load_params(section, kind, params):
            if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", name):
                raise UserError(
                    f"params.yaml: {section} has the name {name!r}, which becomes a folder and a word of a command; "
                    f"begin with a letter or a digit, and use these, - and _"
                )
            if section == "rounds" and name in ("prepared", "test", "refined", "arms", "export"):
                raise UserError(
                    f"params.yaml: rounds has the name {name}, but data/{name} is another output; rename it"
                )


def check_classes(dataset: Path = ROOT / "data/prepared", overrides: Path = OVERRIDES) -> None:
    """Stop before any training if a word on an image means nothing, or the classes cannot be augmented."""
    from winnow.balance import demand_balance, demand_pairs
    from winnow.cleansing import obeyed
    from winnow.dataset import read_samples
    from winnow.overrides import read_rulings

    samples, _ = obeyed(read_samples(dataset), read_rulings(overrides, dataset))
    demand_pairs(samples, dataset)
    budget, most = (load_params(name, int) for name in ("augment.budget", "judge.max_images"))
    demand_balance(samples, budget=budget, max_images=most)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="", help="a folder or a zip of labelled images")
    parser.add_argument("--reproduce", action="store_true", help="the exact table, arm by arm")
    parser.add_argument("--seeds", type=int, default=5, help="with --reproduce: seeds 0 to SEEDS - 1")
    parser.add_argument("--profile", default="competition", help="with --reproduce: a name from judge.profiles")
    parser.add_argument("--rounds", type=int, default=2, help="with --reproduce: how often the method is repeated")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupted)
    changes: dict[str, Any] = {}
    try:
        check_merged()
        check_lock()
        check_sections()
        check_params()
        check_overrides()
        if options.source:
            changes["dataset.source"] = stored_source(options.source, Path.cwd())
            check(changes["dataset.source"])
        if options.reproduce:
            if options.seeds < 1:
                raise UserError(f"SEEDS must be at least 1, got {options.seeds}")
            if options.rounds < 1:
                raise UserError(f"ROUNDS must be at least 1, got {options.rounds}")
            known = read_params()["judge"]["profiles"]
            if options.profile not in known:
                raise UserError(f"PROFILE must be one of {', '.join(known)}, got {options.profile}")
            changes |= {"compare.seeds": list(range(options.seeds)), "judge.profile": options.profile}
            changes |= unrolled(options.rounds)
        with changed_params(changes):
            dvc("repro", "prepare")
            check_classes()
            if options.reproduce:
                reproduce()
            else:
                dvc("repro")
    except UserError as error:
        sys.exit(f"run: {error}")
    except KeyboardInterrupt:
        sys.exit("run: interrupted; the same command goes on from where this one stopped")
    print_table()
    if changes:
        named = ", ".join(changes)
        print(f"\nparams.yaml now has other values of {named}; `git checkout params.yaml` goes back.")


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
