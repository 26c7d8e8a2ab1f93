"""Files along other axes than their scan, and files whose header is rounded."""

import logging
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from equireg.errors import EquiregError
from equireg.imaging import alignment
from equireg.imaging.geometry import Geometry
from equireg.imaging.masks import MaskFiles
from equireg.imaging.turning import UNTURNED, Fit, Turn, axis_codes, closest, fits, limit_mm
from equireg.imaging.volume import read_geometry, read_image, read_label

SHAPE = (5, 6, 4)
SCAN = np.array([[-0.9, 0.1, 0, 90], [0.1, 0.8, 0, 12], [0, 0, 3.0, -50], [0, 0, 0, 1]])
TURNS = [Turn(axes, flips) for axes in permutations(range(3)) for flips in product((False, True), repeat=3)]


@pytest.fixture(autouse=True)
def _tell_again() -> Iterator[None]:
    alignment._told.clear()
    yield
    alignment._told.clear()


def labels(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint8)


def save(path: Path, array: np.ndarray, affine: np.ndarray = SCAN) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def turned(path: Path, array: np.ndarray, turn: Turn, affine: np.ndarray = SCAN) -> Path:
    """Save an array along other axes, by nibabel's own way: each voxel stays where it is."""
    orientation = [[axis, -1 if flip else 1] for axis, flip in zip(turn.axes, turn.flips, strict=True)]
    image = nib.Nifti1Image(array, affine).as_reoriented(orientation)
    assert isinstance(image, nib.Nifti1Image)
    nib.save(image, path)
    return path


def moved(mm: float, axis: int = 0, affine: np.ndarray = SCAN) -> np.ndarray:
    elsewhere = affine.copy()
    elsewhere[axis, 3] += mm
    return elsewhere


def where(tmp_path: Path, shape: tuple[int, ...] = SHAPE, affine: np.ndarray = SCAN) -> Geometry:
    return read_geometry(save(tmp_path / "scan.nii.gz", np.zeros(shape, np.uint8), affine))[0]


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_a_mask_along_any_axes_is_read_along_those_of_its_scan(tmp_path, turn):
    found = read_label(turned(tmp_path / "mask.nii.gz", labels(), turn), where(tmp_path))
    np.testing.assert_array_equal(found, labels())
    assert found.flags.c_contiguous
    assert found.dtype == np.uint8


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_the_way_back_is_the_inverse_and_neither_copies(turn):
    array = np.random.default_rng(1).normal(size=(2, *SHAPE))
    there = turn.to_scan(array)
    assert np.shares_memory(there, array)
    assert np.shares_memory(turn.to_file(there), array)
    np.testing.assert_array_equal(turn.to_file(there), array)


def test_what_needs_no_turn_is_the_same_array():
    array = labels()
    assert UNTURNED.copied_to_scan(array) is array
    assert not np.shares_memory(Turn((0, 1, 2), (True, False, False)).copied_to_scan(array), array)


@pytest.mark.parametrize("turn", [Turn((2, 1, 0), (False, True, False)), Turn((0, 1, 2), (True, True, False))])
def test_a_channel_along_other_axes_is_turned_to_the_first(tmp_path, turn):
    first, second = (np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32) for seed in range(2))
    paths = [save(tmp_path / "a.nii.gz", first), turned(tmp_path / "b.nii.gz", second, turn)]
    image, geometry = read_image(paths)
    np.testing.assert_array_equal(image, [first, second])
    assert geometry == read_geometry(paths[0])[0]


@pytest.mark.parametrize("shape", [(5, 6, 1), (1, 6, 4), (5, 1, 1), (5, 6)])
@pytest.mark.parametrize("turn", [Turn((1, 0, 2), (True, False, False)), Turn((2, 1, 0), (False, True, True))])
def test_a_single_slice_is_turned_too(tmp_path, shape, turn):
    mask = labels(shape)
    solid = mask.reshape((*shape, 1)[:3])
    found = read_label(turned(tmp_path / "mask.nii.gz", solid, turn), where(tmp_path, shape))
    np.testing.assert_array_equal(found, solid)


def test_a_file_of_two_axes_is_turned_within_them(tmp_path):
    mask = labels((5, 6))
    affine = np.diag([-0.5, 0.5, 1.0, 1.0])
    affine[0, 3] = 2.0
    save(tmp_path / "mask.nii.gz", mask[::-1], np.diag([0.5, 0.5, 1.0, 1.0]))
    found = read_label(tmp_path / "mask.nii.gz", where(tmp_path, (5, 6), affine))
    np.testing.assert_array_equal(found[..., 0], mask)


