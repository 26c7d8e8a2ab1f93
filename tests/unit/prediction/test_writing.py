"""Predicted masks in each format, and which format a scan's mask gets."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from equireg.config import PredictConfig
from equireg.errors import EquiregError, UsageError
from equireg.folders import predictions
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


def test_the_portal_takes_nifti_alone():
    assert format_of(case_of(Path("a.nrrd")), Looks(LABELS), PredictConfig(portal_zip=True)) == "nifti"
    with pytest.raises(UsageError, match="--format nifti"):
        PredictConfig(portal_zip=True, format="png")


def test_a_volume_as_picture_is_refused_before_anything_is_predicted(tmp_path):
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(VALUES, np.eye(4)), path)
    with pytest.raises(EquiregError, match=r"--format png: a has 7 slices, .* Give --format nifti"):
        check_formats([case_of(path)], Looks(LABELS), PredictConfig(format="png"))
    check_formats([case_of(path)], Looks(LABELS), PredictConfig(format="nrrd"))


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


def test_nrrd_of_a_sheared_scan_is_refused(tmp_path):
    sheared = np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    with pytest.raises(EquiregError, match=r"right angles.*--format nifti"):
        write_mask(
            tmp_path,
            case_of(Path("a.nrrd")),
            VALUES,
            Geometry.from_array(VALUES.shape, sheared),
            Looks(LABELS),
            PredictConfig(),
        )
    assert list(tmp_path.iterdir()) == []
