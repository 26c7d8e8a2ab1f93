"""Jobs of a Slurm queue, submitted by submitit. All machines have equireg installed and see the same files."""

import logging
import os
import pickle
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.errors import EquiregError, UsageError
from equireg.processes.workers import pilot
from equireg.processes.workers.tasks import WorkerDiedError

log = logging.getLogger("equireg")

_EXECUTOR = "slurm"
"""submitit's executor; its executor ``local`` does the same with processes of this machine."""
_DEFAULT_JOBS = 16
_MINUTES = 24 * 60
"""Time limit of a job that ``--slurm time=...`` does not set."""
_POLL_SECONDS, _CHECK_SECONDS = 0.3, 5.0
_BARREN = 3
"""Jobs that may end without having taken a task before the queue is given up."""
_OPTION = re.compile(r"(?P<name>[a-z][a-z0-9-]*)=(?P<value>[^\n\r]+)")


def sbatch_options(words: Sequence[str]) -> dict[str, str]:
    """Return options of sbatch from words such as ``partition=gpu``.

    Raises:
        UsageError: names the word that is none.
    """
    found: dict[str, str] = {}
    for word in words:
        match = _OPTION.fullmatch(word.strip())
        if match is None:
            raise UsageError(
                f"--slurm holds {word!r}; expected long options of sbatch, such as partition=gpu,time=10:00:00."
            )
        found[match["name"]] = match["value"]
    return found


class SlurmJobs:
    """Jobs of a queue that take tasks from a folder beside the output; see ``pilot``.

    Args:
        jobs: how many at once; 0 for 16.
        options: of sbatch, by long name.
        beside: the verb's output folder, on a disk that all machines see.

    Raises:
        UsageError: if submitit is not installed.
        EquiregError: if this machine cannot submit jobs.
    """

    def __init__(self, jobs: int, options: Mapping[str, str], beside: Path) -> None:
        self._jobs = jobs or _DEFAULT_JOBS
        beside = beside.absolute()
        self._folder = disk.partial_name(beside.with_name(f"{beside.name}{disk.TASKS}"))
        self._executor = _executor(self._folder / "log", options)
        import cloudpickle  # needed by submitit, and so installed with it

        self._pickled: Callable[[Any], bytes] = cloudpickle.dumps
        for name in (pilot.WAITING, pilot.TAKEN, pilot.DONE):
            (self._folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / pilot.ALIVE).touch()
        self._running: dict[str, Any] = {}
        self._dead: dict[str, str] = {}
        """Tasks whose job ended, with the reason."""
        self._count, self._barren, self._checked = 0, 0, time.monotonic()

    def room(self) -> int:
        """Return how many tasks are given out: one more waits for each job, so that none is idle."""
        return 2 * self._jobs

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
        """Lay a task into the folder, and submit a job for it where there are fewer than asked for."""
        name = f"{self._count:07d}"
        self._count += 1
        # By cloudpickle, as submitit does, which also carries a function of the script that was started.
        disk.write_atomic(self._folder / pilot.WAITING / name, self._pickled((function, arguments)))
        if len(self._running) < self._jobs:
            self._submit()
        return name

    def wait(self, begun: Collection[str]) -> str:
        """Return one of the begun tasks that has ended.

        Raises:
            EquiregError: if the queue's jobs end without having taken a task.
        """
        while True:
            (self._folder / pilot.ALIVE).touch()
            for name in begun:
                if name in self._dead or self._is_done(name):
                    return name
            if time.monotonic() - self._checked > _CHECK_SECONDS:
                self._check(begun)
                self._checked = time.monotonic()
            else:
                time.sleep(_POLL_SECONDS)

    def result(self, ended: str) -> Any:
        """Return what a task that has ended returned.

        Raises:
            WorkerDiedError: if its job ended before.
        """
        done = self._folder / pilot.DONE / ended
        try:
            if not done.exists():
                raise WorkerDiedError(self._dead.pop(ended))
            return pickle.loads(done.read_bytes())
        finally:
            for path in (done, *self._taken(ended)):
                path.unlink(missing_ok=True)

    def close(self, *, cut: bool) -> None:
        """End all jobs: after the tasks that they work on, or at once."""
        (self._folder / pilot.CLOSED).touch()
        for job in self._running.values():
            if cut or not self._is_working(job):
                job.cancel()
        while not cut and any(not job.done() for job in self._running.values()):
            time.sleep(_POLL_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _submit(self) -> None:
        try:
            job = self._executor.submit(pilot.work, self._folder)
        except Exception as error:  # sbatch's own refusal: an unknown partition, a limit of the account
            raise EquiregError(f"the job cannot be submitted ({_last_line(str(error))}). Look at --slurm.") from error
        self._running[str(job.job_id)] = job

    def _check(self, begun: Collection[str]) -> None:
        """Find jobs that have ended, the tasks that they had taken, and submit others in their place."""
        for number in [number for number, job in self._running.items() if job.done()]:
            job = self._running.pop(number)
            held = [name for name in begun if self._owner(name) == number]
            lost = [name for name in held if not self._is_done(name)]
            reason = _last_line(_text(job.stderr)) or f"state {job.state}"
            self._dead.update(dict.fromkeys(lost, f"its Slurm job {number} ended ({reason})"))
            self._barren = 0 if held else self._barren + 1
            if self._barren >= _BARREN:
                raise EquiregError(
                    f"{_BARREN} jobs ended and did nothing; the last said: {reason}. Install the same equireg on all "
                    "machines, on a disk that all of them see, and look at --slurm."
                )
        waiting = len(os.listdir(self._folder / pilot.WAITING))
        for _ in range(min(waiting, self._jobs - len(self._running))):
            self._submit()

    def _owner(self, name: str) -> str | None:
        """Return the number of the job that has taken a task."""
        return next((path.suffix[1:] for path in self._taken(name)), None)

    def _taken(self, name: str = "*") -> list[Path]:
        return list((self._folder / pilot.TAKEN).glob(f"{name}.*"))

    def _is_working(self, job: Any) -> bool:
        return str(job.job_id) in {path.suffix[1:] for path in self._taken() if not self._is_done(path.stem)}

    def _is_done(self, name: str) -> bool:
        return (self._folder / pilot.DONE / name).exists()


def _executor(folder: Path, options: Mapping[str, str]) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UsageError(
            "--cluster is slurm, but submitit is not installed. Install it with `pip install 'equireg[slurm]'`."
        ) from error
    try:
        executor = submitit.AutoExecutor(folder, cluster=_EXECUTOR)
    except RuntimeError as error:
        raise EquiregError(
            f"--cluster is slurm, but this machine submits no jobs ({error}). Run this on a login node of the cluster."
        ) from error
    executor.update_parameters(name="equireg", timeout_min=_MINUTES, slurm_additional_parameters=dict(options))
    return executor


def _text(read: Callable[[], str | None]) -> str:
    try:
        return read() or ""
    except OSError:
        return ""


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""
