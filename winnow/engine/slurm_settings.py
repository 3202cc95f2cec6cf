"""What engine.yaml asks of Slurm, as submitit and sbatch take it."""

import subprocess
from pathlib import Path

import submitit

from winnow.engine.folders import place_for_all
from winnow.engine.settings import Settings
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

SIGNAL_BEFORE = 30  # seconds before the end of a job's time at which submitit ends it, with a message; Slurm is inexact
MOST_GB = 1_000.0  # of the requests of one array; submitit would refuse more than 1
ANSWERS_WITHIN = 120.0  # seconds; Slurm's own programs wait about ten for a silent controller


def shared_folder(settings: Settings) -> Path:
    """The folder below which each engine has one of its own.

    Raises:
        UserError: Slurm could not write its logs there.
    """
    folder = place_for_all(settings)
    if "%" in str(folder):
        raise UserError(
            f"engine.yaml: shared must be a folder without % in its path, which Slurm replaces; got {folder}"
        )
    return folder


def new_executor(settings: Settings, name: str, folder: Path, jobs: int) -> submitit.AutoExecutor:
    """What submits jobs as the settings ask.

    Args:
        settings: of the engine.
        name: of the jobs.
        folder: where submitit puts requests, answers and logs.
        jobs: that may run at once where the settings do not say it.

    Raises:
        UserError: Slurm does not answer.
    """
    slurm = settings.slurm
    # A job that took too long would take as long again: it is lost instead, so that the third time stops the stage.
    executor = submitit.AutoExecutor(
        folder,
        cluster=slurm.executor,
        slurm_max_num_timeout=0,
        slurm_max_pickle_size_gb=MOST_GB,
        local_max_pickle_size_gb=MOST_GB,
    )
    executor.update_parameters(
        name=name,
        timeout_min=slurm.minutes,
        cpus_per_task=1,
        mem_gb=settings.memory,
        gpus_per_node=_gpus(settings),
        slurm_partition=slurm.partition,
        slurm_signal_delay_s=SIGNAL_BEFORE,
        slurm_array_parallelism=settings.cores or jobs,
        slurm_additional_parameters={"requeue": True, "chdir": str(ROOT), **slurm.options},
    )
    return executor


def _gpus(settings: Settings) -> int | None:
    """Devices of a job: one, where there are any and the settings do not say otherwise."""
    if settings.gpus is not None:
        return int(settings.gpus > 0) or None
    if settings.slurm.executor == "local":
        return None
    partition = settings.slurm.options.get("partition", settings.slurm.partition)
    command = ["sinfo", "--noheader", "--format=%P %G", *([f"--partition={partition}"] if partition else [])]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=ANSWERS_WITHIN).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = " ".join((getattr(error, "stderr", "") or str(error)).split())
        raise UserError(f"Slurm does not answer: {said}; look after it, or set another engine") from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"Slurm does not answer: sinfo said nothing for {ANSWERS_WITHIN:g} seconds; look after it, or set another "
            "engine"
        ) from None
    # The default partition, to which jobs go where none is named, has an asterisk.
    mine = [line for line in found.splitlines() if partition or line.partition(" ")[0].endswith("*")]
    return 1 if any("gpu" in line.partition(" ")[2] for line in mine) else None
