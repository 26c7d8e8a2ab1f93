"""Segmentations and contours on the grid of their scan."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_series import Phantom, contours, enhanced, phantom, segmentation, slices, write
from equireg.errors import EquiregError
from equireg.imaging.dicom.heads import Head, read_heads
from equireg.imaging.dicom.mask_heads import read_mask_head
from equireg.imaging.dicom.masks import read_mask
from equireg.imaging.geometry import Geometry
from equireg.imaging.limits import LIMITS

OBLIQUE: dict[str, Any] = {"row": (0.6, 0.48, 0.64), "column": (-0.8, 0.36, 0.48)}
MASK = np.random.default_rng(5).integers(0, 3, (12, 10, 6)).astype(np.uint8)
MASK[:, :, 2] = 0  # a slice that the file leaves out


def saved(folder: Path, file: pydicom.Dataset) -> Path:
    return write(folder, [file])[0]


def grid(one: Phantom | None = None) -> Geometry:
    return Geometry.from_array((12, 10, 6), (one or phantom(**OBLIQUE)).affine)


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("multi_frame", [False, True])
def test_a_segmentation_has_its_voxels(tmp_path: Path, kind: str, multi_frame: bool) -> None:
    one = phantom(**OBLIQUE)
    sources = [enhanced(one)] if multi_frame else slices(one)
    drawn = MASK[:, :, ::-1] if multi_frame else MASK  # frames of the made-up file are in reverse order
    path = saved(tmp_path, segmentation(sources, drawn, ["liver", "tumour"], kind))
    assert np.array_equal(read_mask(path, {1: 1, 2: 2}, grid(), LIMITS), MASK)
    assert np.array_equal(read_mask(path, {2: 7}, grid(), LIMITS), 7 * (MASK == 2))


def renumbered(made: pydicom.Dataset, numbers: dict[int, int], padding: int | None) -> pydicom.Dataset:
    """Return a labelmap whose segments have other numbers."""
    pixels = np.frombuffer(made.PixelData, np.uint8)
    made.PixelData = np.vectorize(numbers.get)(pixels).astype(np.uint8).tobytes()
    for segment in made.SegmentSequence:
        segment.SegmentNumber = numbers[int(segment.SegmentNumber)]
    del made.PixelPaddingValue
    if padding is not None:
        made.PixelPaddingValue = padding
    return made


@pytest.mark.parametrize(("padding", "coded"), [(3, True), (3, False), (None, True)])
def test_the_background_of_a_labelmap_is_what_it_says(tmp_path: Path, padding: int | None, coded: bool) -> None:
    made = segmentation(slices(phantom(**OBLIQUE)), MASK, ["liver", "tumour"], "LABELMAP")
    made = renumbered(made, {0: 3, 1: 0, 2: 2}, padding)
    for segment in () if coded else made.SegmentSequence:
        del segment.SegmentedPropertyTypeCodeSequence
    path = saved(tmp_path, made)
    (head,) = read_heads([path])
    assert isinstance(head, Head)
    found = read_mask_head(head)
    assert found.problem is None
    assert sorted(found.names) == [(0, "liver"), (2, "tumour")]
    assert np.array_equal(read_mask(path, {0: 1, 2: 2}, grid(), LIMITS), MASK)


def test_a_segmentation_whose_frames_begin_within_a_byte(tmp_path: Path) -> None:
    one = phantom((11, 7, 5), **OBLIQUE)  # 77 bits a frame
    sources = slices(one)
    mask = np.random.default_rng(0).integers(0, 3, size=(11, 7, 5)).astype(np.uint8)
    path = saved(tmp_path, segmentation(sources, mask, ("a", "b")))
    here = Geometry.from_array((11, 7, 5), one.affine)
    np.testing.assert_array_equal(read_mask(path, {1: 1, 2: 2}, here, LIMITS), mask)


def test_groups_of_a_segmentation_that_say_nothing_for_all_frames(tmp_path: Path) -> None:
    made = segmentation(slices(phantom(**OBLIQUE)), MASK, ["liver", "tumour"])
    for group in made.PerFrameFunctionalGroupsSequence:
        group.update(made.SharedFunctionalGroupsSequence[0])
    made.SharedFunctionalGroupsSequence = []
    assert np.array_equal(read_mask(saved(tmp_path, made), {1: 1, 2: 2}, grid(), LIMITS), MASK)


def test_a_segmentation_elsewhere_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, segmentation(slices(phantom(**OBLIQUE)), MASK, ["liver", "tumour"]))
    with pytest.raises(EquiregError, match="lies between the voxels of its series"):
        read_mask(path, {1: 1, 2: 2}, grid(phantom()), LIMITS)
    shifted = phantom(**OBLIQUE)
    shifted.origin = shifted.position(3)
    with pytest.raises(EquiregError, match="reaches beyond its series"):
        read_mask(path, {1: 1, 2: 2}, grid(shifted), LIMITS)


def test_a_fractional_segmentation_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = saved(tmp_path, segmentation(slices(phantom()), MASK, ["liver", "tumour"], "FRACTIONAL"))
    (head,) = read_heads([path])
    assert isinstance(head, Head)
    problem = read_mask_head(head).problem
    assert problem is not None
    assert "fractional" in problem.reason
    assert "Threshold it" in problem.remedy


def circle(center: tuple[float, float], radius: float, points: int = 200) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([center[0] + radius * np.cos(angle), center[1] + radius * np.sin(angle)])


@pytest.mark.parametrize("where", [{}, OBLIQUE])
def test_contours_fill_a_known_shape_and_leave_its_hole(tmp_path: Path, where: dict[str, Any]) -> None:
    one = phantom(shape=(40, 40, 3), spacing_mm=(0.7, 0.7, 3.0), **where)
    sources = slices(one)

    def in_patient(voxels: np.ndarray, place: int) -> np.ndarray:
        points = np.stack([*voxels, np.full(voxels.shape[1], place), np.ones(voxels.shape[1])])
        return (np.diag([-1.0, -1, 1, 1]) @ one.affine @ points)[:3].T

    outer, inner = circle((19.3, 18.6), 12.4), circle((20.1, 19.2), 5.2)
    drawn = [(1, in_patient(outer, 1)), (1, in_patient(inner, 1)), (2, in_patient(inner, 2))]
    path = saved(tmp_path, contours(sources, {"organ": drawn}))
    found = read_mask(path, {1: 3}, Geometry.from_array((40, 40, 3), one.affine), LIMITS)
    x, y = np.meshgrid(np.arange(40), np.arange(40), indexing="ij")
    outside = np.hypot(x - 19.3, y - 18.6), np.hypot(x - 20.1, y - 19.2)
    ring = (outside[0] < 12.4) & (outside[1] > 5.2)
    # Where the truth is farther than half a voxel from the outline, there is no doubt.
    sure = (np.abs(outside[0] - 12.4) > 0.5) & (np.abs(outside[1] - 5.2) > 0.5)
    assert np.array_equal(found[..., 1][sure] == 3, ring[sure])
    assert np.count_nonzero((found[..., 1] == 3) != ring) <= 4
    assert not found[..., 0].any()
    assert abs(np.count_nonzero(found[..., 2]) - np.pi * 5.2**2) < 6


def in_slice(one: Phantom, place: int, *corners: tuple[float, float]) -> tuple[int, np.ndarray]:
    """Return a contour through voxels of a slice: the slice, and its points [n, 3], LPS mm."""
    points = np.array([(*corner, place, 1) for corner in corners]).T
    return place, (np.diag([-1.0, -1, 1, 1]) @ one.affine @ points)[:3].T


def test_a_region_that_lies_over_another_is_told_with_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = phantom(**OBLIQUE)
    heart = [in_slice(one, place, (1.5, 1.5), (4.5, 1.5), (4.5, 4.5), (1.5, 4.5)) for place in (1, 2)]
    skin = [in_slice(one, 1, (0.5, 0.5), (8.5, 0.5), (8.5, 8.5), (0.5, 8.5))]
    path = saved(tmp_path, contours(slices(one), {"heart": heart, "skin": skin}))
    assert np.unique(read_mask(path, {1: 1, 2: 2}, grid(), LIMITS), return_counts=True)[1].tolist()[1:] == [9, 64]
    assert "overlap in 9 voxels; there the one of the higher label value counts: 'heart' loses 50 %" in caplog.text
    caplog.clear()
    assert np.count_nonzero(read_mask(path, {1: 2, 2: 1}, grid(), LIMITS) == 2) == 18
    assert "'skin' loses 14 % of its voxels to 'heart'. `prepare --segments` numbers" in caplog.text


def test_a_contour_that_repeats_another_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = phantom()
    corners = [(1.5, 1.5), (8.5, 1.5), (8.5, 7.5), (1.5, 7.5)]
    inner = [(3.5, 3.5), (5.5, 3.5), (5.5, 5.5), (3.5, 5.5)]
    regions = {
        "same": [in_slice(one, 1, *corners), in_slice(one, 1, *corners), in_slice(one, 2, *corners)],
        "turned": [in_slice(one, 3, *corners), in_slice(one, 3, *corners[2:], *corners[:2])],
        "back": [in_slice(one, 4, *corners), in_slice(one, 4, *corners[::-1]), in_slice(one, 4, *corners, corners[0])],
        "ring": [in_slice(one, 5, *corners), in_slice(one, 5, *inner), in_slice(one, 5, *inner)],
        "moved": [in_slice(one, 0, *corners), in_slice(one, 0, *((x, y + 1) for x, y in corners))],
    }
    path = saved(tmp_path, contours(slices(one), regions))
    found = read_mask(path, {number: number for number in range(1, 6)}, grid(one), LIMITS)
    whole = np.zeros((12, 10), bool)
    whole[2:9, 2:8] = True
    hole = np.zeros((12, 10), bool)
    hole[4:6, 4:6] = True
    for place, value in ((1, 1), (2, 1), (3, 2), (4, 3)):
        assert np.array_equal(found[:, :, place], whole * value)
    assert np.array_equal(found[:, :, 5], (whole & ~hole) * 4)
    assert np.array_equal(found[:, :, 0], (whole ^ np.roll(whole, 1, axis=1)) * 5)
    assert "that repeat another one of their region and slice count once: back (2), same (1), turned (1)" in caplog.text


def test_a_keyhole_and_nested_contours_keep_their_holes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = phantom()
    outer = [(1.5, 1.5), (8.5, 1.5), (8.5, 7.5), (1.5, 7.5)]
    inner = [(3.5, 3.5), (3.5, 5.5), (5.5, 5.5), (5.5, 3.5)]
    keyhole = in_slice(one, 1, *outer, outer[0], *inner, inner[0])
    island = in_slice(one, 2, (3.6, 3.6), (4.4, 3.6), (4.4, 4.4), (3.6, 4.4))
    nested = [in_slice(one, 2, *outer), in_slice(one, 2, *inner), island]
    found = read_mask(saved(tmp_path, contours(slices(one), {"organ": [keyhole, *nested]})), {1: 1}, grid(one), LIMITS)
    ring = np.zeros((12, 10), bool)
    ring[2:9, 2:8] = True
    ring[4:6, 4:6] = False
    assert np.array_equal(found[:, :, 1], ring)
    ring[4, 4] = True
    assert np.array_equal(found[:, :, 2], ring)
    assert not caplog.records


def test_contours_without_an_inside_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = phantom()
    square = in_slice(one, 1, (1.5, 1.5), (8.5, 1.5), (8.5, 7.5), (1.5, 7.5))
    file = contours(slices(one), {"GTV": [square, square, in_slice(one, 2, (1, 1), (3, 3), (4, 1))], "iso": [square]})
    drawn = [contour for region in file.ROIContourSequence for contour in region.ContourSequence]
    for contour, kind in zip(drawn[1:], ("OPEN_PLANAR", "OPEN_NONPLANAR", "POINT"), strict=True):
        contour.ContourGeometricType = kind
    path = saved(tmp_path, file)
    for _ in range(2):
        assert np.count_nonzero(read_mask(path, {1: 1, 2: 2}, grid(one), LIMITS)) == 7 * 6
    (record,) = caplog.records
    assert str(path) in record.message
    assert "have no inside and are left out: GTV (2), iso (1)." in record.message
    read_mask(path, {7: 1}, grid(one), LIMITS)  # regions that are not used are not told
    assert len(caplog.records) == 1


def test_contours_along_the_centres_of_voxels_have_these(tmp_path: Path) -> None:
    one = phantom(**OBLIQUE)
    left, right = [(2, 2), (5, 2), (5, 8), (2, 8)], [(5, 2), (9, 2), (9, 8), (5, 8)]
    drawn = [in_slice(one, 1, *left), in_slice(one, 1, *right), in_slice(one, 1, (6, 4), (8, 4), (8, 6), (6, 6))]
    found = read_mask(saved(tmp_path, contours(slices(one), {"organ": drawn})), {1: 1}, grid(one), LIMITS)
    whole = np.zeros((12, 10, 6), bool)
    whole[2:10, 2:9, 1] = True
    whole[7, 5, 1] = False  # what is inside the third contour
    assert np.array_equal(found, whole)


def test_segments_drawn_in_every_second_slice_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = phantom((12, 10, 12))
    place = Geometry.from_array((12, 10, 12), one.affine)
    where = {
        "second": (1, 3, 5, 7),
        "third": (2, 5, 8, 11),
        "gaps": (0, 1, 2, 7, 8, 9),
        "two": (3, 9),
        "all": range(12),
    }
    regions = {
        name: [in_slice(one, number, (column, 1), (column, 8)) for number in places]
        for column, (name, places) in enumerate(where.items(), 1)
    }
    mask = np.zeros((12, 10, 12), np.uint8)
    for value, places in enumerate(where.values(), 1):
        mask[value, 1:9, list(places)] = value
    for number, made in enumerate((contours(slices(one), regions), segmentation(slices(one), mask, list(where)))):
        path = saved(tmp_path / f"{number}", made)
        assert np.array_equal(read_mask(path, {value: value for value in range(1, 6)}, place, LIMITS), mask)
        (record,) = caplog.records
        assert str(path) in record.message
        assert record.message.endswith(": third (6), second (3).")
        caplog.clear()


def test_contours_across_or_beyond_the_slices_are_refused(tmp_path: Path) -> None:
    one = phantom()
    place = Geometry.from_array((12, 10, 6), one.affine)
    square = np.array([[-8.0, -18, 30], [-6, -18, 30], [-6, -14, 30]])
    across = square + np.array([[0, 0, 0], [0, 0, 2.5], [0, 0, 5]])
    for name, points, finding in (
        ("across", across, "slices beside"),
        ("beyond", square + np.array([0, 0, 50]), "beyond"),
    ):
        path = saved(tmp_path / name, contours(slices(one), {"organ": [(0, points)]}))
        with pytest.raises(EquiregError, match=finding):
            read_mask(path, {1: 1}, place, LIMITS)


def test_a_damaged_mask_is_one_line(tmp_path: Path) -> None:
    file = contours(slices(phantom()), {"organ": [(0, np.zeros((3, 3)))]})
    del file.ROIContourSequence[0].ContourSequence[0].ContourData
    with pytest.raises(EquiregError, match="damaged or incomplete"):
        read_mask(saved(tmp_path, file), {1: 1}, Geometry.from_array((12, 10, 6), phantom().affine), LIMITS)


def test_frames_that_become_no_segment_are_a_problem(tmp_path: Path) -> None:
    def problem(name: str) -> str:
        (head,) = read_heads([saved(tmp_path / name, made)])
        assert isinstance(head, Head)
        return str(read_mask_head(head).problem)

    made = segmentation(slices(phantom()), MASK, ["liver", "tumour"])
    assert problem("whole") == "None"
    for group in made.PerFrameFunctionalGroupsSequence:
        group.SegmentIdentificationSequence[0].ReferencedSegmentNumber += 1
    assert "has frames of segments that it does not list: number 3 (5)." in problem("unknown")
    del made.PerFrameFunctionalGroupsSequence
    assert "PerFrameFunctionalGroupsSequence" in problem("groups")
    with pytest.raises(EquiregError, match="damaged or incomplete"):
        read_mask(tmp_path / "groups" / "IM0000", {1: 1, 2: 2}, grid(phantom()), LIMITS)


def test_what_the_standard_does_not_allow_is_read_without_a_word(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    one = phantom(**OBLIQUE)
    made = segmentation(slices(one), MASK, ["liver", "tumour"])
    made.StudyInstanceUID = "1." + "2" * 80  # longer than a UID may be
    path = saved(tmp_path, made)
    recwarn.clear()
    (head,) = read_heads([path])
    assert isinstance(head, Head)
    assert read_mask_head(head).names == ((1, "liver"), (2, "tumour"))
    assert np.array_equal(read_mask(path, {1: 1, 2: 2}, grid(), LIMITS), MASK)
    assert recwarn.list == []
