"""A raw folder in any known layout: scans with their masks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from equireg.evaluation.predictions import Predictions
from equireg.evaluation.references.masks import Reference
from equireg.folders.origin import SOURCE, name_of
from equireg.folders.predictions import read_labels
from equireg.layouts import RawDataset, rediscover, relabelled
from equireg.preparation.raw_states import raw_scans


@dataclass(frozen=True)
class RawFolder(Reference):
    """Masks beside their scans; a folder of scans is often larger than what was predicted."""

    raw: RawDataset

    @classmethod
    def read(cls, folder: Path, predictions: Predictions) -> "RawFolder":
        """List the masks.

        Args:
            folder: the raw folder.
            predictions: what they are compared with, whose label values DICOM masks take on by their segments' names.

        Raises:
            EquiregError: if the folder is of no known layout.
        """
        own = [one for one in predictions.origins if one.get(SOURCE) == name_of(folder)]  # it may be another folder
        raw = relabelled(rediscover(folder, own, predictions.options), predictions.table)
        masks = {case.name: case.mask for case in raw.cases if case.mask is not None}
        groups = {case.name: "held out" if case.held_out else "training" for case in raw.cases}
        return cls(folder, masks, read_labels(folder) or raw.labels, groups, raw)

    def scan_digests(self, cases: Collection[str]) -> Mapping[str, str]:
        """Return the digests of the scans beside the masks."""
        return raw_scans(case for case in self.raw.cases if case.name in cases)

    def scans(self) -> RawDataset:
        """Return the folder itself."""
        return self.raw
