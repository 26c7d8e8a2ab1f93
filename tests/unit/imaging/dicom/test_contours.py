"""Contours that say less than they should, or more than a scan has room for."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from dicom_series import Phantom, contours, phantom, slices, write
from equireg.errors import EquiregError
from equireg.imaging.dicom.codes import codes_of
from equireg.imaging.dicom.contour_reading import _without_repeated
from equireg.imaging.dicom.contour_writing import write_contours
from equireg.imaging.dicom.heads import Head, read_heads
from equireg.imaging.dicom.library import quietly
from equireg.imaging.dicom.mask_heads import MaskHead, read_mask_head
from equireg.imaging.dicom.masks import read_mask
from equireg.imaging.dicom.seg_writing import Told
from equireg.imaging.dicom.series import series_of
from equireg.imaging.geometry import Geometry
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import LIMITS

LABELS = LabelTable((0, 1), ("background", "lung"))


def square(one: Phantom, place: int, low: float = 1.5, high: float = 5.5) -> tuple[int, np.ndarray]:
    """Return a contour: a slice that exists, and points [4, 3] in the slice that is meant, LPS mm."""
    corners = [(low, 1.5), (high, 1.5), (high, 5.5), (low, 5.5)]
    voxels = np.array([(*corner, place, 1) for corner in corners]).T
    return min(max(place, 0), 5), (np.diag([-1.0, -1, 1, 1]) @ one.affine @ voxels)[:3].T


def test_contours_without_points_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = phantom()
    grid = Geometry.from_array((12, 10, 6), one.affine)
    file = contours(slices(one), {"GTV": [square(one, place) for place in range(4)]})
    first, second, *rest = file.ROIContourSequence[0].ContourSequence
    first.ContourData, first.NumberOfContourPoints = None, 0
    del second.ContourData
    (path,) = write(tmp_path, [file])
    found = read_mask(path, {1: 1}, grid, LIMITS)
    assert found.sum(axis=(0, 1)).tolist() == [0, 0, 16, 16, 0, 0]
    assert caplog.messages == [f"{path}: contours that have no points are left out: GTV (2)."]
    for contour in rest:
        contour.ContourData = None
    (path,) = write(tmp_path / "none", [file])
    with pytest.raises(EquiregError, match="none of its contours has points"):
        read_mask(path, {1: 1}, grid, LIMITS)


def test_contours_beyond_the_scan_are_cut_off_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = phantom()
    body = [square(one, -1), square(one, 0, high=40), square(one, 5), square(one, 6)]
    (path,) = write(tmp_path, [contours(slices(one), {"GTV": [square(one, 2, high=11.5)], "body": body})])
    found = read_mask(path, {1: 1, 2: 2}, Geometry.from_array((12, 10, 6), one.affine), LIMITS)
    assert (found != 0).sum(axis=(0, 1)).tolist() == [40, 0, 40, 0, 0, 16]
    (message,) = caplog.messages
    assert message.endswith("beyond the scan, wholly or in part, and what is beyond is left out: body (3).")


def test_a_contour_of_more_than_64_kb_comes_back(tmp_path: Path) -> None:
    mask = np.zeros((120, 120, 2), np.uint8)
    mask[1:-1, 1:-1, 0] = 1
    mask[4:-4:4, 4:-4:4, 0] = 0  # each hole is joined with the outline
    one = Phantom(mask.astype(np.int16))
    heads = [head for head in read_heads(write(tmp_path / "series", slices(one))) if isinstance(head, Head)]
    series = series_of(heads)
    path = tmp_path / "contours.dcm"
    write_contours(path, mask, series, Told(LABELS, codes_of(LABELS), "equireg"))
    assert np.array_equal(read_mask(path, {1: 1}, series.geometry, LIMITS), mask)
    file = pydicom.dcmread(path)
    data = file.ROIContourSequence[0].ContourSequence[0]["ContourData"]
    assert (data.VR, len("\\".join(map(str, data.value))) > 2**16) == ("DS", True)
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with quietly():
        pydicom.dcmwrite(path, file, implicit_vr=False, little_endian=True)
    assert np.array_equal(read_mask(path, {1: 1}, series.geometry, LIMITS), mask)


def outline(one: Phantom, *corners: tuple[float, float], place: float = 2) -> tuple[int, np.ndarray]:
    """Return a contour through voxels of a slice: the slice, and points [n, 3], LPS mm."""
    voxels = np.array([(*corner, place, 1) for corner in corners]).T
    return round(place), (np.diag([-1.0, -1, 1, 1]) @ one.affine @ voxels)[:3].T


def read_region(folder: Path, one: Phantom, *drawn: tuple[int, np.ndarray]) -> np.ndarray:
    (path,) = write(folder, [contours(slices(one), {"GTV": drawn})])
    return read_mask(path, {1: 1}, Geometry.from_array((12, 10, 6), one.affine), LIMITS)


def test_a_contour_repeated_with_other_rounding_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = phantom()
    corners = [(2, 1.97), (8.03, 2), (8, 6.98), (1.96, 7)]
    drawn = outline(one, *corners)
    rounded = outline(one, *((round(x), round(y)) for x, y in [*corners[2:], *corners[:2]]))
    once = read_region(tmp_path / "once", one, drawn)
    assert np.array_equal(read_region(tmp_path / "twice", one, drawn, rounded), once)
    assert [message.split(": ", 1)[1] for message in caplog.messages] == [
        "contours that repeat another one of their region and slice count once: GTV (1)."
    ]
    hourglass = outline(one, corners[0], corners[2], corners[1], corners[3])  # the same corners
    wall = outline(one, (2.5, 2.5), (7.5, 2.5), (7.5, 6.5), (2.5, 6.5))
    for name, other in (("hourglass", hourglass), ("wall", wall)):
        assert read_region(tmp_path / name, one, drawn, other).sum() < once.sum()


def test_contours_of_two_planes_in_a_slice_are_united(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = phantom()
    low = outline(one, (1.5, 1.5), (7.5, 1.5), (7.5, 6.5), (1.5, 6.5), place=1.8)
    high = outline(one, (2.5, 2.5), (8.5, 2.5), (8.5, 6.5), (2.5, 6.5), place=2.2)
    hole = outline(one, (3.5, 3.5), (5.5, 3.5), (5.5, 5.5), (3.5, 5.5), place=2.21)
    found = read_region(tmp_path, one, low, hole, high)[:, :, 2]
    expected = np.zeros((12, 10), bool)
    expected[2:8, 2:7] = expected[3:9, 3:7] = True
    assert np.array_equal(found == 1, expected)
    assert not caplog.messages


@pytest.mark.parametrize("kind", ["INTERPOLATED_PLANAR", "CLOSEDPLANAR_XOR", None])
def test_contours_of_other_kinds_are_closed(tmp_path: Path, kind: str | None) -> None:
    one = phantom()
    file = contours(slices(one), {"GTV": [square(one, 2)]})
    with quietly():  # pydicom warns of what it writes
        file.ROIContourSequence[0].ContourSequence[0].ContourGeometricType = kind
        (path,) = write(tmp_path, [file])
    assert read_mask(path, {1: 1}, Geometry.from_array((12, 10, 6), one.affine), LIMITS).sum() == 16


def mask_head(folder: Path, file: pydicom.Dataset) -> MaskHead:
    (head,) = read_heads(write(folder, [file]))
    assert isinstance(head, Head)
    return read_mask_head(head)


def names_for(mask: MaskHead, frame: str, *images: str) -> list[str]:
    return [name for _, name in mask.of_series(frame, frozenset(images)).names]


def test_regions_drawn_on_another_scan_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources = slices(phantom())
    own, image = str(sources[0].FrameOfReferenceUID), str(sources[2].SOPInstanceUID)
    file = contours(sources, {"liver": [square(phantom(), 2)], "fused": [square(phantom(), 3)], "none": []})
    fused = file.ROIContourSequence[1].ContourSequence[0].ContourImageSequence[0]
    file.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = "1.2.3"
    assert names_for(mask_head(tmp_path / "same images", file), own, *map(str, (image, fused.ReferencedSOPInstanceUID)))
    fused.ReferencedSOPInstanceUID = "1.2.3.4"
    mask = mask_head(tmp_path / "frames", file)
    assert names_for(mask, own, image) == names_for(mask, own) == ["liver", "none"]
    assert names_for(mask, "1.2.3", "1.2.3.4") == ["fused"]
    assert names_for(mask, "", image) == ["liver", "none"]
    assert names_for(mask, "9.9", "9.9.1") == ["liver", "fused", "none"]  # identities were removed from the scan alone
    assert [message.split(": ", 1)[1] for message in caplog.messages] == [
        "regions that were drawn on another scan than that of the mask are left out: fused.",
        "regions that were drawn on another scan than that of the mask are left out: liver, none.",
    ]
    file.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = own  # drawn on another series in the same place
    assert names_for(mask_head(tmp_path / "one frame", file), own, image) == ["liver", "fused", "none"]
    for region in file.StructureSetROISequence:
        region.ReferencedFrameOfReferenceUID = ""
    assert names_for(mask_head(tmp_path / "no frames", file), own, image) == ["liver", "none"]


def test_contours_that_become_no_region_are_a_problem(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = contours(slices(phantom()), {"GTV": [square(phantom(), 2)], "none": []})
    file.ROIContourSequence[0].ReferencedROINumber = 7
    problem = mask_head(tmp_path / "number", file).problem
    assert problem is not None
    assert "has contours of regions that it does not list: number 7 (1)" in problem.reason
    file.ROIContourSequence.append(pydicom.Dataset())
    file.ROIContourSequence[2].ReferencedROINumber = 1
    assert mask_head(tmp_path / "empty", file).problem is None
    (path,) = write(tmp_path / "empty", [file])
    assert not read_mask(path, {1: 1}, Geometry.from_array((12, 10, 6), phantom().affine), LIMITS).any()
    assert caplog.messages == [f"{path}: contours of regions that it does not list are left out: number 7 (1)."]
    del file.ROIContourSequence
    problem = mask_head(tmp_path / "none", file).problem
    assert problem is not None
    assert "no contours (ROIContourSequence)" in problem.reason


def test_a_contour_that_is_drawn_again_counts_once_among_many() -> None:
    places = np.array([(column, row) for column in range(20) for row in range(10)]) * 1000
    square = np.array([[0, 0], [500, 0], [500, 500], [0, 500]])
    contours_of_plane = [square + place for place in places]
    repeated = [np.roll(corners, 1, axis=0)[::-1] + 0.1 for corners in contours_of_plane[::10]]
    once = _without_repeated([*contours_of_plane, *repeated])
    assert [corners.tolist() for corners in once] == [corners.tolist() for corners in contours_of_plane]
