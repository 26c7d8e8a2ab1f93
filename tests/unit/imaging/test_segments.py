"""Masks of 3D Slicer: segments by their names, and files that hold a part of their scan."""

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from equireg.annotation.adopt import adopt
from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import Limits
from equireg.imaging.segments import common_numbers, held_apart, label_of, numbers_of, segment_names, told_spellings
from equireg.imaging.volume import read_geometry, read_label
from equireg.preparation.prepare import prepare
from judged_folders import write_masks

SHAPE = (9, 8, 7)
BOX = np.zeros(SHAPE, dtype=np.uint8)
BOX[2:5, 3:6, 1:4] = 1
BOX[6:8, 3:6, 1:4] = 2


def save_segments(
    path: Path, values: np.ndarray, names: Mapping[int, str], first: tuple[float, ...] = (0, 0, 0)
) -> Path:
    """Write a mask [X, Y, Z] as 3D Slicer does; it begins at a voxel of its scan, whose affine is the unit matrix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(values.astype(np.uint8).T)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    image.SetOrigin((-float(first[0]), -float(first[1]), float(first[2])))
    image.SetMetaData("Segmentation_ReferenceImageExtentOffset", " ".join(map(str, first)))
    for index, (value, name) in enumerate(names.items()):
        image.SetMetaData(f"Segment{index}_Name", name)
        image.SetMetaData(f"Segment{index}_LabelValue", str(value))
    sitk.WriteImage(image, str(path))
    return path


def scan(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(len(path.name)).normal(100, 10, SHAPE) + 50 * (BOX == 1)
    nib.save(nib.Nifti1Image(voxels.astype(np.float32), np.eye(4)), path)
    return path


def swapped(values: np.ndarray) -> np.ndarray:
    return np.array([0, 2, 1], dtype=np.uint8)[values]


def test_names_of_segments(tmp_path: Path) -> None:
    path = save_segments(tmp_path / "a.seg.nrrd", BOX, {1: "Tumour  core", 2: "rim"})
    assert segment_names(path) == {1: "Tumour core", 2: "rim"}
    for names in ({1: "Segment_1", 2: "rim"}, {1: "rim", 2: "Rim"}, {1: "background"}, {0: "rim"}):
        assert segment_names(save_segments(path, BOX, names)) == {}


def test_numbers_are_those_of_the_first_file_where_they_can_be() -> None:
    assert common_numbers([{1: "a", 4: "b"}, {1: "b", 4: "C"}, {2: "d"}]) == {"a": 1, "b": 4, "d": 2, "c": 5}


def test_a_mask_is_read_by_the_names(tmp_path: Path) -> None:
    geometry, _ = read_geometry(scan(tmp_path / "s.nii.gz"))
    path = save_segments(tmp_path / "a.seg.nrrd", BOX, {1: "rim", 2: "core"})
    assert np.array_equal(read_label(path, geometry), BOX)
    limits = Limits(segments=(("core", 1), ("rim", 2)))
    assert np.array_equal(read_label(path, geometry, limits), swapped(BOX))
    assert np.array_equal(read_label(path, geometry, Limits(segments=(("liver", 7),))), BOX), "other labels"
    with pytest.raises(EquiregError, match="shows the segment 'rim'; expected some of core"):
        read_label(path, geometry, Limits(segments=(("core", 1),)))


@pytest.mark.parametrize(
    "names", [{1: "Tumor", 2: "rim"}, {1: "core", 2: "kidney"}, {1: "kidney", 2: "spleen"}, {1: "core"}]
)
def test_a_segment_of_another_name_is_no_label_by_its_number(tmp_path: Path, names: dict[int, str]) -> None:
    geometry, _ = read_geometry(scan(tmp_path / "s.nii.gz"))
    path = save_segments(tmp_path / "a.seg.nrrd", BOX, names)
    with pytest.raises(EquiregError, match=r"a.seg.nrrd: shows the segment .*; expected some of core, rim"):
        read_label(path, geometry, Limits(segments=(("core", 1), ("rim", 2))))
    assert np.array_equal(read_label(path, geometry, Limits(segments=(("label 1", 1), ("label 2", 2)))), BOX)


def test_names_that_say_nothing_and_other_marks_are_no_other_names(tmp_path: Path) -> None:
    geometry, _ = read_geometry(scan(tmp_path / "s.nii.gz"))
    path = save_segments(tmp_path / "a.seg.nrrd", BOX, {1: "left kidney", 2: "RIM-"})
    for names in (("left_kidney", "rim"), ("label_1", "label_2"), ("1", "2"), ("L1", "L2"), ("Class 1", "class 2")):
        table = LabelTable((0, 1, 2), ("background", *names))
        assert np.array_equal(read_label(path, geometry, Limits(segments=numbers_of(table))), BOX)


def test_the_ignore_label_has_a_name(tmp_path: Path) -> None:
    geometry, _ = read_geometry(scan(tmp_path / "s.nii.gz"))
    path = save_segments(tmp_path / "a.seg.nrrd", BOX, {1: "core", 2: "ignore"})
    table = LabelTable((0, 1), ("background", "core"), ignore=2)
    assert np.array_equal(read_label(path, geometry, Limits(segments=numbers_of(table))), BOX)


def test_two_segments_of_one_name_are_one_label(tmp_path: Path) -> None:
    geometry, _ = read_geometry(scan(tmp_path / "s.nii.gz"))
    path = save_segments(tmp_path / "a.seg.nrrd", BOX, {1: "rim", 2: "rim"})
    found = read_label(path, geometry, Limits(segments=(("core", 1), ("rim", 2))))
    assert np.array_equal(found, 2 * (BOX > 0))


def test_what_an_only_label_is_called_otherwise_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    geometry, _ = read_geometry(scan(tmp_path / "s.nii.gz"))
    path = save_segments(tmp_path / "a.seg.nrrd", BOX == 1, {1: "Tumor"})
    assert np.array_equal(read_label(path, geometry, Limits(segments=(("lesion", 1),))), BOX == 1)
    assert "masks call a segment 'Tumor', the only label is 'lesion'; its number is used" in caplog.text
    path = save_segments(tmp_path / "b.seg.nrrd", BOX, {1: "Tumor", 2: "ignore"})
    assert np.array_equal(
        read_label(path, geometry, Limits(segments=(("lesion", 1), ("ignore", 5)))), BOX + 3 * (BOX == 2)
    )


def test_a_part_of_the_scan_is_put_where_it_lies(tmp_path: Path) -> None:
    geometry, _ = read_geometry(scan(tmp_path / "s.nii.gz"))
    path = save_segments(tmp_path / "a.seg.nrrd", BOX[2:, 3:, 1:5], {1: "core", 2: "rim"}, (2, 3, 1))
    assert np.array_equal(read_label(path, geometry), BOX)
    larger = np.pad(BOX[2:, :, :], ((0, 3), (2, 0), (1, 1)))
    path = save_segments(path, larger, {1: "core"}, (2, -2, -1))
    assert np.array_equal(read_label(path, geometry), BOX), "reaches beyond the scan"
    for first in ((2, 3, 7), (2, 3.5, 1)):  # outside of the scan, and between its voxels
        with pytest.raises(EquiregError, match="has the shape"):
            read_label(save_segments(path, BOX[2:, 3:, 1:5], {1: "core"}, first), geometry)


def test_prepare_reads_all_masks_by_the_same_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "abc":
        scan(tmp_path / f"raw/images/{name}.nii.gz")
    save_segments(tmp_path / "raw/labels/a.seg.nrrd", BOX, {1: "core", 2: "rim"})
    save_segments(tmp_path / "raw/labels/b.seg.nrrd", swapped(BOX), {1: "rim", 2: "core"})
    manifest = prepare(tmp_path / "raw", tmp_path / "p", jobs=1)
    assert (manifest.labels.names, manifest.labels.values) == (("background", "core", "rim"), (0, 1, 2))
    assert [case.class_voxels[1:] for case in manifest.cases if case.labelled] == [(27, 18), (27, 18)]
    assert "1 of 2 masks number their segments otherwise" in caplog.text
    drawn = save_segments(tmp_path / "new/c.seg.nrrd", swapped(BOX), {1: "Rim", 2: "core"})
    adopt(tmp_path / "p", drawn)
    assert all(case.class_voxels[1:] == (27, 18) for case in prepare(tmp_path / "raw", tmp_path / "p", jobs=1).cases)


def test_prepare_tells_which_spellings_are_one_label(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "ab":
        scan(tmp_path / f"raw/images/{name}.nii.gz")
    save_segments(tmp_path / "raw/labels/a.seg.nrrd", BOX, {1: "core", 2: "rim"})
    save_segments(tmp_path / "raw/labels/b.seg.nrrd", BOX, {1: " CORE", 2: "rim"})
    caplog.set_level("INFO", "equireg")
    manifest = prepare(tmp_path / "raw", tmp_path / "p", jobs=1)
    assert manifest.labels.names == ("background", "core", "rim")
    assert "are one label: core (also CORE)" in caplog.text


def test_segments_of_one_file_that_differ_in_capitals_stay_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scan(tmp_path / "raw/images/a.nii.gz")
    save_segments(tmp_path / "raw/labels/a.seg.nrrd", BOX, {1: "rim", 2: "Rim"})
    manifest = prepare(tmp_path / "raw", tmp_path / "p", jobs=1)
    assert manifest.labels.values == (0, 1, 2)
    assert "(Rim, rim); their names are not used" in caplog.text


def test_a_label_of_another_spelling() -> None:
    labels = ("liver", "GTV", "gtv")
    assert label_of("Liver  ", labels) == "liver"
    assert label_of("gtv", labels) == "gtv"
    assert label_of("Gtv", labels) is None, "two could be meant"
    assert label_of("Liver", labels, held_apart([["LIVER", "Liver"], ["spleen", "spleen"]])) is None
    assert label_of("liver", labels, held_apart([["LIVER", "liver"]])) == "liver"
    assert label_of("lung", labels) is None
    assert told_spellings([("a", "a")]) is None
    line = told_spellings((name, name.upper()) for name in "fedcbaa")
    assert line is not None
    assert line.endswith("a (also A); b (also B); c (also C); d (also D); e (also E); and 1 more")


def test_masks_that_name_nothing_beside_others_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "ab":
        scan(tmp_path / f"raw/images/{name}.nii.gz")
    save_segments(tmp_path / "raw/labels/a.seg.nrrd", BOX, {1: "core", 2: "rim"})
    write_masks(tmp_path / "raw/labels", {"b": np.zeros(SHAPE, np.uint8)})
    prepare(tmp_path / "raw", tmp_path / "p", jobs=1, dry_run=True)
    assert "1 of 2 masks name their segments (1 core, 2 rim); make sure" in caplog.text


def test_first_masks_that_are_adopted_share_their_numbers(tmp_path: Path) -> None:
    for name in "ab":
        scan(tmp_path / f"raw/{name}.nii.gz")
    prepare(tmp_path / "raw", tmp_path / "p", jobs=1)
    save_segments(tmp_path / "new/a.seg.nrrd", BOX, {1: "core", 2: "rim"})
    save_segments(tmp_path / "new/b.seg.nrrd", swapped(BOX), {1: "rim", 2: "core"})
    adopt(tmp_path / "p", tmp_path / "new")
    manifest = prepare(tmp_path / "raw", tmp_path / "p", jobs=1)
    assert manifest.labels.names == ("background", "core", "rim")
    assert [case.class_voxels[1:] for case in manifest.cases] == [(27, 18), (27, 18)]


def test_a_reference_is_read_by_the_names_of_the_predictions(tmp_path: Path) -> None:
    write_masks(tmp_path / "q", {"a": BOX}, LabelTable((0, 1, 2), ("background", "core", "rim")))
    image = sitk.ReadImage(str(tmp_path / "q/a.nii.gz"))
    part = sitk.RegionOfInterest(image, (7, 5, 4), (2, 3, 1))
    turned = sitk.GetImageFromArray(swapped(sitk.GetArrayFromImage(part).astype(np.uint8)))
    turned.CopyInformation(part)
    turned.SetMetaData("Segmentation_ReferenceImageExtentOffset", "2 3 1")
    for index, name in enumerate(("rim", "core")):
        turned.SetMetaData(f"Segment{index}_Name", name)
        turned.SetMetaData(f"Segment{index}_LabelValue", str(index + 1))
    (tmp_path / "masks").mkdir()
    sitk.WriteImage(turned, str(tmp_path / "masks/a.seg.nrrd"))
    assert evaluate(tmp_path / "q", tmp_path / "masks", tmp_path / "e")["mean"]["dice"] == 1.0
