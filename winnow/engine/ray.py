"""The engine of a Ray cluster, or of a Ray of this machine's own: a task a job, with requests and answers as files.

Ray decides where tasks run, gives each its device, and notices that a worker or a machine has ended. It runs none again
by itself: the coordinator does.
"""

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from winnow.engine import ray_worker
from winnow.engine.devices import VISIBLE
from winnow.engine.folders import folder_for_all
from winnow.engine.protocol import Answered, Event, Lost, Ticked
from winnow.engine.ray_start import connect
from winnow.engine.ray_worker import Place, Steps
from winnow.engine.settings import Settings
from winnow.engine.worker import end_of_log
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError
from winnow.pipeline.repository import CODE

LOOK_EVERY = 0.5  # seconds between two looks at the steps
COUNT_EVERY = 5.0  # seconds between two looks at the machines, which may come and go
GRACE = 5.0  # seconds until a file server shows an answer
GB = 10**9

# Variables that change what libraries compute, and Winnow's own.
CARRIED = re.compile("(WINNOW|OMP|MKL|KMP|OPENBLAS|BLIS|TORCH|PYTORCH|ATEN|ONEDNN|DNNL|CUBLAS|CUDNN|NVIDIA_TF32)_")

ray.cloudpickle.register_pickle_by_value(ray_worker)


class RayEngine:
    """Tasks of Ray. The connection, and a Ray of this machine's own, last until the stage ends, for its next jobs."""

    def __init__(self, settings: Settings, jobs: int) -> None:
        """Start nothing yet.

        Args:
            settings: of the engine.
            jobs: that there are.
        """
        self._settings, self._jobs = settings, jobs
        self._open = ExitStack()
        self._runs: dict[Any, tuple[int, Place, str]] = {}  # by Ray's reference: number, place and name of the attempt
        self._attempts, self._seen = Counter[int](), Counter[str]()
        self._capacity, self._counted = 0, 0.0

    def __enter__(self) -> Self:
        """Connect, or start a Ray."""
        connect(self._settings)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        gpus = self._settings.gpus
        if gpus is None:
            gpus = 1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0
        memory = None if self._settings.memory is None else int(self._settings.memory * GB)
        self._needs = {"CPU": 1.0, "GPU": gpus, "memory": float(memory or 0)}
        if not self._places():
            asked = f"1 CPU, {gpus:g} GPU" + (f", {self._settings.memory:,g} GB of memory" if memory else "")
            raise UserError(f"no machine of the Ray has what a job asks for ({asked}); correct engine.yaml")
        # A process keeps the device that it first computed on, while Ray gives each task any: with devices, one a task.
        options = {"num_cpus": 1, "num_gpus": gpus, "memory": memory, "max_retries": 0, "max_calls": 1 if gpus else 0}
        self._task = ray.remote(**options)(ray_worker.run)
        self._steps = ray.remote(Steps).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here).remote()
        self.shared = self._open.enter_context(folder_for_all(self._settings))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the tasks, wait for it, and remove the folder."""
        with self._open, suppress(RayError):
            for reference in self._runs:
                ray.cancel(reference, force=True)
            if self._runs:
                ray.wait(list(self._runs), num_returns=len(self._runs), timeout=GRACE)
            ray.kill(self._steps)

    @property
    def capacity(self) -> int:
        """Jobs for which the machines have room, as far as the settings let them."""
        if not self._capacity or time.monotonic() - self._counted >= COUNT_EVERY:
            self._counted = time.monotonic()
            self._capacity = max(1, min(self._places(), self._settings.cores or self._jobs, self._jobs))
        return self._capacity

    def _places(self) -> int:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        needs = {name: amount for name, amount in self._needs.items() if amount}
        return sum(int(min(node.get(name, 0) / amount for name, amount in needs.items())) for node in nodes)

    def submit(self, number: int, request: bytes) -> None:
        """Write the request, and give Ray a task."""
        self._attempts[number] += 1
        attempt = f"{number}-{self._attempts[number]}"
        files = [self.shared / f"{attempt}.{kind}" for kind in ("request", "answer", "log")]
        files[0].write_bytes(request)
        environment = {name: value for name, value in os.environ.items() if CARRIED.match(name)}
        if not self._needs["GPU"]:
            environment[VISIBLE] = ""  # Ray alone would let such a job see every device
        place = Place(ROOT, CODE, environment, *files)
        self._runs[self._task.remote(place, attempt, self._steps)] = number, place, attempt

    def events(self) -> Iterator[Event]:
        """What Ray says of the tasks."""
        while self._runs:
            done, _ = ray.wait(list(self._runs), num_returns=1, timeout=LOOK_EVERY)
            yield from self._new_steps()
            for reference in done:
                yield from self._end_of(reference)

    def _new_steps(self) -> Iterator[Event]:
        made: dict[str, int] = {}
        with suppress(RayError):  # the actor is being started again
            made = ray.get(self._steps.all.remote())
        for number, _, attempt in list(self._runs.values()):
            yield from self._steps_of(number, attempt, made.get(attempt, 0))

    def _steps_of(self, number: int, attempt: str, made: int) -> Iterator[Event]:
        if made > self._seen[attempt]:
            new, self._seen[attempt] = made - self._seen[attempt], made
            yield Ticked(number, new)

    def _end_of(self, reference: Any) -> Iterator[Event]:
        number, place, attempt = self._runs.pop(reference)
        try:
            made = ray.get(reference)
        except RayError as error:
            yield Lost(number, _why(error), _log(place) or (end_of_log(str(error).encode())))
            return
        yield from self._steps_of(number, attempt, made)
        answer = _read(place.answer)
        if answer is None:
            yield Lost(number, f"wrote an answer that is not to be seen in {self.shared}", _log(place))
            return
        if log := _log(place):
            print(log, file=sys.stderr)
        for file in (place.request, place.answer, place.log):
            file.unlink(missing_ok=True)
        yield Answered(number, answer)


def _why(error: RayError) -> str:
    """How a task's worker ended, for a sentence about it."""
    if isinstance(error, RayTaskError):  # raised beside the job, by what runs it
        return "could not run its job"
    if isinstance(error, OutOfMemoryError):
        return "was killed by Ray, since its machine had too little memory"
    said = str(error).strip().splitlines()
    return f"was lost (Ray: {said[0] if said else type(error).__name__})"


def _log(place: Place) -> str:
    return end_of_log(place.log.read_bytes()) if place.log.exists() else ""


def _read(file: Path) -> bytes | None:
    """A file that another machine has written; None where it does not come to be seen."""
    until = time.monotonic() + GRACE
    while True:
        try:
            return file.read_bytes()
        except FileNotFoundError:
            if time.monotonic() > until:
                return None
            os.listdir(file.parent)  # asks the file server anew
            time.sleep(0.1)
