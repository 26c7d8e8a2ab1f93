"""The folder of a run: its names, its facts, and who reads and writes each of its files.

config.yaml       the options, as `equireg train` was given them
checkpoints/      best.ckpt where training validated, last.ckpt
metrics.csv       scalars over the steps
log.txt           what was logged
splits_final.json the folds, of a run that is one of a cross-validation
made_by.json      the signature, with the facts of the run under ``run``
repeat.yaml       where the run had a budget of time: the options that make the same steps without a clock
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from equireg import disk
from equireg.config import TrainConfig
from equireg.config.checks import parse_fold
from equireg.config.earlier import in_todays_words
from equireg.config.parsing import from_plain, to_plain, to_yaml
from equireg.config.yaml_files import read_yaml
from equireg.errors import EquiregError, UsageError
from equireg.folders import tables
from equireg.folders.folds import SPLITS, FoldCases, read_folds
from equireg.folders.run_facts import RUN_FACTS, RunFacts, run_facts
from equireg.folders.schema import SchemaError
from equireg.folders.signature import SIGNATURE, read_content, read_signature, sign
from equireg.registry import UnknownNameError

CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
REPEAT = "repeat.yaml"
METRICS = "metrics.csv"
LOG = "log.txt"


class RunFolder:
    """A run's folder, to read or to write; nothing is opened until it is asked for."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @property
    def metrics(self) -> Path:
        """The table of scalars."""
        return self.root / METRICS

    @property
    def log(self) -> Path:
        """The log."""
        return self.root / LOG

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.root / CHECKPOINTS

    def has_checkpoint(self) -> bool:
        """Whether training has written a checkpoint; a run without one starts again at step 0."""
        return any(self.checkpoints.glob("*.ckpt"))

    def checkpoint(self, which: Literal["auto", "best", "last"] = "auto") -> Path:
        """Return a checkpoint file; ``auto`` is the best where training validated, else the last.

        Raises:
            EquiregError: if there is none.
        """
        names = ("best", "last") if which == "auto" else (which,)
        for name in names:
            path = self.checkpoints / f"{name}.ckpt"
            if path.is_file():
                return path
        raise EquiregError(
            f"{self.checkpoints}: holds no {' or '.join(names)}.ckpt. Train first (a run that was stopped goes on with "
            "`equireg train PREPARED --out RUN --resume`), or give the folder of a run."
        )

    @property
    def folds(self) -> Path:
        """The folds of a run that is one of a cross-validation."""
        return self.root / SPLITS

    def fold_cases(self, fold: str | None) -> FoldCases | None:
        """Return the cases of a run's fold, such as 0/5; None for None.

        Raises:
            EquiregError: if the file of the folds is missing or damaged.
        """
        place = parse_fold(fold)
        if place is None:
            return None
        folds = read_folds(self.folds)
        if len(folds) != place[1]:
            raise EquiregError(f"{self.folds}: holds {len(folds)} folds; the run is fold {fold}. Restore the file.")
        return folds[place[0]]

    def signature(self) -> dict[str, Any]:
        """Read the signature.

        Raises:
            EquiregError: if the folder is not a run's.
        """
        return read_signature(self.root, "train")

    def facts(self) -> RunFacts:
        """Read the facts; the name is that which the folder has now.

        Raises:
            EquiregError: if the folder is not a run's.
        """
        signature = self.signature()
        name = self.root.resolve().name
        if RUN_FACTS in signature:
            try:
                return replace(RunFacts.from_dict(signature[RUN_FACTS]), name=name)
            except SchemaError as error:
                raise EquiregError(
                    f"{self.root / SIGNATURE}: is damaged ({error}). Restore it, or train again."
                ) from error
        # A run of an earlier version has no facts in one place.
        counts = {key: signature.get(key) for key in ("labelled_cases", "unlabelled_cases", "masked_cases")}
        return run_facts(name, signature["config"], str(signature.get("dataset")), **counts)

    def is_finished(self) -> bool:
        """Whether training has finished."""
        path = self.root / SIGNATURE
        return path.is_file() and bool(read_content(self.root).get("finished"))

    def has_config(self) -> bool:
        """Whether a run has begun here; only then it can be resumed."""
        return (self.root / CONFIG).is_file()

    def remove_false_start(self) -> None:
        """Remove what a training left that was killed as it made this folder, before it could be resumed.

        To be called under the folder's lock. Nothing is removed where there is anything else, or any checkpoint.
        """
        made = {CHECKPOINTS, SIGNATURE, SPLITS}
        if self.has_config() or not self.root.is_dir():
            return
        there = {path.name for path in self.root.iterdir()} - {disk.IN_FOLDER}
        checkpoints = self.root / CHECKPOINTS
        if CHECKPOINTS not in there or not there <= made or self.is_finished() or any(checkpoints.iterdir()):
            return
        checkpoints.rmdir()
        for name in (SIGNATURE, SPLITS):
            (self.root / name).unlink(missing_ok=True)

    def read_config(self) -> dict[str, Any]:
        """Read the options as plain nested values; those of an earlier version in the words of this one.

        Raises:
            EquiregError: if they are missing or damaged.
        """
        content = read_yaml(self.root / CONFIG)
        with self._damaged_config():
            return in_todays_words(content)

    def check_config(self) -> None:
        """Check that the options are those of a run.

        Raises:
            EquiregError: if they are missing or damaged; names the file.
        """
        stored = self.read_config()
        with self._damaged_config():
            from_plain(TrainConfig, stored)
            if not all(isinstance(stored.get(group), Mapping) for group in ("method", "network")):
                raise UsageError("it names no method or no network.")

    @contextmanager
    def _damaged_config(self) -> Iterator[None]:
        """Name the file where its options do not fit."""
        try:
            yield
        except UnknownNameError as error:
            raise error.stored_in(self.root / CONFIG) from error
        except UsageError as error:
            raise EquiregError(
                f"{self.root / CONFIG}: is damaged: {error} Restore it, or begin a new run with another --out."
            ) from error

    def write_config(self, config: TrainConfig) -> None:
        """Write the options."""
        disk.write_atomic(self.root / CONFIG, to_yaml(config))

    def write_repeat(self, config: TrainConfig) -> None:
        """Write the options that make the same steps as a run that had a budget of time."""
        disk.write_atomic(self.root / REPEAT, to_yaml(config))

    def sign(self, config: TrainConfig, facts: RunFacts, source: Path, **more: Any) -> None:
        """Write the signature.

        Args:
            config: the run's options.
            facts: what later verbs want to know.
            source: the prepared folder.
            more: further plain values, such as ``finished`` and ``seconds``.
        """
        more = {RUN_FACTS: facts.as_dict(), **more}
        sign(self.root, "train", to_plain(config), seed=config.seed, source=source, **more)

    def read_metrics(self) -> list[dict[str, float]]:
        """Read the table of scalars: a row a step, each with the scalars that it has, ``step`` among them.

        Raises:
            EquiregError: if a value is no number.
        """
        if not self.metrics.is_file():
            return []
        with self.metrics.open(newline="", encoding="utf-8") as file:
            try:
                return [{name: float(v) for name, v in row.items() if v} for row in csv.DictReader(file)]
            except (TypeError, ValueError, csv.Error) as error:
                raise EquiregError(
                    f"{self.metrics}: is damaged ({error}); expected numbers. Remove it to continue without those rows."
                ) from error

    def read_scalars(self) -> tuple[int, dict[str, np.ndarray]]:
        """Read the curves of a run that logged something.

        Returns:
            The last step, and scalar's name to its steps and values [n, 2], by step; empty cells and scalars
            without a value are left out.

        Raises:
            EquiregError: if the table is missing or empty, has no column step, or a cell is not a number.
        """
        remedy = "Wait until training has ended, or run it again."
        last, points = 0.0, dict[str, list[tuple[float, float]]]()
        for line, row in tables.read_table(self.metrics, ("step",), remedy):
            step = tables.number(self.metrics, line, "step", row.pop("step"), remedy)
            if not math.isfinite(step):
                raise EquiregError(f"{self.metrics}: line {line} has no step; expected one in each line. {remedy}")
            last = max(last, step)
            for name, cell in row.items():
                value = tables.number(self.metrics, line, name, cell, remedy)
                if math.isfinite(value):
                    points.setdefault(name, []).append((step, value))
        return int(last), {name: np.array(sorted(pairs, key=lambda pair: pair[0])) for name, pairs in points.items()}

    def write_metrics(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write the table of scalars, completely or not at all."""
        names = sorted({name for row in rows for name in row} - {"step"})
        lines = [",".join(["step", *names])]
        for row in rows:
            values = [repr(row[name]) if name in row else "" for name in names]
            lines.append(",".join([str(int(row["step"])), *values]))
        disk.write_atomic(self.metrics, "\n".join(lines) + "\n")
