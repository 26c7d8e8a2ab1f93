"""The reader of DICOM pixels: a process of its own, as a damaged file can crash a decoder or make it ask for memory.

Runs as a script. A request is ``{"path": .., "frames": [numbers from 0], "down": bool, "memory": bytes}``; what follows
the answer are the stored numbers of these frames, float32, rows slowest: 2 to the power of 24 is the largest that is
exact. The answer says whether the header has them in the upper bits (``upper``), and whether the bits below are used
all the same (``lower``); they are moved down where ``down`` says so.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from equireg.imaging.reader_process import Answer, serve

_DEFLATED_FRAMES, _RUN_LENGTHS = "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.5"
"""Transfer syntaxes that keep eight voxels of one bit in a byte."""


def main() -> None:
    """Serve requests until the input ends."""
    import warnings

    from pydicom import config
    from pydicom.errors import BytesLengthException, InvalidDicomError

    warnings.simplefilter("ignore")
    config.settings.reading_validation_mode = config.IGNORE
    serve(_read, (InvalidDicomError, BytesLengthException, AttributeError, KeyError, TypeError, zlib.error))


def _read(request: dict[str, Any]) -> Answer:
    from pydicom import dcmread

    path = request["path"]
    tags = ["BitsAllocated", "BitsStored", "HighBit", "Rows", "Columns"]
    head = dcmread(path, force=True, stop_before_pixels=True, specific_tags=tags)
    raw = [np.ascontiguousarray(frame) for frame in _frames(path, request["frames"], head)]
    below = _bits_below(head)
    lower = below > 0 and any(frame.dtype.kind in "iu" and (frame & ((1 << below) - 1)).any() for frame in raw)
    frames = [_used_bits(frame, head, below if request["down"] else 0) for frame in raw]
    shape = frames[0].shape
    if len(frames) != len(request["frames"]) or len(shape) != 2 or any(frame.shape != shape for frame in frames):
        raise ValueError(f"it holds frames of shape {shape}, {len(frames)} of the {len(request['frames'])} asked for")
    size = len(frames) * frames[0].size * np.dtype(np.float32).itemsize
    answer = {"shape": shape, "bytes": size, "upper": below > 0, "lower": bool(lower)}
    return answer, (frame.astype("<f4").tobytes() for frame in frames)


def _frames(path: str, numbers: list[int], head: Any) -> Iterator[np.ndarray]:
    """Yield some frames as they are stored."""
    from pydicom import dcmread
    from pydicom.pixels.utils import iter_pixels

    if head.get("BitsAllocated") == 1:
        yield from _packed(dcmread(path, force=True), numbers)
        return
    source: Any = path
    if not _is_read_in_parts(path):
        source = dcmread(path, force=True)
        source.file_meta.TransferSyntaxUID = source.file_meta.get("TransferSyntaxUID") or _syntax(source)
    yield from iter_pixels(source, indices=numbers, raw=True, correct_unused_bits=False)


def _packed(source: Any, numbers: list[int]) -> Iterator[np.ndarray]:
    """Yield frames of one bit a voxel."""
    rows, columns, content = int(source.Rows), int(source.Columns), source["PixelData"]
    parts = _compressed(source, numbers) if content.is_undefined_length else _plain(source, numbers)
    for bits in parts:
        yield bits[: rows * columns].reshape(rows, columns)


def _plain(source: Any, numbers: list[int]) -> Iterator[np.ndarray]:
    """Yield the bits of frames that follow each other without a gap; of some writers, each begins with a byte."""
    voxels, count, content = int(source.Rows) * int(source.Columns), _count(source), source.PixelData
    together, apart = -(-count * voxels // 8), count * -(-voxels // 8)
    if len(content) not in (together, together + 1, apart, apart + 1):
        raise ValueError(f"it has {len(content)} bytes where {count} frames of {voxels} bits need {together}")
    step = voxels if len(content) in (together, together + 1) else 8 * -(-voxels // 8)
    for number in numbers:
        first, beyond = number * step, number * step + voxels
        part = np.frombuffer(content[first // 8 : -(-beyond // 8)], np.uint8)
        yield np.unpackbits(part, bitorder="little")[first % 8 :]


def _compressed(source: Any, numbers: list[int]) -> Iterator[np.ndarray]:
    """Yield the bits of compressed frames: JPEG has a sample for each, the other ways have eight in a byte."""
    from pydicom.encaps import get_frame
    from pydicom.pixels.utils import iter_pixels

    syntax, frame_bytes = source.file_meta.TransferSyntaxUID, -(-int(source.Rows) * int(source.Columns) // 8)
    if syntax == _DEFLATED_FRAMES:
        for number in numbers:
            frame = get_frame(source.PixelData, number, number_of_frames=_count(source))
            part = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, frame_bytes)
            yield np.unpackbits(np.frombuffer(part, np.uint8), bitorder="little")
        return
    source.BitsAllocated, source.BitsStored, source.HighBit = 8, 8, 7
    if syntax == _RUN_LENGTHS:
        source.Rows, source.Columns = 1, frame_bytes
    for frame in iter_pixels(source, indices=numbers, raw=True):
        yield np.unpackbits(frame.ravel(), bitorder="little") if syntax == _RUN_LENGTHS else frame.ravel() != 0


def _count(source: Any) -> int:
    return int(source.get("NumberOfFrames") or 1)


def _bits_below(head: Any) -> int:
    """Return how many bits lie below the stored numbers, by the header."""
    allocated, stored = int(head.BitsAllocated), int(head.get("BitsStored") or head.BitsAllocated)
    return max(0, min(int(head.get("HighBit") or 0), allocated - 1) + 1 - stored)


def _used_bits(frame: np.ndarray, head: Any, below: int) -> np.ndarray:
    """Return the stored numbers, moved down by so many bits, without the bits above: old files keep overlays there."""
    allocated, stored = int(head.BitsAllocated), int(head.get("BitsStored") or head.BitsAllocated)
    if stored >= allocated or frame.dtype.kind not in "iu":
        return frame
    frame = frame >> below
    if frame.dtype.kind == "u":
        return frame & frame.dtype.type((1 << stored) - 1)
    room = frame.dtype.itemsize * 8 - stored
    return (frame << room) >> room


def _is_read_in_parts(path: str) -> bool:
    """Whether pydicom finds a frame without reading all: in a file that begins as it should and is not deflated."""
    with open(path, "rb") as file:
        head = file.read(4096)
    return head[128:132] == b"DICM" and b"1.2.840.10008.1.2.1.99" not in head


def _syntax(source: Any) -> str:
    """Return the transfer syntax of a file that does not state it: uncompressed, as its elements are written."""
    implicit, little = source.original_encoding
    if not little:
        return "1.2.840.10008.1.2.2"
    return "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"


if __name__ == "__main__":
    main()
