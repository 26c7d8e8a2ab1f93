"""Starting the processes of a run on several devices of one machine, and telling their errors as one."""

import atexit
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from equireg.errors import EquiregError, PrintableFormatter, UsageError
from equireg.processes.cores import usable_cores
from equireg.processes.importing import importing_lightning
from equireg.processes.memory import KILLED, own_process, room_for_a_thread
from equireg.processes.parent import end_with_parent
from equireg.processes.ranks import Rank

log = logging.getLogger("equireg")

_ERRORS = "EQUIREG_RANK_ERRORS"
"""Environment variable: the folder in which a rank leaves its error for the process that started it."""
_RANKS = "EQUIREG_RANKS"
"""Environment variable: how many processes have been started; Lightning takes WORLD_SIZE away after a run."""
_TELLS = "EQUIREG_RANK_TELLS"
"""Environment variable: 1 where the first rank shows its log on the screen."""
_told: dict[str, Any] = {}
"""What `launch` has told this process, which it started."""
_PATIENCE_S = 15.0
"""Time that the other ranks have to end once one has failed, s."""


def place(devices: int, nodes: int) -> Rank | None:
    """Return this process' place in a run; None where its processes are still to be started.

    Raises:
        UsageError: if a launcher has started another number of processes than the options say, or several machines
            are asked for and there is no launcher.
    """
    count = devices * nodes
    if count == 1:
        return Rank()
    launchers = {
        "equireg": ("RANK", _RANKS, "LOCAL_RANK"),
        "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
        "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    }
    for launcher, (rank, size, local) in launchers.items():
        if rank not in os.environ or size not in os.environ:
            continue
        started, index = int(os.environ[size]), int(os.environ[rank])
        if started == 1 and nodes == 1:
            continue
        if started != count:
            raise UsageError(
                f"{launcher} has started {started} processes, --devices {devices} and --nodes {nodes} ask for {count}. "
                "Give the processes of each machine as --devices, and the machines as --nodes."
            )
        return Rank(index, count, int(os.environ.get(local, index % devices)))
    if nodes > 1:
        raise UsageError(f"--nodes is {nodes}, and nothing has started the processes. Start them by torchrun or srun.")
    return None


def launched_here() -> bool:
    """Return whether `launch` has started this process."""
    return _ERRORS in os.environ


def launch(target: str, job: Mapping[str, Any], count: int, tell: Mapping[str, Any] | None = None) -> None:
    """Run a function in ``count`` new processes, the ranks of a run, and wait for them.

    Args:
        target: where ``run_rank`` finds the function, as ``module:name``.
        job: its arguments by name, plain values.
        count: number of processes.
        tell: what ``told`` returns there, plain values.

    Raises:
        EquiregError: if one fails: the error that a rank found itself, not those of the others that missed it.
        RuntimeError: if that error is none of ours.
    """
    script = "from equireg.processes.launching import run_rank; run_rank()"
    with tempfile.TemporaryDirectory(prefix="equireg-") as folder:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", script, target, json.dumps(job), json.dumps(tell or {})],
                stdin=subprocess.PIPE,
                env=environment,
            )
            for environment in _environments(folder, count)
        ]
        try:
            _wait(processes)
        finally:
            _end(processes)
        _raise_first(Path(folder), [process.returncode for process in processes])


def told() -> Mapping[str, Any]:
    """Return what `launch` has told this process beside its job; nothing where it did not start it."""
    return _told


def join(backend: str) -> None:
    """Join the process group of a run that `launch` has started; nothing to do elsewhere.

    The ranks find each other by a file and talk over the loopback interface, so that no other machine can reach them.
    """
    from torch import distributed

    if not launched_here() or distributed.is_initialized():
        return
    rank, count = int(os.environ["RANK"]), int(os.environ[_RANKS])
    store = Path(os.environ[_ERRORS], "store").as_uri()
    distributed.init_process_group(backend, init_method=store, rank=rank, world_size=count)
    atexit.register(distributed.destroy_process_group)


