"""A prepared folder, which keeps the masks as they were."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from equireg.evaluation.references.masks import Reference
from equireg.folders import made_by
from equireg.folders.prepared import MANIFEST, PreparedSet
from equireg.imaging.masks import MaskFiles
from equireg.preparation.raw_states import prepared_scans


@dataclass(frozen=True)
class PreparedFolder(Reference):
    """The native masks of a prepared folder, in the splits that were predicted."""

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether a folder is a prepared one, or was meant to be."""
        return made_by(folder) == "prepare" or (folder / MANIFEST).exists()

    @classmethod
    def read(
        cls, folder: Path, judged: Collection[str], verify: bool = True, fold: str | None = None
    ) -> "PreparedFolder":
        """List the masks.

        Args:
            folder: the prepared folder.
            judged: cases whose masks are compared.
            verify: check those masks against their digests.
            fold: that in which the run trained, where it predicted one side of it: those cases are a part of their own.

        Raises:
            EquiregError: if the folder is unfinished or damaged.
        """
        data = PreparedSet(folder, verify)
        for case in data.by_name.keys() & set(judged):
            data.reference(case)
        side = dict.fromkeys(judged, f"fold {fold}") if fold is not None else {}
        groups = {case.name: side.get(case.name, case.split) for case in data.manifest.cases}
        masks = {case: MaskFiles(path) for case, path in data.references().items()}
        return cls(folder, masks, data.manifest.labels, groups)

    def scan_digests(self, cases: Collection[str]) -> Mapping[str, str]:
        """Return the digests of the scans that were prepared."""
        return {case: digest for case, digest in prepared_scans(self.root).items() if case in cases}
