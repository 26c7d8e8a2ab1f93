"""The facts of the training cases, from their records, and from their masks where an earlier version wrote none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equireg.folders.prepared import PreparedSet
from equireg.planning.fingerprint import fingerprint
from prepared_sets import label_of, record, write_set


@pytest.fixture
def data(tmp_path: Path) -> PreparedSet:
    cases = [
        record("a", patient="one", class_voxels=(478, 1, 1)),
        record("b", patient="one", shape=(6, 10, 12), class_voxels=(718, 1, 1)),
        record("c", labelled=False),
        record("v", "val", shape=(40, 10, 12), class_voxels=(4798, 1, 1)),
        record("t", "test", shape=(80, 10, 12), class_voxels=(9598, 1, 1)),
    ]
    return PreparedSet(write_set(tmp_path / "P", cases))


def test_it_tells_shapes_spacing_and_classes(data: PreparedSet) -> None:
    found = fingerprint(data, ["a", "b"], ["a", "b", "c"])
    assert (found.labelled_cases, found.labelled_patients) == (2, 1)
    assert (found.unlabelled_cases, found.unlabelled_patients) == (3, 2)
    assert found.masked_unlabelled_cases == 2
    assert found.median_shape == (4, 10, 12)
    assert found.spacing_mm == (2, 1, 1)
    assert found.anisotropy == 2
    core, rim = found.classes
    assert (core.name, core.cases, core.voxels, core.volume_mm3) == ("core", 2, 1, 2)
    assert core.slices == pytest.approx((1 / 4 + 1 / 6) / 2)
    assert rim.name == "rim"
    assert found.rarest == rim or found.rarest == core


def test_masks_of_other_cases_are_not_looked_at(data: PreparedSet) -> None:
    """No validation case, no test case, and no labelled case beyond those of the run."""
    one = fingerprint(data, ["a"], ["a", "b", "c"])
    assert one.classes[0].slices == 1 / 4
    without = replace(data.manifest, cases=data.manifest.cases[:3])
    data.manifest = without
    del data.by_name
    assert fingerprint(data, ["a"], ["a", "b", "c"]) == one


def test_the_box_holds_the_classes(data: PreparedSet) -> None:
    shown = (label_of(data.by_name["a"]) > 0).nonzero()
    sides = tuple(int(axis.max() - axis.min() + 1) for axis in shown)
    assert fingerprint(data, ["a"], []).labelled_box == sides


def test_records_that_know_the_extent_are_taken_at_their_word(data: PreparedSet, monkeypatch) -> None:
    known = fingerprint(data, ["a", "b"], [])
    cases = [
        replace(case, class_slices=(case.shape[0], 1, 1), labelled_box=tuple(size - 2 for size in case.shape))
        for case in data.manifest.cases[:2]
    ]
    data.manifest = replace(data.manifest, cases=tuple(cases))
    del data.by_name
    monkeypatch.setattr(PreparedSet, "label", None)  # no mask is read
    found = fingerprint(data, ["a", "b"], [])
    assert found.classes == known.classes
    assert found.labelled_box != known.labelled_box


def test_a_class_that_no_case_shows_has_no_size(data: PreparedSet) -> None:
    cases = [replace(case, class_voxels=(480, 1, 0)) for case in data.manifest.cases[:1]]
    data.manifest = replace(data.manifest, cases=tuple(cases))
    found = fingerprint(data, ["a"], [])
    assert found.classes[1].cases == 0
    assert found.rarest is not None
    assert found.rarest.name == "core"


def test_the_median_box_leaves_out_empty_masks(tmp_path: Path) -> None:
    labels = {name: np.zeros((4, 10, 12), dtype=np.uint8) for name in "abcd"}
    for name, side in (("a", 2), ("b", 4), ("c", 8)):
        labels[name][:1, :side, :side] = 1
    cases = [record(name, class_voxels=(480 - int(label.sum()), int(label.sum()), 0)) for name, label in labels.items()]
    data = PreparedSet(write_set(tmp_path / "Q", cases, labels))
    assert fingerprint(data, list("abcd"), []).median_box == (1, 4, 4)
    assert fingerprint(data, ["d"], []).median_box == (0, 0, 0)
