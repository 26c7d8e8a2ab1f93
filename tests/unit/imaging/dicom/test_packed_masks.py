"""Segmentations of one bit a voxel, as writers pack and compress them."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from dicom_series import phantom, segmentation, slices, write
from equireg.errors import EquiregError
from equireg.imaging.dicom.masks import read_mask
from equireg.imaging.geometry import Geometry
from equireg.imaging.limits import LIMITS

DEFLATED_FRAMES = UID("1.2.840.10008.1.2.8.1")


def packed(bits: np.ndarray) -> bytes:
    return np.packbits(bits, bitorder="little").tobytes()


def run_lengths(bits: np.ndarray) -> bytes:
    """Return a frame of RLE Lossless in one segment, each byte as a run of one."""
    return struct.pack("<16L", 1, 64, *[0] * 14) + bytes(part for byte in packed(bits) for part in (0, byte))


def deflated(bits: np.ndarray) -> bytes:
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    found = made.compress(packed(bits)) + made.flush()
    return found + bytes(len(found) % 2)


def jpeg_2000(bits: np.ndarray) -> bytes:
    return encode_array(bits, bits_stored=1, photometric_interpretation=2)


@pytest.mark.parametrize(
    ("syntax", "pack"),
    [
        (ExplicitVRLittleEndian, packed),
        (RLELossless, run_lengths),
        (DEFLATED_FRAMES, deflated),
        (JPEG2000Lossless, jpeg_2000),
    ],
)
def test_a_binary_segmentation_whose_frames_stand_apart(
    tmp_path: Path, syntax: UID, pack: Callable[[np.ndarray], bytes]
) -> None:
    one = phantom((35, 33, 3), row=(0.6, 0.48, 0.64), column=(-0.8, 0.36, 0.48))  # 1155 bits a frame
    mask = np.random.default_rng(0).integers(0, 3, size=(35, 33, 3)).astype(np.uint8)
    made = segmentation(slices(one), mask, ("a", "b"))
    bits = np.unpackbits(np.frombuffer(made.PixelData, np.uint8), bitorder="little")
    frames = [pack(frame) for frame in bits[: made.NumberOfFrames * 1155].reshape(-1, 33, 35)]
    if syntax == ExplicitVRLittleEndian:
        made.PixelData = b"".join(frames)
    else:
        made.PixelData = encapsulate(frames)
        made["PixelData"].is_undefined_length, made["PixelData"].VR = True, "OB"
        made.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "mask.dcm"
    pydicom.dcmwrite(path, made, implicit_vr=False, little_endian=True, force_encoding=True)
    here = Geometry.from_array((35, 33, 3), one.affine)
    np.testing.assert_array_equal(read_mask(path, {1: 1, 2: 2}, here, LIMITS), mask)


def test_a_binary_segmentation_that_is_cut_short(tmp_path: Path) -> None:
    one = phantom((35, 33, 3))
    mask = np.ones((35, 33, 3), np.uint8)
    made = segmentation(slices(one), mask, ["liver"])
    made.PixelData = made.PixelData[:-4]
    (path,) = write(tmp_path, [made])
    with pytest.raises(EquiregError, match="430 bytes where 3 frames of 1155 bits need 434"):
        read_mask(path, {1: 1}, Geometry.from_array((35, 33, 3), one.affine), LIMITS)


def test_a_deflated_frame_that_is_damaged(tmp_path: Path) -> None:
    one = phantom((35, 33, 3))
    made = segmentation(slices(one), np.ones((35, 33, 3), np.uint8), ["liver"])
    made.PixelData = encapsulate([b"\xff" * 20] * 3)
    made["PixelData"].is_undefined_length, made["PixelData"].VR = True, "OB"
    made.file_meta.TransferSyntaxUID = DEFLATED_FRAMES
    pydicom.dcmwrite(tmp_path / "mask.dcm", made, implicit_vr=False, little_endian=True, force_encoding=True)
    with pytest.raises(EquiregError, match="while decompressing data"):
        read_mask(tmp_path / "mask.dcm", {1: 1}, Geometry.from_array((35, 33, 3), one.affine), LIMITS)
