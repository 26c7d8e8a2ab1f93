"""Series of slices to voxels: order, place, values, and all that is no stack."""

import copy
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_series import MR, Phantom, compressed, enhanced, phantom, slices, write, write_series
from equireg.errors import EquiregError
from equireg.imaging.dicom.heads import Head, read_heads
from equireg.imaging.dicom.library import quietly
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.dicom.reading import read_series
from equireg.imaging.dicom.series import Series, series_of
from equireg.imaging.geometry import Geometry
from equireg.imaging.limits import LIMITS, Limits

OBLIQUE: dict[str, Any] = {"row": (0.6, 0.48, 0.64), "column": (-0.8, 0.36, 0.48)}


def heads(files: Sequence[Path]) -> list[Head]:
    found = list(read_heads(files))
    assert all(isinstance(head, Head) for head in found), found
    return [head for head in found if isinstance(head, Head)]


def series(folder: Path) -> Series:
    return series_of(heads(sorted(folder.iterdir())))


def read(folder: Path) -> tuple[np.ndarray, Geometry]:
    image, geometry = read_series([series(folder)], LIMITS)
    return image[0], geometry


@pytest.mark.parametrize("where", [{}, OBLIQUE])
def test_shuffled_slices_lie_as_the_standard_says(tmp_path: Path, where: dict[str, Any]) -> None:
    one = write_series(tmp_path, **where)
    image, geometry = read(tmp_path)
    assert np.array_equal(image, one.stored)
    assert np.allclose(geometry.affine_array, one.affine, rtol=0, atol=1e-5)


def test_frames_of_an_enhanced_file_have_their_own_order_and_slope(tmp_path: Path) -> None:
    one, slopes = phantom(**OBLIQUE), [1, 2, 0.5, 4, 3, 7]
    write(tmp_path, [enhanced(one, slopes)])
    image, geometry = read(tmp_path)
    assert np.array_equal(image, one.stored * np.array(slopes, np.float32))
    assert np.allclose(geometry.affine_array, one.affine, rtol=0, atol=1e-5)


def test_each_slice_has_its_own_slope_and_intercept(tmp_path: Path) -> None:
    one = phantom()
    files = slices(one)
    for place, file in enumerate(files):
        file.RescaleSlope, file.RescaleIntercept = 1 + place / 2, -1024
    write(tmp_path, files)
    image, _ = read(tmp_path)
    assert np.array_equal(image, one.stored * (1 + np.arange(6, dtype=np.float32) / 2) - 1024)


def test_a_slope_of_0_is_refused_where_it_hides_an_image(tmp_path: Path) -> None:
    one = phantom()
    one.stored[:, :, 0] = 7  # some PET scanners write an empty slice so
    files = slices(one)
    files[0].RescaleSlope = 0
    write(tmp_path / "empty", files)
    assert np.array_equal(read(tmp_path / "empty")[0], one.stored * (np.arange(6) > 0))
    files[3].RescaleSlope = 0
    paths = write(tmp_path / "hidden", files)
    with pytest.raises(EquiregError, match=f"{paths[3]}: has the RescaleSlope 0"):
        read(tmp_path / "hidden")


def test_slices_without_a_rescale_among_others_are_told(tmp_path: Path) -> None:
    files = slices(phantom(more={"RescaleIntercept": -1024}))
    del files[3].RescaleSlope, files[3].RescaleIntercept
    paths = write(tmp_path / "some", files)
    remark = str(series(tmp_path / "some").remark)
    assert "1 of its 6 slices lack RescaleSlope or RescaleIntercept" in remark
    assert str(paths[3]) in remark
    for file in files:
        file.RescaleSlope, file.RescaleIntercept = 1, 0
    del files[3].RescaleSlope, files[3].RescaleIntercept
    write(tmp_path / "same", files)
    assert series(tmp_path / "same").remark is None


