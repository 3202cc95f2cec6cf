"""The one seam to many cores and machines: jobs in worker processes, one thread each, with one progress bar over all.

Where they run is the engine's matter (``protocol``, ``settings``). Here are what all engines share: the order of
results, the bar, and that a job whose worker was killed runs again.
"""

import io
import pickle
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from tqdm import tqdm

from winnow.engine.local import LocalEngine
from winnow.engine.machine import facts, report, run_checked
from winnow.engine.protocol import Answered, Engine, Lost, Ticked
from winnow.engine.settings import Settings, load_settings
from winnow.engine.shared_arrays import SharingPickler, Written
from winnow.engine.worker import Tick as Tick
from winnow.pipeline.messages import UserError

LOSSES = 3  # of one job, after which it is the job that kills its workers

KILLED = "was killed (signal 9)"  # what an engine says of a worker that the system may have killed for its memory

Result = TypeVar("Result")


def run_jobs(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], *, steps: int, label: str
) -> list[Result]:
    """``function(*job, tick)`` for every job, in job order.

    A job whose worker is killed runs again. So it may run more than once, and must then do the same again.

    Args:
        function: importable by name, from a module and not from the script that runs; calls ``tick()`` once a step.
        jobs: arguments of each job, picklable; what they name must be visible to every worker: paths under the
            repository are, temporary folders and process ids are not.
        steps: ticks of all jobs together, the length of the progress bar.
        label: what the bar says.

    Raises:
        UserError: no room on the disk over which the workers read large arrays, a job's workers were killed three
            times, or the engine cannot be used.
    """
    if not jobs:
        return []
    written: Written = {}
    settings = load_settings()
    with (
        tqdm(total=steps, desc=label, disable=None, smoothing=0.05) as bar,
        open_engine(settings, len(jobs), function.__module__) as engine,
    ):

        def pickled(what: object) -> bytes:
            content = io.BytesIO()
            SharingPickler(content, engine.shared, written).dump(what)
            return content.getvalue()

        if settings.engine == "local":
            return coordinate(engine, lambda number: pickled((function, jobs[number])), len(jobs), bar.update)

        def checked(number: int) -> bytes:
            body = pickled((function, jobs[number]))
            return pickle.dumps((run_checked, (facts(), settings.mixed == "allow", body)))

        results = coordinate(engine, checked, len(jobs), bar.update)
    for sentence in report(results):
        print(sentence, file=sys.stderr)
    return [one.result for one in results]


def open_engine(settings: Settings, jobs: int, module: str) -> AbstractContextManager[Engine]:
    """The engine that the settings name.

    Args:
        settings: of the engine.
        jobs: that there are.
        module: that the jobs' function is in.
    """
    if settings.engine == "local":
        return LocalEngine(settings, jobs, module)
    try:
        if settings.engine == "ray":
            from winnow.engine.ray import RayEngine  # here, so that no other engine needs the package

            return RayEngine(settings, jobs)
        from winnow.engine.slurm import SlurmEngine

        return SlurmEngine(settings, jobs)
    except ModuleNotFoundError as error:
        raise UserError(
            f"the engine {settings.engine} needs {error.name}: pip install --requirement requirements-engine.txt"
        ) from None


def coordinate(
    engine: Engine, request: Callable[[int], bytes], count: int, advance: Callable[[int], object]
) -> list[Any]:
    """Run jobs on an engine; their results in order.

    Args:
        engine: that has been entered.
        request: the bytes of a job by its number.
        count: of the jobs.
        advance: moves the progress bar by so many steps, back where they are negative.

    Raises:
        UserError: the workers of one job were lost three times.
        Exception: what a job raised.
    """
    results: dict[int, Any] = {}
    todo, running = deque(range(count)), set[int]()
    steps, losses = Counter[int](), Counter[int]()

    def fill() -> None:
        while todo and len(running) < engine.capacity:
            running.add(number := todo.popleft())
            engine.submit(number, request(number))

    fill()
    for event in engine.events():
        match event:
            case Ticked(number, made):
                steps[number] += made
                advance(made)
                continue
            case Answered(number, answer):
                done, value = pickle.loads(answer)
                if not done:
                    raise value
                results[number] = value
            case Lost(number, why, log):
                losses[number] += 1
                if losses[number] == LOSSES:
                    raise _too_many_losses(why, log)
                print(f"a worker process {why} before its job was done; the job runs again", file=sys.stderr)
                advance(-steps.pop(number, 0))
                todo.appendleft(number)
        running.discard(number)
        fill()
    return [results[number] for number in range(count)]


def _too_many_losses(why: str, log: str) -> UserError:
    last = f"; the last that it wrote:\n{log}" if log else ""
    if KILLED in why:
        remedy = (
            ", as the system does when memory runs out: end other programs or take a machine with more memory, and run "
            "the same command again"
        )
    else:
        remedy = "; remove the cause, and run the same command again"
    return UserError(f"a worker process {why} before its job was done, for the {LOSSES}rd time{remedy}{last}")
