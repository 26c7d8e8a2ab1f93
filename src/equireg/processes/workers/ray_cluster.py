"""A Ray cluster that runs already. Its machines have equireg installed and see the same files by the same paths."""

import logging
import os
import socket
from collections.abc import Callable, Collection
from typing import Any

from equireg.errors import EquiregError, UsageError
from equireg.processes.workers.tasks import WorkerDiedError, guarded

_KNOCK_SECONDS = 10


class RayCluster:
    """The part of a Ray cluster that the tasks use.

    Args:
        jobs: tasks at once; 0 for all that fit on the cluster, also as it grows.
        gpus: part of a GPU that a task takes, where the cluster has any.
        share_cores: a task takes an equal part of all cores; else one.

    Raises:
        UsageError: if Ray is not installed.
        EquiregError: if there is no cluster.
    """

    def __init__(self, jobs: int, gpus: float, *, share_cores: bool) -> None:
        self._ray = _import_ray()
        self._connected = _connect(self._ray)
        self._jobs = jobs
        self._gpus = gpus if self._ray.cluster_resources().get("GPU", 0) >= 1 else 0
        self._cpus = self._cores_a_task() if share_cores else 1
        # Retrying is ours: a task counts its own deaths in the same way everywhere.
        self._remote = self._ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_retries=0)(guarded)
        self._running: set[Any] = set()

    def room(self) -> int:
        """Return how many tasks the cluster has room for, now, or the number that was asked for."""
        if self._jobs:
            return self._jobs
        resources = self._ray.cluster_resources()
        by_gpus = resources.get("GPU", 0) / self._gpus if self._gpus else float("inf")
        return max(1, int(min(by_gpus, resources.get("CPU", 1) / self._cpus)))

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Hand a task to the cluster."""
        reference = self._remote.remote(function, *arguments)
        self._running.add(reference)
        return reference

    def wait(self, begun: Collection[Any]) -> Any:
        """Return one of the begun tasks that has ended."""
        return self._ray.wait(list(begun), num_returns=1)[0][0]

    def result(self, ended: Any) -> Any:
        """Return what a task that has ended returned.

        Raises:
            WorkerDiedError: if its process or its machine died.
            EquiregError: if a machine cannot run equireg's tasks at all.
        """
        self._running.discard(ended)
        try:
            return self._ray.get(ended)
        except self._ray.exceptions.RayTaskError as error:  # the task's own errors come as values
            reason = str(error).strip().splitlines()[-1]
            raise EquiregError(
                f"a machine of the Ray cluster cannot run equireg ({reason}). Install the same equireg on all of them."
            ) from error
        except self._ray.exceptions.RayError as error:
            raise WorkerDiedError(f"its process on the Ray cluster died ({type(error).__name__})") from error

    def close(self, *, cut: bool) -> None:
        """Leave the cluster: after the tasks that run, or at once."""
        if cut:
            for reference in self._running:
                self._ray.cancel(reference, force=True)
        elif self._running:
            self._ray.wait(list(self._running), num_returns=len(self._running))
        if self._connected:
            self._ray.shutdown()

    def _cores_a_task(self) -> int:
        """Return each task's part of the cores, on the machine that has most of them."""
        resources = self._ray.cluster_resources()
        at_once = self._jobs or int(resources.get("GPU", 0) if self._gpus else resources.get("CPU", 1))
        most = max(node["Resources"].get("CPU", 1) for node in self._ray.nodes() if node["Alive"])
        return max(1, int(min(resources.get("CPU", 1) // max(1, at_once), most)))


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError(
            "--cluster is ray, but Ray is not installed. Install it with `pip install 'equireg[ray]'`, on all machines."
        ) from error
    return ray


def _connect(ray: Any) -> bool:
    """Join the cluster, unless this process has done so; return whether it was done here.

    Raises:
        EquiregError: if there is no cluster.
    """
    if ray.is_initialized():
        return False
    address = os.environ.get("RAY_ADDRESS") or "auto"
    try:
        _try(address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        where = "here" if address == "auto" else f"at {address} (RAY_ADDRESS)"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EquiregError(
            f"--cluster is ray, but there is no Ray cluster {where} to join ({reason}). Start one: `ray start --head` "
            "on the first machine, `ray start --address=FIRST:6379` on each other one; then run this again on any."
        ) from error
    return True


def _try(address: str) -> None:
    """Knock at HOST:PORT: where nobody listens, Ray would wait for minutes.

    Raises:
        OSError: if nobody listens.
    """
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