@pytest.mark.parametrize(("modality", "remedy"), [("US", "PNG"), ("NM", "NIfTI"), ("CT", "NIfTI")])
def test_pictures_without_a_place_are_told_to_convert(tmp_path: Path, modality: str, remedy: str) -> None:
    (file, *_) = slices(phantom())
    file.Modality, file.PixelSpacing = modality, None
    (head,) = heads(write(tmp_path, [file]))
    assert f"convert them to {remedy}" in str(head.aside)


def test_negative_numbers_of_twelve_bits_are_read_without_an_overlay_above_them(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(-2048, 2048, (6, 5, 3)).astype(np.int16)
    files = slices(Phantom(stored & 0x0FFF))  # bits 12 to 15 are free
    for file in files:
        file.BitsStored, file.HighBit = 12, 11
        values = np.frombuffer(file.PixelData, np.int16) | np.int16(0x4000)
        file.PixelData = values.tobytes()
    write(tmp_path, files)
    image, _ = read(tmp_path)
    assert np.array_equal(image, stored)


@pytest.mark.parametrize(("kind", "padding", "intercept"), [
    ("i2", (-32768,), 0),
    ("i2", (63536,), -1024),  # -2000 with another sign than the pixels
    ("i2", (-2000, -1990), 0),
    ("u2", (65535,), 0),
    ("u2", (60000, 65535), 0),
])  # fmt: skip
@pytest.mark.parametrize("implicit", [False, True])
def test_padding_becomes_the_least_other_value(
    tmp_path: Path, kind: str, padding: tuple[int, ...], intercept: float, implicit: bool
) -> None:
    one = phantom()
    bits = np.array(padding).astype(np.uint16).view(np.dtype(kind))
    stored = one.stored.astype(kind) + 7
    stored[:3, :2], stored[3:5, :2] = bits[0], bits[-1]
    files = slices(Phantom(stored, more={"RescaleIntercept": intercept}))
    for file in files:
        vr = "SS" if padding[0] < 0 else "US"
        file.add_new("PixelPaddingValue", vr, padding[0])
        if padding[1:]:
            file.add_new("PixelPaddingRangeLimit", vr, padding[1])
        if implicit:
            file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    write(tmp_path, files)
    expected = one.stored + 7.0 + intercept
    others = np.ones(expected.shape, bool)
    others[:5, :2] = False
    expected[~others] = expected[others].min()
    assert np.array_equal(read(tmp_path)[0], expected)


@pytest.mark.parametrize(("padding", "lift"), [(0, 9), (100, 0)])
def test_padding_of_zero_or_amid_the_values_stays(tmp_path: Path, padding: int, lift: int) -> None:
    stored = phantom().stored + np.int16(lift)
    stored[:3, :2] = padding
    write(tmp_path, slices(Phantom(stored, more={"PixelPaddingValue": padding})))
    assert np.array_equal(read(tmp_path)[0], stored)


@pytest.mark.parametrize("signed", [False, True])
def test_numbers_in_the_upper_bits_are_moved_down(tmp_path: Path, signed: bool) -> None:
    stored = np.random.default_rng(0).integers(-2048 * signed, 4096 - 2048 * signed, (6, 5, 3)).astype(np.int16)
    for name, raw in (("upper", stored * 16), ("lower", stored)):  # some headers say so without need
        files = slices(Phantom(raw.astype(np.int16 if signed else np.uint16)))
        for file in files:
            file.BitsStored, file.HighBit = 12, 15
        write(tmp_path / name, files)
        assert np.array_equal(read(tmp_path / name)[0], stored)


@pytest.mark.parametrize("raised", [False, True])
def test_where_the_numbers_lie_is_decided_for_all_slices_together(tmp_path: Path, raised: bool) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (6, 5, 3)).astype(np.uint16)
    stored[:, :, 0], stored[:, :, 1] = 1024, stored[:, :, 1] % 16  # the first has no bits that could tell
    files = slices(Phantom(stored * np.uint16(16) if raised else stored))
    for file in files:
        file.BitsStored, file.HighBit = 12, 15
    write(tmp_path, files)
    assert np.array_equal(read(tmp_path)[0], stored)