def _environments(folder: str, count: int) -> list[dict[str, str]]:
    """Return the environment of each rank, by the names that torchrun uses."""
    common = {
        "OMP_NUM_THREADS": str(max(1, usable_cores() // count)),
        **{name: _loopback() for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")},
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",  # read by Lightning; `join` opens no port there
        "MASTER_PORT": "0",
        "WORLD_SIZE": str(count),
        "NODE_RANK": "0",
        _RANKS: str(count),
        _ERRORS: folder,
        _TELLS: str(int(log.hasHandlers())),
    }
    return [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _loopback() -> str:
    """Return the name of the interface that only this machine reaches, such as lo."""
    try:
        names = [name for _, name in socket.if_nameindex()]
    except (AttributeError, OSError):
        names = []
    return next((name for name in names if name.startswith("lo")), "lo")


def _wait(processes: list["subprocess.Popen[bytes]"]) -> None:
    """Wait until all have ended, or for a while after one has failed."""
    failed_at = None
    while None in (codes := [process.poll() for process in processes]):
        if failed_at is None and any(codes):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > _PATIENCE_S:
            return
        time.sleep(0.05)


def _end(processes: list["subprocess.Popen[bytes]"]) -> None:
    """Close the pipes, at which the ranks that are left end themselves."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
    for process in processes:
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _raise_first(folder: Path, codes: list[int]) -> None:
    """Raise the error of the ranks, if there was one."""
    if not any(codes):
        return
    paths = [path for path in folder.iterdir() if path.name.isdigit()]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    # A rank that only lost the others has an error of the library's.
    found.sort(key=lambda error: (not error["ours"], error["time"]))
    if not found:
        raise EquiregError(" ".join(_ending(rank, code) for rank, code in enumerate(codes) if code))
    first = found[0]
    kind = {"usage": UsageError, "failure": EquiregError}.get(first["ours"], RuntimeError)
    error = kind(first["message"])
    error.add_note(first["trace"])
    raise error


def _ending(rank: int, code: int) -> str:
    """Say how a process ended that left no error."""
    if code == KILLED:
        return (
            f"Process {rank} was killed (signal 9), usually because memory ran out. Give fewer --devices; "
            "--resume continues from the last checkpoint, if there is one. Or train anew with another --out and a "
            "lower --batch_size or --patch_size."
        )
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"Process {rank} {how} and left no error; --resume continues from the last checkpoint, if there is one."


def run_rank() -> None:
    """Be one rank: call the function that the command line names; leave an error where ``launch`` looks for it."""
    import importlib

    room_for_a_thread()
    end_with_parent()
    own_process()
    _log_to_screen()
    module, name = sys.argv[1].split(":")
    _told.update(json.loads(sys.argv[3]))
    try:
        with importing_lightning():
            target: Callable[..., Any] = getattr(importlib.import_module(module), name)
        target(**json.loads(sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        ours = "usage" if isinstance(error, UsageError) else "failure" if isinstance(error, EquiregError) else ""
        content = {
            "ours": ours,
            "message": str(error) if ours else f"{type(error).__name__}: {error}",
            "trace": traceback.format_exc(),
            "time": time.time(),
        }
        Path(os.environ[_ERRORS], os.environ["RANK"]).write_text(json.dumps(content), encoding="utf-8")
        sys.exit(1)


def _log_to_screen() -> None:
    """Log what the first rank logs; warnings come from the process that was asked, which checks the same."""
    log.propagate = False
    log.addHandler(logging.NullHandler())
    if os.environ["RANK"] == "0" and os.environ[_TELLS] == "1":
        log.setLevel(logging.INFO)
        handler = logging.StreamHandler()
        handler.setFormatter(PrintableFormatter())
        handler.addFilter(lambda record: record.levelno < logging.WARNING)
        log.addHandler(handler)
