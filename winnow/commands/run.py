"""Run the pipeline as ``make run`` and ``make reproduce`` do.

    winnow run [--source PATH] [--preset published] [--decided]
    winnow reproduce [--source PATH] [--preset published] [--seeds 5] [--profile competition] [--rounds 1] [--repeats 1]
                     [--arms all]

params.yaml, people's decisions and a source that is named are checked before anything else happens, and the classes
before any training. With ``--decided`` the run starts from the decisions of overrides.csv, which it copies to
decided.csv. The options are written into params.yaml, which keeps its comments and is restored if the run fails. An
option wins over what a preset (a file of presets/) says.
``reproduce`` takes the whole method, presets/winnow.yaml, where params.yaml is as delivered. It judges every arm of
compare.arms, with ``--arms all`` the fair controls of compare.controls too; a run that was stopped continues where it
was when started again.
"""

import argparse
import fcntl
import functools
import hashlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from winnow.commands.arms import METHOD, chosen_arms
from winnow.commands.checks import CHECKED, LOCK, OVERRIDES, check_classes, check_params, check_repository, check_source
from winnow.commands.decided import take_decisions
from winnow.commands.edited_params import changed_params, restore_params, with_changes
from winnow.commands.leftovers import sweep_root
from winnow.commands.presets import WHOLE, closing_sentence, preset_changes, whole_method
from winnow.commands.terminal import ending_in_a_sentence, interrupt_on
from winnow.evaluation.comparison_table import Parts, comparison_text
from winnow.pipeline.fields import Share
from winnow.pipeline.files import ROOT
from winnow.pipeline.json_files import read_json
from winnow.pipeline.messages import UserError, plain
from winnow.pipeline.params import load_params, read_params

MOST_REPEATED = 1_000  # seeds, as in params.yaml, and rounds
CONTINUES = "Once that is fixed, the same command continues from there"
HOMES = re.compile("/(home|Users)/[^/]+/")
RUN_LOCK = ROOT / ".dvc/tmp/winnow-run.lock"
COMPARISON, REFINEMENT = ROOT / "metrics/comparison.json", ROOT / "metrics/refinement.json"
CONTRASTS = ROOT / "metrics/contrasts.json"


class RunFailedError(UserError):
    """``dvc repro`` ended with an error, which it has already reported."""


def stored_source(given: str, caller: Path, root: Path = ROOT) -> str:
    """The source as params.yaml holds it: a path in the repository, or given as relative, is relative to it."""
    if Path(given).is_absolute() and not Path(os.path.normpath(given)).is_relative_to(root):
        return given
    return os.path.relpath(caller / given, root)


def home_warning(source: str, home: Path, root: Path = ROOT) -> str:
    """A sentence where params.yaml, which git passes on, would name somebody's home directory; else empty.

    Args:
        source: as ``stored_source`` gives it.
        home: of the user.
        root: the repository's folder.
    """
    path = os.path.normpath(source)
    if not (
        os.path.isabs(path) and ((home != Path(home.anchor) and Path(path).is_relative_to(home)) or HOMES.match(path))
    ):
        return ""
    relative = os.path.relpath(path, root)
    nearer = "" if HOMES.search(f"/{relative}") else f"give it as {shlex.quote(relative)} from the repository, or "
    return (
        f"warning: params.yaml, which git passes on, now names a home directory, {plain(path)}; {nearer}copy it into "
        "the repository and `dvc add` it, so that others have it too"
    )


@contextmanager
def one_run(file: Path = RUN_LOCK) -> Iterator[None]:
    """Exclude other runs in this repository: two would change the same params.yaml, and both fail.

    The system releases the lock when the process ends, however it ends.

    Raises:
        UserError: another run is going on.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            who = lock.read().strip() or "unknown"
            raise UserError(f"another run is going on here, process {who}; wait until it ends, or end it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def dvc(*arguments: str) -> None:
    """Run a DVC command from the root with this Python.

    Raises:
        RunFailedError: it failed.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    process = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=ROOT, env={**os.environ, "PATH": path})
    if process.returncode:
        raise RunFailedError(f"the pipeline stopped; the lines above say why. {CONTINUES}")


def unrolled(rounds: int) -> dict[str, Any]:
    """Changes to params.yaml for so many rounds, each of which starts from what the one before passed on."""
    inputs = ["data/decided", *(f"data/r{number}/gate/dataset" for number in range(1, rounds))]
    named = {f"r{number}": {"input": given} for number, given in enumerate(inputs, start=1)}
    return {"rounds": named, "refined.round": f"r{rounds}"}


