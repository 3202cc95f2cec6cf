"""What is wrong with a file that dvc.lock names, and the command that mends it.

DVC notices damage in its cache by neither ``dvc status`` nor ``dvc repro``: it trusts an object that is
write-protected, and does not replace one that exists, so that a stage that runs again gets the damaged file back. A
remedy therefore takes the damaged object out of the cache first, and a damaged file, whose date and size DVC trusts,
out of the workspace.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

ASIDE = ".dvc/tmp/damaged"  # where what is damaged is moved, as `winnow fsck --repair` does
SHOWN = 5  # members of a folder with one fault that are named singly


class State(Enum):
    """What stands in a place where an object should be."""

    WHOLE = "whole"
    MISSING = "missing"
    OTHER = "of other bytes"
    EXTRA = "unknown to dvc.lock"
    UNSEEN = "not there, as its whole folder, whose line says so"


@dataclass(frozen=True)
class Item:
    """One file, or the list of a folder's files, that dvc.lock names; or a file that it does not."""

    path: str  # as the user knows it
    output: str  # the output that it belongs to
    stage: str  # the stage or the .dvc file
    oid: str  # the object's name; empty for a file that no list names
    here: State  # in the workspace
    cached: bool = True  # whether DVC's cache is to hold it
    made: bool = True  # whether a command of a stage makes it, so that it can run again
    pushed: bool = True  # whether a remote is to hold it
    committed: bool = False  # whether git holds these bytes

    @property
    def is_list(self) -> bool:
        """Whether it stands for a whole folder."""
        return self.oid.endswith(".dir")


@dataclass(frozen=True)
class Places:
    """Where whole objects can come from."""

    cache: Mapping[str, State]  # by object
    copies: frozenset[str]  # objects that the workspace has whole somewhere
    remote: str | None = None  # the remote's name; None where there is none
    option: str = ""  # what names it to push and pull; empty for the default
    remote_faults: Mapping[str, str] | None = None  # by object, where the remote was checked

    def bad(self, oid: str) -> bool:
        """Whether the cache lacks an object or has other bytes."""
        return self.cache.get(oid, State.WHOLE) is not State.WHOLE

    def lost(self, oid: str) -> bool:
        """Whether neither the cache nor the workspace has an object."""
        return self.bad(oid) and oid not in self.copies

    def pulls(self, oids: Iterable[str]) -> bool:
        """Whether the remote has objects, as far as is known."""
        return self.remote is not None and not set(oids) & set(self.remote_faults or ())


@dataclass(frozen=True)
class Finding:
    """One line: what is wrong where, and the command for it, with ``{path}`` where the path stands."""

    path: str
    output: str
    stage: str
    what: str
    remedy: str
    note: str = ""

    def line(self) -> str:
        """The line for people."""
        command = self.remedy.replace("{path}", shlex.quote(self.path))
        return f"{self.path} ({self.stage}): {self.what}; `{command}`{self.note}"


def local_findings(items: Iterable[Item], places: Places) -> list[Finding]:
    """What is wrong in the workspace and the cache; each object of the cache is named once."""
    items = list(items)
    by_output: dict[str, list[str]] = {}
    for item in items:
        if item.cached and item.oid:
            by_output.setdefault(item.output, []).append(item.oid)
    found, named = [], set()
    for item in items:
        cache_bad = item.cached and places.bad(item.oid) and item.oid not in named
        if cache_bad or item.here not in (State.WHOLE, State.UNSEEN):
            # A folder that is gone as a whole comes back as a whole.
            needed = by_output.get(item.output, []) if item.is_list else [item.oid]
            found.append(_local(item, places, needed))
            named |= set(needed) if item.here is State.MISSING else {item.oid}
    # What fills the cache comes first: the other commands take from it, and some remove what it is filled from.
    return sorted(collapsed(found), key=lambda one: not one.remedy.startswith("winnow fsck --repair"))


def _local(item: Item, places: Places, needed: list[str]) -> Finding:
    what = _what(item, places, needed)
    remedy, note = _remedy(item, places, needed)
    return Finding(item.path, item.output, item.stage, what, remedy, note)


