"""A logger: one of Lightning's own, under a folder of its own."""

from pathlib import Path

from lightning.pytorch.loggers import CSVLogger


def make(out: Path) -> CSVLogger:
    """Return the logger of a run's folder."""
    return CSVLogger(out, name="example", version="")