def print_table() -> None:
    """The result, from the committed metrics."""
    margin, controls = load_params("compare.margin", Share), load_params("compare.controls", dict[str, str])
    parts = Parts(read_json(CONTRASTS), margin, list(controls))
    print("\n" + comparison_text(read_json(COMPARISON), read_json(REFINEMENT), parts))


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow run`` and ``winnow reproduce``."""
    parser = argparse.ArgumentParser(
        prog=f"winnow {command}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", default="", help="a folder or a zip of labelled images")
    parser.add_argument("--preset", default="", help="a name from presets/: params that are changed together")
    if command == "run":
        parser.add_argument("--decided", action="store_true", help="start from the decisions of overrides.csv")
    if command == "reproduce":
        parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to SEEDS - 1")
        parser.add_argument("--profile", default="competition", help="a name from judge.profiles")
        parser.add_argument("--rounds", type=int, default=1, help="how often the method is repeated")
        parser.add_argument("--repeats", type=int, default=1, help="whole pipelines, each from seeds of its own")
        parser.add_argument("--arms", default=METHOD, help="method, or all: the fair controls too")
    options = parser.parse_args(words)
    interrupt_on(signal.SIGTERM, signal.SIGHUP)  # a terminal that is closed hangs up
    with ending_in_a_sentence(command):
        changes = _run(command, options)
    if command == "reproduce" and options.repeats > 1:
        print("\nRepeat 0 alone, which data/, metrics/ and the report are of:")
    print_table()
    if options.preset or changes:
        print("\n" + closing_sentence(options.preset, list(changes)))


def _run(command: str, options: argparse.Namespace) -> dict[str, Any]:
    """Check everything, run the pipeline, and give the changes beside the preset's that stay in params.yaml."""
    changes: dict[str, Any] = {}
    with one_run():
        restore_params()
        sweep_root()
        check_repository()
        preset = preset_changes(options.preset, read_params()) if options.preset else {}
        if command == "reproduce" and not options.preset and (whole := whole_method(read_params())):
            print(f"reproduce: the whole method, presets/{WHOLE}.yaml: {', '.join(whole)}")
            changes |= whole
        if options.source:
            changes["dataset.source"] = stored_source(options.source, Path.cwd())
            check_source(changes["dataset.source"])
            if warning := home_warning(changes["dataset.source"], Path(os.path.expanduser("~"))):
                print(f"{command}: {warning}")
        if command == "reproduce":
            changes |= requested_changes(options, with_changes(read_params(), preset))
        if command == "reproduce" and options.repeats > 1:
            from winnow.commands.repeats import run_repeats

            asked = {**preset, **changes}
            run_repeats(options.repeats, functools.partial(_run_once, asked), read_params(), asked)
        else:
            _run_once({**preset, **changes}, {}, decided=command == "run" and options.decided)
    return changes


def _run_once(changes: Mapping[str, Any], seeds: Mapping[str, Any], *, decided: bool = False) -> None:
    """Run the pipeline with params changed, and with the seeds of a repeat, which do not stay in params.yaml.

    Args:
        changes: by dotted key.
        seeds: likewise.
        decided: start from the decisions of overrides.csv.
    """
    from winnow.commands.stages_alone import run_stages  # with DVC, which takes a second

    with changed_params({**changes, **seeds}, keep=not seeds):
        check_params()  # once more, as changed
        dvc("repro", "prepare")
        given = OVERRIDES.read_bytes()
        read_overrides = functools.partial(run_stages, ["overrides"], OVERRIDES, remedy=CONTINUES)
        read_overrides()
        if decided:
            take_decisions()
        dvc("repro", "decided")
        check_classes()
        _repro_with_checks()
        # Where a decision came and dvc says that it was read, it may not have been; later ones are for the next run.
        if OVERRIDES.read_bytes() != given and _recorded(OVERRIDES, LOCK) and read_overrides():
            dvc("repro")


def _repro_with_checks() -> None:
    """Run what is left; once more where only a check was saved while the export counted them.

    Raises:
        RunFailedError: a stage failed.
    """
    saved = CHECKED.read_bytes()
    try:
        dvc("repro")
    except RunFailedError:
        if CHECKED.read_bytes() == saved:
            raise
        dvc("repro")


def _recorded(decisions: Path, lock: Path) -> bool:
    """Whether dvc.lock says that a stage has read the file as it is now."""
    return hashlib.md5(decisions.read_bytes(), usedforsecurity=False).hexdigest() in lock.read_text()


def requested_changes(options: argparse.Namespace, params: Mapping[str, Any]) -> dict[str, Any]:
    """Changes to params.yaml that ``winnow reproduce`` makes.

    Args:
        options: seeds, profile, rounds, repeats, arms.
        params: params.yaml, the values of a preset included.

    Raises:
        UserError: a value is out of range.
    """
    for name in ("seeds", "rounds", "repeats"):
        if not 1 <= (count := getattr(options, name)) <= MOST_REPEATED:
            raise UserError(f"--{name} must be at least 1 and at most {MOST_REPEATED}, got {count}")
    known = params["judge"]["profiles"]
    if options.profile not in known:
        raise UserError(f"--profile must be one of {', '.join(known)}, got {options.profile}")
    named = unrolled(options.rounds)
    judged, changed = chosen_arms(options.arms, named["rounds"], params)
    return {
        "compare.seeds": list(range(options.seeds)),
        "compare.judged": judged,
        "judge.profile": options.profile,
        **named,
        **changed,
    }
