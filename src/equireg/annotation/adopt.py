"""The verb ``adopt``: new or corrected masks become part of a prepared folder."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk
from equireg.annotation.held_out import moved
from equireg.annotation.labels import are_open, grown
from equireg.annotation.masks import NewMask, find_masks
from equireg.annotation.workplace import check_scans, raw_cases
from equireg.config import AdoptConfig
from equireg.config.parsing import options_from
from equireg.folders.digests import digest_of
from equireg.folders.prepared import CaseRecord, Manifest, PreparedSet, copy_scan, new_case, renew
from equireg.folders.prepared.adopted import Adoption, adopted_file, read_history, write_history
from equireg.imaging.labels import LabelTable, distinct
from equireg.imaging.volume import read_label, write_label
from equireg.metrics.masks import dice
from equireg.preparation import case as one_case
from equireg.preparation.raw_states import prepared_scans
from equireg.preparation.summary import fingerprint_of

log = logging.getLogger("equireg")


def adopt(
    prepared: Path | str, masks: Sequence[Path | str] | Path | str, config: AdoptConfig | None = None, **options: Any
) -> dict[str, Adoption]:
    """Take masks into a prepared folder: their cases become labelled training cases.

    The raw folder stays as it is, and nothing but these cases' masks is prepared again. A later `equireg prepare`
    keeps what was adopted. All masks are checked before the first one is taken; with one that does not fit, none is.

    Args:
        prepared: output of `equireg prepare`.
        masks: files named as their cases, or folders of such files, in the geometry of the scans. DICOM masks may have
            any names and lie in any nesting: they refer to their series.
        config: the options; or give them by name.
        options: those of ``AdoptConfig``, laid over ``config``.

    Returns:
        Case to what is kept of its mask's origin.

    Raises:
        EquiregError: if a mask is of an unknown case, of a case that validates or tests, of another shape or place
            than its scan, or holds a label value that the data set does not declare; names all such masks. Also if
            the raw folder holds another scan than the one that was prepared.
    """
    listed = [masks] if isinstance(masks, str | Path) else list(masks)
    return take_masks(prepared, [Path(path) for path in listed], options_from(AdoptConfig, config, options), look=True)


def take_masks(
    prepared: Path | str,
    masks: Sequence[Path],
    config: AdoptConfig,
    names: Mapping[int, str] | None = None,
    *,
    look: bool = False,
) -> dict[str, Adoption]:
    """Do what ``adopt`` does; with the names of labels that the data set lacks, of masks whose files name none.

    The raw folder is looked at for scans that changed with ``look`` alone: that may take long.
    """
    with _disk_errors(), disk.locked_folder(prepared):
        data = PreparedSet(prepared, config.verify)
        found = find_masks(data, masks, config, names)
        if look:
            scans = None if config.scans is None else Path(config.scans)
            check_scans(prepared_scans(data.root), raw_cases(data, scans) or {}, [mask.case for mask in found])
        labels = _labels(data, found)
        taken = {mask.case: _take(data, mask, labels, config) for mask in found}
        history = read_history(data.root)
        write_history(data.root, history | {case: _with(history.get(case, []), one) for case, one in taken.items()})
        records = {mask.case: _relabel(data, mask.case, labels) for mask in found}
        renew(data.root, moved(_manifest(data.manifest, labels, records), taken))
    for case, one in taken.items():
        log.info("%s: adopted%s", case, _said(one))
        for note in records[case].mask_notes:
            log.warning("%s: %s", case, note)
    _tell_unchanged([case for case, one in taken.items() if one.corrects == "draft" and one.changed_voxels == 0])
    masked = sum(case.labelled for case in data.manifest.cases) + sum(not data.by_name[case].labelled for case in taken)
    log.info("%d cases of %s have a mask now.", masked, data.root)
    return taken


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Say what to do where the disk takes no more: the prepared folder is no new one that could be another."""
    try:
        yield
    except disk.DiskError as error:
        if error.finding is None:
            raise
        raise disk.DiskError(
            f"{error.finding}. Mend this, by freeing some space for example, and give the same command again: until "
            "then some masks may not be taken in."
        ) from error


