"""One way to spread tasks, wherever they run."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from equireg.errors import EquiregError, UnexpectedError, UsageError
from equireg.processes.jobs import NO_OTHERS, may_start_others
from equireg.processes.progress import Progress
from equireg.processes.workers.local import LocalProcesses, NoProcessError
from equireg.processes.workers.ray_cluster import RayCluster
from equireg.processes.workers.slurm import SlurmJobs, sbatch_options
from equireg.processes.workers.tasks import Place, Result, WorkerDiedError, guarded

log = logging.getLogger("equireg")

ClusterName = Literal["local", "ray", "slurm"]


@dataclass(frozen=True)
class Cluster:
    """Where the tasks of a verb run."""

    name: ClusterName = "local"
    """this machine's processes, a Ray cluster, or the queue of Slurm"""
    slurm: tuple[str, ...] = ()
    """options of sbatch, ``name=value``"""
    beside: Path = Path()
    """the verb's output folder, for a queue's tasks"""


HERE = Cluster()
_LIVES = 3
"""Workers that may die at one task before it is given up."""


class Workers:
    """Processes that work on tasks at once; one job on this machine needs none.

    Args:
        jobs: tasks at once. On a Ray cluster 0 means all that fit, in a queue 16.
        cluster: where tasks run.
        gpus: GPUs that a task takes, or a part of one; workers on this machine take them in turn, one at the least.
        share_cores: whether a task on a Ray cluster takes an equal part of all cores, and not just one.

    Raises:
        UsageError: if Ray or Slurm is asked for and what it needs is not installed, or no process may be started here.
        EquiregError: if there is no Ray cluster, or this machine submits no jobs.
    """

    def __init__(self, jobs: int, cluster: Cluster = HERE, *, gpus: float = 0, share_cores: bool = False) -> None:
        self.jobs = jobs
        self.unexpected: dict[str, UnexpectedError] = {}
        """Tasks that met a fault of equireg itself."""
        self._gpus = gpus
        self._place: Place | None = None
        if cluster.name == "ray":
            self._place = RayCluster(jobs, gpus, share_cores=share_cores)
        elif cluster.name == "slurm":
            self._place = SlurmJobs(jobs, sbatch_options(cluster.slurm), cluster.beside)
        elif jobs > 1 and not may_start_others():
            raise UsageError(f"--jobs is {jobs}, but {NO_OTHERS} Give --jobs 1, or start the command with subprocess.")

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._place is not None:
            # After an error the tasks under way are finished, so that nothing half written stays; Ctrl-C is at once.
            self._place.close(cut=kind is not None and not issubclass(kind, Exception))

    def run(
        self, function: Callable[..., Result], tasks: Mapping[str, tuple[Any, ...]], what: str | None = None
    ) -> Iterator[tuple[str, Result | EquiregError]]:
        """Yield each task's name with its result, or with the error that the user must see, as they come.

        A fault of equireg itself is an ``UnexpectedError``, and kept in ``unexpected`` too. A task whose worker dies
        is started again after the others; one that is the death of several has a ``WorkerDiedError`` as its result.

        Args:
            function: importable by name; works on one task.
            tasks: name to the function's arguments.
            what: what the progress is called; none is shown without it.
        """
        with Progress(len(tasks), what) as progress:
            if self._place is None and (self.jobs == 1 or len(tasks) == 1):
                results = _here(function, tasks)
            else:
                results = self._spread(function, tasks)
            for name, result in results:
                if isinstance(result, UnexpectedError):
                    self.unexpected[name] = result
                yield name, result
                if progress.update():
                    progress.log_line()

    def raise_unexpected(self) -> None:
        """Raise what was met that nobody foresaw; called once a verb has finished all else.

        Raises:
            UnexpectedError: names the tasks; the tracebacks are its notes.
        """
        if self.unexpected:
            named = " ".join(f"{name}: {error}" for name, error in self.unexpected.items())
            error = UnexpectedError(named)
            self.add_traces(error)
            raise error

    def add_traces(self, error: EquiregError) -> None:
        """Add to an error that ends a verb the tracebacks of what was unexpected, for --debug."""
        for unexpected in self.unexpected.values():
            for note in getattr(unexpected, "__notes__", []):
                error.add_note(note)

    def _spread(
        self, function: Callable[..., Result], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, Result | EquiregError]]:
        if self._place is None:
            try:
                self._place = LocalProcesses(self.jobs, self._gpus)
            except NoProcessError as error:
                log.warning("%s; this process works alone.", error)
                yield from _here(function, tasks)
                return
        place, waiting = self._place, deque(tasks)
        begun: dict[Any, str] = {}
        deaths: Counter[str] = Counter()
        while waiting or begun:
            while waiting and len(begun) < place.room():
                name = waiting.popleft()
                begun[place.begin(function, tasks[name])] = name
            ended = place.wait(begun)
            name = begun.pop(ended)
            try:
                result = place.result(ended)
            except WorkerDiedError as death:
                deaths[name] += 1
                if deaths[name] < _LIVES:
                    log.warning("%s: %s; it is tried again", name, death)
                    waiting.append(name)
                    continue
                result = WorkerDiedError(
                    f"{name}: {death} {_LIVES} times, most likely because memory ran out. Run the same command again, "
                    "with fewer --jobs."
                )
            yield name, result


def _here(
    function: Callable[..., Result], tasks: Mapping[str, tuple[Any, ...]]
) -> Iterator[tuple[str, Result | EquiregError]]:
    """Work on the tasks in this process, one after the other."""
    return ((name, guarded(function, *arguments)) for name, arguments in tasks.items())
