"""Where a NIfTI file lies: our rule against ITK itself, and predictions that lie on their scan in both readers."""

import gzip
import itertools
import json
import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from equireg.errors import EquiregError
from equireg.imaging import alignment
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.volume import Geometry, read_geometry, read_label, write_label, write_probabilities

SHAPE = (5, 6, 7)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def turned(degrees: float, spacing: tuple[float, ...] = (1.0, 2.0, 3.0), offset: float = 0.0) -> np.ndarray:
    a = np.deg2rad(degrees)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) * spacing
    affine[:3, 3] = [10 + offset, -20, 30]
    return affine


def sheared() -> np.ndarray:
    affine = turned(0)
    affine[1, 2] = 0.8
    return affine


def save(
    path: Path,
    qform: np.ndarray,
    sform: np.ndarray,
    codes: tuple[int, int],
    unit: str = "mm",
    pixdim: tuple[float, ...] | None = None,
) -> Path:
    image = nib.Nifti1Image(np.zeros(SHAPE, dtype=np.uint8), np.eye(4))
    image.set_qform(qform, codes[0])
    image.set_sform(sform, codes[1])
    image.header.set_xyzt_units(unit)
    if pixdim is not None:
        image.header["pixdim"][1:4] = pixdim
    nib.save(image, path)
    return path


def itk_affine(path: Path) -> np.ndarray:
    """Return where ITK places a file, as RAS."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * reader.GetSpacing()
    affine[:3, 3] = reader.GetOrigin()
    return LPS_TO_RAS @ affine


def nibabel_affine(path: Path) -> np.ndarray:
    return np.asarray(nib.Nifti1Image.from_filename(path).affine)


PLACES = {
    "same": (turned(20), turned(20)),
    "another rotation": (turned(20), turned(50)),
    "another offset": (turned(20), turned(20, offset=3.0)),
    "another spacing": (turned(20), turned(20, spacing=(2.0, 2.0, 2.0))),
}


@pytest.fixture(autouse=True)
def _warn_again() -> None:
    alignment._told.clear()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)


@pytest.mark.parametrize("unit", ["mm", "unknown", "meter", "micron"])
@pytest.mark.parametrize("codes", [*itertools.product((0, 1, 2), (0, 1, 2, 4))])
@pytest.mark.parametrize("places", PLACES)
def test_the_place_is_itks_and_so_is_that_of_a_prediction(tmp_path, places, codes, unit):
    factor = {"meter": 1e-3, "micron": 1e3}.get(unit, 1.0)
    to_unit = np.diag([factor, factor, factor, 1.0])
    qform, sform = PLACES[places]
    scan = save(tmp_path / "scan.nii.gz", to_unit @ qform, to_unit @ sform, codes, unit)
    geometry, _ = read_geometry(scan)
    np.testing.assert_allclose(geometry.affine_array, itk_affine(scan), atol=2e-3)
    # A prediction is written from a geometry that has gone through a prepared folder's JSON.
    grid = WorkingGrid.from_dict(json.loads(json.dumps(WorkingGrid.plan(geometry, None, "z").as_dict())))
    write_label(tmp_path / "made.nii.gz", np.ones(SHAPE, dtype=np.uint8), grid.native)
    write_probabilities(tmp_path / "probs.nii.gz", np.ones((2, *SHAPE), dtype=np.float32), grid.native)
    np.testing.assert_allclose(itk_affine(tmp_path / "made.nii.gz"), itk_affine(scan), atol=2e-3)
    for name in ("made", "probs"):
        np.testing.assert_allclose(nibabel_affine(tmp_path / f"{name}.nii.gz"), nibabel_affine(scan), atol=1e-5)
    assert read_label(tmp_path / "made.nii.gz", geometry).all()


def with_signs(path: Path, signs: tuple[int, int, int]) -> Path:
    """Set the signs of the voxel sizes in a file, which nibabel does not write."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    sizes = np.frombuffer(content, "<f4", 3, 80)
    content[80:92] = (sizes * np.array(signs)).astype("<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(content)))
    return path


@pytest.mark.parametrize("signs", [(-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1), (2, 2), (0, 0)])
def test_a_prediction_lies_on_a_scan_with_negative_voxel_sizes_in_either_reader(tmp_path, caplog, codes, signs):
    scan = with_signs(save(tmp_path / "scan.nii.gz", turned(20), turned(20), codes), signs)
    with caplog.at_level(logging.WARNING, "equireg"):
        geometry, _ = read_geometry(scan)
    assert "negative voxel size" in caplog.text
    assert "ITK" in caplog.text
    np.testing.assert_allclose(geometry.affine_array, itk_affine(scan), atol=2e-3)
    geometry = Geometry.from_dict(json.loads(json.dumps(geometry.as_dict())))
    write_label(tmp_path / "made.nii.gz", np.ones(SHAPE, dtype=np.uint8), geometry)
    np.testing.assert_allclose(itk_affine(tmp_path / "made.nii.gz"), itk_affine(scan), atol=2e-3)
    np.testing.assert_allclose(nibabel_affine(tmp_path / "made.nii.gz"), nibabel_affine(scan), atol=1e-5)
    if max(codes):
        for place in (itk_affine(scan), nibabel_affine(scan)):  # drawn in either reader
            read_label(save(tmp_path / "mask.nii.gz", place, place, (1, 1)), geometry)


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        ((turned(20), turned(50), (1, 2)), "qform and sform disagree by up to"),
        ((turned(20), turned(20, spacing=(2.0, 2.0, 2.0)), (1, 1)), "1 x 2 x 3 and 2 x 2 x 2"),
        ((turned(20), turned(20), (0, 0)), "neither by qform nor by sform"),
        ((turned(20), turned(20), (0, 1), "mm", (1.0, 1.0, 1.0)), "1 x 2 x 3 and 1 x 1 x 1"),
        ((turned(20, spacing=(0.001, 0.002, 0.003)),) * 2 + ((1, 1), "meter"), "metres"),
        ((turned(0), sheared(), (1, 1)), "sheared"),
    ],
)
def test_a_disagreement_is_reported_once_with_the_scan_named(tmp_path, caplog, scan, words):
    path = save(tmp_path / "scan.nii.gz", *scan)
    with caplog.at_level(logging.WARNING, "equireg"):
        read_geometry(path)
        read_geometry(path)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{path}: ")
    assert words in caplog.messages[0]


