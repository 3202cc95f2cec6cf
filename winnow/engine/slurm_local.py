"""submitit's executor of this machine in place of Slurm, for trying the engine where there is none."""

import contextlib
from collections.abc import Iterable

import joblib
import psutil
import submitit


class LocalQueue:
    """Processes that submitit starts here."""

    @staticmethod
    def cores() -> int:
        """Jobs that this machine runs at once."""
        return int(joblib.cpu_count())

    def ended(self, jobs: Iterable[submitit.Job[bytes]]) -> dict[str, str]:
        """How each job that has ended did, by its id."""
        return {job.job_id: "was killed, or ended" for job in jobs if job.done()}

    def end(self, jobs: Iterable[submitit.Job[bytes]]) -> None:
        """Kill the jobs with the processes that watch over them."""
        for job in jobs:
            if job.done():
                continue  # its number may be another process's by now
            with contextlib.suppress(psutil.NoSuchProcess):
                watcher = psutil.Process(int(job.job_id))
                family = [watcher, *watcher.children(recursive=True)]
                for process in family:
                    process.kill()
                psutil.wait_procs(family, timeout=5)
            job.done()  # asks for the exit code, as every parent has to
