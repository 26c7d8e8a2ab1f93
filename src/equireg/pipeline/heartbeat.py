"""A sign of life while other processes work: a line every few seconds that says how far they are."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from equireg import folders
from equireg.errors import EquiregError
from equireg.folders.run import RunFolder
from equireg.processes.memory import room_for_a_thread

log = logging.getLogger("equireg")

EVERY_S = 8.0


@contextmanager
def heartbeat(tell: Callable[[], str], every_s: float = EVERY_S) -> Iterator[None]:
    """Log what ``tell`` returns every few seconds within the block, with the seconds so far."""
    over, begin = threading.Event(), time.monotonic()

    def beat() -> None:
        while not over.wait(every_s):
            log.info("%s (%.0f s)", tell(), time.monotonic() - begin)

    room_for_a_thread()
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def how_far(runs: Mapping[str, Path], evaluations: Mapping[str, Path], steps: int) -> str:
    """Return how far runs are that other processes train, predict and evaluate.

    Args:
        runs: name to the run's folder.
        evaluations: name to the folder of its evaluation, which comes last.
        steps: of each run.
    """
    return ", ".join(f"{name}: {_state(runs[name], evaluations[name], steps)}" for name in runs)


def _state(run: Path, evaluation: Path, steps: int) -> str:
    if folders.is_signed(evaluation):
        return "done"
    try:
        if RunFolder(run).is_finished():
            return "trained, predicts"
        rows = RunFolder(run).read_metrics()
    except EquiregError:  # written just now
        rows = []
    return f"step {rows[-1]['step']:.0f} of {steps}" if rows else "begins"
