"""What an annotator needs: the scans, as links where a file holds one, and a folder for the masks."""

import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from equireg.config import DicomOptions
from equireg.drawing.scans import shown_channels
from equireg.errors import EquiregError, some_of
from equireg.folders import read_signature
from equireg.folders.prepared import PreparedSet
from equireg.folders.suggestions import MASKS, SCANS
from equireg.imaging.pictures import is_picture
from equireg.imaging.text_headers import with_voxels
from equireg.imaging.volume import write_channels
from equireg.layouts import RawCase, rediscover, with_limits
from equireg.layouts.files import stem_of
from equireg.preparation.raw_states import others_than

log = logging.getLogger("equireg")


def lay_out(folder: Path, data: PreparedSet, cases: Sequence[str], raw: Mapping[str, RawCase] | None) -> None:
    """Make the folder for masks, and lay links to the raw files of some cases into ``folder / scans``.

    DICOM series, and headers whose voxels lie in another file, are written as NIfTI instead.

    Where the raw folder is gone, and ``raw`` is None, the user is told so.
    """
    (folder / MASKS).mkdir(exist_ok=True)
    if raw is None:
        log.warning("the raw folder of %s is not where it was, so no scan is linked. Give it as --scans.", data.root)
        return
    scans = folder / SCANS
    scans.mkdir()
    for name in cases:
        if name not in raw:
            log.warning("%s is no longer in the raw folder, so its scan is not linked", name)
            continue
        if raw[name].series:  # many files, named by whoever exported them
            write_scan(scans / f"{name}.nii.gz", raw[name])
            continue
        images = raw[name].images
        for index, path in enumerate(images):
            if _is_whole(path):
                _link(path, scans / _free_name(scans, path.name, name))
            else:
                own = _free_name(scans, f"{stem_of(path)}.nii.gz", name)
                write_scan(scans / own, raw[name], index if len(images) > 1 else None)


def raw_cases(data: PreparedSet, given: Path | None) -> Mapping[str, RawCase] | None:
    """Return the raw cases that a prepared folder was made from, by name; None where they are gone.

    Raises:
        EquiregError: if the raw folder is given and holds no scans.
    """
    folder = given or data.source
    if folder is None:
        return None
    origins = [read_signature(data.root, "prepare")]
    try:
        found = rediscover(folder, origins, DicomOptions.recorded(origins))
        return {case.name: case for case in with_limits(found.cases, data.limits)}
    except EquiregError as error:
        if given is not None:
            raise
        log.warning("the raw folder is not looked at: %s", error)
        return None


def check_scans(prepared: Mapping[str, str], raw: Mapping[str, RawCase], cases: Iterable[str]) -> None:
    """Refuse cases whose scan is another than the one that was prepared: a mask of one does not fit the other.

    Args:
        prepared: case to the digest of the scan that was prepared.
        raw: the cases of the raw folder.
        cases: those that are looked at.

    Raises:
        EquiregError: if there are some; names them.
    """
    changed = others_than(prepared, [raw[case] for case in cases if case in raw])
    if changed:
        raise EquiregError(other_scans(changed))


def other_scans(cases: Sequence[str]) -> str:
    """Return what is wrong where the scans of some cases are not those that were prepared, and how to mend it."""
    return (
        f"scans that are not those that were prepared: {some_of(cases)}. Run `equireg prepare` again where "
        "they were replaced; with --scans check that folder."
    )


def shown_file(case: RawCase, channels: Sequence[str]) -> Path | int:
    """Return the file of the channel that shows most, or its index where no file holds this channel alone and whole.

    Args:
        case: a scan in its raw folder.
        channels: names of the data set's channels.
    """
    shown = shown_channels(channels, len(channels))[0]
    if case.series or len(case.images) != len(channels):  # DICOM, or one file with all channels
        return case.images[0] if is_picture(case.images[0]) else shown
    return case.images[shown] if _is_whole(case.images[shown]) else shown


def write_scan(path: Path, case: RawCase, channel: int | None = None) -> None:
    """Write a scan that has no single file of its own as NIfTI, all channels or one.

    Raises:
        EquiregError: if it cannot be read, or the disk takes no more.
    """
    image, geometry = case.read_image()
    write_channels(path, image if channel is None else image[channel : channel + 1], geometry)


def _is_whole(path: Path) -> bool:
    """Whether a file holds its voxels itself: a header alone shows nothing elsewhere."""
    return list(with_voxels([path])) == [path]


def _free_name(scans: Path, own: str, case: str) -> str:
    """Return a file's own name; with the case's name in front where another case's file has it."""
    return f"{case}_{own}" if os.path.lexists(scans / own) else own


def _link(path: Path, link: Path) -> None:
    """Link a file; copy it where the file system knows no links."""
    try:
        link.symlink_to(path.resolve())
    except OSError:
        shutil.copyfile(path, link)
