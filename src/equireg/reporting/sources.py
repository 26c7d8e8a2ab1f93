"""The folders of a page as the report sees them: frozen, checked, free of paths."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.reporting.metrics_csv import read_scalars, read_scores
from equireg.reporting.naming import distinct_titles
from equireg.reporting.pictures import Picture, read_pictures
from equireg.reporting.preparation import Example, read_examples
from equireg.reporting.privacy import last_part, without_paths

_VERBS = ("train", "evaluate", "prepare")
"""Verbs whose folders a page is made from."""


@dataclass(frozen=True)
class Facts:
    """What a folder says of the training behind it; None where it says nothing."""

    name: str
    """name of the run folder"""
    method: str | None = None
    labelled_cases: int | None = None
    unlabelled_cases: int | None = None
    seed: int | None = None
    dataset: str | None = None
    repeat: int | None = None
    masked_cases: int | None = None
    """training cases that have a mask, used or not"""

    @property
    def fraction(self) -> float | None:
        """Part of the masks that training was shown, 0 to 1; None if unknown."""
        if self.labelled_cases is None or not self.masked_cases:
            return None
        return self.labelled_cases / self.masked_cases

    @property
    def chance(self) -> tuple[int | None, int]:
        """What tells runs of one arm apart: the seed, and the repeat of that seed, 0 for the first."""
        return self.seed, self.repeat or 0


@dataclass(frozen=True)
class Provenance:
    """How a folder was made."""

    config: Mapping[str, Any]
    """nested options, without paths"""
    versions: Mapping[str, str]
    """library to version"""
    commit: str | None
    seconds: float | None
    """wall-clock time, where the folder tells it"""


@dataclass(frozen=True)
class Run:
    """A folder made by `equireg train`."""

    title: str
    """name to show, unlike that of any other run of the page"""
    facts: Facts
    provenance: Provenance
    finished: bool
    last_step: int
    scalars: Mapping[str, np.ndarray]
    """scalar's name to its steps and values [n, 2], by step; none is empty"""


@dataclass(frozen=True)
class Evaluation:
    """A folder made by `equireg evaluate`."""

    title: str
    """name to show, unlike that of any other evaluation of the page"""
    facts: Facts
    provenance: Provenance
    scores: Mapping[tuple[str, str, str], float]
    """(case, region, metric) to its value; NaN where missing"""
    labels: LabelTable
    pictures: tuple[Picture, ...]
    split: str | None = None
    """which split of the prepared folder was predicted; None for other scans, or if unknown"""

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the evaluated cases, sorted."""
        return tuple(sorted({case for case, _, _ in self.scores}))

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the judged regions, in the data set's order; those that it does not name come last."""
        found = list(dict.fromkeys(region for _, region, _ in self.scores))
        declared = [region for region in self.labels.judged_regions() if region in found]
        return tuple(declared + [region for region in found if region not in declared])

    @property
    def metrics(self) -> frozenset[str]:
        """Names of the metrics that it has."""
        return frozenset(metric for _, _, metric in self.scores)

    def cases_with(self, metric: str) -> tuple[str, ...]:
        """Return the cases that a metric was asked of, sorted; those without a mask have no Dice, not even none."""
        return tuple(sorted({case for case, _, name in self.scores if name == metric}))


class Sources(NamedTuple):
    """Everything that a page is made from."""

    runs: tuple[Run, ...]
    evaluations: tuple[Evaluation, ...]
    examples: tuple[Example, ...]
    """the case that each prepared folder shows its steps on"""


def read_sources(paths: Sequence[Path | str]) -> Sources:
    """Read folders of `equireg train`, `evaluate` and `prepare`, in any order; one given twice counts once.

    Raises:
        EquiregError: if there is none, or one is missing, unsigned, of another verb or format, or broken.
    """
    if not paths:
        raise EquiregError("no folder given; expected run folders (`equireg train`) or evaluation folders.")
    resolved = dict.fromkeys(Path(path).resolve() for path in paths)
    signed = [(folder, _signature(folder)) for folder in resolved]
    runs, evaluations, prepared = (
        [(folder, signature) for folder, signature in signed if signature["verb"] == verb] for verb in _VERBS
    )
    run_titles = distinct_titles([(folder.name, folder) for folder, _ in runs])
    run_facts = [_facts_of_evaluation(folder, signature) for folder, signature in evaluations]
    names = _names(run_facts, [_split(signature) for _, signature in evaluations])
    titles = distinct_titles([(name, folder) for name, (folder, _) in zip(names, evaluations, strict=True)])
    return Sources(
        tuple(_read_run(*source, title) for source, title in zip(runs, run_titles, strict=True)),
        tuple(
            _read_evaluation(*source, facts, title)
            for source, facts, title in zip(evaluations, run_facts, titles, strict=True)
        ),
        tuple(example for folder, _ in prepared for example in read_examples(folder)),
    )


