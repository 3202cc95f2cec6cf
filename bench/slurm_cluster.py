"""A Slurm of several nodes on this machine, for the demonstration and the tests: Debian's slurm-wlm and munge.

Each node is a ``slurmd`` with a port of its own. Configuration, key, state, sockets and logs are in one folder, and the
daemons are this process's, so that a Slurm that the machine may have besides is not touched. Slurm's nodes know no
cores of their own here: a node runs as many jobs at once as it is said to have.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.started import end_all, free_ports, processes_with, supervised
from winnow.pipeline.messages import UserError

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo", "scancel", "scontrol")


PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])  # daemons are not on every PATH


START_SECONDS = 120.0


VARIABLE = "SLURM_CONF"


SETTINGS = """\
ClusterName=winnow
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=20
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
KillWait=5
SlurmdTimeout=10
InactiveLimit=0
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class SlurmCluster:
    """A cluster that is running."""

    folder: Path  # all of it
    nodes: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """This process's variables for Slurm's programs."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "SRUN"))}
        return kept | {VARIABLE: str(self.folder / "slurm.conf"), "PATH": PLACES}

    def run(self, *command: str, folder: Path | None = None) -> str:
        """The output of one of Slurm's programs.

        Raises:
            UserError: it failed.
        """
        done = subprocess.run(command, cwd=folder, env=self.environment(), capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"`{' '.join(command)}` failed: {' '.join(done.stderr.split())}")
        return done.stdout

    def processes(self) -> list[psutil.Process]:
        """The daemons and whatever they started."""
        return processes_with(VARIABLE, self.folder)


def missing_programs() -> list[str]:
    """Those of Slurm's and munge's programs that this machine lacks."""
    return [program for program in PROGRAMS if shutil.which(program, path=PLACES) is None]


@contextmanager
def slurm_cluster(folder: Path, *, nodes: int = 2, cores: int = 1) -> Iterator[SlurmCluster]:
    """Run a cluster until the block ends.

    Args:
        folder: new or empty, with a path of at most 80 characters, as sockets want it.
        nodes: named n1, n2 and so on.
        cores: of each, jobs that it runs at once.

    Raises:
        UserError: programs are missing, or a daemon does not start.
    """
    if absent := missing_programs():
        raise UserError(
            f"{', '.join(absent)} not found: a Slurm of this machine's own needs Slurm and munge; on Debian "
            "`apt-get install slurm-wlm munge` brings them"
        )
    cluster = SlurmCluster(folder, tuple(f"n{number + 1}" for number in range(nodes)))
    _write_settings(cluster, cores)
    with ExitStack() as daemons:
        # The daemons of single steps are in sessions of their own, and outlive ``slurmd`` by design.
        daemons.callback(end_all, VARIABLE, folder)
        munged = ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key"]
        places = {"socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "seed"}
        munged += [f"--{option}={folder}/{name}" for option, name in places.items()]
        daemons.enter_context(_daemon(cluster, munged))
        _wait_for(cluster, "munged", (folder / "munge.socket").exists)
        daemons.enter_context(_daemon(cluster, ["slurmctld", "-D"]))
        for node in cluster.nodes:
            daemons.enter_context(_daemon(cluster, ["slurmd", "-D", "-N", node]))
        _wait_for(cluster, "slurmctld", lambda: _idle(cluster) == nodes)
        daemons.callback(_cancel_all, cluster)
        yield cluster


def _write_settings(cluster: SlurmCluster, cores: int) -> None:
    folder = cluster.folder
    (folder / "state").mkdir(parents=True, exist_ok=True)
    for node in cluster.nodes:
        (folder / node).mkdir(exist_ok=True)
    ports = free_ports(1 + len(cluster.nodes))
    host = socket.gethostname()
    memory = psutil.virtual_memory().total // 2**20 // len(cluster.nodes)  # MiB
    same = f"NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=IDLE"
    lines = [f"NodeName={node} Port={port} {same}" for node, port in zip(cluster.nodes, ports[1:], strict=True)]
    text = SETTINGS.format(host=host, ports=ports, folder=folder, user=getpass.getuser(), nodes="\n".join(lines))
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))


@contextmanager
def _daemon(cluster: SlurmCluster, command: list[str]) -> Iterator[None]:
    """A daemon that ends with this process, however that ends."""
    with (
        (cluster.folder / f"{command[0]}.out").open("ab") as sink,
        supervised(command, environment=cluster.environment(), sink=sink),
    ):
        yield


def _idle(cluster: SlurmCluster) -> int:
    """Nodes that take jobs."""
    try:
        return cluster.run("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N").count("\n")
    except UserError:  # the controller does not answer yet
        return 0


def _wait_for(cluster: SlurmCluster, daemon: str, ready: Callable[[], bool]) -> None:
    end = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > end:
            logs = sorted(cluster.folder.glob("*.log"), key=lambda log: log.stat().st_mtime)
            said = " ".join((log.read_text(errors="replace").strip()[-200:]) for log in logs[-3:])
            raise UserError(f"{daemon} did not start within {START_SECONDS:.0f} s; its logs end with: {said}")
        time.sleep(0.1)


def _cancel_all(cluster: SlurmCluster) -> None:
    """No job is left for the daemons to wait for."""
    with contextlib.suppress(UserError):
        cluster.run("scancel", f"--user={getpass.getuser()}")
