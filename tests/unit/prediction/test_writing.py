"""Predicted masks in each format, and which format a scan's mask gets."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dicom_series import phantom, slices, write
from equireg.config import PredictConfig
from equireg.errors import EquiregError, UsageError
from equireg.folders import predictions
from equireg.imaging.dicom.heads import Head, read_heads
from equireg.imaging.dicom.series import series_of
from equireg.imaging.geometry import Geometry
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import read_geometry, read_label
from equireg.layouts import RawCase
from equireg.prediction.scans import InputCase, RawScan
from equireg.prediction.writing import Looks, check_formats, format_of, write_mask

LABELS = LabelTable((0, 1, 4), ("background", "tumour core", "rim"), colours={4: (255, 0, 0)})
TURNED = np.array([[0, -1.5, 0, 7], [0.9, 0, 0, -3], [0, 0, 2.5, 11], [0, 0, 0, 1.0]])
VALUES = np.random.default_rng(0).choice([0, 1, 4], (5, 6, 7)).astype(np.uint8)


def case_of(path: Path) -> InputCase:
    scan = RawScan(RawCase("a", (path,), None, "a", False), None)  # pyright: ignore[reportArgumentType]
    return InputCase("a", scan)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.nii", "nifti"), ("a.nii.gz", "nifti"), ("a.mha", "nifti"), ("a.NRRD", "nrrd"), ("a.jpg", "png")],
)
def test_a_mask_gets_the_format_of_its_scan(name, expected):
    assert format_of(case_of(Path(name)), Looks(LABELS), PredictConfig()) == expected
    assert format_of(case_of(Path(name)), Looks(LABELS), PredictConfig(format="nrrd")) == "nrrd"


def test_a_mask_for_the_archive_needs_a_series(tmp_path):
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(VALUES, np.eye(4)), path)
    for chosen in ("dicom-seg", "rtstruct"):
        with pytest.raises(EquiregError, match=r"a did not come as a DICOM series, .* give --format nifti"):
            check_formats([case_of(path), case_of(path)], PredictConfig(format=chosen))
    with pytest.raises(UsageError, match="--format dicom-seg beside it"):
        PredictConfig(codes="a.csv", format="nrrd")


def test_a_dicom_scan_gets_both(tmp_path):
    files = write(tmp_path / "series", slices(phantom(VALUES.shape)))
    series = series_of([head for head in read_heads(files) if isinstance(head, Head)])
    raw = RawCase("a", (series.files[0],), None, "a", False, series=(series,))
    case = InputCase("a", RawScan(raw, None))  # pyright: ignore[reportArgumentType]
    for chosen in ("auto", "rtstruct"):
        out = tmp_path / chosen
        out.mkdir()
        path = write_mask(out, case, VALUES, series.geometry, Looks(LABELS), PredictConfig(format=chosen))
        assert path == predictions.prediction_file(out, "a") == out / "a.nii.gz"
        found = pydicom.dcmread(predictions.dicom_file(out, "a"))
        assert found.Modality == ("SEG" if chosen == "auto" else "RTSTRUCT")
        assert set(predictions.files_of(out, "a")) >= {path, out / "dicom/a.dcm"}
    plain = tmp_path / "plain"
    plain.mkdir()
    write_mask(plain, case, VALUES, series.geometry, Looks(LABELS), PredictConfig(format="nifti"))
    assert [path.name for path in plain.iterdir()] == ["a.nii.gz"]


def test_what_the_archive_cannot_take_costs_no_prediction(tmp_path, caplog):
    files = slices(phantom(VALUES.shape))
    for one in files:
        del one.StudyInstanceUID
    heads = read_heads(write(tmp_path / "series", files))
    series = series_of([head for head in heads if isinstance(head, Head)])
    raw = RawCase("a", (series.files[0],), None, "a", False, series=(series,))
    case = InputCase("a", RawScan(raw, None))  # pyright: ignore[reportArgumentType]
    path = write_mask(tmp_path, case, VALUES, series.geometry, Looks(LABELS), PredictConfig())
    assert path.is_file()
    assert "cannot be written" in caplog.text
    with pytest.raises(EquiregError, match="cannot be written"):
        write_mask(tmp_path, case, VALUES, series.geometry, Looks(LABELS), PredictConfig(format="dicom-seg"))


def test_the_portal_takes_nifti_alone():
    assert format_of(case_of(Path("a.nrrd")), Looks(LABELS), PredictConfig(portal_zip=True)) == "nifti"
    with pytest.raises(UsageError, match="--format nifti"):
        PredictConfig(portal_zip=True, format="png")


def test_a_volume_as_picture_is_refused_before_anything_is_predicted(tmp_path):
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(VALUES, np.eye(4)), path)
    with pytest.raises(EquiregError, match=r"--format png: a has 7 slices, .* Give --format nifti"):
        check_formats([case_of(path)], PredictConfig(format="png"))
    check_formats([case_of(path)], PredictConfig(format="nrrd"))


@pytest.mark.parametrize("chosen", ["nifti", "nrrd"])
def test_volumes_lie_where_their_scan_lies(tmp_path, chosen):
    geometry = Geometry.from_array(VALUES.shape, TURNED)
    config = PredictConfig(format=chosen)
    path = write_mask(tmp_path, case_of(Path("a.nii")), VALUES, geometry, Looks(LABELS), config)
    assert path == predictions.prediction_file(tmp_path, "a")
    assert predictions.case_of(path.name) == "a"
    found, _ = read_geometry(path)
    assert found.corner_distance_mm(geometry) < 1e-3
    np.testing.assert_array_equal(read_label(path, geometry), VALUES)
    assert list(tmp_path.iterdir()) == [path]


def test_nrrd_names_the_segments_as_slicer_reads_them(tmp_path):
    geometry = Geometry.from_array(VALUES.shape, TURNED)
    path = write_mask(tmp_path, case_of(Path("a.nrrd")), VALUES, geometry, Looks(LABELS), PredictConfig())
    assert path.name == "a.seg.nrrd"
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    told = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    assert (told["Segment0_Name"], told["Segment0_LabelValue"]) == ("tumour core", "1")
    assert (told["Segment1_Name"], told["Segment1_LabelValue"], told["Segment1_Color"]) == ("rim", "4", "1 0 0")
    assert told["Segmentation_SourceRepresentation"] == "Binary labelmap"
    assert "Segment2_Name" not in told


def test_nrrd_of_a_sheared_scan_is_refused_before_anything_is_predicted(tmp_path):
    sheared = np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    path, config = tmp_path / "a.nii", PredictConfig(format="nrrd")
    nib.save(nib.Nifti1Image(VALUES, sheared), path)
    with pytest.raises(EquiregError, match=r"--format nrrd: a has axes .* right angles.*--format nifti"):
        check_formats([case_of(path)], config)
    geometry, _ = read_geometry(path)
    with pytest.raises(EquiregError, match=r"right angles.*--format nifti"):
        write_mask(tmp_path, case_of(path), VALUES, geometry, Looks(LABELS), config)
    assert list(tmp_path.iterdir()) == [path]


def test_a_sheared_scan_in_nrrd_gets_its_mask_in_nifti(tmp_path, caplog):
    geometry = Geometry.from_array(VALUES.shape, TURNED + 0.3 * np.eye(4, k=1))
    check_formats([case_of(Path("a.nrrd"))], PredictConfig())
    path = write_mask(tmp_path, case_of(Path("a.nrrd")), VALUES, geometry, Looks(LABELS), PredictConfig())
    assert path == tmp_path / "a.nii.gz"
    assert "a: has axes that are not at right angles" in caplog.text
    np.testing.assert_array_equal(read_label(path, geometry), VALUES)


@pytest.mark.parametrize("turn", [(-1, 0, 0, 1), (0, 1, -1, 0)])
def test_the_mask_of_a_scan_of_two_axes_in_nrrd_has_two_axes(tmp_path, turn):
    scan = sitk.GetImageFromArray(VALUES[:, :, 0].T)
    scan.SetSpacing((1.5, 0.7))
    scan.SetOrigin((3, -8))
    scan.SetDirection(turn)
    sitk.WriteImage(scan, str(tmp_path / "a.nrrd"))
    geometry, _ = read_geometry(tmp_path / "a.nrrd")
    out = tmp_path / "out"
    out.mkdir()
    path = write_mask(out, case_of(tmp_path / "a.nrrd"), VALUES[:, :, :1], geometry, Looks(LABELS), PredictConfig())
    mask = sitk.ReadImage(str(path))
    assert (mask.GetSize(), mask.GetOrigin()) == (scan.GetSize(), scan.GetOrigin())
    np.testing.assert_allclose((mask.GetDirection(), mask.GetSpacing() * 2), (turn, scan.GetSpacing() * 2))
    np.testing.assert_array_equal(read_label(path, geometry), VALUES[:, :, :1])
    nib.save(nib.Nifti1Image(VALUES[:, :, 0], TURNED), tmp_path / "b.nii")  # two axes in another plane than z = 0
    geometry, _ = read_geometry(tmp_path / "b.nii")
    path = write_mask(
        out, case_of(tmp_path / "b.nii"), VALUES[:, :, :1], geometry, Looks(LABELS), PredictConfig(format="nrrd")
    )
    np.testing.assert_array_equal(read_label(path, geometry), VALUES[:, :, :1])
    assert read_geometry(path)[0].corner_distance_mm(geometry) < 1e-3