def test_a_remark_on_many_files_is_one_line_with_their_count(tmp_path, caplog):
    for name in "abcde":
        save(tmp_path / f"{name}.nii.gz", turned(20), turned(50 + ord(name)), (1, 2))
    save(tmp_path / "f.nii.gz", turned(20), turned(20), (0, 0))
    with caplog.at_level(logging.WARNING, "equireg"):
        with alignment.one_line_a_remark():
            for name in "abcdefa":
                read_geometry(tmp_path / f"{name}.nii.gz")
            assert caplog.messages == []
        read_geometry(tmp_path / "c.nii.gz")
    several, single = caplog.messages
    assert several.startswith(f"{tmp_path / 'a.nii.gz'}: its qform and sform disagree by up to")
    assert several.endswith(f"of 4 more files, such as {tmp_path / 'b.nii.gz'}, {tmp_path / 'c.nii.gz'}.")
    assert single.startswith(f"{tmp_path / 'f.nii.gz'}: its header says neither")
    assert "more files" not in single


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1), (2, 2)])
def test_a_plain_scan_is_not_remarked_on(tmp_path, caplog, codes):
    geometry, _ = read_geometry(save(tmp_path / "scan.nii.gz", turned(20), turned(20), codes))
    assert caplog.messages == []
    assert geometry.stated is None
    assert set(geometry.as_dict()) == {"shape", "affine"}