def _tell_unchanged(cases: Sequence[str]) -> None:
    """Warn of drafts that came back as the model drew them: training takes them for the truth now."""
    if cases:
        some = f"{', '.join(cases[:5])}{', ...' if len(cases) > 5 else ''}"
        log.warning(
            "unchanged drafts of the model count as true now: %s (%d in all). Correct those that nobody has looked at, "
            "and adopt them again.",
            some,
            len(cases),
        )


def _with(earlier: Sequence[Adoption], one: Adoption) -> list[Adoption]:
    """Return the masks of a case with a further one; one that is given again, after a stop, stands there already."""
    for last in earlier[-1:]:
        same = (last.digest, last.by) == (one.digest, one.by)
        if same and (one.corrects == "mask" or replace(one, file=last.file, when=last.when) == last):
            return [*earlier]
    return [*earlier, one]


def _labels(data: PreparedSet, masks: Sequence[NewMask]) -> LabelTable:
    """Return the data set's labels; where none was declared, with those that the masks bring."""
    if not are_open(data):
        return data.manifest.labels
    names = {value: name for mask in masks for value, name in mask.names.items()}
    return grown(data, names, {mask.path: set(distinct(mask.read(mask.path))) for mask in masks})


def _take(data: PreparedSet, mask: NewMask, labels: LabelTable, config: AdoptConfig) -> Adoption:
    """Copy a mask into the prepared folder; return what is kept of its origin."""
    values = mask.read(mask.path)
    reference = data.reference(mask.case)
    before = mask.draft or reference
    facts: dict[str, Any] = {}
    if before is not None:
        earlier = mask.read(before)
        facts = {
            "corrects": "mask" if mask.draft is None else "draft",
            "dice": _agreement(earlier, values, labels),
            "changed_voxels": int(np.count_nonzero(earlier != values)),
        }
    path = adopted_file(data.root, mask.case)
    with disk.disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    write_label(path, values, mask.geometry)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    names = {str(value): name for value, name in mask.names.items()} or None
    return Adoption(mask.told, when, digest_of(path), config.by, names=names, **facts)


def _agreement(earlier: np.ndarray, values: np.ndarray, labels: LabelTable) -> dict[str, float]:
    """Return the Dice of each region that either mask shows."""
    found = {}
    for region, members in labels.judged_regions().items():
        one, other = np.isin(earlier, members), np.isin(values, members)
        if one.any() or other.any():
            found[region] = round(dice(one, other), 4)
    return found


def _relabel(data: PreparedSet, case: str, labels: LabelTable) -> CaseRecord:
    """Make a case's folder again with its adopted mask; the scan's arrays are taken over."""
    record, folder, mask = data.by_name[case], data.folder(case), adopted_file(data.root, case)
    content = disk.read_json(folder / one_case.RECORD)
    with new_case(folder) as writer:
        copy_scan(folder, writer)
        grid = record.working_grid()
        found = one_case.write_label(read_label(mask, grid.native, data.limits), mask, grid, labels, writer)
        written = writer.record(one_case.with_other_label(content, {"labelled": True, **found}))
    return replace(record, labelled=True, **found, digests=written["digests"])


def _manifest(manifest: Manifest, labels: LabelTable, records: Mapping[str, CaseRecord]) -> Manifest:
    cases = [records.get(case.name, case) for case in manifest.cases]
    if labels.classes != manifest.labels.classes:
        cases = [
            replace(
                case,
                class_voxels=(*case.class_voxels, *[0] * (labels.classes - len(case.class_voxels))),
                class_slices=(),  # measured when it is asked for
                labelled_box=(),
            )
            if case.labelled
            else case
            for case in cases
        ]
    return replace(manifest, labels=labels, cases=tuple(cases), fingerprint=fingerprint_of(cases))


def _said(one: Adoption) -> str:
    if one.dice is None:
        return ""
    regions = ", ".join(f"{name} {value:.3f}" for name, value in one.dice.items()) or "both empty"
    return f"; Dice with the {one.corrects} before: {regions}; {one.changed_voxels} voxels changed"
