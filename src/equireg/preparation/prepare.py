"""`equireg prepare`: from a raw folder to arrays and a manifest; bad cases are refused, the others are prepared."""

import logging
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config import DicomOptions, PrepareConfig
from equireg.config.parsing import options_from, to_plain
from equireg.errors import EquiregError, UsageError
from equireg.folders import origin
from equireg.folders.prepared import CASES, Manifest, Split, begin, begun_from, finish, undo
from equireg.folders.prepared.adopted import adopted_masks, adopted_names, read_history
from equireg.imaging.limits import Limits
from equireg.layouts import RawCase, RawDataset, Refusal, discover
from equireg.layouts.base import with_limits
from equireg.layouts.dicom.telling import may_name_a_patient
from equireg.layouts.patients_option import with_patients
from equireg.layouts.split_lists import unread_lists
from equireg.layouts.summary import log_summary
from equireg.preparation import checking, checks, pictures, plan, raw_states, recipes, running, split, summary
from equireg.preparation.case import CasePlan
from equireg.preparation.known_splits import KnownSplits
from equireg.preparation.segments import with_segments
from equireg.processes.workers import Workers

log = logging.getLogger("equireg")

_GIVE_SCANS = ("phantom", "suggest")
"""What signs a folder that holds scans."""


def prepare(
    raw: Path | str, out: Path | str | None = None, config: PrepareConfig | None = None, **options: Any
) -> Manifest:
    """Check, turn, resample and normalise every case of a raw folder, and split the cases.

    A second run on the same output redoes only the cases whose files or plan changed.

    Args:
        raw: a raw folder of any known layout.
        out: the prepared folder, new or from an earlier `prepare`; with ``dry_run`` it may be left out.
        config: the options; or give them by name.
        options: those of ``PrepareConfig``, laid over ``config``.

    Returns:
        The manifest, as written; with ``dry_run`` nothing is written, and the manifest has no cases.

    Raises:
        EquiregError: if the folder has no usable case, or an option does not fit.
        UsageError: if ``out`` lacks, and it is no dry run.
    """
    config = options_from(PrepareConfig, config, options)
    out = None if out is None else Path(out)
    if out is None and not config.dry_run:
        raise UsageError("--out is missing; expected the prepared folder, or --dry_run, which writes nothing.")
    if config.far:  # other machines find the files by their absolute paths
        raw, out = Path(raw).absolute(), out and out.absolute()
    raw = _no_output(disk.existing_folder(raw, "scans"))
    earlier = None if out is None else _claim(out, origin.name_of(raw))
    of_dicom = DicomOptions.of(config)
    found = discover(raw, config.layout, follow_links=config.follow_links, options=of_dicom)
    if out is not None and earlier is not None:
        _check_renamed(out, earlier, origin.name_of(raw), found.cases)
    dataset = with_patients(found, config.patients)
    if config.split is None and (lists := unread_lists(dataset)):
        dataset = replace(dataset, warnings=(*dataset.warnings, lists))
    dataset, limits = pictures.with_colours(dataset, config, Limits.of(config))
    dataset, limits = with_segments(dataset, limits)
    dataset = replace(dataset, cases=with_limits(dataset.cases, limits))
    if config.dry_run or out is None:
        return _dry_run(dataset)
    recipe = recipes.find(config.recipe)
    recipe.check(config, dataset.layout)
    log_summary(dataset)
    with disk.locked_folder(out):
        return _prepare(raw, out, config, dataset)


def _prepare(raw: Path, out: Path, config: PrepareConfig, dataset: RawDataset) -> Manifest:
    """Prepare a data set into a folder that no other process writes."""
    found = {case.name: case for case in dataset.cases}
    adopted = adopted_masks(out)
    dataset = _with_adopted(dataset, adopted)
    if not dataset.cases:
        raise EquiregError(_no_case(raw, dataset.refused))
    listed = _listed(config, dataset, {name for name, case in found.items() if case.label} - adopted.keys())
    headers = checking.read_headers(dataset)
    jobs = config.jobs
    if not config.far:
        jobs = running.choose_jobs(jobs, list(headers.geometries.values()), len(dataset.channels))
    with Workers(jobs, config.where(out)) as workers:
        survey = checking.survey(dataset, headers, workers)
        if not survey.cases:
            raise EquiregError(_no_case(raw, survey.refused))
        if dataset.labels is None:
            called = dict(zip(survey.labels.values, survey.labels.names, strict=True)) | adopted_names(out)
            labels = checking.labels_of_values(called).renamed(called)  # also those that no mask shows so far
            survey = replace(survey, labels=replace(labels, colours=survey.labels.colours))
        # As it was before masks were adopted, so that these move no patient from one split to another.
        usable = [found[case.name] for case in survey.cases]
        known, splits = _split(out, config, dataset, usable, listed, adopted)
        case_plan = _plan(config, dataset, survey, splits)
        flips = pictures.flips_of(plan.choose_flips(config.flips, survey.labels), dataset)
        job = running.Job({case.name: case for case in survey.cases}, case_plan, splits, dataset.channels)
        created = begin(out, origin.name_of(raw))
        known.keep(out)
        records, bad = running.prepare_all(job, out, workers)
    refused = [*survey.refused, *bad]
    if not records:
        if created:
            undo(out)
        raise EquiregError(_no_case(raw, refused))
    names = {record["name"]: record for record in records}
    running.remove_others(out / CASES, set(names))
    manifest = summary.manifest_of(dataset, case_plan, flips, summary.with_splits(records, splits), refused)
    manifest = replace(manifest, pictures=pictures.facts_of(dataset, survey.cases, survey.labels))
    running.show_steps(job, names, out)
    private = not config.keep_names and may_name_a_patient(raw, survey.cases)
    if private:
        log.warning("the name of %s may tell who a patient is, so it is not recorded; other verbs need --scans", raw)
        manifest = replace(manifest, dataset="data")
    last = {case: masks[-1].digest for case, masks in read_history(out).items()}
    raw_states.tell_changed(out, found.values(), last)
    known.now(config, manifest.cases).keep(out)
    finish(out, manifest, to_plain(config), seed=config.split_seed, source=None if private else raw)
    summary.log_summary(manifest, summary.shown(refused, dataset))
    workers.raise_unexpected()
    return manifest