def _names(run_facts: Sequence[Facts], splits: Sequence[str | None]) -> list[str]:
    """Name evaluations by their run, and by the split too where a run has several."""
    counts = Counter(facts.name for facts in run_facts)
    return [
        f"{facts.name}, {split}" if split and counts[facts.name] > 1 else facts.name
        for facts, split in zip(run_facts, splits, strict=True)
    ]


def _signature(folder: Path) -> dict[str, Any]:
    expected = "expected a folder made by `equireg train`, `equireg evaluate` or `equireg prepare`"
    disk.existing_folder(folder, "a run, an evaluation or a prepared data set")
    path = folder / folders.SIGNATURE
    if not path.is_file():
        raise EquiregError(f"{folder}: has no {folders.SIGNATURE}; {expected}. Give the folder of a finished verb.")
    signature = disk.read_json(path)
    if not isinstance(signature, dict) or "verb" not in signature:
        raise EquiregError(f"{path}: names no verb; {expected}. Make the folder again.")
    if signature["verb"] not in _VERBS:
        raise EquiregError(f"{folder}: was made by `equireg {signature['verb']}`; {expected}.")
    folders.check_format(folder, signature.get("format_version"))
    return signature


def _read_run(folder: Path, signature: Mapping[str, Any], title: str) -> Run:
    config = _run_config(folder, signature)
    chosen = config.get("method")
    method = chosen.get("name") if isinstance(chosen, Mapping) else chosen
    told = {"method": method, "seed": config.get("seed"), "repeat": config.get("repeat"), **_given(signature)}
    last_step, scalars = read_scalars(folder / "metrics.csv")
    return Run(
        title=title,
        facts=_facts(folder.name, told),
        provenance=_provenance(signature, config),
        finished=signature.get("finished") is not False,
        last_step=last_step,
        scalars=scalars,
    )


def _facts_of_evaluation(folder: Path, signature: Mapping[str, Any]) -> Facts:
    run = signature.get("run")
    told = {
        **_given(signature),
        **(_given(run) if isinstance(run, Mapping) else {"name": run or folder.name}),
    }
    return _facts(str(told.get("name") or folder.name), told)


def _read_evaluation(folder: Path, signature: Mapping[str, Any], facts: Facts, title: str) -> Evaluation:
    labels_path = folder / "labels.json"
    try:
        labels = LabelTable.from_dict(disk.read_json(labels_path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EquiregError(
            f"{labels_path}: is not a table of labels ({error!r}). Run `equireg evaluate` again."
        ) from error
    return Evaluation(
        title=title,
        facts=facts,
        provenance=_provenance(signature, signature.get("config") or {}),
        scores=read_scores(folder / "metrics.csv"),
        labels=labels,
        pictures=read_pictures(folder / "pictures"),
        split=_split(signature),
    )


def _split(signature: Mapping[str, Any]) -> str | None:
    run = signature.get("run")
    split = run.get("split") if isinstance(run, Mapping) else None
    return None if split is None else last_part(str(split))


def _given(told: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a signature really says, so that a None does not hide what the configuration knows."""
    return {key: value for key, value in told.items() if value is not None}


def _facts(name: str, told: Mapping[str, Any]) -> Facts:
    def text(key: str) -> str | None:
        return last_part(str(told[key])) if key in told and told[key] is not None else None

    def count(key: str) -> int | None:
        return int(told[key]) if isinstance(told.get(key), int | float) else None

    return Facts(
        name=last_part(name),
        method=text("method"),
        labelled_cases=count("labelled_cases"),
        unlabelled_cases=count("unlabelled_cases"),
        seed=count("seed"),
        dataset=text("dataset"),
        repeat=count("repeat"),
        masked_cases=count("masked_cases"),
    )


def _provenance(signature: Mapping[str, Any], config: Mapping[str, Any]) -> Provenance:
    seconds = signature.get("seconds")
    versions = without_paths(signature.get("versions") or {})
    return Provenance(
        config=without_paths(config),
        versions={str(library): str(version) for library, version in versions.items()},
        commit=str(signature["git_commit"])[:10] if signature.get("git_commit") else None,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
    )


def _run_config(folder: Path, signature: Mapping[str, Any]) -> dict[str, Any]:
    path = folder / "config.yaml"
    if not path.exists():
        return dict(signature.get("config") or {})
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise EquiregError(
            f"{path}: is not valid YAML ({' '.join(str(error).split())}). Restore or remove it."
        ) from error
    if not isinstance(config, dict):
        raise EquiregError(f"{path}: holds {type(config).__name__}; expected options by name. Restore or remove it.")
    return config
