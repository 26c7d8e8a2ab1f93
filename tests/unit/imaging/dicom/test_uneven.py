"""Masks of series whose slices lie at unequal distances."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_series import contours, phantom, segmentation, slices, write
from equireg.imaging.dicom.codes import codes_of
from equireg.imaging.dicom.contour_writing import write_contours
from equireg.imaging.dicom.heads import Head, read_heads
from equireg.imaging.dicom.masks import read_mask
from equireg.imaging.dicom.reading import series_geometry
from equireg.imaging.dicom.seg_writing import Told, write_segmentation
from equireg.imaging.dicom.series import Series, series_of
from equireg.imaging.geometry import Geometry
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import LIMITS
from equireg.imaging.masks import MaskFiles

LABELS = LabelTable((0, 1), ("background", "liver"))
TOLD = Told(LABELS, codes_of(LABELS), "equireg")
COUNT = 40
DRIFTING = np.cumsum(np.linspace(0.96, 1.04, COUNT))  # beside equal distances by 0.4 in the middle
ROUNDED = np.round(np.arange(COUNT) * 0.25 + 0.03, 1)
MASK = (np.random.default_rng(0).random((12, 10, COUNT)) < 0.5).astype(np.uint8)
MASK[:, :, [3, 18]] = 0


def series_at(folder: Path, heights: np.ndarray) -> tuple[Series, dict[str, float]]:
    """Return a series, and the heights of its images."""
    files = slices(phantom((12, 10, COUNT)))
    for file, height in zip(files, heights, strict=True):
        file.ImagePositionPatient = [-10, -20, float(height)]
    heads = [head for head in read_heads(write(folder, files)) if isinstance(head, Head)]
    return series_of(heads), {str(file.SOPInstanceUID): float(file.ImagePositionPatient[2]) for file in files}


@pytest.mark.parametrize("heights", [DRIFTING, ROUNDED], ids=["drifting", "rounded"])
@pytest.mark.parametrize("writer", [write_segmentation, write_contours])
def test_own_masks_come_back_where_they_are(tmp_path: Path, writer: object, heights: np.ndarray) -> None:
    series, height_of = series_at(tmp_path / "series", heights)
    path = tmp_path / "mask.dcm"
    (write_segmentation if writer is write_segmentation else write_contours)(path, MASK, series, TOLD)
    recorded = Geometry.from_dict(series_geometry(series, LIMITS).as_dict())
    assert np.array_equal(read_mask(path, {1: 1}, recorded, LIMITS), MASK)
    of_nifti = Geometry.from_array(recorded.shape, recorded.affine_array)
    files = MaskFiles(path, segments=((1, 1),), grid=series.geometry)
    assert np.array_equal(files.read(of_nifti), MASK)
    for contour in next(iter(pydicom.dcmread(path).get("ROIContourSequence", [])), {}).get("ContourSequence", []):
        own = height_of[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        assert abs(float(contour.ContourData[2]) - own) < 1e-3


def test_masks_on_a_grid_of_equal_distances_are_read(tmp_path: Path) -> None:
    series, _ = series_at(tmp_path / "series", DRIFTING)
    assert series.geometry.slices is not None
    even = phantom((12, 10, COUNT), spacing_mm=(0.8, 1.2, 1.0), origin=(-10, -20, 0.96))
    (path,) = write(tmp_path / "segmentation", [segmentation(slices(even), MASK, ["liver"])])
    assert np.array_equal(read_mask(path, {1: 1}, series.geometry, LIMITS), MASK)
    corners = np.array([[-8.0, -18, 0], [-6, -18, 0], [-6, -14, 0]])
    drawn = [(place, corners + np.array([0, 0, 0.96 + place])) for place in (15, 16, 20)]
    (path,) = write(tmp_path / "contours", [contours(slices(even), {"liver": drawn})])
    found = read_mask(path, {1: 1}, series.geometry, LIMITS)
    assert np.flatnonzero(found.any(axis=(0, 1))).tolist() == [15, 16, 20]


def test_equal_distances_say_nothing_of_slices(tmp_path: Path) -> None:
    series, _ = series_at(tmp_path / "series", np.arange(COUNT) * 2.5)
    assert series.geometry.slices is None
    assert "slices" not in series.geometry.as_dict()
