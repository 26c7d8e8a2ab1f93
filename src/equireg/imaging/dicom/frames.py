"""The stored numbers of frames: decoded by a process of their own, file by file, so that a scan needs little memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from equireg.disk import read_errors
from equireg.errors import EquiregError
from equireg.imaging.itk_readers import ReaderError, borrowed
from equireg.imaging.limits import Limits

_SCRIPT = Path(__file__).parents[1] / "dicom_process.py"
_ASKED_BYTES = 2**26
"""Decoded frames that are asked for at once."""
_BYTES_A_SECOND = 5e6


def read_frames(
    files: Sequence[Path], frames: Sequence[tuple[int, int]], shape: tuple[int, int], limits: Limits
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the stored numbers of frames, with their places among those asked for.

    Args:
        files: the files.
        frames: index of the file and number of the frame in it, from 0.
        shape: rows and columns of each.
        limits: how long a file may take.

    Yields:
        Index into ``frames``, and float32 [rows, columns].

    Raises:
        EquiregError: if a file cannot be read; names it.
    """
    places: dict[int, list[int]] = {}
    for place, (file, _) in enumerate(frames):
        places.setdefault(file, []).append(place)
    frame_bytes = 4 * shape[0] * shape[1]
    most = max(1, _ASKED_BYTES // frame_bytes)
    with borrowed(_SCRIPT) as reader:
        for file, mine in places.items():
            path = files[file]
            with read_errors(path):
                size = path.stat().st_size
            for start in range(0, len(mine), most):
                asked = mine[start : start + most]
                memory = len(asked) * frame_bytes * 4 + size * 2
                request = {
                    "path": str(path.absolute()),
                    "frames": [frames[place][1] for place in asked],
                    "memory": memory,
                }
                try:
                    with reader.no_longer_than(limits.seconds + memory / _BYTES_A_SECOND):
                        answer = reader.ask(request)
                        if tuple(answer["shape"]) != shape:
                            raise ReaderError(f"its pixels are {answer['shape']}, its header says {shape}")
                        whole = [np.frombuffer(reader.read(frame_bytes), "<f4").reshape(shape) for _ in asked]
                except ReaderError as error:
                    raise EquiregError(
                        f"{path}: its pixels cannot be read, they are cut short, damaged, or compressed in a way that "
                        f"is not known ({str(error).rstrip('.')}). Export the series again uncompressed, or remove it."
                    ) from error
                yield from zip(asked, whole, strict=True)
