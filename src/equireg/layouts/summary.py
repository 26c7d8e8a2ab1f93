"""What was taken for channels, masks and patients, in two lines that show a wrong guess."""

import logging
from pathlib import Path

from equireg.errors import some_of
from equireg.layouts.base import RawDataset
from equireg.layouts.by_key import by_key
from equireg.layouts.patient_folders import like_patients
from equireg.layouts.patients import look_alike

log = logging.getLogger("equireg")
_SHOWN = 3


def log_summary(dataset: RawDataset) -> None:
    """Log the two lines, what the layout left aside, and what looks like groups but was not grouped."""
    for line in (*lines(dataset), *dataset.notes):
        log.info("%s", line)
    for warning in dataset.warnings:
        log.warning("%s", warning)
    patients = {case.name: case.patient for case in dataset.cases}
    alike = look_alike(patients, pictures=dataset.pictures) or like_patients(
        dataset.root, {case.name: case.images[0] for case in dataset.cases}, patients
    )
    if alike:
        log.warning(
            "names or folders look like several scans of one patient and were not grouped: %s. Scans of one patient "
            "must share a split. If they are of one patient, say so by --patients REGEX or --patients FILE.csv.",
            "; ".join(some_of(names, _SHOWN) for names in alike[:_SHOWN]),
        )


def lines(dataset: RawDataset) -> tuple[str, str]:
    """Return one line on channels and masks, and one on patients."""
    return _files_line(dataset), _patients_line(dataset)


def _files_line(dataset: RawDataset) -> str:
    if not dataset.cases:
        return f"layout {dataset.layout}: no case"
    masks = [case for case in dataset.cases if case.label is not None]
    first = masks[0] if masks else dataset.cases[0]
    channels = ", ".join(dataset.channels)
    scan = " + ".join([_relative(first.images[0], dataset.root), *(path.name for path in first.images[1:])])
    mask = f"masks of {len(masks)} such as {_relative(first.label, dataset.root)}" if first.label else "no masks"
    kind = "channel" if len(dataset.channels) == 1 else f"{len(dataset.channels)} channels"
    count = len(dataset.cases)
    cases = f"{count} case{'s' * (count != 1)}"
    held_out = sum(case.held_out for case in dataset.cases)
    tested = f"; {held_out} of a test or validation folder, held out as test" if held_out else ""
    return f"layout {dataset.layout}: {cases} with the {kind} {channels} such as {scan}; {mask}{tested}"


def _patients_line(dataset: RawDataset) -> str:
    scans = by_key(dataset.cases, lambda case: case.patient)
    several = [cases for cases in scans.values() if len(cases) > 1]
    if not several:
        return f"patients: {len(scans)}, one a case"
    patient, some = several[0][0].patient, some_of([case.name for case in several[0]], _SHOWN)
    return f"patients: {len(scans)}, {len(several)} with several scans, such as {patient} with {some}"


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
