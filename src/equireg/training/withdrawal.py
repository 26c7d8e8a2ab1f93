"""A run that is refused after it was begun leaves no folder; one that has results does."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from equireg.disk.locks import IN_FOLDER
from equireg.errors import EquiregError
from equireg.folders.run import RunFolder


@contextmanager
def withdrawn_if_refused(out: Path) -> Iterator[None]:
    """Empty a run's folder again where an error comes before the first checkpoint and the first row of metrics.csv.

    Args:
        out: the folder, which is new or empty when the block begins, so that all in it is this run's.
    """
    there = out.is_dir()
    try:
        yield
    except EquiregError:
        run = RunFolder(out)
        if not run.has_checkpoint() and not run.metrics.exists():
            _empty(out)
            if not there:
                with suppress(OSError):
                    out.rmdir()
        raise


@contextmanager
def telling_what_is_kept(out: Path) -> Iterator[None]:
    """Say of a run that is interrupted, in the text of ``KeyboardInterrupt``, what its folder holds to go on from."""
    try:
        yield
    except KeyboardInterrupt as stop:
        run = RunFolder(out)
        if not run.has_config():
            raise
        kept = "its last checkpoint" if run.has_checkpoint() else "no checkpoint yet, so it would start again"
        raise KeyboardInterrupt(f"{out.name} has {kept}") from stop


def _empty(folder: Path) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name == IN_FOLDER:  # the lock of this process
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
