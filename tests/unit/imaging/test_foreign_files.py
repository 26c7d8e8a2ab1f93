"""Damaged, greedy and lying files: each is refused by name, before memory is asked for."""

import bz2
import gzip
import logging
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.imaging.limits import Limits
from equireg.imaging.masks import read_label_values
from equireg.imaging.volume import read_geometry, read_image, read_label, write_label

NOISE = (np.random.default_rng(0).normal(size=(9, 8, 7)) * 100).astype(np.int16)


def nifti(array: np.ndarray = NOISE, kind: type = nib.Nifti1Image) -> bytes:
    return kind(array, np.eye(4), dtype=array.dtype).to_bytes()


def with_sizes(content: bytes, *sizes: int) -> bytes:
    changed = bytearray(content)
    changed[40 : 40 + 2 * (len(sizes) + 1)] = np.array([len(sizes), *sizes], dtype="<i2").tobytes()
    return bytes(changed)


def refusal(path: Path, content: bytes, **limits: float) -> str:
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(EquiregError) as caught:
            read_image([path], limits=Limits(**limits))  # pyright: ignore[reportArgumentType]
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("sizes", [(30000, 30000, 30000), (32767, 32767, 1, 1), (9, 8, 8)])
def test_a_header_that_claims_more_than_the_file_holds(tmp_path, ending, sizes):
    content = with_sizes(nifti(), *sizes)
    message = refusal(tmp_path / f"a{ending}", gzip.compress(content) if ending.endswith("gz") else content)
    assert "cut short" in message or "at most 2147483648" in message


@pytest.mark.parametrize("byte", [400, 1000])
@pytest.mark.parametrize("where", ["image", "mask"])
def test_a_gzip_file_whose_checksum_fails(tmp_path, byte, where):
    packed = bytearray(gzip.compress(nifti(np.abs(NOISE)), compresslevel=0))  # stored: damage stays decodable
    packed[byte] ^= 1
    path = tmp_path / "a.nii.gz"
    path.write_bytes(bytes(packed))
    geometry, _ = read_geometry(path)
    with pytest.raises(EquiregError, match=r"incorrect data check.*Copy it again"):
        _ = read_image([path]) if where == "image" else read_label(path, geometry)


def test_the_length_behind_the_checksum_counts_too(tmp_path):
    packed = bytearray(gzip.compress(nifti()))
    packed[-1] ^= 1
    assert "incorrect length check" in refusal(tmp_path / "a.nii.gz", bytes(packed))


def test_several_members_are_one_file_and_each_is_checked(tmp_path):
    content = nifti()
    packed = gzip.compress(content[:700], compresslevel=0) + gzip.compress(content[700:]) + gzip.compress(b"")
    path = tmp_path / "a.nii.gz"
    path.write_bytes(packed)
    np.testing.assert_array_equal(read_image([path])[0][0], NOISE)
    damaged = bytearray(packed)
    damaged[600] ^= 1
    assert "incorrect data check" in refusal(path, bytes(damaged))


@pytest.mark.parametrize("rubbish", [b"\0" * 512, b"see you", b"\x1f"])
def test_rubbish_behind_a_good_gzip_is_passed_over(tmp_path, rubbish):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti()) + rubbish)
    np.testing.assert_array_equal(read_image([path])[0][0], NOISE)


def test_a_plain_file_named_gz_and_a_gzip_named_plain(tmp_path):
    assert "not a gzip file" in refusal(tmp_path / "a.nii.gz", nifti())
    assert "does not begin with a NIfTI header" in refusal(tmp_path / "a.nii", gzip.compress(nifti()))


def test_a_gzip_bomb_is_refused(tmp_path, monkeypatch):
    zeros = with_sizes(nifti(np.zeros((2, 2, 2), dtype=np.uint8))[:352], 100, 100, 100)
    packed = gzip.compress(zeros + bytes(10**6), compresslevel=9)
    assert "expected at most 200 times" in refusal(tmp_path / "a.nii.gz", packed, small_bytes=1000)
    monkeypatch.setattr("equireg.imaging.streams._BEYOND", 2**21)
    beyond = gzip.compress(nifti() + bytes(2**22), compresslevel=9)
    assert "far more than its header says" in refusal(tmp_path / "a.nii.gz", beyond)