@pytest.mark.parametrize("where", [{}, OBLIQUE])
def test_dcm2niix_reads_the_same(tmp_path: Path, where: dict[str, Any]) -> None:
    program = Path(sysconfig.get_path("scripts")) / "dcm2niix"
    if not program.is_file():
        pytest.skip(f"dcm2niix is not installed beside {sys.executable}")
    stored = np.random.default_rng(0).integers(-900, 900, (12, 10, 6)).astype(np.int16)
    more = {"RescaleIntercept": -24, "RescaleSlope": 2}
    one = Phantom(stored, more=more, **where)
    write(tmp_path / "series", slices(one, MR))
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run([program, "-b", "n", "-f", "x", "-o", out, tmp_path / "series"], check=True, capture_output=True)
    image, geometry = read(tmp_path / "series")
    theirs = nib.as_closest_canonical(nib.load(out / "x.nii"))
    ours = nib.as_closest_canonical(nib.Nifti1Image(image, geometry.affine_array))
    assert np.allclose(ours.affine, theirs.affine, rtol=0, atol=1e-3)
    assert np.array_equal(ours.get_fdata(), theirs.get_fdata())


@pytest.mark.parametrize(("packed", "plain"), [
    ("MR_small_RLE.dcm", "MR_small.dcm"),
    ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
    ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
    ("MR_small_bigendian.dcm", "MR_small.dcm"),
    ("MR_small_implicit.dcm", "MR_small.dcm"),
])  # fmt: skip
def test_other_transfer_syntaxes_give_the_same_voxels(packed: str, plain: str) -> None:
    found = [Path(str(get_testdata_file(name, download=False))) for name in (packed, plain)]
    first, second = (read_series([series_of(heads([path]))], LIMITS)[0] for path in found)
    assert np.array_equal(first, second)
    assert np.array_equal(second[0, :, :, 0].T, pydicom.dcmread(found[1]).pixel_array)


def test_a_compressed_series_is_read(tmp_path: Path) -> None:
    one = phantom(shape=(64, 48, 2))
    write(tmp_path, [compressed(file, "1.2.840.10008.1.2.4.90") for file in slices(one)])
    assert np.array_equal(read(tmp_path)[0], one.stored)


def test_a_deflated_series_is_read_unless_it_grows_beyond_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = phantom()
    files = slices(one)
    for file in files:
        file.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    paths = write(tmp_path, files)
    assert np.array_equal(read(tmp_path)[0], one.stored)
    monkeypatch.setattr("equireg.imaging.dicom.heads._MOST_INFLATED", 100)
    (head,) = read_heads(paths[:1])
    assert "grows beyond 100 bytes" in getattr(head, "finding", "")


def test_a_file_without_a_preamble_is_read(tmp_path: Path) -> None:
    one = phantom()
    for path in write(tmp_path, slices(one), ending=".dcm"):
        file = pydicom.dcmread(path)
        del file.file_meta, file.preamble
        file.save_as(path, implicit_vr=False, little_endian=True)
        assert path.read_bytes()[128:132] != b"DICM"
    assert np.array_equal(read(tmp_path)[0], one.stored)


