"""Processes that read .mha, .nrrd and DICOM files for this one: a crash or a greedy header costs that file alone."""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from equireg.disk import read_errors

_SCRIPT = Path(__file__).with_name("itk_process.py")
_START_S = 60.0
"""Time that a new process may take to begin, s."""

_guard = threading.Lock()


class ReaderError(Exception):
    """A file could not be read; the process may have died of it."""


class Reader:
    """One process that runs ``script``, with the file that it reads."""

    def __init__(self, script: Path) -> None:
        self.owner = os.getpid()
        self.script = script
        self._started = False
        self._late = False
        self._left = 0
        paths = [path for path in sys.path if path]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        with read_errors(self.script):
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(self.script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        self._requests, self._answers = (
            cast("IO[bytes]", pipe) for pipe in (self._process.stdin, self._process.stdout)
        )

    @contextmanager
    def no_longer_than(self, seconds: float) -> Iterator[None]:
        """Kill the process when the time is up, which ends whatever waits for it."""
        timer = threading.Timer(seconds + (0.0 if self._started else _START_S), self._time_is_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request."""
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        except OSError:
            raise ReaderError(self._ended()) from None
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise ReaderError(self._ended())
        self._started = True
        answer = json.loads(line)
        if "error" in answer:
            raise ReaderError(answer["error"])
        self._left = int(answer.get("bytes", 0))
        return answer

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes of voxels."""
        found = self._answers.read(count)
        if len(found) < count:
            raise ReaderError(self._ended())
        self._left -= count
        return found

    def ready(self) -> bool:
        """Return whether the process lives and has no voxels left to give."""
        return self._process.poll() is None and not self._left and not self._late

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._answers.close()
        with suppress(OSError):  # what was not sent yet
            self._requests.close()

    def _time_is_up(self) -> None:
        self._late = True
        self._process.kill()

    def _ended(self) -> str:
        code = self._process.wait()
        if self._late:
            return "it takes too long to read"
        return f"its reader crashed ({f'signal {-code}' if code < 0 else f'exit code {code}'})"


_idle: list[Reader] = []


@contextmanager
def reading(request: dict[str, Any], seconds: float) -> Iterator[tuple[dict[str, Any], Reader]]:
    """Ask a process of ITK's for a file; give its answer, and the process to read the voxels from.

    Raises:
        ReaderError: if the file cannot be read, crashes its reader, or takes longer than ``seconds``.
    """
    with borrowed(_SCRIPT) as mine, mine.no_longer_than(seconds):
        yield mine.ask(request), mine


@contextmanager
def borrowed(script: Path) -> Iterator[Reader]:
    """Give a process that runs a script.

    A process that is ready for another file afterwards is kept, any other is ended.
    """
    with _guard:
        mine = next((one for one in _idle if one.script == script and one.owner == os.getpid() and one.ready()), None)
        if mine is not None:
            _idle.remove(mine)
    mine = mine or Reader(script)
    try:
        yield mine
    finally:
        if mine.ready():
            with _guard:
                _idle.append(mine)
        else:
            mine.end()


@atexit.register
def end_readers() -> None:
    """End the processes that wait for another file."""
    with _guard:
        mine = [one for one in _idle if one.owner == os.getpid()]
        _idle.clear()
    for one in mine:
        one.end()
