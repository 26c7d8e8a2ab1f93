"""One scan: its voxels and where they lie in the patient.

Arrays here keep the file's own axes, of several files those of the first: images are [C, X, Y, Z], masks [X, Y, Z].
Affines are RAS millimetres.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.alignment import find_turn, geometry_of, warn_once
from equireg.imaging.formats import EXTENSIONS, Channel, not_finite, read_header, read_voxels
from equireg.imaging.geometry import Geometry
from equireg.imaging.limits import LIMITS, Limits
from equireg.imaging.masks import read_label
from equireg.imaging.pictures import is_picture
from equireg.imaging.turning import Turn
from equireg.imaging.writing import write_channels, write_label, write_probabilities

__all__ = [
    "EXTENSIONS",
    "Geometry",
    "read_geometry",
    "read_image",
    "read_label",
    "write_channels",
    "write_label",
    "write_probabilities",
]


def read_geometry(path: Path | str, limits: Limits = LIMITS) -> tuple[Geometry, int]:
    """Read from a file's header where its voxels lie and how many channels it has.

    A header that states two places is reported once: ``placing`` says which one counts.

    Raises:
        EquiregError: if the file is missing, cut short, not an image, or says nothing usable of its geometry.
    """
    path = Path(path)
    header = read_header(path, limits)
    return geometry_of(path, header, limits), header.channels


def read_image(
    paths: Sequence[Path | str], picks: Sequence[int] | None = None, limits: Limits = LIMITS
) -> tuple[np.ndarray, Geometry]:
    """Read one scan: a file a channel in channel order, or one file with all channels.

    Needs 4 bytes a voxel and channel, and 16 MiB.

    Args:
        paths: the files; several must have one channel each and lie on one grid. The first one's axes and header
            count: a file along other axes is turned to these.
        picks: channels to take of one file, in this order; None takes all as they are.
        limits: what a file may claim.

    Returns:
        Voxels [C, X, Y, Z] float32 along the first file's own axes, and their geometry.

    Raises:
        EquiregError: if a file is unreadable, does not fit the first, or has channels that are not finite, or all
            channels are constant.
    """
    if not paths:
        raise ValueError("read_image got no path; expected one file a channel.")
    files = [Path(path) for path in paths]
    if len(files) == 1:
        file = files[0]
        geometry, _ = read_geometry(file, limits)
        voxels, header, seen = read_voxels(file, picks, limits=limits)
        numbers = range(header.channels) if picks is None else picks
        named = [f"channel {number + 1} of {header.channels} " if header.channels > 1 else "" for number in numbers]
        check_channels([file] * len(seen), seen, int(np.prod(geometry.shape)), named)
        return voxels, geometry
    geometry, turns = common_geometry(files, limits)
    image = np.empty((len(files), *geometry.shape), dtype=np.float32)
    found: list[Channel] = []
    for index, (file, turn) in enumerate(zip(files, turns, strict=True)):
        _, _, seen = read_voxels(file, into=turn.to_file(image[index : index + 1]), limits=limits)
        found.append(seen[0])
    check_channels(files, found, int(np.prod(geometry.shape)))
    return image, geometry


def common_geometry(files: Sequence[Path], limits: Limits) -> tuple[Geometry, list[Turn]]:
    """Return the geometry of a case with a file a channel, and what turns each file to it; that of the first counts.

    Raises:
        EquiregError: if a file does not lie on the first one's grid, or has several channels.
    """
    found: list[Geometry] = []
    turns = []
    for file in files:
        geometry, channels = read_geometry(file, limits)
        found.append(geometry)
        turns.append(find_turn(file, geometry, found[0], f"the channel {files[0].name}"))
        if channels != 1:
            raise EquiregError(
                f"{file}: has {channels} channels; expected one, as the case has a file a channel. "
                "Split it, or keep it as the only file of its case."
            )
    return found[0], turns


def check_channels(paths: Sequence[Path], seen: Sequence[Channel], voxels: int, named: Sequence[str] = ()) -> None:
    """Refuse channels that hold no scan; warn of an empty one beside others, as of a contrast that was not taken.

    Of an empty colour of a picture nothing is said.

    Args:
        paths: the file of each.
        seen: what was seen of each while it was read.
        voxels: how many each has.
        named: which of its file's channels each is, with a blank behind; nothing where the file has no other.

    Raises:
        EquiregError: if voxels are not finite, or all channels have one value alone.
    """
    channels = list(zip(paths, seen, named or [""] * len(seen), strict=True))
    for path, found, which in channels:
        if found.bad:
            raise not_finite(path, found.bad, voxels, which)
    empty = [(path, found.low, which) for path, found, which in channels if found.low == found.high]
    for path, value, which in empty:
        what = "pixel" if is_picture(path) else "voxel"
        about = f"{path}: {which}is empty, every {what} is {value:g}"
        if len(empty) == len(channels):
            raise EquiregError(f"{about}; expected a scan. Export it again, or remove the case.")
        if not is_picture(path):
            warn_once(f"{about}. It is used beside the case's other channels. If a scan was lost, export it again.")
