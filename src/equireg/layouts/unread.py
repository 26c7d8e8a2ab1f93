"""Files that hold scans for other programs and are not read here: they are told of, not passed over."""

from collections.abc import Sequence
from pathlib import Path

from equireg.folders.signature import SIGNATURE, UNFINISHED, is_signed
from equireg.layouts.base import RawDataset
from equireg.layouts.dataset_json import NAME
from equireg.layouts.files import folders_below, images_in, outputs_below
from equireg.layouts.folder_words import mask_part

_VOLUMES = (
    *(".img", ".img.gz", ".mgz", ".mgh", ".mnc", ".mif", ".mif.gz", ".gipl", ".gipl.gz", ".par", ".vti"),
    *(".nii.bz2", ".nii.xz", ".nii.zst", ".nii.z", ".nii.zip"),
)
"""Endings of volumes, in lower case."""
_PICTURES = (".gif", ".ppm", ".pgm", ".pnm", ".jp2", ".svs", ".ppm.gz")
_ARRAYS = (".h5", ".hdf5", ".npz", ".npy", ".mat", ".pt", ".pkl")
_SAVE = "Save volumes as .nii.gz, pictures as .png."
_OUTLINES = (".json", ".geojson", ".xml")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar")
_UNPACK = "Unpack first."


def scans_of_other_kinds(root: Path, *, packed: bool = False) -> str | None:
    """Say how many volumes and pictures of other kinds lie in a folder; None where there are none.

    Args:
        root: the folder.
        packed: whether archives are told too.

    Raises:
        EquiregError: if a folder cannot be read.
    """
    kinds = [((*_VOLUMES, *_PICTURES), _SAVE), *([(_ARCHIVES, _UNPACK)] if packed else [])]
    told = [f"{_told(found)} {remedy}" for endings, remedy in kinds if (found := _ending(root, endings))]
    return f"not used: {' '.join(told)}" if told else None


def outlines(dataset: RawDataset) -> str | None:
    """Say how many files that may hold annotations lie beside pictures without any mask; None where there are none.

    Raises:
        EquiregError: if a folder cannot be read.
    """
    if not dataset.pictures or any(case.label is not None for case in dataset.cases):
        return None
    homes = {case.images[0].parent for case in dataset.cases}
    found = [
        file
        for file in _ending(dataset.root, _OUTLINES)
        if file.name != NAME and (file.parent in homes or mask_part(file.parent.name) is not None)
    ]
    if not found:
        return None
    return (
        f"not used: {len(found)} file{'s' * (len(found) != 1)} such as {found[0]}. If they hold annotations (polygons, "
        "boxes): these are not read; draw them as masks, a PNG of the picture's name and size in masks/."
    )


def outputs_with_images(root: Path) -> tuple[list[str], list[str]]:
    """Tell of outputs of equireg below a folder that hold images; those that are called masks may be meant as such.

    Returns:
        Notes, and warnings.

    Raises:
        EquiregError: if a folder cannot be read.
    """
    notes, warnings = [], []
    for folder in outputs_below(root):
        files = images_in(folder)
        called_masks = any(mask_part(name) is not None for name in folder.relative_to(root).parts)
        mark = SIGNATURE if is_signed(folder) else UNFINISHED
        if files:
            (warnings if called_masks else notes).append(
                f"not used: {len(files)} images such as {files[0]}: {folder / mark} says that equireg wrote the "
                f"folder. If they are of this data set, move {mark} elsewhere; `equireg adopt` takes masks in, too."
            )
    return notes, warnings


def why_nothing_is_found(root: Path) -> str:
    """Say which files of other kinds lie in a folder without a scan, and what to do with them; empty without any."""
    for endings, remedy in ((_ARCHIVES, _UNPACK), ((*_VOLUMES, *_PICTURES, *_ARRAYS), _SAVE)):
        if found := _ending(root, endings):
            return f" The folder holds {_told(found)} {remedy}"
    return "".join(f" {line}" for lines in outputs_with_images(root) for line in lines[:1])


def _ending(root: Path, endings: tuple[str, ...]) -> list[Path]:
    names = ((folder / name for name in sorted(names)) for folder, names in folders_below(root))
    return [file for files in names for file in files if file.name[0] != "." and file.name.lower().endswith(endings)]


def _told(files: Sequence[Path]) -> str:
    if len(files) == 1:
        return f"a file of a kind that equireg does not read, {files[0]}."
    return f"{len(files)} files of kinds that equireg does not read, such as {files[0]}."
