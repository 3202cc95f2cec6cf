"""A Ray cluster of several nodes on this machine, for the demonstration and the tests: Ray's own ``Cluster``.

Each node is a raylet with workers and an object store of its own. Sockets, logs and the store's files are in one
folder, and all processes are ended with the block.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.started import end_all, free_ports, processes_with
from winnow.pipeline.messages import UserError

STORE = 150 * 2**20  # bytes of the object store of a node; requests and answers are files


VARIABLE = "RAY_TMPDIR"


START_SECONDS = 60


TRIES = 4  # a node gives its own helpers 20 s to start, which a machine that has other work may not manage


GIVEN = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # jobs are not waited for
}


# What is given here a node need not wait for.
AGENTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


@dataclass(frozen=True)
class RayCluster:
    """A cluster that is running."""

    folder: Path  # all of it
    address: str  # as ``ray.init`` takes it

    def processes(self) -> list[psutil.Process]:
        """The daemons and their workers."""
        return processes_with(VARIABLE, self.folder)


@contextmanager
def ray_cluster(folder: Path, *, nodes: int = 2, cores: int = 1) -> Iterator[RayCluster]:
    """Run a cluster until the block ends.

    Args:
        folder: new or empty, with a path of at most 40 characters, as Ray's sockets want it.
        nodes: the first of them is the head.
        cores: of each, jobs that it runs at once.

    Raises:
        UserError: it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    given = {**GIVEN, VARIABLE: str(folder)}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    from ray.cluster_utils import Cluster  # here, as Ray reads its variables when it is imported

    try:
        cluster = _started(Cluster, folder, nodes, cores)
        try:
            yield RayCluster(folder, cluster.address)
        finally:
            _end(cluster, folder)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _started(make: Callable[[], Any], folder: Path, nodes: int, cores: int) -> Any:
    """A cluster of which all nodes answer.

    Raises:
        UserError: it does not start, time after time.
    """
    node = {"num_cpus": cores, "object_store_memory": STORE, "include_dashboard": False, "wait": False}
    for attempt in range(TRIES):
        cluster = make()
        try:
            for _ in range(nodes):
                cluster.add_node(**node, **dict(zip(AGENTS, free_ports(len(AGENTS)), strict=True)))
            cluster.wait_for_nodes(timeout=START_SECONDS)
            return cluster
        except Exception as error:  # Ray raises a plain one
            _end(cluster, folder)
            if attempt == TRIES - 1:
                raise UserError(f"Ray does not start ({error}); end other programs, and run it again") from None
        except BaseException:
            _end(cluster, folder)
            raise


def _end(cluster: Any, folder: Path) -> None:
    with contextlib.suppress(Exception):  # of processes that have ended, or take longer to
        cluster.shutdown()
    end_all(VARIABLE, folder)
