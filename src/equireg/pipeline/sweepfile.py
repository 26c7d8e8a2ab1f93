"""The sweep file: which runs there are, how they are named, and what they are judged on.

A sweep file is YAML::

    prepared: data/prepared        # or `raw: FOLDER` with `prepare: {options of the verb}`
    split: test                    # cases that are predicted and scored; or several: [val, test]
    train: {max_steps: 2000}       # options that all runs share
    predict: {test_time: flips}
    grid:                          # every combination is a run
      method: [supervised, equireg]
      sup_cases: [1, 5]
      seed: [42, 43, 44]
    parts:                         # further grids, with shared options of their own; optional
      - {train: {max_steps: 4000}, grid: {method: [supervised], sup_cases: [100], seed: [42]}}
    runs:                          # further runs, each on its own; optional
      - {method: equireg, method.teacher: self, sup_cases: 5, seed: 42}
    jobs: 2                        # options of the verb itself; those on the command line win

The option ``config``, of all runs or of the grid, names a file of options that the others are laid over.
Relative paths count from the sweep file.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equireg.config.parsing import merged, nested
from equireg.config.yaml_files import read_yaml
from equireg.errors import EquiregError

_SHORT = {"method": "", "config": "", "sup_cases": "sup", "unsup_cases": "unsup", "sup_cut": "supcut"}
"""How an option that differs between runs shows in their names."""
_MOST_RUNS = 10_000
"""A grid of more was not meant."""
_MOST_VALUES = 1_000
"""Entries of one list of a sweep file; checking them takes time that grows with the square."""
_NAME = re.compile(r"[^\W_][^/\\\x00-\x1f\x7f]{0,199}")
"""What a run's folder may be called."""


@dataclass(frozen=True)
class Part:
    """A grid with options that its runs share; those do not show in the runs' names."""

    train: dict[str, Any] = field(default_factory=dict)
    """options of `equireg train` that the part's runs share"""
    grid: dict[str, list[Any]] = field(default_factory=dict)
    """option to its values; every combination is a run"""

    def __post_init__(self) -> None:
        for name, values in self.grid.items():
            if not values:
                raise EquiregError(f"a sweep's grid has no value for {name}; expected one or more.")

    @property
    def size(self) -> int:
        """Number of runs that the grid spans."""
        return math.prod(len(values) for values in self.grid.values()) if self.grid else 0

    def combinations(self) -> list[dict[str, Any]]:
        """Return the options of each run that the grid spans."""
        if not self.grid:
            return []
        return [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]