def test_a_mask_that_itk_wrote_is_turned(tmp_path):
    straight = np.diag([-0.9, 0.8, 3.0, 1.0])
    image = sitk.ReadImage(str(save(tmp_path / "a.nii.gz", labels(), straight)))
    sitk.WriteImage(sitk.DICOMOrient(image, "SLP"), str(tmp_path / "mask.nrrd"))
    found = read_label(tmp_path / "mask.nrrd", where(tmp_path, affine=straight))
    np.testing.assert_array_equal(found, labels())


def test_masks_a_class_are_turned_each_and_told_as_one(tmp_path, caplog):
    mask = labels()
    parts = []
    for value, turn in ((1, TURNS[5]), (2, TURNS[9]), (3, UNTURNED)):
        path = turned(tmp_path / f"{value}.nii.gz", (mask == value).astype(np.uint8), turn)
        parts.append((value, path))
    with caplog.at_level(logging.INFO, "equireg"):
        np.testing.assert_array_equal(MaskFiles(tmp_path, tuple(parts)).read(where(tmp_path)), mask)
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path}: is stored along other axes (")
    assert line.endswith("than its scan (LAS); it is turned to these without resampling.")


def test_many_turned_masks_are_one_line_that_is_no_warning(tmp_path, caplog):
    scan = where(tmp_path)
    with caplog.at_level(logging.INFO, "equireg"), alignment.one_line_a_remark():
        for name, turn in zip("abcd", TURNS[1:], strict=False):
            mask = MaskFiles(turned(tmp_path / f"{name}.nii.gz", labels(), turn))
            mask.compare_headers(scan)
            mask.read(scan)
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert record.getMessage().startswith(f"{tmp_path / 'a.nii.gz'}: is stored along other axes (LAI) than its scan")
    assert f"of 3 more files, such as {tmp_path / 'b.nii.gz'}, " in record.getMessage()


def test_a_rounded_spacing_is_accepted_with_its_distance(tmp_path, caplog):
    shape, exact, rounded = (256, 256, 2), np.diag([0.9765625, 0.9765625, 2.5, 1]), np.diag([0.977, 0.977, 2.5, 1])
    scan, mask = where(tmp_path, shape, exact), labels(shape)
    np.testing.assert_array_equal(read_label(save(tmp_path / "mask.nii.gz", mask, rounded), scan), mask)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "lies up to 0.158 mm beside its scan, less than a quarter of a voxel" in record.getMessage()
    assert record.getMessage().endswith("the header of its scan counts.")


def test_of_many_rounded_masks_the_farthest_is_named(tmp_path, caplog):
    scan = where(tmp_path)
    with alignment.one_line_a_remark():
        for name, mm in (("a", 0.03), ("b", 0.15), ("c", 0.01), ("d", 0.1)):
            read_label(save(tmp_path / f"{name}.nii.gz", labels(), moved(mm)), scan)
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path / 'b.nii.gz'}: lies up to 0.15 mm beside its scan")
    others = f"{tmp_path / 'd.nii.gz'}, {tmp_path / 'a.nii.gz'}"
    assert line.endswith(f"The same holds, by at most that distance, of 2 more files, such as {others}.")


@pytest.mark.parametrize(("share", "fits_it"), [(0.24, True), (0.26, False)])
@pytest.mark.parametrize("axis", [0, 2])
def test_a_quarter_of_the_smallest_voxel_side_is_the_limit(tmp_path, share, fits_it, axis):
    scan = where(tmp_path)
    side = min(scan.spacing_mm)
    mask = save(tmp_path / "mask.nii.gz", labels(), moved(share * side, axis))
    channels = [save(tmp_path / "first.nii.gz", labels()), mask]
    if fits_it:
        np.testing.assert_array_equal(read_label(mask, scan), labels())
        assert read_image(channels)[1] == scan
        return
    for call in (lambda: read_label(mask, scan), lambda: read_image(channels)):
        with pytest.raises(
            EquiregError, match=r"another affine .* expected less than 0\.2016 mm, a quarter of a voxel"
        ):
            call()


