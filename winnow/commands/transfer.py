"""Push and pull as DVC does, and verify every object's checksum: ``make push`` and ``make pull``.

    winnow push [TARGET ...] [--remote NAME] [--verify]
    winnow pull [TARGET ...] [--remote NAME]

DVC takes an object of the right name to be complete, and so a folder whose list is on the remote. An object that a
server lost or stored in part is then never sent again by ``dvc push``, and ``dvc pull`` writes it to data/ unless the
remote has ``verify = true``; messages name hashes, not files. Here a push compares what the remote stores, by size and
checksum, and sends what is absent or damaged; a pull accepts no object into the cache whose checksum differs, and
changes data/ only when every object has arrived. A push trusts a server whose size and ETag are right; with --verify
it reads every object back.
"""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc_data.callbacks import TqdmCallback
from dvc_data.hashfile.hash import file_md5
from tqdm import tqdm

from winnow.commands import objects
from winnow.commands.objects import Wanted
from winnow.commands.private import private_warning
from winnow.commands.terminal import interrupt_on
from winnow.pipeline.messages import UserError

SHOWN = 5  # files that a message names; the rest are counted


Failures = dict[str, str]  # by path, what is wrong


@dataclass(frozen=True)
class Done:
    """What a push or a pull did."""

    remote: str
    moved: int  # objects that were transferred
    verified: int  # objects whose checksums were verified, those included


@dataclass(frozen=True)
class Ends:
    """The local cache and the remote's store of objects."""

    cache: Any
    store: Any
    remote: str  # its name


def push(repo: Repo, targets: Sequence[str] = (), remote: str | None = None, *, verify: bool = False) -> Done:
    """Send what the remote lacks of the targets' objects, or stores damaged.

    Args:
        repo: an open DVC repository.
        targets: outputs or stages; none takes all.
        remote: its name; none takes the default.
        verify: read every object back, whatever the remote says of it.

    Raises:
        UserError: an object is damaged here, cannot be read back, or did not reach the remote.
    """
    ends = _ends(repo, remote)
    outputs = objects.outputs(repo, targets)
    _reject_broken(ends.cache, outputs)
    wanted = outputs | objects.files(ends.cache, outputs)
    faults = _faults(ends, wanted, verify=verify)
    lacking = {path: wanted[path] for path in faults}
    _reject_broken(ends.cache, lacking)
    failures = _transfer(ends.cache, ends.store, lacking, f"Pushing to {ends.remote}")
    failures = failures or _faults(ends, lacking, verify=verify)
    if failures:
        raise UserError(_message(failures, f"the same command sends the rest, once remote {ends.remote!r} takes it"))
    return Done(ends.remote, len(set(lacking.values())), len(set(wanted.values())))


def pull(repo: Repo, targets: Sequence[str] = (), remote: str | None = None) -> Done:
    """Bring the targets from the remote into the cache, and from there into data/.

    Args:
        repo: an open DVC repository.
        targets: outputs or stages; none takes all.
        remote: its name; none takes the default.

    Raises:
        UserError: an object is absent or damaged on the remote, or the remote does not answer; data/ is as it was.
    """
    ends = _ends(repo, remote)
    outputs = objects.outputs(repo, targets)
    moved = _fetch(ends, outputs)
    written = _written(repo, targets, outputs)
    files = {path: oid for path, oid in objects.files(ends.cache, outputs).items() if _below(path, written)}
    moved += _fetch(ends, files)
    repo.checkout(targets=list(targets) or None, allow_missing=True)  # what is never pushed may be missing
    changed = {path: "is not what was pulled" for path, oid in files.items() if file_md5(path, ends.cache.fs) != oid}
    if changed:  # DVC remembers that it wrote the right bytes there once, and does not look again
        raise UserError(_message(changed, "something wrote into it in place: remove it, and pull again"))
    return Done(ends.remote, moved, len({*outputs.values(), *files.values()}))


def _ends(repo: Repo, remote: str | None) -> Ends:
    store = repo.cloud.get_remote_odb(remote, "push")
    return Ends(repo.cache.local, store, remote or repo.config["core"]["remote"])


def _written(repo: Repo, targets: Sequence[str], outputs: Wanted) -> list[Path]:
    """What checking out the targets writes: outputs, and the parts of outputs that a target is."""
    parts = [target for target in targets if any(Path(output) in _path(target).parents for output in outputs)]
    if not parts:
        return [*map(Path, outputs)]
    others = [target for target in targets if target not in parts]
    whole = objects.outputs(repo, others) if others else {}
    return [*map(Path, whole), *map(_path, parts)]


def _path(target: str) -> Path:
    return Path(os.path.relpath(target))


def _below(path: str, places: Sequence[Path]) -> bool:
    return any(Path(path).is_relative_to(place) for place in places)


