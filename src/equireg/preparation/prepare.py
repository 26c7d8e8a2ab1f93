"""`equireg prepare`: from a raw folder to arrays and a manifest; bad cases are refused, the rest go on."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk, folders
from equireg.config import PrepareConfig
from equireg.config.parsing import from_plain, to_plain
from equireg.errors import EquiregError
from equireg.folders.prepared import CASES, MANIFEST, CaseRecord, Manifest, Split
from equireg.imaging import volume
from equireg.imaging.labels import LabelTable
from equireg.layouts import RawCase, RawDataset, Refusal, discover
from equireg.layouts.patients_option import with_patients
from equireg.layouts.summary import tell
from equireg.preparation import case as one_case
from equireg.preparation import checking, examples, plan, split
from equireg.preparation.case import CasePlan
from equireg.preparation.recipe import THESIS
from equireg.processes.cores import usable_cores
from equireg.processes.workers import WorkerDiedError, Workers

log = logging.getLogger("equireg")


def prepare(raw: Path | str, out: Path | str, **options: Any) -> Manifest:
    """Check, turn, resample and normalise every case of a raw folder, and split the cases.

    A second run on the same output redoes only the cases whose files or plan changed.

    Args:
        raw: a raw folder of any known layout.
        out: the prepared folder, new or from an earlier `prepare`.
        options: those of ``PrepareConfig``.

    Returns:
        The manifest, as written; with ``dry_run`` nothing is written, and the manifest has no cases.

    Raises:
        EquiregError: if the folder has no usable case, or an option does not fit.
    """
    config = from_plain(PrepareConfig, options)
    if config.cluster == "ray":  # other machines find the files by their whole paths
        raw, out = Path(raw).absolute(), Path(out).absolute()
    raw = disk.existing_folder(raw, "scans")
    out = _claim(Path(out), raw.resolve().name)
    dataset = with_patients(discover(raw, config.layout, follow_links=config.follow_links), config.patients)
    if config.dry_run:
        return _dry_run(dataset)
    tell(dataset)
    splits = _known_splits(config, dataset)
    jobs = config.jobs if config.cluster == "ray" else config.jobs or usable_cores()
    with Workers(jobs, config.cluster) as workers:
        usable, geometries, refused = checking.read_headers(dataset)
        labels = dataset.labels
        if labels is None:
            labels, usable, bad = checking.labels_of_masks(usable, geometries, workers)
            refused += bad
        if not usable:
            raise EquiregError(_no_case(raw, refused))
        case_plan = _plan(config, dataset, labels, usable, geometries)
        flips = plan.choose_flips(config.flips, labels)
        tasks = {case.name: (case, _plan_of(case.name, case_plan, splits)) for case in usable}
        created = _begin(out, dataset)
        foreseen = next((case.name for case in usable if splits and case.label and splits[case.name] == "train"), None)
        records, bad = _prepare_cases(tasks, out, workers, _Shown(foreseen, dataset.channels))
    refused += bad
    if not records:
        if created:
            shutil.rmtree(out)
        raise EquiregError(_no_case(raw, refused))
    _remove_strangers(out / CASES, {record["name"] for record in records})
    if splits is None:
        splits = _draw_splits(config, records)
    manifest = _manifest(dataset, case_plan, flips, _with_splits(records, splits), refused)
    shown = next((case.name for case in manifest.cases if case.split == "train" and case.labelled), None)
    examples.renew(out / examples.FOLDER, *(tasks[shown] if shown else (None, case_plan)), dataset.channels)
    disk.write_json(out / MANIFEST, manifest.as_dict())
    folders.sign(out, "prepare", to_plain(config), seed=config.split_seed, source=raw)
    (out / folders.UNDERWAY).unlink()
    _tell(manifest)
    workers.raise_unexpected()
    return manifest


def _dry_run(dataset: RawDataset) -> Manifest:
    """Say what the raw folder holds, from names and headers alone; return a manifest without cases.

    Raises:
        EquiregError: if no case is usable.
    """
    tell(dataset)
    usable, _, refused = checking.read_headers(dataset)
    for item in refused:
        log.warning("refused %s: %s %s", item.case, item.reason, item.remedy)
    if not usable:
        raise EquiregError(_no_case(dataset.root, refused))
    log.info("%d cases can be prepared. This was a dry run: nothing was written.", len(usable))
    return Manifest(
        dataset=dataset.root.resolve().name,
        channels=dataset.channels,
        modality=dataset.modality,
        labels=dataset.labels or LabelTable((0,), ("background",)),
        axes="",
        flips="",
        spacing_mm=None,
        normalisation={},
        fingerprint={},
        cases=(),
        refused=tuple({"case": r.case, "reason": r.reason, "remedy": r.remedy} for r in refused),
    )


def _claim(out: Path, raw_name: str) -> Path:
    """Return the output folder if it is new, empty, or `prepare`'s own for a raw folder of the same name.

    Raises:
        EquiregError: if it is another folder, or holds the cases of another raw folder, which would be lost.
    """
    if folders.made_by(out) == "prepare":
        earlier = Path(str(folders.read_signature(out, "prepare")["source"])).name
        if earlier != raw_name:
            raise EquiregError(
                f"{out}: was prepared from a folder {earlier!r}, not {raw_name!r}. Choose another --out or remove it."
            )
    elif not (out / folders.UNDERWAY).exists():
        disk.refuse_existing(out, "It is not a prepared folder; choose another --out.")
    return out


def _begin(out: Path, dataset: RawDataset) -> bool:
    """Mark the folder as underway, so that no other verb reads it; return whether it is a new one."""
    created = not (out / CASES).exists()
    with disk.disk_errors(out):
        (out / CASES).mkdir(parents=True, exist_ok=True)
    disk.write_json(out / folders.UNDERWAY, {"raw": dataset.root.name})
    (out / MANIFEST).unlink(missing_ok=True)
    (out / folders.SIGNATURE).unlink(missing_ok=True)
    return created


def _no_case(raw: Path, refused: Sequence[Refusal]) -> str:
    reasons = "; ".join(f"{item.case}: {item.reason}" for item in refused[:3])
    more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
    return f"{raw}: no usable case remains of {len(refused)} refused ({reasons}{more})."


def _plan(
    config: PrepareConfig,
    dataset: RawDataset,
    labels: LabelTable,
    cases: Sequence[RawCase],
    geometries: Mapping[str, volume.Geometry],
) -> CasePlan:
    if config.recipe == THESIS:
        normalisation = plan.thesis_normalisation(config, dataset.layout)
        return CasePlan(None, "z", normalisation, labels, len(dataset.channels))
    spacings = [plan.canonical_spacing(geometries[case.name]) for case in cases]
    spacing_mm = plan.choose_spacing(config.spacing, spacings)
    x, y, z = spacing_mm or (float(value) for value in np.median(np.array(spacings), axis=0))
    return CasePlan(
        spacing_mm=spacing_mm,
        slice_axis=plan.choose_slice_axis(config.slice_axis, (x, y, z)),
        normalisation=plan.choose_normalisation(config.normalise, dataset.modality, cases),
        labels=labels,
        channels=len(dataset.channels),
    )


def _plan_of(name: str, case_plan: CasePlan, splits: Mapping[str, Split] | None) -> CasePlan:
    """Return a case's own plan: the thesis cropped empty slices away, but not from its test set."""
    if splits is None or case_plan.normalisation["name"] != THESIS:
        return case_plan
    return replace(case_plan, keep_empty_slices=splits[name] == "test")


