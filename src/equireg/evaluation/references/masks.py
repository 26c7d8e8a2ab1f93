"""A folder of masks, and what all references made of masks have in common."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from equireg.evaluation.predictions import label_files
from equireg.imaging.labels import LabelTable
from equireg.imaging.masks import MaskFiles
from equireg.layouts import RawDataset
from equireg.layouts.masks import case_names, labels_beside


@dataclass(frozen=True)
class Reference:
    """Where the masks are."""

    root: Path
    masks: Mapping[str, MaskFiles]
    """Case name to its mask."""
    table: LabelTable | None
    """None: the folder does not say what its label values mean."""
    groups: Mapping[str, str]
    """Case name to the part of the data that it belongs to, such as test; also of cases without a mask."""

    complete: ClassVar[bool] = False
    """Whether each mask demands a prediction."""

    def cases_to_judge(self, predicted: Sequence[str]) -> list[str]:
        """Return the cases that need both a mask and a prediction, sorted."""
        return sorted(self.masks) if self.complete else sorted(set(predicted) & set(self.masks))

    def without_mask(self) -> set[str]:
        """Return the cases that the folder knows and has no mask of."""
        return set(self.groups) - set(self.masks)

    def not_predicted(self, predicted: Sequence[str]) -> list[str]:
        """Return the masks that no prediction is judged by, of the parts of the data that were predicted, sorted."""
        parts = {self.groups[case] for case in predicted if case in self.groups}
        return sorted(case for case in set(self.masks) - set(predicted) if self.groups.get(case) in parts)

    def scan_digests(self, cases: Collection[str]) -> Mapping[str, str]:
        """Return case to the digest of the raw scan that its mask is of, of some cases, where that is known."""
        return {}

    def scans(self) -> RawDataset | None:
        """Return the raw folder with the scans behind the masks, where there is one."""
        return None


@dataclass(frozen=True)
class MaskFolder(Reference):
    """A folder of nothing but masks, named by case: made for this evaluation, so all of it is judged."""

    complete: ClassVar[bool] = True

    @classmethod
    def read(cls, folder: Path) -> "MaskFolder":
        """List the masks.

        Raises:
            EquiregError: if two files are of one case, or what says the labels is damaged.
        """
        masks = {case: MaskFiles(path) for case, path in label_files(folder).items()}
        return cls(folder, masks, labels_beside(folder), dict.fromkeys(masks, ""))

    def called_as(self, cases: Collection[str]) -> "MaskFolder":
        """Return the folder with the names of some cases, where its files add no more to them than words for masks."""
        names = {name: next((case for case in case_names(name) if case in cases), None) for name in self.masks}
        found = Counter(names.values())
        plain = {name: case for name, case in names.items() if case is not None and found[case] == 1}
        masks = {plain.get(name) or name: mask for name, mask in self.masks.items()}
        return replace(self, masks=masks, groups=dict.fromkeys(masks, ""))