def _faults(ends: Ends, wanted: Wanted, *, verify: bool) -> Failures:
    """What the remote lacks or stores damaged; an object that its listing does not vouch for is read back."""
    oids = set(wanted.values())
    sizes = objects.local_sizes(ends.cache, oids)
    with tqdm(desc=f"Verifying {ends.remote}", total=len(oids), unit="file", leave=False, disable=None) as bar:
        found = objects.remote_faults(
            ends.store,
            oids,
            sizes,
            read_back=lambda oid, entry: verify or not objects.vouched(oid, entry, sizes),
            note=lambda _: bar.update(),
        )
    return {path: found[oid] for path, oid in wanted.items() if oid in found}


def _fetch(ends: Ends, wanted: Wanted) -> int:
    """Fetch what is absent or damaged in the cache; the number of objects."""
    cache = ends.cache
    lacking = {path: oid for path, oid in wanted.items() if not objects.whole(cache, oid)}
    for oid in set(lacking.values()):
        if cache.exists(oid):  # damaged: deleted, since DVC would use it
            cache.delete(oid)
    failures = _transfer(ends.store, cache, lacking, f"Fetching from {ends.remote}")
    for path, oid in lacking.items():
        if path not in failures and not objects.whole(cache, oid):
            failures[path] = objects.DAMAGED
    if failures:
        raise UserError(_message(failures, f"data/ is as it was; {_advice(failures, ends.remote)}"))
    return len(set(lacking.values()))


def _advice(failures: Failures, remote: str) -> str:
    """The remedy for what a pull did not get: a push where the remote lacks it, else the same command."""
    if set(failures.values()) & {objects.ABSENT, objects.DAMAGED}:
        # Without VERIFY a push trusts the size and the ETag, which are right for some damage.
        mend = f"whoever has it whole runs `make push VERIFY=1`, which mends remote {remote!r}"
        return f"{mend}; then pull again"
    return "the same command fetches the rest, once the remote answers"


def _transfer(source: Any, target: Any, wanted: Wanted, label: str) -> Failures:
    """Copy objects from one store to another; what failed, by each path that needs it."""
    errors: dict[str, str] = {}

    def on_error(oid: str, error: BaseException) -> None:
        errors[oid] = objects.ABSENT if isinstance(error, FileNotFoundError) else objects.sentence(error)

    oids = sorted(set(wanted.values()))
    lists = [oid for oid in oids if oid.endswith(".dir")]
    # A list is sent when its files are there, so that it never names a file that is not.
    for part in ([oid for oid in oids if oid not in lists], lists):
        if part and not errors:
            paths = [source.oid_to_path(oid) for oid in part]
            verify = target.fs.protocol == "local"  # an object with a wrong checksum is then not kept
            with TqdmCallback(desc=label, unit="file") as bar:
                target.add(paths, source.fs, part, verify=verify, check_exists=False, callback=bar, on_error=on_error)
    return {path: errors[oid] for path, oid in wanted.items() if oid in errors}


def _reject_broken(cache: Any, wanted: Wanted) -> None:
    """Stop where an object to push is damaged here."""
    broken = {path: "is not whole in the cache" for path, oid in wanted.items() if not objects.whole(cache, oid)}
    if broken:
        raise UserError(_message(broken, "`make pull` or `make run` brings it back; then push again"))


def _message(failures: Failures, advice: str) -> str:
    """A message that names the files, what is wrong with each, and the remedy."""
    named = [f"{path} {what}" for path, what in sorted(failures.items())]
    more = [f"and {len(named) - SHOWN} more files"] if len(named) > SHOWN else []
    return "\n  ".join([*named[:SHOWN], *more]) + f"\n{advice}"


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow push`` and ``winnow pull``."""
    parser = argparse.ArgumentParser(
        prog=f"winnow {command}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="an output or a stage; all by default")
    parser.add_argument(
        "--targets", default="", dest="targets_quoted", metavar="LIST", help="more of them, quoted as in a shell"
    )
    parser.add_argument("--remote", help="a remote's name; the default remote by default")
    if command == "push":
        parser.add_argument("--verify", action="store_true", help="read every object back from the remote")
    options = parser.parse_intermixed_args(words)  # a target may follow --remote NAME
    try:
        targets = [*options.targets, *shlex.split(options.targets_quoted)]
    except ValueError as error:
        parser.error(f"--targets: {error}")
    interrupt_on(signal.SIGTERM)
    try:
        with Repo() as repo, lock_repo(repo):
            if command == "push":
                done = push(repo, targets, options.remote, verify=options.verify)
            else:
                done = pull(repo, targets, options.remote)
    except (UserError, DvcException) as error:
        sys.exit(f"{command}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{command}: interrupted; the same command continues from where this one stopped")
    except Exception as error:  # each kind of remote has its own errors, and none of them is ours to trace
        if isinstance(error, OSError) and error.filename and error.strerror:
            sys.exit(f"{command}: {error.filename} cannot be used ({error.strerror}); fix that, and run it again")
        sys.exit(f"{command}: the remote does not answer; its error: {objects.sentence(error)}")
    moved = {"push": "sent", "pull": "fetched"}[command]
    counts = f"{done.moved} objects {moved}, {done.verified} verified"
    print(f"{command}: remote {done.remote!r}: {counts}")
    if command == "push" and (warning := private_warning()):
        print(f"push: {warning}")