def test_a_mask_of_one_value_may_shrink_as_it_will(tmp_path):
    path = tmp_path / "a.nii.gz"
    header = with_sizes(nifti(np.zeros((1, 1, 1), dtype=np.uint8))[:352], 100, 100, 99)
    path.write_bytes(gzip.compress(header + bytes(990_000)))
    limits = Limits(small_bytes=1000)
    geometry, _ = read_geometry(path)
    assert read_label(path, geometry, limits=limits).shape == (100, 100, 99)
    with pytest.raises(EquiregError, match="of a scan"):
        read_image([path], limits=limits)


def test_sound_files_that_are_not_read_say_how_to_mend_them(tmp_path, caplog, capfd):
    content = bytearray(nifti())
    content[112:120] = np.array([1, np.nan], "<f4").tobytes()
    assert "Set scl_inter to 0" in refusal(tmp_path / "a.nii", bytes(content))
    content = bytearray(nifti())
    content[40:50] = np.array([4, 2, 2, 2, 0], "<i2").tobytes()
    assert "Correct the sizes" in refusal(tmp_path / "b.nii", bytes(content))
    header = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nendian: little\nencoding: bzip2\n\n"
    assert "expected raw or gzip" in refusal(tmp_path / "c.nrrd", header.encode() + bz2.compress(bytes(8)))
    header = "ObjectType = Image\nNDims = 3\nBinaryData = False\nDimSize = 2 2 2\nElementType = MET_UCHAR\n"
    header += "ElementDataFile = LOCAL\n0 1 2 3 4 5 6 7"
    assert "ends within a line" in refusal(tmp_path / "d.mha", header.encode())
    (tmp_path / "e.mha").write_text(header + "\n")
    assert read_image([tmp_path / "e.mha"])[0].max() == 7
    content = bytearray(nifti())
    content[84:88] = np.array(0, "<f4").tobytes()
    (tmp_path / "f.nii").write_bytes(content)
    read_geometry(tmp_path / "f.nii")
    assert "f.nii: its header is corrected: pixdim" in caplog.text
    assert "pixdim" not in capfd.readouterr().err


def test_limits_can_be_given(tmp_path):
    assert "at most 100 in all" in refusal(tmp_path / "a.nii", nifti(), max_voxels=100)
    assert "expected 0.0001 to 0.5 mm" in refusal(tmp_path / "a.nii", nifti(), max_spacing_mm=0.5)


@pytest.mark.parametrize("offset", [np.nan, np.inf, -1.0, 0.0, 1e9])
def test_voxels_that_begin_nowhere(tmp_path, offset):
    content = bytearray(nifti())
    content[108:112] = np.array(offset, dtype="<f4").tobytes()
    for name, file in (("a.nii", bytes(content)), ("a.nii.gz", gzip.compress(bytes(content)))):
        assert "damaged" in refusal(tmp_path / name, file)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "u1", "<f4", ">f8", "<u4", "<i8"])
@pytest.mark.parametrize("scale", [None, (2.0, -5.0), (0.0123, 100.0)])
def test_slices_give_what_nibabel_gives(tmp_path, monkeypatch, kind, dtype, scale):
    monkeypatch.setattr("equireg.imaging.header._SLAB_BYTES", 300)
    header = kind.header_class(endianness=">" if dtype.startswith(">") else "<")
    image = kind(np.abs(NOISE).clip(0, 200).astype(dtype), np.eye(4), header, dtype=np.dtype(dtype))
    if scale:
        image.header.set_slope_inter(*scale)
    nib.save(image, tmp_path / "a.nii.gz")
    expected = kind.from_filename(tmp_path / "a.nii.gz").get_fdata(dtype=np.float32)
    voxels, _ = read_image([tmp_path / "a.nii.gz"])
    np.testing.assert_array_equal(voxels[0], expected)
    assert voxels.flags.c_contiguous


def mask(tmp_path: Path, array: np.ndarray, scale: tuple[float, float] | None = None) -> np.ndarray:
    image = nib.Nifti1Image(array, np.eye(4), dtype=array.dtype)
    if scale:
        image.header.set_slope_inter(*scale)
    nib.save(image, tmp_path / "mask.nii.gz")
    return read_label(tmp_path / "mask.nii.gz", read_geometry(tmp_path / "mask.nii.gz")[0])