def test_what_is_no_stack_says_why(tmp_path: Path) -> None:
    def refused(name: str, files: Sequence[pydicom.Dataset], finding: str) -> None:
        write(tmp_path / name, files)
        with pytest.raises(SeriesError, match=finding) as caught:
            series(tmp_path / name)
        assert str(tmp_path / name) in caught.value.reason

    one = phantom(shape=(4, 4, 8))
    refused("missing", [file for file in slices(one) if file.InstanceNumber not in (4, 5)], "2 slices are missing")
    doubled = slices(one) + slices(phantom(shape=(4, 4, 8), series=4))
    for file in doubled[8:]:
        file.EchoTime = 90
    refused("twice", doubled, r"differ in EchoTime \(2 values\): 8 duplicate")
    pair = slices(one) + slices(phantom(shape=(4, 4, 8), seed=1, series=4))
    for place, file in enumerate(pair):
        file.ImageType = ["ORIGINAL", "PRIMARY", "MP"[place // 8], "ND"]
    refused("magnitude and phase", pair, r"differ in ImageType \(2 values\): 8 duplicate")
    uneven = slices(one)
    uneven[3].ImagePositionPatient[2] += 0.9
    refused("uneven", uneven, "expected one distance")
    tilted = slices(one)
    for place, file in enumerate(tilted):
        file.ImagePositionPatient[1] += place * 0.5
    refused("tilt", tilted, r"gantry tilt of 11\.3 degrees")
    ended = slices(one)
    ended[7].ImagePositionPatient[0] += 8
    refused("ended", ended, "lies 8 mm sideways of most slices")
    echoes = slices(one)
    for place, file in enumerate(echoes):
        file.EchoTime = (20, 80)[place % 2]
        file.AcquisitionNumber = place % 2
    refused("echoes", echoes, "2 values of EchoTime by turns")
    refused("sizes", [*slices(one)[:4], *slices(phantom(shape=(5, 4, 8)))[4:]], "of another size")
    turned = slices(one)
    turned[2].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    refused("orientation", turned, "of another orientation")
    tables = slices(one)
    for file in tables:
        file.ModalityLUTSequence = [pydicom.Dataset()]
    refused("table", tables, "Modality LUT")


@pytest.mark.parametrize("shifts_mm", [
    [0, 0, 0, 8, 8, 0, 0, 0],
    [0, 5, 0, 5, 0, 5, 0, 5],
    [0.5, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, -0.6, 0, 0],
])  # fmt: skip
def test_slices_that_lie_sideways_are_refused(tmp_path: Path, shifts_mm: list[float]) -> None:
    files = slices(phantom((4, 4, 8)))
    for file, shift in zip(files, shifts_mm, strict=True):
        file.ImagePositionPatient[0] += shift
    write(tmp_path, files)
    with pytest.raises(SeriesError, match="mm sideways of most slices of its series"):
        series(tmp_path)


@pytest.mark.parametrize("turns", [
    {"EchoTime": (20, 20, 80)},
    {"AcquisitionNumber": (1, 2), "TriggerTime": (0, 500)},
    {"EchoTime": (80, *[20] * 7)},
])  # fmt: skip
def test_interleaved_slices_are_one_scan(tmp_path: Path, turns: dict[str, tuple[int, ...]]) -> None:
    files = slices(phantom((4, 4, 8)))
    for place, file in enumerate(files):
        file.ImagePositionPatient[0] += 0.2 * (place in (3, 4))  # less than half a pixel
        for name, values in turns.items():
            setattr(file, name, values[place % len(values)])
    write(tmp_path, files)
    assert series(tmp_path).geometry.shape == (4, 4, 8)


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_orientations_may_be_rounded(tmp_path: Path, digits: int) -> None:
    row, column = np.array([0.9513, 0.1677, -0.2588]), np.array([-0.0846, 0.9493, 0.3029])
    one = phantom((4, 4, 40), row=row, column=column)
    files = slices(one)
    for file in files:
        file.ImageOrientationPatient = [round(float(value), digits) for value in (*row, *column)]
    write(tmp_path / "oblique", files)
    assert np.allclose(series(tmp_path / "oblique").geometry.affine_array[:, 2], one.affine[:, 2], atol=1e-4)
    straight = slices(phantom((4, 4, 40)))
    for place, file in enumerate(straight):
        file.ImagePositionPatient[1] += place * 0.01  # 0.2 degrees
    write(tmp_path / "straight", straight)
    with pytest.raises(SeriesError, match=r"gantry tilt of 0\.2 degrees"):
        series(tmp_path / "straight")


def test_stacks_within_one_file_are_no_files_to_move(tmp_path: Path) -> None:
    times, turned = enhanced(phantom()), enhanced(phantom())
    times.NumberOfFrames, times.PixelData = 12, times.PixelData * 2
    groups = [*times.PerFrameFunctionalGroupsSequence, *copy.deepcopy(times.PerFrameFunctionalGroupsSequence)]
    for number, group in enumerate(groups):
        group.FrameContentSequence = [pydicom.Dataset()]
        group.FrameContentSequence[0].TemporalPositionIndex = number // 6
    times.PerFrameFunctionalGroupsSequence = groups
    plane = pydicom.Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    turned.PerFrameFunctionalGroupsSequence[3].PlaneOrientationSequence = [plane]
    for name, file, finding in (
        ("times", times, r"several frames in one place, which differ in TemporalPosition.* \(2 values\): 6 duplicate"),
        ("turned", turned, "has a frame of another orientation than its first"),
    ):
        write(tmp_path / name, [file])
        with pytest.raises(SeriesError, match=finding) as caught:
            series(tmp_path / name)
        assert "as a file of its own" in caught.value.remedy


def test_elements_that_no_voxel_needs_may_be_unreadable(tmp_path: Path) -> None:
    one = phantom()
    files, frames = slices(one), enhanced(one)
    measures = frames.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    with quietly():  # pydicom warns of what it writes
        for file in (*files, measures):
            unreadable(file, "SliceThickness", "SpacingBetweenSlices")
        for file in files:
            unreadable(file, "SeriesNumber", "InstanceNumber", "EchoTime", "AcquisitionNumber")
        write(tmp_path / "single", files)
        write(tmp_path / "enhanced", [frames])
    for name in ("single", "enhanced"):
        image, geometry = read(tmp_path / name)
        assert np.array_equal(image, one.stored)
        assert np.allclose(geometry.affine_array, one.affine, rtol=0, atol=1e-5)
    (head, *_) = heads(sorted((tmp_path / "single").iterdir()))
    assert (head.series_number, head.instance, head.plane.thickness_mm) == (None, 0, None)
    with quietly():
        unreadable(files[0], "RescaleSlope")
        (path,) = write(tmp_path / "slope", files[:1])
    assert not isinstance(next(iter(read_heads([path]))), Head)


def unreadable(dataset: pydicom.Dataset, *names: str) -> None:
    """Put text where numbers belong."""
    for name in names:
        tag = Tag(name)
        dataset[tag] = RawDataElement(tag, "IS" if name.endswith("Number") else "DS", 4, b"thin", 0, False, True)


def test_positions_may_be_rounded(tmp_path: Path) -> None:
    one = phantom(spacing_mm=(1.0, 1.0, 0.625), **OBLIQUE)
    files = slices(one)
    for file in files:
        file.ImagePositionPatient = [round(float(value), 2) for value in file.ImagePositionPatient]
    write(tmp_path, files)
    assert np.abs(series(tmp_path).geometry.affine_array - one.affine).max() < 0.02


@pytest.mark.parametrize("spacing_mm", [0.33, 0.625, 0.75, 0.9, 1.25])
def test_positions_may_be_rounded_to_a_tenth_of_a_millimetre(tmp_path: Path, spacing_mm: float) -> None:
    one = phantom((4, 4, 40), spacing_mm=(1.0, 1.0, spacing_mm))
    files = slices(one)
    for file in files:
        file.ImagePositionPatient = [round(float(value), 1) for value in file.ImagePositionPatient]
    write(tmp_path, files)
    assert abs(series(tmp_path).geometry.spacing_mm[2] - spacing_mm) < 0.004


def shifted(shifts_mm: Sequence[float]) -> Sequence[pydicom.Dataset]:
    """Return slices 1 mm apart, each shifted along the normal."""
    files = slices(phantom((4, 4, len(shifts_mm)), spacing_mm=(1.0, 1.0, 1.0)))
    for file, shift in zip(files, shifts_mm, strict=True):
        file.ImagePositionPatient[2] += shift
    return files


@pytest.mark.parametrize("shifts_mm", [
    [0.03, -0.03] * 6,
    [0, 0, 0.03, 0, 0.03, 0.03, 0, 0.03],
    [0, 0.049, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, -0.05],
])  # fmt: skip
def test_slices_may_lie_up_to_5_percent_beside_their_places(tmp_path: Path, shifts_mm: list[float]) -> None:
    write(tmp_path, shifted(shifts_mm))
    geometry = series(tmp_path).geometry
    assert abs(geometry.spacing_mm[2] - 1) < 0.01
    assert geometry.shape[2] == len(shifts_mm)


def test_distances_may_change_slowly(tmp_path: Path) -> None:
    write(tmp_path, shifted([0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]))
    assert abs(series(tmp_path).geometry.spacing_mm[2] - (11 + 0.2) / 11) < 1e-3


@pytest.mark.parametrize(("shifts_mm", "finding"), [
    ([0, 0, 0, 0.07, 0, 0, 0, 0], "0.061 mm beside its place among slices at equal distances"),
    ([0.07, -0.07] * 6, "beside its place"),
    ([0, 0, 0.25], "beside its place"),
    ([0, 0, 0, 0, 0.2, 0.2, 0.2, 0.2], "expected one distance"),
    ([0, 0.03, 0, 1.03, 1, 1.03, 1, 1.03], "1 slice is missing"),
    ([0, 0, 0, 0, 2, 2], "2 slices are missing"),
    ([0, 0, 0, -1, -1, -1], "1 duplicate"),
    ([0, 0, 0, -0.97, -1, -0.97], "beside its place"),
])  # fmt: skip
def test_other_slices_are_refused(tmp_path: Path, shifts_mm: list[float], finding: str) -> None:
    write(tmp_path, shifted(shifts_mm))
    with pytest.raises(SeriesError, match=finding):
        series(tmp_path)


def test_damaged_pixels_name_their_file(tmp_path: Path) -> None:
    paths = write(tmp_path, slices(phantom()))
    found = series(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-50])
    with pytest.raises(EquiregError, match=f"{paths[2]}: its pixels cannot be read"):
        read_series([found], LIMITS)
    paths[3].unlink()
    with pytest.raises(EquiregError):
        read_series([found], LIMITS)


def test_a_slice_without_pixels_is_named(tmp_path: Path) -> None:
    files = slices(phantom((64, 60, 4)))
    del files[2].PixelData
    paths = write(tmp_path, files)
    with pytest.raises(EquiregError, match=f"{paths[2]}: is cut short or damaged: its header claims 64 x 60 x 1"):
        read(tmp_path)


def test_a_header_is_not_believed(tmp_path: Path) -> None:
    files = slices(phantom())
    for file in files:
        file.Rows, file.Columns = 30000, 20000
    write(tmp_path, files)
    with pytest.raises(EquiregError, match="expected at most"):
        read_series([series(tmp_path)], Limits(max_voxels=10**6))
    with pytest.raises(EquiregError, match="the file can hold"):
        read_series([series(tmp_path)], Limits(max_voxels=2**40))


def test_low_numbers_that_mean_bright_are_kept_and_told(tmp_path: Path) -> None:
    one = phantom(more={"PhotometricInterpretation": "MONOCHROME1"})
    write(tmp_path, slices(one))
    assert "MONOCHROME1" in str(series(tmp_path).remark)
    assert np.array_equal(read(tmp_path)[0], one.stored)
