"""Training in the background: a process of its own, whose log clients may read."""

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.folders.origin import in_text
from equireg.serving.errors import RequestError

_SCRIPT = (
    "import sys; from equireg.processes.parent import end_with_parent; end_with_parent(); "
    "from equireg.cli import main; sys.exit(main(sys.argv[1:]))"
)
"""The command, in a process that ends with the server, also where that is killed: one training at a time."""
_PATIENCE_S = 10.0
"""How long a training that was told to stop may take to end, s."""
_TAIL_BYTES = 2**16
"""Bytes of the log, from its end, that are read."""


@dataclass
class _Task:
    """One training."""

    model: str
    out: Path
    log: Path
    process: "subprocess.Popen[bytes]"
    began: float = field(default_factory=time.time)
    ended: float | None = None
    stopped: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Training:
    """The training of a loop; one at a time.

    Args:
        roots: folders that a log may name, but not by their path.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = list(roots)
        self._task: _Task | None = None
        self._guard = threading.Lock()

    def start(self, model: str, arguments: Sequence[str], out: Path) -> dict[str, Any]:
        """Start `equireg train` with some arguments; return its status.

        Raises:
            RequestError: if one runs already.
        """
        with self._guard:
            if self._running():
                raise RequestError(429, "a training runs already. Wait for its end, or stop it.")
            log = out.with_name(f"{out.name}.log")
            with disk.disk_errors(log):
                out.parent.mkdir(parents=True, exist_ok=True)
                file = log.open("wb")
            with file:
                process = subprocess.Popen(
                    [sys.executable, "-c", _SCRIPT, "train", *arguments, "--out", str(out)],
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            self._task = _Task(model, out, log, process)
        return self.status()

    def status(self, *, running_only: bool = False) -> dict[str, Any]:
        """Return what is known of the newest training.

        Raises:
            RequestError: if there was none, or with ``running_only`` if none runs.
        """
        running, task = self._running(), self._task
        if task is None or (running_only and not running):
            raise RequestError(404, "no training runs." if running_only else "nothing was trained so far.")
        code = task.process.returncode
        ended = "STOPPED" if task.stopped else "DONE" if code == 0 else "ERROR"
        said: dict[str, Any] = {
            "id": task.id,
            "model": task.model,
            "run": task.out.name,
            "status": "RUNNING" if running else ended,
            "start_ts": int(task.began),
            "details": self.log(20) or ["started"],
        }
        return said if running else {**said, "end_ts": int(task.ended or time.time()), "result": said["details"][-1]}

    def stop(self) -> dict[str, Any]:
        """Stop the training and wait for its end; return its status.

        Raises:
            RequestError: if none runs.
        """
        with self._guard:
            task = self._task
            if task is None or not self._running():
                raise RequestError(404, "no training runs.")
            task.stopped = True
            task.process.terminate()
            try:
                task.process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                task.process.kill()
                task.process.wait()
        return self.status()

    def end(self) -> None:
        """Stop the training where one runs, as the server ends."""
        if self._running():
            self.stop()

    def log(self, lines: int) -> list[str]:
        """Return the last lines of the newest training's log; nothing where none was started."""
        if self._task is None or not self._task.log.is_file():
            return []
        with disk.read_errors(self._task.log), self._task.log.open("rb") as file:
            file.seek(max(0, self._task.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        # A progress bar writes over its line.
        shown = [line.rsplit("\r", 1)[-1] for line in text.splitlines() if line.strip()]
        return [in_text(line, self._roots) for line in shown[-lines:]]

    def silence(self) -> str:
        """Say why there is no line of a log."""
        return "nothing was trained so far." if self._task is None else "the training has written nothing yet."

    def _running(self) -> bool:
        task = self._task
        if task is None:
            return False
        if task.process.poll() is None:
            return True
        if task.process.stdin is not None:
            task.process.stdin.close()
        task.ended = task.ended or time.time()
        return False
