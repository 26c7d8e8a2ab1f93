"""The folders that are compared, read and checked."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from equireg import disk, folders
from equireg.comparing.compared import Evaluation, Provenance, Run
from equireg.comparing.naming import distinct_titles, printable
from equireg.comparing.privacy import facts_without_paths, last_part, without_paths
from equireg.comparing.statistics import MEAN
from equireg.comparing.trust import Predictions
from equireg.errors import EquiregError
from equireg.folders import ensemble, evaluation
from equireg.folders.examples import Example, read_examples
from equireg.folders.run import RunFolder
from equireg.folders.run_facts import RUN_FACTS, RunFacts
from equireg.folders.schema import SchemaError
from equireg.folders.signature import LEARNT_CASES

_logger = logging.getLogger("equireg")
_VERBS = ("train", "evaluate", "prepare", "predict")
"""Verbs whose folders a page is made from."""


class Sources(NamedTuple):
    """Everything that a page is made from."""

    runs: tuple[Run, ...]
    evaluations: tuple[Evaluation, ...]
    examples: tuple[Example, ...]
    """the case that each prepared folder shows its steps on"""
    predictions: tuple[Predictions, ...] = ()
    """those that were evaluated and those that were given, each once"""


def read_sources(paths: Sequence[Path | str]) -> Sources:
    """Read folders of `equireg train`, `evaluate`, `prepare` and `predict`, in any order; one given twice counts once.

    Predictions that an evaluation leads to are read too.

    Raises:
        EquiregError: if there is none, or one is missing, unsigned, of another verb or format, or broken.
    """
    if not paths:
        raise EquiregError("no folder given; expected run folders (`equireg train`) or evaluation folders.")
    resolved = dict.fromkeys(folder for path in paths for folder in _in_ensemble(Path(path).resolve()))
    signed = [(folder, _signature(folder)) for folder in resolved]
    runs, evaluations, prepared, predicted = (
        [(folder, signature) for folder, signature in signed if signature["verb"] == verb] for verb in _VERBS
    )
    runs = _begun(runs, others=len(signed) - len(runs))
    trained = {_named(facts): facts for facts in (facts_without_paths(RunFolder(folder).facts()) for folder, _ in runs)}
    judged = [_facts(signature.get(RUN_FACTS), folder, trained) for folder, signature in evaluations]
    counts = Counter(facts.name for facts in judged)
    names = [f"{one.name}, {one.split}" if one.split and counts[one.name] > 1 else one.name for one in judged]
    titles = distinct_titles([(name, folder) for name, (folder, _) in zip(names, evaluations, strict=True)])
    run_titles = distinct_titles([(last_part(folder.name), folder) for folder, _ in runs])
    judgements = [
        _read_evaluation(*source, facts, title)
        for source, facts, title in zip(evaluations, judged, titles, strict=True)
    ]
    given = [Predictions.read(folder, printable(last_part(folder.name)), {}, ()) for folder, _ in predicted]
    known = {one.folder: one for one in (*given, *(one.predictions for one in judgements if one.predictions))}
    return Sources(
        tuple(_read_run(*source, title) for source, title in zip(runs, run_titles, strict=True)),
        tuple(judgements),
        tuple(example for folder, _ in prepared for example in read_examples(folder)),
        tuple(known.values()),
    )


def _begun(runs: list[tuple[Path, dict[str, Any]]], others: int) -> list[tuple[Path, dict[str, Any]]]:
    """Leave out runs that were stopped before they logged anything, with a warning, where other folders remain."""
    silent = [folder for folder, _ in runs if not RunFolder(folder).metrics.is_file()]
    if len(silent) == len(runs) and not others:
        return runs  # reading them says what is missing
    for folder in silent:
        _logger.warning("%s: is left out; its training has logged nothing yet, or was stopped before it did.", folder)
    return [(folder, signature) for folder, signature in runs if folder not in silent]


def _in_ensemble(folder: Path) -> list[Path]:
    """Return the runs of a cross-validation and the evaluation of its held-out cases; of another folder itself.

    Raises:
        EquiregError: if it is an ensemble that holds no run, or is damaged.
    """
    if not folder.is_dir() or folders.made_by(folder) != ensemble.VERB:
        return [folder]
    checkpoints = [member.path(folder) for member in ensemble.read_ensemble(folder).members]
    runs = dict.fromkeys(path.parent.parent for path in checkpoints if folders.is_signed(path.parent.parent))
    if folder in runs:  # copies in members/ lie in no run
        raise EquiregError(
            f"{folder}: is an ensemble of copied checkpoints, of which a page has nothing to show. Give its runs, and "
            "evaluations of what it predicted."
        )
    return [*runs, *(one for one in [folder / "evaluation"] if folders.is_signed(one))]


def _signature(folder: Path) -> dict[str, Any]:
    expected = "expected a folder made by `equireg train`, `equireg evaluate`, `equireg predict` or `equireg prepare`"
    disk.existing_folder(folder, "a run, an evaluation or a prepared data set")
    path = folder / folders.SIGNATURE
    if not path.is_file():
        raise EquiregError(f"{folder}: has no {folders.SIGNATURE}; {expected}. Give the folder of a finished verb.")
    signature = folders.read_content(folder)
    if "verb" not in signature:
        raise EquiregError(f"{path}: names no verb; {expected}. Make the folder again.")
    if signature["verb"] not in _VERBS:
        raise EquiregError(f"{folder}: was made by `equireg {signature['verb']}`; {expected}.")
    folders.check_format(folder, signature.get("format_version"), signature["verb"])
    return signature


def _read_run(folder: Path, signature: Mapping[str, Any], title: str) -> Run:
    run = RunFolder(folder)
    last_step, scalars = run.read_scalars()
    return Run(
        title=title,
        facts=facts_without_paths(run.facts()),
        provenance=_provenance(signature, run.read_config() if run.has_config() else signature.get("config") or {}),
        finished=signature.get("finished") is not False,
        last_step=last_step,
        scalars=scalars,
    )


def _facts(told: Any, folder: Path, trained: Mapping[tuple, RunFacts]) -> RunFacts:
    """Read the facts of the run behind an evaluation; foreign predictions have but the name of their folder."""
    content = dict(told) if isinstance(told, Mapping) else {"name": told}
    try:
        facts = facts_without_paths(RunFacts.from_dict({**content, "name": str(content.get("name") or folder.name)}))
    except SchemaError as error:
        path = folder / folders.SIGNATURE
        raise EquiregError(f"{path}: is damaged ({error}). Run `equireg evaluate` again.") from error
    run = trained.get(_named(facts))
    # An evaluation of an earlier version names its run, and not that run's options.
    return facts if facts.arm or not run else replace(facts, arm=run.arm, series=run.series, options=run.options)


def _named(facts: RunFacts) -> tuple:
    return facts.name, facts.method, facts.dataset, facts.seed, facts.repeat or 0


def _read_evaluation(folder: Path, signature: Mapping[str, Any], facts: RunFacts, title: str) -> Evaluation:
    scores = evaluation.read_scores(folder)
    if not {"dice", "equivariance_dice"} & {metric for _, _, metric in scores}:
        raise EquiregError(
            f"{folder / evaluation.METRICS_CSV}: has no dice and no equivariance_dice; expected one of them. "
            "Run `equireg evaluate` again."
        )
    summary = evaluation.read_summary(folder) if (folder / evaluation.SUMMARY).is_file() else {}
    found = Evaluation(
        title=title,
        facts=facts,
        provenance=_provenance(signature, signature.get("config") or {}),
        scores=scores,
        labels=evaluation.read_labels(folder),
        pictures=evaluation.read_pictures(folder),
        left_out=frozenset(summary.get("left_out_of_mean", ())),
        learnt=frozenset(signature.get(LEARNT_CASES, ())),
    )
    patients = tuple(evaluation.patients_of(found.cases, signature))
    return replace(found, predictions=_judged_predictions(folder, signature, found), patients=patients)


def _judged_predictions(folder: Path, signature: Mapping[str, Any], found: Evaluation) -> Predictions | None:
    """Read the predictions behind an evaluation; None where they are gone, foreign or damaged."""
    source = folders.source_of(folder, signature)
    if source is None or folders.made_by(source) != "predict":
        return None
    dice = dict(zip(found.cases, found.values["dice"][MEAN].tolist(), strict=True)) if "dice" in found.metrics else {}
    try:
        return Predictions.read(source.resolve(), found.title, dice, [picture.case for picture in found.pictures])
    except EquiregError as error:
        _logger.warning("%s is shown without the quality of its predictions: %s", found.title, error)
        return None


def _provenance(signature: Mapping[str, Any], config: Mapping[str, Any]) -> Provenance:
    seconds = signature.get("seconds")
    versions = without_paths(signature.get("versions") or {})
    return Provenance(
        config=without_paths(config),
        versions={str(library): str(version) for library, version in versions.items()},
        commit=str(signature["git_commit"])[:10] if signature.get("git_commit") else None,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        predicted_with=without_paths(signature.get(evaluation.VIEWS) or {}),
    )