def _what(item: Item, places: Places, needed: list[str]) -> str:
    if item.here is State.EXTRA:
        return f"in the workspace, but not among the files that dvc.lock names of {item.output}"
    said = []
    if item.here is State.MISSING:
        said.append("missing in the workspace")
    if item.here is State.OTHER:
        said.append("other bytes in the workspace than dvc.lock names (changed by hand, or damaged)")
    subject = "the list of its files is " if item.is_list else ""
    if item.cached and places.bad(item.oid):
        said.append(f"{subject}{'missing' if places.cache[item.oid] is State.MISSING else 'damaged'} in the cache")
    elif item.is_list and item.here is State.MISSING and any(map(places.bad, needed)):
        said.append(f"{sum(map(places.bad, needed))} of its files missing or damaged in the cache")
    return ", ".join(said)


def _remedy(item: Item, places: Places, needed: list[str]) -> tuple[str, str]:
    """The command, and what is to be said of it."""
    clear = "" if item.here in (State.MISSING, State.UNSEEN) else "rm -rf {path} && "
    lost = " (what is there now is lost)" if item.here is State.OTHER else ""
    again = f"dvc repro {shlex.quote(item.stage)}"
    if item.here is State.EXTRA:
        keep = "" if item.made else f"; `dvc add {shlex.quote(item.output)}` keeps it"
        return "rm -f {path}", f" (or move it elsewhere{keep})"
    if not item.cached:
        return f"rm -rf {{path}} && {'git checkout -- {path}' if item.committed else again}", lost
    if not any(map(places.bad, needed)):
        keep = f"; `dvc add {shlex.quote(item.output)}` keeps it" if lost and not item.made else ""
        return f"{clear}dvc checkout {{path}}", lost and f"{lost[:-1]}{keep})"
    if not any(map(places.lost, needed)):
        mend = "winnow fsck --repair"
        return (mend, "") if item.here is State.WHOLE else (f"{mend}; {clear}dvc checkout {{path}}", lost)
    if item.pushed and places.pulls(oid for oid in needed if places.lost(oid)):
        # Whether the remote has it shows only then, so that nothing is removed before.
        aside = f"mkdir -p {ASIDE} && mv {{path}} {ASIDE}/ && " if clear else ""
        return (
            f"{aside}winnow pull{places.option} {{path}}",
            f" (what is there now is in {ASIDE} then)" if aside else "",
        )
    aside = "winnow fsck --repair; " if any(places.cache.get(oid) is State.OTHER for oid in needed) else ""
    if item.made:
        return f"{aside}{clear}{again}", lost
    return (
        f"{aside}dvc add {shlex.quote(item.output)}",
        " records what is there now" if item.here is State.OTHER else " once it was put back there",
    )


def remote_findings(items: Iterable[Item], places: Places) -> list[Finding]:
    """What is wrong on the remote that was checked; each object is named once."""
    found, named = [], set()
    for item in items:
        fault = (places.remote_faults or {}).get(item.oid)
        if fault is None or not item.pushed or item.oid in named:
            continue
        named.add(item.oid)
        push = f"winnow push --verify{places.option} {shlex.quote(item.output)}"
        if places.lost(item.oid):
            push = f"{_remedy(item, places, [item.oid])[0]} && {push}"
        elif places.bad(item.oid):
            push = f"winnow fsck --repair; {push}"
        what = f"remote {places.remote!r}: {'the list of its files ' if item.is_list else ''}{fault}"
        found.append(Finding(item.path, item.output, item.stage, what, push))
    return collapsed(found)


def collapsed(found: list[Finding]) -> list[Finding]:
    """The findings, with one for the folder where many of its files have the same fault and remedy."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in found:
        # Else all of the folder would be removed, and what is nowhere else with it; a stage makes all of it again.
        removes = "rm -" in finding.remedy and "dvc repro" not in finding.remedy
        alone = finding.path if removes else ""
        groups.setdefault((finding.output + alone, finding.what, finding.remedy), []).append(finding)
    return [
        line
        for same in groups.values()
        for line in (
            same
            if len(same) <= SHOWN
            else [replace(same[0], path=same[0].output, what=f"{len(same)} of its files: {same[0].what}")]
        )
    ]
