"""Which labels new masks may bring along."""

from dataclasses import replace
from pathlib import Path

import pytest

from equireg import disk
from equireg.annotation.labels import are_open, grown
from equireg.errors import EquiregError
from equireg.folders.prepared import MANIFEST, PreparedSet
from equireg.folders.prepared.adopted import Adoption, write_history
from equireg.imaging.labels import LabelTable
from prepared_sets import manifest, record, write_set


def opened(root: Path, labels: LabelTable, adopted: str) -> PreparedSet:
    """Return a folder of the cases a and b with masks; some of them were adopted, and named the label 1."""
    cases = [record(name, class_voxels=(1, 9, 0)[: labels.classes]) for name in "ab"]
    write_set(root, cases)
    disk.write_json(root / MANIFEST, manifest(cases, labels=labels).as_dict())
    (root / "adopted").mkdir()
    one = Adoption("a.nii.gz", "2026-01-01", "0")
    write_history(root, {name: [replace(one, names={"1": "liver"})] for name in adopted})
    return PreparedSet(root)


@pytest.mark.parametrize(
    ("names", "adopted", "open_"),
    [
        (("Liver",), "ab", True),
        (("liver",), "a", False),  # one mask lies in the raw folder
        (("spleen",), "ab", False),  # declared: no mask has called it so
        (("liver", "label 2"), "ab", False),  # declared: no mask shows it
    ],
)
def test_labels_that_all_come_from_adopted_masks_are_open(
    tmp_path: Path, names: tuple[str, ...], adopted: str, open_: bool
) -> None:
    labels = LabelTable(tuple(range(len(names) + 1)), ("background", *names))
    assert are_open(opened(tmp_path, labels, adopted)) is open_
    (tmp_path / "other").mkdir()
    ignoring = opened(tmp_path / "other", replace(labels, ignore=9), adopted)
    assert are_open(ignoring) is False


def test_masks_that_mean_the_same_by_another_value_are_refused(tmp_path: Path) -> None:
    data = opened(tmp_path, LabelTable((0, 1), ("background", "liver")), "ab")
    assert grown(data, {3: "tumour"}, {Path("c"): {0, 1, 2}}).names == ("background", "liver", "label 2", "tumour")
    with pytest.raises(EquiregError, match="expected one kind"):
        grown(data, {}, {Path("c"): {0, 255}})