def _dry_run(dataset: RawDataset) -> Manifest:
    """Say what the raw folder holds, from names and headers alone; return a manifest without cases.

    Raises:
        EquiregError: if no case is usable.
    """
    log_summary(dataset)
    headers = checking.read_headers(dataset)
    for item in headers.refused:
        log.warning("refused %s: %s %s", item.case, item.reason, item.remedy)
    if not headers.cases:
        raise EquiregError(_no_case(dataset.root, headers.refused))
    many = "s" * (len(headers.cases) != 1)
    log.info("%d case%s can be prepared. This was a dry run: nothing was written.", len(headers.cases), many)
    return summary.empty_manifest(dataset, headers.refused)


def _listed(config: PrepareConfig, dataset: RawDataset, masked: Collection[str]) -> Mapping[str, Split] | None:
    """Return the splits that a file lists; None without one. ``masked`` are the cases with a mask in the raw folder."""
    refused = {refusal.case for refusal in dataset.refused}
    return split.read_split(Path(config.split), dataset.cases, refused, masked) if config.split else None


def _split(
    out: Path,
    config: PrepareConfig,
    dataset: RawDataset,
    usable: Sequence[RawCase],
    listed: Mapping[str, Split] | None,
    adopted: Container[str],
) -> tuple[KnownSplits, Mapping[str, Split]]:
    """Return the splits so far, and those from now on: as a file lists them, or with new patients drawn."""
    known = KnownSplits.read(out)
    kept, splits = known.of_patients(config, usable), listed
    if splits is None:
        drawn = recipes.find(config.recipe).split(config, dataset, usable, kept)
        splits = split.with_annotated(drawn, usable, adopted)
    known.tell(config, usable, splits, kept)
    return known, splits


def _plan(config: PrepareConfig, dataset: RawDataset, survey: checking.Survey, splits: Mapping[str, Split]) -> CasePlan:
    """Decide how every case is turned into arrays; what is measured on scans is measured on training cases alone."""
    recipe = recipes.find(config.recipe)
    geometries = {case.name: survey.geometries[case.name] for case in survey.cases}
    spacing_mm, slice_axis = recipe.frame(config, list(geometries.values()))
    for note in () if spacing_mm is None else checks.of_spacings(geometries, spacing_mm):
        log.warning("%s", note)
    training = [case for case in survey.cases if splits[case.name] == "train"]
    normalisation = recipe.normalisation(config, dataset, training, survey.labels)
    return CasePlan(spacing_mm, slice_axis, normalisation, survey.labels, len(dataset.channels))


def _with_adopted(dataset: RawDataset, masks: Mapping[str, Path]) -> RawDataset:
    """Lay the masks that the prepared folder took in over those of the raw folder."""
    cases = [case.with_mask(masks[case.name]) if case.name in masks else case for case in dataset.cases]
    return replace(dataset, cases=tuple(cases))


def _no_output(raw: Path) -> Path:
    """Return a folder if it is not the output of a verb, whose masks would be taken for scans.

    Raises:
        EquiregError: if it is.
    """
    verb = folders.made_by(raw)
    if verb is None or verb in _GIVE_SCANS:
        return raw
    next_ = " (`equireg train` takes this one as it is)" if verb == "prepare" else ""
    raise EquiregError(f"{raw}: was made by `equireg {verb}`; expected raw scans. Give the folder of the scans{next_}.")


def _claim(out: Path, raw_name: str) -> str:
    """Return the name of the raw folder that an output folder is of; the given one's of a new or empty folder.

    Raises:
        EquiregError: if it is another folder than `prepare`'s own.
    """
    if folders.made_by(out) == "prepare":
        source = folders.read_signature(out, "prepare").get(origin.SOURCE)
        return raw_name if source is None else Path(str(source)).name
    begun = begun_from(out)  # the run was killed, or is under way
    if begun is None:
        disk.refuse_existing(out, "It is not a prepared folder; choose another --out.")
    return begun or raw_name


def _check_renamed(out: Path, earlier: str, raw_name: str, cases: Sequence[RawCase]) -> None:
    """Refuse a prepared folder of a raw folder of another name, unless most of the scans are the same.

    Raises:
        EquiregError: if they are not: the cases of the other one would be lost.
    """
    if earlier == raw_name:
        return
    if not raw_states.are_of(out, cases):
        remedy = "Choose another --out or remove it."
        if read_history(out):
            remedy = (
                "Choose another --out. This one holds adopted masks, in adopted/: keep it, or adopt them into the new "
                "folder if they are of its scans."
            )
        raise EquiregError(f"{out}: was prepared from a folder {earlier!r}, not {raw_name!r}. {remedy}")
    log.info("%s: was prepared from a folder %r; %r has the same scans", out, earlier, raw_name)


def _no_case(raw: Path, refused: Sequence[Refusal]) -> str:
    if not refused:
        return f"{raw}: no usable case; the lines above say what was left out. Check the path, or mend what they name."
    reasons = "; ".join(f"{item.case}: {item.reason}" for item in refused[:3])
    more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
    remedy = "" if refused[0].remedy == checking.REMEDY else f" {refused[0].remedy}"
    return f"{raw}: no usable case remains of {len(refused)} refused ({reasons}{more}).{remedy}"
