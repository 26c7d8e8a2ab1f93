"""DICOM masks apart from their series, which lie in the raw folder that was predicted."""

import logging
from dataclasses import dataclass
from pathlib import Path

from equireg.errors import EquiregError
from equireg.evaluation.predictions import Predictions
from equireg.evaluation.references.masks import Reference
from equireg.imaging.masks import MaskFiles
from equireg.layouts import RawDataset, discover
from equireg.layouts.dicom import cases_of_masks
from equireg.layouts.dicom.files import read_files
from equireg.layouts.dicom.masks import Names, label_table

log = logging.getLogger("equireg")


@dataclass(frozen=True)
class DicomMasks(Reference):
    """DICOM-SEG and RTSTRUCT, found by the series that they refer to."""

    raw: RawDataset

    @classmethod
    def read(cls, folder: Path, predictions: Predictions, scans: Path | None) -> "DicomMasks":
        """List the masks.

        Args:
            folder: the masks, in any nesting.
            predictions: what they are compared with, whose label names the segments have.
            scans: raw folder with the series.

        Raises:
            EquiregError: if the series are not found, a mask cannot be read, or two are of one case.
        """
        heads = read_files(folder).masks
        if scans is None:
            raise EquiregError(
                f"{folder}: holds DICOM masks without their series, and the folder of the scans that were predicted is "
                "not where it was. Give it as --scans."
            )
        owners, found = cases_of_masks(scans, heads, predictions.options)
        if found.refused:
            raise EquiregError(f"{found.refused[0].reason} {found.refused[0].remedy}")
        for note in found.notes():
            log.warning("%s", note)
        if found.own and not found.of:
            raise EquiregError(
                f"{folder}: holds no masks but predictions of equireg; expected masks that people drew or corrected."
            )
        read = {mask.path: mask for several in found.of.values() for mask in several}
        table = predictions.table or label_table(list(read.values()), predictions.options)
        names = None if table is None else Names(list(read.values()), table)
        if names is not None:
            names.tell()
        raw = discover(scans, "dicom", options=predictions.options)
        series = {case.name: case.series[0] for case in raw.cases if case.series}
        masks: dict[str, MaskFiles] = {}
        for path, case in sorted(owners.items()):
            if case in masks:
                raise EquiregError(f"{path}: is a second mask of {case}, beside {masks[case].path}. Give one.")
            if case in series and names is not None:
                segments = tuple(names.values(read[path]).items())
                masks[case] = MaskFiles(path, segments=segments, grid=series[case].geometry)
        return cls(folder, masks, table, dict.fromkeys(masks, ""), raw)

    def scans(self) -> RawDataset:
        """Return the raw folder with the series."""
        return self.raw