def test_a_quarter_of_a_pixel_is_the_limit_of_a_slice(tmp_path):
    scan = where(tmp_path, (5, 6, 1), np.diag([1.0, 1.0, 4.0, 1.0]))
    for mm in (0.2, 0.3):
        save(tmp_path / f"{mm}.nii.gz", labels((5, 6, 1)), moved(mm, 1, np.diag([1.0, 1.0, 4.0, 1.0])))
    read_label(tmp_path / "0.2.nii.gz", scan)
    with pytest.raises(EquiregError, match="another affine"):
        read_label(tmp_path / "0.3.nii.gz", scan)


def test_small_voxels_keep_the_limit_that_they_had(tmp_path):
    small = np.diag([0.02, 0.02, 0.02, 1.0])
    scan = where(tmp_path, affine=small)
    assert limit_mm(scan) == 0.02
    read_label(save(tmp_path / "a.nii.gz", labels(), moved(0.019, affine=small)), scan)
    with pytest.raises(EquiregError, match=r"expected at most 0\.02 mm"):
        read_label(save(tmp_path / "b.nii.gz", labels(), moved(0.03, 1, small)), scan)


def test_voxels_below_that_limit_have_a_smaller_one(tmp_path):
    fine = SCAN * [[0.002], [0.002], [0.002], [1]]
    scan = where(tmp_path, affine=fine)
    assert limit_mm(scan) == pytest.approx(2 * min(scan.spacing_mm))
    assert not fits(Geometry.from_array(SHAPE, moved(0.01, affine=fine)), scan)


def test_a_turned_mask_may_be_rounded_too(tmp_path, caplog):
    turn = Turn((1, 0, 2), (True, True, False))
    mask = turned(tmp_path / "mask.nii.gz", labels(), turn, moved(0.1))
    with caplog.at_level(logging.INFO, "equireg"):
        np.testing.assert_array_equal(read_label(mask, where(tmp_path)), labels())
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert "lies up to 0.1 mm beside" in caplog.messages[1]