@dataclass(frozen=True)
class SweepConfig:
    """What a sweep file holds."""

    prepared: str | None = None
    """prepared folder"""
    raw: str | None = None
    """raw folder, which is prepared first"""
    prepare: dict[str, Any] = field(default_factory=dict)
    """options of `equireg prepare`"""
    split: str | list[str] = "test"
    """cases that are predicted and scored: a split, or several"""
    train: dict[str, Any] = field(default_factory=dict)
    """options of `equireg train` that all runs share"""
    predict: dict[str, Any] = field(default_factory=dict)
    """options of `equireg predict`"""
    grid: dict[str, list[Any]] = field(default_factory=dict)
    """option to its values; every combination is a run"""
    parts: list[Part] = field(default_factory=list)
    """further grids"""
    runs: list[dict[str, Any]] = field(default_factory=list)
    """further runs"""

    def __post_init__(self) -> None:
        if (self.prepared is None) == (self.raw is None):
            raise EquiregError(f"a sweep has prepared: {self.prepared} and raw: {self.raw}; expected one of the two.")
        if not (self.grid or self.runs or any(part.grid for part in self.parts)):
            raise EquiregError("a sweep has neither a grid nor runs; expected at least one run.")
        if {} in self.runs:
            raise EquiregError("a sweep has a run without options under runs; expected one or more. Remove it.")
        unknown = [split for split in self.splits if split not in ("train", "val", "test")]
        if unknown or not self.splits or len(set(self.splits)) < len(self.splits):
            raise EquiregError(f"a sweep has split: {self.split}; expected train, val, test, or a list of them.")
        if "split" in self.predict:
            raise EquiregError("a sweep's predict has a split of its own; expected `split:` beside it, for all verbs.")

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are predicted and scored."""
        return (self.split,) if isinstance(self.split, str) else tuple(self.split)


@dataclass(frozen=True)
class Run:
    """One run of a sweep."""

    name: str
    options: Mapping[str, Any]
    """Options of `equireg train`."""
    splits: tuple[str, ...] = ("test",)
    """Splits of the prepared folder that it is judged on."""
    bare: str | None = "test"
    """The split whose predictions and evaluation are called as the run; None where all names end in their split."""

    def judged(self) -> dict[str, str]:
        """Return the folder name of its predictions and evaluation for each split."""
        return {split: self.name if split == self.bare else f"{self.name}-{split}" for split in self.splits}


def check_size(content: Any) -> None:
    """Refuse plain values of a sweep file with a list that is longer than anybody means, before they are checked.

    Raises:
        EquiregError: names the option.
    """
    waiting = [("the file", content)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, list) and len(value) > _MOST_VALUES:
            raise EquiregError(
                f"{name} has {len(value)} values; expected {_MOST_VALUES} at most. Cut the sweep in parts."
            )
        if isinstance(value, Mapping):
            waiting += [(str(key), below) for key, below in value.items()]
        elif isinstance(value, list):
            waiting += [(name, below) for below in value]


def list_runs(config: SweepConfig, base: Path) -> list[Run]:
    """Return the runs of a sweep, named by what differs between them; config files lie relative to ``base``.

    Raises:
        EquiregError: if two runs are the same, there are too many, a name is no name for a folder, or a config file
            is missing or damaged.
    """
    parts = [
        Part({}, config.grid),
        *config.parts,
        *(Part({}, {key: [value] for key, value in run.items()}) for run in config.runs),
    ]
    size = sum(part.size for part in parts)
    if size > _MOST_RUNS:
        raise EquiregError(f"the sweep holds {size} runs; expected {_MOST_RUNS} at most. Take values out of its grid.")
    bare = config.splits[0] if len(config.splits) == 1 else None
    runs = [
        Run(_name(options), _with_config([config.train, part.train, options], base), config.splits, bare)
        for part in parts
        for options in part.combinations()
    ]
    names = [run.name for run in runs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EquiregError(f"the sweep holds the run {twice[0]} twice; each must differ in an option.")
    return runs


def _with_config(layers: Sequence[Mapping[str, Any]], base: Path) -> dict[str, Any]:
    """Lay options over each other, the last on top, and all over the file that the last option ``config`` names."""
    files = [layer["config"] for layer in layers if "config" in layer]
    result = nested(read_yaml(base / str(files[-1]))) if files else {}
    for layer in layers:
        result = merged(result, nested({key: value for key, value in layer.items() if key != "config"}))
    for option in ("folds_file", "init"):  # what lies elsewhere counts from the current folder, as in `equireg train`
        value = result.get(option)
        if isinstance(value, str) and (base / value).exists():
            result[option] = str(base / value)
    return result


def _name(options: Mapping[str, Any]) -> str:
    parts = []
    for key, value in options.items():
        word = _SHORT.get(key, key.split(".")[-1])
        shown = value.get("name", "") if isinstance(value, Mapping) else value
        shown = Path(str(value)).stem if key == "config" else shown
        parts.append(f"{word}{shown}")
    name = "-".join(parts).replace("/", "_").replace(" ", "")
    if not _NAME.fullmatch(name):
        raise EquiregError(
            f"the sweep's run with the options {dict(options)} would be named {name!r}; expected a name that begins "
            "with a letter or digit, of 200 characters at most. Move what all runs share to `train:`."
        )
    return name