@dataclass(frozen=True)
class _Shown:
    """Which case's steps the report will show, where that is known before all are prepared."""

    case: str | None
    channels: tuple[str, ...]


def _prepare_cases(
    cases: Mapping[str, tuple[RawCase, CasePlan]], out: Path, workers: Workers, shown: _Shown
) -> tuple[list[dict[str, Any]], list[Refusal]]:
    """Prepare the cases that are not done yet; return the records of all, by name, and the refusals."""
    records: dict[str, dict[str, Any]] = {}
    tasks = {}
    folder = out / CASES
    for case, case_plan in cases.values():
        done = one_case.finished(folder / case.name, one_case.fingerprint(case, case_plan))
        if done is None:
            examples_folder = out / examples.FOLDER if case.name == shown.case else None
            tasks[case.name] = (case, case_plan, folder / case.name, examples_folder, shown.channels)
        else:
            # What the layout says may change while the files do not.
            records[case.name] = {**done, "patient": case.patient, "held_out": case.held_out}
    refused = []
    for name, result in workers.run(examples.prepare_shown, tasks, "prepare"):
        if isinstance(result, EquiregError):
            if isinstance(result, (disk.DiskError, WorkerDiedError)):
                raise result
            refused.append(Refusal(name, str(result), checking.REMEDY))
            shutil.rmtree(folder / name, ignore_errors=True)
        else:
            records[name] = result
    return [records[name] for name in sorted(records)], refused