def test_a_turned_mask_that_lies_elsewhere_is_not_told_to_copy_the_header(tmp_path):
    mask = turned(tmp_path / "mask.nii.gz", labels(), Turn((0, 1, 2), (True, True, False)), moved(0.5))
    with pytest.raises(EquiregError) as caught:
        read_label(mask, where(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"{mask}: has another affine than its scan: its axes run to RPS and not to LAS")
    assert "up to 0.5 mm apart once they are turned" in message
    assert message.endswith("Resample it to that grid. A copied header would mirror or turn it.")
    assert "copy the header" not in message


def test_exchanged_axes_that_lie_elsewhere_are_no_other_shape(tmp_path):
    mask = turned(tmp_path / "mask.nii.gz", labels(), Turn((2, 0, 1), (True, False, False)), moved(0.5))
    with pytest.raises(EquiregError, match=r"has another affine .* up to 0\.5 mm apart once they are turned"):
        read_label(mask, where(tmp_path))


def test_a_mask_that_was_mirrored_by_another_header_is_not_told_to_copy_it(tmp_path):
    """Both headers begin at the same corner, so that no turn brings one to the other."""
    with pytest.raises(EquiregError, match=r"Resample it to that grid\. A copied header would mirror or turn it\.$"):
        read_label(save(tmp_path / "mask.nii.gz", labels(), SCAN * [[-1], [-1], [1], [1]]), where(tmp_path))


def test_axes_that_run_alike_may_still_have_a_wrong_header_alone(tmp_path):
    with pytest.raises(EquiregError, match=r"or copy the header if only that is wrong\.$"):
        read_label(save(tmp_path / "mask.nii.gz", labels(), moved(0.5)), where(tmp_path))


@pytest.mark.parametrize("part", [np.s_[1:, :4, 2:], np.s_[:, :, 1:]])
def test_a_part_of_the_very_grid_is_told_as_one(tmp_path, part):
    first = np.eye(4)
    first[:3, 3] = [axis.start or 0 for axis in part]
    mask = save(tmp_path / "mask.nii.gz", labels()[part], SCAN @ first)
    with pytest.raises(EquiregError, match=r"expected \(5, 6, 4\) as its scan has\. Its voxels lie on the same grid"):
        read_label(mask, where(tmp_path))
    first[0, 3] += 0.5
    with pytest.raises(EquiregError, match="Resample it to that grid"):
        read_label(save(tmp_path / "mask.nii.gz", labels()[part], SCAN @ first), where(tmp_path))


def test_exchanged_sizes_without_exchanged_axes_are_another_shape(tmp_path):
    mask = save(tmp_path / "mask.nii.gz", labels((6, 5, 4)))
    with pytest.raises(EquiregError, match=r"has the shape \(6, 5, 4\); expected \(5, 6, 4\)"):
        read_label(mask, where(tmp_path))


def both(path: Path, qform: np.ndarray, sform: np.ndarray) -> Path:
    image = nib.Nifti1Image(labels(), qform)
    image.set_qform(qform, 1)
    image.set_sform(sform, 2)
    nib.save(image, path)
    return path


def test_a_scan_that_states_two_places_takes_a_turned_mask_of_one_of_them(tmp_path):
    near, far = np.diag([1.0, 1.0, 2.0, 1.0]), moved(7, affine=np.diag([1.0, 1.0, 2.0, 1.0]))
    scan = read_geometry(both(tmp_path / "scan.nii.gz", near, far))[0]
    for place in (near, far):
        mask = turned(tmp_path / "mask.nii.gz", labels(seed=3), Turn((2, 0, 1), (True, False, True)), place)
        np.testing.assert_array_equal(read_label(mask, scan), labels(seed=3))


def test_two_places_that_turn_a_mask_in_two_ways_are_refused(tmp_path):
    """The qform mirrors what the sform says: a third orientation may mean either."""
    plain, mirrored = np.diag([1.0, 1.0, 2.0, 1.0]), np.diag([-1.0, 1.0, 2.0, 1.0])
    mirrored[0, 3] = SHAPE[0] - 1
    scan = read_geometry(both(tmp_path / "scan.nii.gz", plain, mirrored))[0]
    assert len(fits(read_geometry(save(tmp_path / "as_it_is.nii.gz", labels(), mirrored))[0], scan)) == 1
    mask = turned(tmp_path / "mask.nii.gz", labels(), Turn((0, 1, 2), (False, True, False)), plain)
    with pytest.raises(EquiregError, match="fits its scan in 2 ways"):
        read_label(mask, scan)


@pytest.mark.parametrize("axes", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_a_mask_that_states_no_place_is_never_turned(tmp_path, axes):
    """Readers make up a place for it, which may well be a mirror image of the scan's."""
    for centred in (True, False):
        affine = np.diag([*axes, 2.0, 1.0])
        affine[:3, 3] = [-side * (size - 1) / 2 if centred else 0 for side, size in zip((*axes, 2), SHAPE, strict=True)]
        scan = read_geometry(save(tmp_path / "scan.nii.gz", labels(), affine))[0]
        nib.save(nib.Nifti1Image(labels(), None), tmp_path / "mask.nii.gz")
        found = read_geometry(tmp_path / "mask.nii.gz")[0]
        assert all(fit.turn == UNTURNED for fit in fits(found, scan))


def test_a_fit_says_how_far_it_is_off():
    scan = Geometry.from_array(SHAPE, SCAN)
    turn = Turn((2, 0, 1), (False, True, False))
    found = turn.geometry(Geometry.from_array(SHAPE, moved(0.1)))
    (fit,) = fits(found, scan)
    assert fit.turn.geometry(found).corner_distance_mm(scan) == pytest.approx(0.1)
    assert fit == closest(found, scan)
    (near,) = fits(Geometry.from_array(SHAPE, moved(0.01)), scan)
    assert near == Fit(UNTURNED, near.off_mm)
    assert near.off_mm == pytest.approx(0.01)
    assert fits(Geometry.from_array((5, 6, 5), SCAN), scan) == []
    assert axis_codes(scan) == "LAS"


def test_a_mask_drawn_on_a_picture_with_pixels_of_1_mm_fits_by_its_size(tmp_path: Path) -> None:
    shape, picture = (5, 6, 1), np.diag([-0.4, -0.4, 1, 1])
    scan, array = where(tmp_path, shape, picture), labels(shape)
    np.testing.assert_array_equal(read_label(save(tmp_path / "m.nii.gz", array, np.diag([-1, -1, 1, 1])), scan), array)
    for other in (np.diag([-2, -2, 1, 1]), np.diag([-1, -1, 2, 1])):
        with pytest.raises(EquiregError, match=r"pixels of 0\.4 mm \(--pixel_mm\) or of 1 mm, or as PNG"):
            read_label(save(tmp_path / "m.nii.gz", array, other), scan)
    elsewhere = where(tmp_path, shape, moved(3, affine=picture))
    with pytest.raises(EquiregError, match="has another affine"):
        read_label(save(tmp_path / "m.nii.gz", array, np.diag([-1, -1, 1, 1])), elsewhere)
