"""Hash what the workspace and the cache hold against dvc.lock; with --remote, what a remote holds as well.

    winnow fsck [--remote [NAME] [--verify]] [--repair]

Everything is read from the disk: DVC itself trusts dates and sizes. Each wrong thing takes one line: the path and its
stage, what is wrong, and the command that mends it. Of a remote the existence and the size of every object are
compared; with --verify every object is read back. Nothing is changed, but with --repair: damaged objects are moved out
of the cache to .dvc/tmp/damaged, and the cache gets from the workspace what that has whole.

Exit code 0: all sound; 1: something is wrong; 2: it cannot be checked.
"""

import argparse
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from tqdm import tqdm

from winnow.commands import objects
from winnow.commands.inspection import Hashes, Inspection
from winnow.commands.remedies import Places, State, local_findings, remote_findings
from winnow.commands.terminal import run_command
from winnow.pipeline.messages import UserError


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    remote: str | None = None  # its name, empty for the default; None checks no remote
    verify: bool = False  # read the remote's objects back
    repair: bool = False


def fsck(repo: Repo, options: Options) -> tuple[str, int]:
    """The lines and the exit code.

    Raises:
        UserError: there is nothing to compare with, or the remote cannot be read.
    """
    root = Path(repo.root_dir)
    if (root / "dvc.yaml").exists() and not (root / "dvc.lock").exists():
        raise UserError("dvc.lock is missing; `git checkout dvc.lock` brings it back, `make run` makes it")
    with tqdm(desc="Hashing", total=_size(repo), unit="B", unit_scale=True, leave=False, disable=None) as bar:
        hashes = Hashes(bar)
        inspection = Inspection(repo, hashes)
    if not inspection.items:
        raise UserError("dvc.lock names no output; `make run` makes them")
    lines = _repair(repo, inspection) if options.repair else []
    places = _places(repo, inspection, options)
    found = [*local_findings(inspection.items, places), *remote_findings(inspection.items, places)]
    lines += [finding.line() for finding in found]
    return "\n".join([*lines, _closing(inspection, places, len(found), hashes.read_bytes)]), int(bool(found))


def _size(repo: Repo) -> int:
    """Bytes to read, as dvc.lock has it: the workspace's, and the cache's where that is apart."""
    outs = [out for out in repo.index.outs if out.hash_info]
    return sum((2 if out.use_cache else 1) * (out.meta.size or 0) for out in outs)


def _places(repo: Repo, inspection: Inspection, options: Options) -> Places:
    name = options.remote or repo.config["core"].get("remote")
    option = f" --remote {options.remote}" if options.remote else ""
    faults = None if options.remote is None else _remote_faults(repo, inspection, options)
    return Places(inspection.cache, frozenset(inspection.copies), name, option, faults)


def _remote_faults(repo: Repo, inspection: Inspection, options: Options) -> dict[str, str]:
    """What is wrong with the objects on the remote, by object."""
    oids = {item.oid for item in inspection.items if item.pushed}
    store = repo.cloud.get_remote_odb(options.remote or None, "fsck")
    whole = {oid for oid in oids if inspection.cache[oid] is State.WHOLE}
    sizes = objects.local_sizes(repo.cache.local, whole)
    sizes |= {oid: system.size(path) for oid, (system, path) in inspection.copies.items()}
    try:
        with tqdm(desc="Remote", total=len(oids), unit="file", leave=False, disable=None) as bar:
            return objects.remote_faults(
                store, oids, sizes, read_back=lambda *_: options.verify, note=lambda _: bar.update()
            )
    except (UserError, DvcException):
        raise
    except Exception as error:  # each kind of remote has its own errors
        raise UserError(f"the remote does not answer; its error: {objects.sentence(error)}") from None


def _repair(repo: Repo, inspection: Inspection) -> list[str]:
    """Move damaged objects out of the cache, and copy whole ones from the workspace into it; what was done."""
    cache, aside = repo.cache.local, Path(repo.tmp_dir) / "damaged"
    damaged = [oid for oid, state in inspection.cache.items() if state is State.OTHER]
    lacking = [oid for oid, state in inspection.cache.items() if state is not State.WHOLE]
    for oid in damaged:
        aside.mkdir(exist_ok=True)
        shutil.move(cache.oid_to_path(oid), _free(aside / oid))
    filled = [oid for oid in lacking if oid in inspection.copies]
    for oid in sorted(filled, key=lambda oid: oid.endswith(".dir")):  # a list after what it names
        system, path = inspection.copies[oid]
        cache.add([path], system, [oid], hardlink=False, check_exists=False)
    inspection.refresh_cache()
    lines = []
    if damaged:
        where = os.path.relpath(aside)
        lines.append(f"repaired: {len(damaged)} damaged objects moved out of the cache to {where}; delete it at will")
    if filled:
        lines.append(f"repaired: {len(filled)} objects copied from the workspace into the cache")
    return lines


def _free(path: Path) -> Path:
    """The path, or one beside it where something stands there already."""
    number, free = 0, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free


def _closing(inspection: Inspection, places: Places, wrong: int, read_bytes: int) -> str:
    outputs = len({item.output for item in inspection.items})
    scope = f"{outputs} outputs, {len(inspection.cache)} objects, {read_bytes / 1e6:,.1f} MB read"
    if places.remote_faults is not None:
        scope += f"; remote {places.remote!r} compared"
    if inspection.unmade:
        scope += f"; {len(inspection.unmade)} outputs were not made yet (`dvc status` names them)"
    return f"fsck: {f'{wrong} wrong' if wrong else 'all sound'} ({scope})"


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow fsck``."""
    parser = argparse.ArgumentParser(
        prog=f"winnow {command}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--remote", nargs="?", const="", metavar="NAME", help="check a remote too; the default one")
    parser.add_argument("--verify", action="store_true", help="read every object of the remote back")
    parser.add_argument("--repair", action="store_true", help="mend the cache from the workspace")
    options = Options(**vars(parser.parse_args(words)))
    if options.verify and options.remote is None:
        parser.error("--verify needs --remote")

    def answer() -> tuple[str, int]:
        try:
            with Repo() as repo, lock_repo(repo):
                return fsck(repo, options)
        except DvcException as error:
            raise UserError(str(error)) from None

    run_command(command, answer)
