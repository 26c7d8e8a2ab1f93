"""What the manifest says of a prepared data set, and what is logged of it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equireg.folders.origin import in_text, name_of, without_paths
from equireg.folders.prepared import CaseRecord, Manifest, Split
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.layouts import RawDataset, Refusal
from equireg.preparation import checks, recipes
from equireg.preparation.case import CasePlan
from equireg.preparation.intensities import looks_like_ct, odd_scans, ranges_of
from equireg.preparation.normalise import PERCENTILES

log = logging.getLogger("equireg")


def manifest_of(
    dataset: RawDataset,
    plan: CasePlan,
    flips: str,
    cases: Sequence[CaseRecord],
    refused: Sequence[Refusal],
) -> Manifest:
    """Put together the facts of a prepared data set."""
    return Manifest(
        dataset=name_of(dataset.root),
        channels=dataset.channels,
        modality=dataset.modality,
        labels=plan.labels,
        axes=WorkingGrid.plan(cases[0].working_grid().native, None, plan.slice_axis).axes,
        flips=flips,
        spacing_mm=plan.spacing_mm,
        normalisation=plan.normalisation,
        fingerprint=fingerprint_of(cases),
        cases=tuple(cases),
        refused=_listed(refused, dataset),
    )


def empty_manifest(dataset: RawDataset, refused: Sequence[Refusal]) -> Manifest:
    """Return what is known of a raw folder of which nothing was prepared."""
    return Manifest(
        dataset=name_of(dataset.root),
        channels=dataset.channels,
        modality=dataset.modality,
        labels=dataset.labels or LabelTable((0,), ("background",)),
        axes="",
        flips="",
        spacing_mm=None,
        normalisation={},
        fingerprint={},
        cases=(),
        refused=_listed(refused, dataset),
    )


def _listed(refused: Sequence[Refusal], dataset: RawDataset) -> tuple[Mapping[str, str], ...]:
    """Return why cases were left out, without paths that lead to the raw folder: the manifest travels."""
    hidden = [Refusal(*(without_paths(value, dataset.private) for value in vars(item).values())) for item in refused]
    return shown(hidden, dataset)


def shown(refused: Sequence[Refusal], dataset: RawDataset) -> tuple[dict[str, str], ...]:
    """Return why cases were left out as the user sees it, with paths from the raw folder on."""
    return tuple({name: in_text(value, [dataset.root]) for name, value in vars(item).items()} for item in refused)


def with_splits(records: Sequence[Mapping[str, Any]], splits: Mapping[str, Split]) -> list[CaseRecord]:
    """Return the records of prepared cases as the manifest holds them."""
    return [CaseRecord(**record, split=splits[record["name"]]) for record in records]


def fingerprint_of(cases: Sequence[CaseRecord]) -> dict[str, Any]:
    """Return the medians that plan a patch, and how much of each class there is."""
    shapes = np.array([case.shape for case in cases])
    counts = [case.class_voxels for case in cases if case.class_voxels]
    return {
        "median_shape": np.median(shapes, axis=0).tolist(),
        "large_shape": np.percentile(shapes, 90, axis=0).tolist(),
        "median_spacing_mm": np.median(np.array([case.spacing_mm for case in cases]), axis=0).tolist(),
        "class_voxels": np.sum(counts, axis=0).tolist() if counts else [],
        "intensities": _intensities([case for case in cases if case.split == "train"] or cases),
    }


def _intensities(cases: Sequence[CaseRecord]) -> dict[str, Any]:
    """Return the range over some cases of each channel's raw percentiles inside the foreground, [C][3] each."""
    found = np.array([case.intensities for case in cases])
    return {"percentiles": list(PERCENTILES), **ranges_of(found)}


def log_summary(manifest: Manifest, refused: Sequence[Mapping[str, str]]) -> None:
    """Say at the end what there is and what was refused (``shown``)."""
    counts = {name: sum(case.split == name for case in manifest.cases) for name in ("train", "val", "test")}
    masks = sum(case.labelled for case in manifest.cases)
    kind = f"Slices across {manifest.axes[0]}" if manifest.pictures is None else "Pictures"
    log.info(
        "%d cases (%d with a mask): %d train, %d val, %d test. %s; mirrored along %s.",
        len(manifest.cases),
        masks,
        *counts.values(),
        kind,
        ",".join(manifest.flips) or "no axis",
    )
    if not any(case.labelled and case.split == "train" for case in manifest.cases):
        log.warning("no training case has a mask, so nothing can be trained on these cases")
    warning = recipes.of(manifest.normalisation).refused_warning
    if manifest.refused and warning:
        log.warning("%s", warning)
    for case in manifest.cases:
        for note in (*case.notes, *case.mask_notes):
            log.warning("%s: %s", case.name, note)
    facts = (manifest.cases, manifest.normalisation, manifest.channels)
    for note in (
        *looks_like_ct(*facts),
        *odd_scans(*facts),
        *checks.of_masks(manifest.cases, manifest.labels),
        *checks.of_twins(manifest.cases),
    ):
        log.warning("%s", note)
    for item in refused:
        log.warning("refused %s: %s %s", item["case"], item["reason"], item["remedy"])
