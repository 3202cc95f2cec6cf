"""The engine of this machine: worker processes, one thread each, as many as cores.

Workers are forked from a server that has imported PyTorch and the job's module once. CUDA does not survive a fork, so
that with it each worker is a fresh interpreter, and sees one device (``devices``).
"""

import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import joblib

from winnow.engine.devices import deal_devices, keep_to
from winnow.engine.folders import folder_for_all
from winnow.engine.protocol import Answered, Event, Lost, Ticked
from winnow.engine.settings import Settings
from winnow.engine.worker import answer, end_of_log, log_to, prepare_process
from winnow.pipeline.lifeline import end_with


class LocalEngine:
    """Workers of this machine. One that is killed is followed by another."""

    def __init__(self, settings: Settings, jobs: int, module: str) -> None:
        """Start nothing yet.

        Args:
            settings: of the engine.
            jobs: that there are.
            module: that the jobs' function is in.
        """
        self._devices = deal_devices(jobs, settings.cores or joblib.cpu_count())[: settings.cores]
        self._settings, self._open = settings, ExitStack()
        self._context = _context(module)
        self._free: list[_Worker] = []
        self._busy: dict[Any, tuple[_Worker, int]] = {}  # by connection
        self._started = 0

    @property
    def capacity(self) -> int:
        """Workers."""
        return len(self._devices)

    def __enter__(self) -> Self:
        """Start the workers."""
        self.shared = self._open.enter_context(folder_for_all(self._settings))
        try:
            self._start(self._devices)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Kill the workers."""
        workers = [*self._free, *(worker for worker, _ in self._busy.values())]
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.end()
        self._open.close()

    def submit(self, number: int, request: bytes) -> None:
        """Give a job to a free worker."""
        worker = self._free.pop(0)
        self._busy[worker.connection] = worker, number
        worker.send(request)

    def events(self) -> Iterator[Event]:
        """What the workers send."""
        while self._busy:
            for connection in wait(list(self._busy)):
                worker, number = self._busy[connection]
                message = worker.receive()
                worker.show_log()
                if message is None:
                    del self._busy[connection]
                    lost = Lost(number, worker.end(), worker.log())
                    self._start([worker.device])
                    yield lost
                elif not message:
                    yield Ticked(number)
                else:
                    del self._busy[connection]
                    self._free.append(worker)
                    yield Answered(number, message)

    def _start(self, devices: list[str | None]) -> None:
        with _interrupts_later(), _no_script():
            for device in devices:
                self._started += 1
                self._free.append(_Worker(self._context, device, self.shared / f"worker-{self._started}.log"))


class _Worker:
    """A process, and the stage's end of the connection to it."""

    def __init__(self, context: ForkServerContext | SpawnContext, device: str | None, log: Path) -> None:
        self.device, self._log, self._shown = device, log, 0
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, os.getpid(), device, log), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process ends the connection

    def send(self, message: bytes) -> None:
        """Send a request; where the worker has ended, ``receive`` will notice."""
        try:
            self.connection.send_bytes(message)
        except OSError:
            return

    def receive(self) -> bytes | None:
        """An answer, or nothing for a tick; None where the worker has ended."""
        try:
            return self.connection.recv_bytes()
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """Wait for its end, and say how it ended."""
        self.process.join()
        code = self.process.exitcode or 0
        self.show_log()
        self.process.close()
        self.connection.close()
        return f"was killed (signal {-code})" if code < 0 else f"ended (exit code {code})"

    def log(self) -> str:
        """The last lines that it wrote to stderr."""
        return end_of_log(self._log.read_bytes()) if self._log.exists() else ""

    def show_log(self) -> None:
        """Pass on to this process's own stderr what the worker wrote since the last time."""
        if not self._log.exists() or self._log.stat().st_size <= self._shown:
            return
        with self._log.open("rb") as file:
            file.seek(self._shown)
            new = file.read()
        self._shown += len(new)
        sys.stderr.write(new.decode(errors="replace"))


def _context(module: str) -> ForkServerContext | SpawnContext:
    """How workers for jobs of a module are started."""
    import torch  # here, so that what starts no worker need not load it

    if torch.cuda.is_available():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Optimisers import torch._dynamo at their first use, which takes as long as PyTorch itself. A second engine finds
    # the server of the first.
    context.set_forkserver_preload(["torch._dynamo", module])
    return context


@contextmanager
def _no_script() -> Iterator[None]:
    """Workers import a job's function from its module: multiprocessing need not run the stage's script in each."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Ctrl-C reaches every process of the group, and one that is still starting would answer it with a traceback.

    What this thread starts inherits its mask for good, so that workers and their server hear nothing. Here, where
    another thread may take the signal, it counts once all workers have started, as one that is only half started
    would be left behind.
    """
    resource_tracker.ensure_running()  # multiprocessing's own, which lifts the mask as it starts
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()  # the only one that may set a handler
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number)) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in came[:1]:
            signal.raise_signal(number)


def _work(connection: Connection, stage: int, device: str | None, log: Path) -> None:
    """A worker's life: one job after another, until the stage ends it."""
    log_to(log)
    keep_to(device)
    end_with(stage)
    prepare_process()
    try:
        while True:
            connection.send_bytes(answer(connection.recv_bytes(), lambda: connection.send_bytes(b"")))
    except (EOFError, ConnectionError):  # the stage has ended
        os._exit(1)
