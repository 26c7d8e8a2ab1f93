"""A raw folder in any known layout: scans with their masks."""

from dataclasses import dataclass
from pathlib import Path

from equireg.config import DicomOptions
from equireg.evaluation.references.masks import Reference
from equireg.folders.predictions import read_labels
from equireg.imaging.labels import LabelTable
from equireg.layouts import RawDataset, discover, relabelled


@dataclass(frozen=True)
class RawFolder(Reference):
    """Masks beside their scans; a folder of scans is often larger than what was predicted."""

    raw: RawDataset

    @classmethod
    def read(cls, folder: Path, options: DicomOptions, table: LabelTable | None) -> "RawFolder":
        """List the masks.

        Args:
            folder: the raw folder.
            options: how DICOM series become cases.
            table: what the label values of the predictions mean, which DICOM masks take on by their segments' names.

        Raises:
            EquiregError: if the folder is of no known layout.
        """
        raw = relabelled(discover(folder, options=options), table)
        masks = {case.name: case.mask for case in raw.cases if case.mask is not None}
        groups = {case.name: "held out" if case.held_out else "training" for case in raw.cases}
        return cls(folder, masks, read_labels(folder) or raw.labels, groups, raw)

    def scans(self) -> RawDataset:
        """Return the folder itself."""
        return self.raw