def test_a_mask_drawn_in_either_reader_belongs_to_the_scan(tmp_path):
    scan, _ = read_geometry(save(tmp_path / "scan.nii.gz", turned(20), turned(50), (1, 2)))
    for place in (turned(20), turned(50)):
        read_label(save(tmp_path / "mask.nii.gz", place, place, (1, 1)), scan)
    with pytest.raises(EquiregError, match="another affine"):
        read_label(save(tmp_path / "mask.nii.gz", turned(35), turned(35), (1, 1)), scan)


@pytest.mark.parametrize("codes", [(0, 2), (1, 2), (1, 1)])
def test_a_sheared_sform_counts_as_it_is(tmp_path, codes):
    scan = save(tmp_path / "scan.nii.gz", turned(0), sheared(), codes)
    geometry, _ = read_geometry(scan)
    np.testing.assert_allclose(geometry.affine_array, sheared(), atol=1e-5)
    write_label(tmp_path / "made.nii.gz", np.ones(SHAPE, dtype=np.uint8), geometry)
    np.testing.assert_allclose(nibabel_affine(tmp_path / "made.nii.gz"), sheared(), atol=1e-5)
    assert read_label(tmp_path / "made.nii.gz", geometry).all()
    assert read_geometry(tmp_path / "made.nii.gz")[0].corner_distance_mm(geometry) < 1e-3
    if codes[0]:
        np.testing.assert_allclose(itk_affine(tmp_path / "made.nii.gz"), itk_affine(scan), atol=1e-5)


def test_a_sform_of_zeros_leaves_the_qform(tmp_path):
    content = bytearray(nib.Nifti1Image(np.zeros(SHAPE, dtype=np.uint8), turned(0)).to_bytes())
    header = nib.Nifti1Header(bytes(content[:348]))
    header.set_qform(turned(20), 1)
    header["sform_code"], header["srow_x"], header["srow_y"], header["srow_z"] = 1, 0, 0, 0
    content[:348] = header.binaryblock
    (tmp_path / "scan.nii").write_bytes(bytes(content))
    geometry, _ = read_geometry(tmp_path / "scan.nii")
    np.testing.assert_allclose(geometry.affine_array, turned(20), atol=1e-4)
    np.testing.assert_allclose(geometry.affine_array, itk_affine(tmp_path / "scan.nii"), atol=1e-4)


@pytest.mark.parametrize(("spacing", "shown"), [(500.0, "1 x 500 x 1"), (1e-5, "1 x 1e-05 x 1")])
def test_impossible_spacing_is_refused(tmp_path, spacing, shown):
    place = turned(0, spacing=(1.0, spacing, 1.0))
    with pytest.raises(EquiregError, match=f"voxel spacing of {shown} mm; expected 0.0001 to 50 mm"):
        read_geometry(save(tmp_path / "scan.nii.gz", place, place, (1, 1)))


def test_a_single_slice_may_be_thick_and_microscopes_see_more(tmp_path, caplog):
    for size, spacing in (((8, 8, 1), (1.0, 1.0, 999.0)), ((8, 8, 8), (0.0117, 0.00196, 0.047))):
        nib.save(nib.Nifti1Image(np.ones(size, np.uint8), np.diag([*spacing, 1.0])), tmp_path / "scan.nii")
        geometry, _ = read_geometry(tmp_path / "scan.nii")
        np.testing.assert_allclose(geometry.spacing_mm, spacing, rtol=1e-6)
        assert ("as of microscopy" in caplog.text) == (min(spacing) < 0.01)


def test_a_unit_that_makes_the_spacing_impossible_is_refused(tmp_path):
    with pytest.raises(EquiregError, match="1000 x 2000 x 3000 mm"):
        read_geometry(save(tmp_path / "scan.nii.gz", turned(0), turned(0), (1, 1), "meter"))


def test_geometries_are_alike_by_what_counts():
    plain = Geometry.from_array(SHAPE, turned(0))
    assert plain == Geometry.from_array(SHAPE, turned(0), turned(20), {"qform_code": 1})