def _remove_strangers(folder: Path, names: set[str]) -> None:
    """Remove arrays of cases that the raw folder no longer holds, and what a killed run left."""
    for path in folder.iterdir():
        if path.name not in names and path.is_dir():
            shutil.rmtree(path)


def _known_splits(config: PrepareConfig, dataset: RawDataset) -> Mapping[str, Split] | None:
    """Return the split where it does not depend on which cases turn out to be of use, else None."""
    if config.split:
        cases = [split.SplitCase(case.name, case.patient, case.held_out) for case in dataset.cases]
        return split.read_split(Path(config.split), cases)
    if config.recipe == THESIS:
        return split.thesis_split(dataset.cases, config.val_fraction, config.split_seed)
    return None


def _draw_splits(config: PrepareConfig, records: Sequence[Mapping[str, Any]]) -> Mapping[str, Split]:
    cases = [split.SplitCase(record["name"], record["patient"], record["held_out"]) for record in records]
    labelled = frozenset(record["name"] for record in records if record["labelled"])
    return split.split_cases(cases, labelled, (config.val_fraction, config.test_fraction), config.split_seed)


def _with_splits(records: Sequence[Mapping[str, Any]], splits: Mapping[str, Split]) -> list[CaseRecord]:
    return [
        CaseRecord(**{key: value for key, value in record.items() if key != "digest"}, split=splits[record["name"]])
        for record in records
    ]


def _manifest(
    dataset: RawDataset,
    case_plan: CasePlan,
    flips: str,
    kept: Sequence[CaseRecord],
    refused: Sequence[Refusal],
) -> Manifest:
    return Manifest(
        dataset=dataset.root.resolve().name,
        channels=dataset.channels,
        modality=dataset.modality,
        labels=case_plan.labels,
        axes=kept[0].working_grid().axes,
        flips=flips,
        spacing_mm=case_plan.spacing_mm,
        normalisation=case_plan.normalisation,
        fingerprint=_fingerprint(kept),
        cases=tuple(kept),
        refused=tuple({"case": r.case, "reason": r.reason, "remedy": r.remedy} for r in refused),
    )


def _fingerprint(cases: Sequence[CaseRecord]) -> dict[str, Any]:
    """Return the medians that plan a patch, and how much of each class there is."""
    shapes = np.array([case.shape for case in cases])
    counts = [case.class_voxels for case in cases if case.class_voxels]
    return {
        "median_shape": np.median(shapes, axis=0).tolist(),
        "large_shape": np.percentile(shapes, 90, axis=0).tolist(),
        "median_spacing_mm": np.median(np.array([case.spacing_mm for case in cases]), axis=0).tolist(),
        "class_voxels": np.sum(counts, axis=0).tolist() if counts else [],
    }


def _tell(manifest: Manifest) -> None:
    """Say at the end what there is and what was refused."""
    counts = {name: sum(case.split == name for case in manifest.cases) for name in ("train", "val", "test")}
    masks = sum(case.labelled for case in manifest.cases)
    log.info(
        "%d cases (%d with a mask): %d train, %d val, %d test. Slices across %s; mirrored along %s.",
        len(manifest.cases),
        masks,
        *counts.values(),
        manifest.axes[0],
        ",".join(manifest.flips) or "no axis",
    )
    if not any(case.labelled and case.split == "train" for case in manifest.cases):
        log.warning("no training case has a mask, so nothing can be trained on these cases")
    if manifest.refused and manifest.normalisation["name"] == THESIS:
        log.warning("cases were refused, so who trains and who validates may differ from the thesis' own draw")
    for item in manifest.refused:
        log.warning("refused %s: %s %s", item["case"], item["reason"], item["remedy"])
