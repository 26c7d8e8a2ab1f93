"""The stored numbers of frames: decoded by a process of their own, file by file, so that a scan needs little memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg.disk import read_errors
from equireg.errors import EquiregError
from equireg.imaging.itk_readers import Reader, ReaderError, borrowed
from equireg.imaging.limits import Limits

_SCRIPT = Path(__file__).parents[1] / "dicom_process.py"
_ASKED_BYTES = 2**26
"""Decoded frames that are asked for at once."""
_BYTES_A_SECOND = 5e6


def read_frames(
    files: Sequence[Path], frames: Sequence[tuple[int, int]], shape: tuple[int, int], limits: Limits
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the stored numbers of frames, with their places among those asked for.

    Numbers that the headers say to lie in the upper bits are moved down, unless a frame uses the bits below after all.

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
    most = max(1, _ASKED_BYTES // (4 * shape[0] * shape[1]))
    requests = [
        (files[file], mine[start : start + most])
        for file, mine in places.items()
        for start in range(0, len(mine), most)
    ]
    down: bool | None = None
    with borrowed(_SCRIPT) as reader:

        def ask(path: Path, asked: Sequence[int], *, down: bool) -> _Frames:
            return _ask(reader, path, [frames[place][1] for place in asked], shape, limits, down=down)

        for path, asked in requests:
            found = ask(path, asked, down=bool(down))
            if found.upper and down is None:
                down = not any(ask(*request, down=False).lower for request in requests)
                found = ask(path, asked, down=down)
            yield from zip(asked, found.numbers, strict=True)


@dataclass(frozen=True)
class _Frames:
    """Some frames of one file."""

    numbers: Sequence[np.ndarray]
    upper: bool
    """Whether the header says that they lie in the upper bits."""
    lower: bool
    """Whether it says so, and the bits below are used all the same."""


def _ask(
    reader: Reader, path: Path, numbers: Sequence[int], shape: tuple[int, int], limits: Limits, *, down: bool
) -> _Frames:
    with read_errors(path):
        size = path.stat().st_size
    frame_bytes = 4 * shape[0] * shape[1]
    memory = len(numbers) * frame_bytes * 4 + size * 2
    request = {"path": str(path.absolute()), "frames": numbers, "down": down, "memory": memory}
    try:
        with reader.no_longer_than(limits.seconds + memory / _BYTES_A_SECOND):
            answer = reader.ask(request)
            if tuple(answer["shape"]) != shape:
                raise ReaderError(f"its pixels are {answer['shape']}, its header says {shape}")
            whole = [np.frombuffer(reader.read(frame_bytes), "<f4").reshape(shape) for _ in numbers]
    except ReaderError as error:
        raise EquiregError(
            f"{path}: its pixels cannot be read, they are cut short, damaged, or compressed in a way that "
            f"is not known ({str(error).rstrip('.')}). Export the series again uncompressed, or remove it."
        ) from error
    return _Frames(whole, answer["upper"], answer["lower"])
