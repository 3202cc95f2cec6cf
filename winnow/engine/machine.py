"""What equal bytes depend on beside the inputs: the processor, the device, the packages and the code of a worker.

A worker on another machine compares its own with the coordinator's before it begins a job. What differs is refused, or
where engine.yaml says ``mixed: allow`` reported.
"""

import pickle
import platform
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from winnow.pipeline.installed import code_digest
from winnow.pipeline.messages import UserError

PROCESSORS = Path("/proc/cpuinfo")
MODEL = ("model name", "cpu family", "model", "stepping", "CPU implementer", "CPU part", "CPU variant")

# Instructions among which numerical libraries choose their kernels: x86's, then ARM's.
VECTORS = re.compile(r"(sse|ssse|avx|fma|f16c|amx|asimd|sve|sme|bf16|i8mm|fphp)")

SHOWN = 5  # differences in a message, and characters of a digest beyond which it tells nothing more


@dataclass(frozen=True)
class Checked:
    """A job's result, and how its machine differs."""

    result: Any
    differences: str  # empty where there are none


@cache
def facts() -> dict[str, str]:
    """By name, what results depend on here."""
    import torch

    names = sorted({torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())})
    return {
        **processor(PROCESSORS.read_text() if PROCESSORS.exists() else ""),
        "device": ", ".join(names) or "none",
        "Python": platform.python_version(),
        "code": code_digest(),
        **packages(),
    }


def processor(listed: str) -> dict[str, str]:
    """Model and vector instructions.

    Args:
        listed: /proc/cpuinfo; empty where the system has none.
    """
    found: dict[str, set[str]] = {}
    for line in listed.splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), set()).add(value.strip())
    model = "; ".join(f"{name} {', '.join(sorted(found[name]))}" for name in MODEL if name in found)
    flags = {flag for name in ("flags", "Features") for line in found.get(name, ()) for flag in line.split()}
    return {
        "processor": model or f"{platform.machine()} {platform.processor()}",
        "instructions": " ".join(sorted(flag for flag in flags if VECTORS.match(flag))),
    }


def packages() -> dict[str, str]:
    """The version of every package that Winnow asks for."""
    wanted = metadata.requires("winnow") or []
    names = sorted({re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in wanted if "extra ==" not in line})
    return {name: metadata.version(name) for name in names}


def differences(mine: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """What a worker has other than the coordinator, in words; empty where nothing differs."""
    names = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    words = [f"{name} {_short(mine.get(name))} instead of {_short(theirs.get(name))}" for name in names[:SHOWN]]
    return ", ".join(words + ([f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []))


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return f"{value[:8]}..." if re.fullmatch("[0-9a-f]{32,}", value) else f"'{value}'"


def run_checked(expected: Mapping[str, str], allowed: bool, body: bytes, tick: Callable[[], None]) -> Checked:
    """A job on a machine that was compared with the coordinator's.

    Args:
        expected: the coordinator's facts.
        allowed: whether they may differ here.
        body: pickle of the function and its arguments, which other code might not even be able to read.
        tick: of the job.

    Raises:
        UserError: the machine differs.
    """
    differing = differences(facts(), expected)
    if differing and not allowed:
        devices = facts()["device"] != expected.get("device")
        raise UserError(
            f"the worker on {socket.gethostname()} would not give the same bytes: it has {differing}; use equal "
            "machines and packages, or say `mixed: allow` in engine.yaml"
            + (", where `gpus` says whether a job gets a device" if devices else "")
        )
    function, job = pickle.loads(body)
    threadpool_limits(1)  # of modules that were loaded just now
    result = function(*job, tick)
    return Checked(result, f"{socket.gethostname()} has {differing}" if differing else "")


def report(checked: Iterable[Checked]) -> list[str]:
    """A sentence for each machine that differed."""
    found = sorted({one.differences for one in checked} - {""})
    return [f"results may differ in their last bits, as `mixed: allow` permits: {one}" for one in found]
