"""A cross-validation: a run a fold, predictions of every case by the run that did not see it, and their ensemble.

splits_final.json  the folds, as nnU-Net reads them
runs/foldI_N       the runs
predictions/       of each fold's validation cases, by its run; without post-processing
evaluations/       of each fold
held_out/          all those predictions in one folder
evaluation/        of all held-out cases together
results.csv        a row a fold
report/            the page
made_by.json       the signature of an ensemble, whose members are the runs' checkpoints
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config.cluster import HERE, ClusterOptions
from equireg.errors import EquiregError, UsageError, printable
from equireg.folders import ensemble, predictions, quality
from equireg.folders.folds import SPLITS, FoldCases, write_folds
from equireg.folders.prepared import PreparedSet
from equireg.folders.run_facts import RUN_FACTS, RunFacts
from equireg.folders.signature import LEARNT_CASES
from equireg.pipeline.beginning import DATA, OPTIONS, SHARED, check_same_data, members_of, options_of_before
from equireg.postprocessing import PostProcessing, choose, count_case

log = logging.getLogger("equireg")

HELD_OUT, EVALUATION = "held_out", "evaluation"
_FOLDS = "folds"
"""Key of their number in the mark of a cross-validation that is under way, and in the options of a finished one."""


@dataclass(frozen=True)
class How:
    """How a cross-validation is done."""

    folds: int | None = None
    """number of folds; None to resume with that of before"""
    jobs: int = 0
    spread: ClusterOptions = HERE
    resume: bool = False


def is_one(out: Path) -> bool:
    """Whether a folder holds a cross-validation, finished or under way."""
    return (out / SPLITS).is_file() and ((out / folders.UNFINISHED).is_file() or folders.made_by(out) == ensemble.VERB)


def cross_validate(prepared: Path, out: Path, given: Mapping[str, Any], how: How) -> Path:
    """Train, predict and evaluate every fold, and make the ensemble.

    Args:
        prepared: the prepared folder.
        out: the folder of all.
        given: options of training, nested.
        how: number of folds, and how many runs at once.

    Raises:
        EquiregError: if an option or the data does not fit, before anything is written; or at the end, if some runs
            failed.
    """
    with disk.locked_folder(out):
        if not how.resume:
            disk.refuse_existing(out, "Give --resume to continue it, or choose another --out.")
        elif not is_one(out):
            raise EquiregError(f"{out}: holds no cross-validation to resume. Leave out --resume to begin one.")
        data = PreparedSet(prepared, verify=given.get("verify", True) is not False)
        count, options = _settled(out, given, how)
        if how.resume:
            check_same_data(out, data)
        lists, options = _checked_folds(out, data, count, options)
        if folders.is_signed(out):
            (out / folders.UNFINISHED).unlink(missing_ok=True)
            log.info("%s is finished; nothing is left to do", out)
            return out
        options.pop("folds_file", None)
        with disk.disk_errors(out):
            out.mkdir(parents=True, exist_ok=True)
            if not how.resume:
                write_folds(out / SPLITS, lists)
            disk.write_json(out / folders.UNFINISHED, {_FOLDS: count, OPTIONS: options, DATA: data.digest})
        _do_runs(prepared, out, count, options, how)
        _finish(data, out, count, options)
    return out


def _settled(out: Path, given: Mapping[str, Any], how: How) -> tuple[int, dict[str, Any]]:
    """Return the number of folds and the options; of a resumed one those of before, which may not be contradicted.

    Raises:
        EquiregError: if they are, or the folds are fewer than two.
    """
    if given.get("fold") is not None:
        raise UsageError(f"both --folds and --fold {given['fold']} are given; give one.")
    if not how.resume:
        if how.folds is None or how.folds < 2:
            raise UsageError(f"--folds is {how.folds}; expected a count from 2.")
        return how.folds, dict(given)
    own, options = options_of_before(out, "cross-validation", {_FOLDS: how.folds}, given)
    return int(own[_FOLDS]), options


def _checked_folds(
    out: Path, data: PreparedSet, count: int, options: dict[str, Any]
) -> tuple[list[FoldCases], dict[str, Any]]:
    """Return the folds, and the options with the method that all have, once every run can be trained as far as known.

    Raises:
        EquiregError: if one could not.
    """
    from equireg.batches.folds import check_validated_once, splits_in
    from equireg.methods.default import named_method
    from equireg.model import config_from
    from equireg.training.data import choose_training_cases
    from equireg.training.folds import agreed_folds
    from equireg.warm_start import check_source, source_of

    lists = agreed_folds(out, data, count, options.get("folds_file"))
    check_validated_once(lists)
    split = [data.split_as(splits_in(fold, data.manifest.cases)).manifest.cases for fold in lists]
    method = named_method({**options, "folds_file": None}, *split)["method"]
    named = {**options, "method": method}
    source = source_of(named, resume=False)
    trained = {**(named if source is None else source.options(named)), "folds_file": None}
    for index, cases in enumerate(split):
        config = config_from({**trained, "fold": f"{index}/{count}"})
        choose_training_cases(cases, config)
        if source is not None:
            check_source(source, data.manifest, config)
    return lists, named


def _do_runs(prepared: Path, out: Path, count: int, options: Mapping[str, Any], how: How) -> None:
    """Train, predict and evaluate every fold that is not done, as a sweep."""
    from equireg.pipeline.sweep import do_sweep
    from equireg.pipeline.sweepfile import SweepConfig

    shared = {name: options[name] for name in SHARED if name in options}
    plan = SweepConfig(
        prepared=str(prepared),
        split="val",
        train={**options, "folds_file": str(out / SPLITS)},
        # The post-processing of all is chosen on these predictions, so they come without that of each run.
        predict={**shared, "post_process": "none"},
        grid={"fold": [f"{index}/{count}" for index in range(count)]},
    )
    do_sweep(plan, out, out, how.jobs, how.spread)


def run_names(count: int) -> list[str]:
    """Return the names of the runs, by fold."""
    return [f"fold{index}_{count}" for index in range(count)]


def _finish(data: PreparedSet, out: Path, count: int, options: Mapping[str, Any]) -> None:
    """Bring the predictions of all folds together, evaluate them, choose the post-processing, and sign."""
    from equireg.evaluation.evaluate import evaluate
    from equireg.pipeline.sweep import remove_report
    from equireg.reporting.build import report

    parts = [out / "predictions" / name for name in run_names(count)]
    runs = [out / "runs" / name for name in run_names(count)]
    for unfinished in (out / HELD_OUT, out / EVALUATION):  # of a command that was stopped here
        shutil.rmtree(unfinished, ignore_errors=True)
    if told := planned_otherwise([folders.read_signature(run, "train")["config"] for run in runs]):
        log.warning("%s", told)
    gather(parts, out / HELD_OUT, out.name)
    result = evaluate(out / HELD_OUT, data.root, out / EVALUATION, verify=bool(options.get("verify", True)))
    post_process = choose_on(out / HELD_OUT, data)
    remove_report(out / "report")
    report([data.root, *runs, out / EVALUATION], out / "report")
    config = {_FOLDS: count, OPTIONS: dict(options)}
    ensemble.write_ensemble(out, members_of(out, runs), config, post_process.as_dict(), source=data.root)
    (out / folders.UNFINISHED).unlink(missing_ok=True)
    log.info("post-processing of the ensemble: %s", post_process.words())
    print(printable(f"All held-out cases of {count} folds:\n{result}"))


def planned_otherwise(configs: Sequence[Mapping[str, Any]]) -> str | None:
    """Return in which of the options that a plan decides folds differ, as each plans by the speed of its own moment.

    Args:
        configs: options of each fold's run.
    """
    from equireg.planning.making import PLANNED

    found: dict[str, list[Any]] = {}
    for option in PLANNED:
        group, _, name = option.rpartition(".")
        found[option] = [(config[group] if group else config)[name] for config in configs]
    differing = [
        f"{option} {', '.join(map(str, values))}"
        for option, values in found.items()
        if any(value != values[0] for value in values)
    ]
    if not differing:
        return None
    return (
        f"the folds were planned each by itself and differ: {'; '.join(differing)}. For folds that are alike run "
        "`equireg plan` once, and give its file by --config."
    )


def gather(parts: Sequence[Path], out: Path, name: str) -> None:
    """Make one folder of predictions of several, whose cases differ; its files are links where the disk has them.

    Args:
        parts: outputs of `equireg predict` by runs of one arm.
        out: the new folder.
        name: what the runs are called together.
    """
    signatures = [predictions.read_facts(part) for part in parts]
    facts = [RunFacts.from_dict(signature[RUN_FACTS]) for signature in signatures]
    common = ensemble.common_facts(name, facts)
    shared = replace(common, arm=facts[0].arm, series=facts[0].series, options=facts[0].options)
    labels = predictions.read_labels(parts[0])
    seconds: dict[str, float] = {}
    trusted: list[quality.CaseQuality] = []
    with disk.staged_folder(out) as folder:
        for part, signature in zip(parts, signatures, strict=True):
            seconds |= predictions.read_times(part)
            for case in signature["cases"]:
                mask = predictions.prediction_file(part, case)
                disk.second_name(mask, folder / mask.name)
                trusted.append(quality.read_record(part, case))
                quality.write_record(folder, trusted[-1])
        quality.write_quality(folder, trusted)
        predictions.write_times(folder, dict(sorted(seconds.items())))
        if labels is not None:
            predictions.write_labels(folder, labels)
        cases = sorted(case for signature in signatures for case in signature["cases"])
        first = signatures[0]
        more = {RUN_FACTS: shared.as_dict(), ensemble.POST_PROCESS: first.get(ensemble.POST_PROCESS)}
        learnt = sorted(case for signature in signatures for case in signature.get(LEARNT_CASES, ()))
        more |= {LEARNT_CASES: learnt} if learnt else {}
        scans = folders.source_of(parts[0], first)
        folders.sign(folder, "predict", first["config"], seed=shared.seed, source=scans, cases=cases, **more)


def choose_on(held_out: Path, data: PreparedSet) -> PostProcessing:
    """Choose the post-processing on predictions of cases that their run did not see, in their own voxels.

    Args:
        held_out: a folder of predictions.
        data: the prepared folder with their masks.

    Raises:
        EquiregError: if a file is damaged.
    """
    from equireg.imaging.volume import read_geometry, read_label

    labels = data.manifest.labels
    counts = []
    for case in predictions.read_facts(held_out)["cases"]:
        mask = data.reference(case)
        if mask is None:  # an unlabelled scan of a patient who validates
            continue
        geometry, _ = read_geometry(mask, data.limits)
        predicted, reference = (
            labels.to_classes(read_label(path, geometry, data.limits))
            for path in (predictions.prediction_file(held_out, case), mask)
        )
        patient = data.by_name[case].patient
        counts.append(count_case(case, patient, predicted, reference, labels, geometry.voxel_mm3))
    return choose(counts, labels)