@pytest.mark.parametrize("dtype", ["uint32", "int64", "uint64", "float64"])
def test_ids_beyond_24_bits_are_exact(tmp_path, dtype):
    ids = np.array([0, 614454276, 614454277, 312782574], dtype=dtype).reshape(2, 2, 1)
    found = mask(tmp_path, ids)
    assert found.tolist() == ids.tolist()
    assert found.dtype == np.uint32


def test_ids_that_32_bit_floats_have_merged_are_refused(tmp_path):
    with pytest.raises(EquiregError, match=r"mask of float32 with the value 614454272;.*up to 16777216.*integer type"):
        mask(tmp_path, np.full((2, 2, 1), 614454276, dtype=np.float32))


@pytest.mark.parametrize(
    ("highest", "dtype"), [(1, "uint8"), (255, "uint8"), (256, "uint16"), (2**16, "uint32"), (2**32, "uint64")]
)
def test_the_smallest_type_is_found_slice_by_slice(tmp_path, monkeypatch, highest, dtype):
    monkeypatch.setattr("equireg.imaging.header._SLAB_BYTES", 1)
    values = np.zeros((2, 3, 4), dtype=np.int64)
    values[0, 0, 0], values[1, 2, 2] = 1, highest
    found = mask(tmp_path, values)
    assert found.dtype == dtype
    assert found.tolist() == values.tolist()


def test_negative_values_are_no_labels_but_can_be_read_and_written(tmp_path):
    values = np.array([-1, 0, 2, -3], dtype=np.int16).reshape(2, 2, 1)
    with pytest.raises(EquiregError, match=r"negative value -3; expected label values from 0 on"):
        mask(tmp_path, values)
    geometry, _ = read_geometry(tmp_path / "mask.nii.gz")
    write_label(tmp_path / "made.nii.gz", values, geometry)
    found, header = read_label_values(tmp_path / "made.nii.gz")
    assert found.tolist() == values.tolist()
    assert header.dtype == np.int8


def test_a_scale_that_rounds_is_undone_and_reported(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "equireg"):
        found = mask(tmp_path, np.array([0, 32767], dtype=np.int16).reshape(2, 1, 1), (14175.0017 / 32767, 0))
    assert found.ravel().tolist() == [0, 14175]
    assert f"{tmp_path / 'mask.nii.gz'}: the mask has an intensity scale" in caplog.text
    assert "rounded to whole numbers (by 0.00" in caplog.text
    with caplog.at_level(logging.WARNING, "equireg"):
        read_label_values(tmp_path / "mask.nii.gz")
    assert len(caplog.records) == 1  # once a file


@pytest.mark.parametrize(
    ("scale", "values", "words"),
    [
        ((2.0, 1.0), [1, 3, 5], "the values after the scale are used. Save"),
        ((0.5, 0.0), [0, 1, 2], "values that are not whole, such as 0.5; the stored ids 0, 1, 2 are used"),
    ],
)
def test_a_scale_is_applied_where_it_makes_labels_and_reported(tmp_path, caplog, scale, values, words):
    assert mask(tmp_path, np.array([0, 1, 2], np.uint8).reshape(3, 1, 1), scale).ravel().tolist() == values
    assert words in caplog.text


@pytest.mark.parametrize("values", [[0, 1, 1], [0, 1, 3], [2, 4, 0]])
def test_labels_that_were_divided_are_told_as_such(tmp_path, values):
    with pytest.raises(EquiregError, match=rf"All are multiples of {min(filter(None, values)) / 255:.6g}.* multiply"):
        mask(tmp_path, (np.array(values) / 255).astype(np.float32).reshape(3, 1, 1), (1, 0))


@pytest.mark.parametrize("values", [[0, 0.5, 1], [0.25, 0.6, 0.7], [0, 0.5, 2]])
def test_other_fractions_are_told_to_be_resampled(tmp_path, values):
    with pytest.raises(EquiregError, match="nearest neighbour"):
        mask(tmp_path, np.array(values, np.float32).reshape(3, 1, 1), (1, 0))


def test_probabilities_stored_with_a_scale_are_no_labels(tmp_path):
    with pytest.raises(EquiregError, match="not whole numbers"):
        mask(tmp_path, np.arange(1000, dtype=np.int16).reshape(10, 10, 10), (1 / 1000, 0))
