"""What a datalist does not name, though it lies in the same folder."""

from collections.abc import Collection, Iterable
from pathlib import Path

from equireg.layouts.channels import split_channel
from equireg.layouts.dataset_json import NAME
from equireg.layouts.files import folders_with_images, stem_of
from equireg.layouts.folder_words import mask_part
from equireg.layouts.masks import split_mask


def without_contrasts(files: Iterable[Path], listed: Iterable[Path]) -> list[Path]:
    """Leave out files that show a listed case in another contrast: the case may be a test case."""
    names = _names(listed)
    return [file for file in files if not _is_contrast(file, names)]


def _names(files: Iterable[Path]) -> set[tuple[Path, str]]:
    """Return folders and names of files, less the channels that these end with."""
    return {(file.parent, _without_contrast(stem_of(file))) for file in files}


def _without_contrast(stem: str) -> str:
    split = split_channel(stem)
    return split[0] if split else stem


def _is_contrast(file: Path, names: Collection[tuple[Path, str]]) -> bool:
    split = split_channel(stem_of(file))
    return split is not None and (file.parent, split[0]) in names


def told(root: Path, known: Collection[Path], listed: Collection[Path]) -> tuple[tuple[Path, ...], str | None]:
    """Return the images that are left aside, and a warning of them.

    Args:
        root: the folder.
        known: files that are used, refused or listed.
        listed: files of listed scans; their masks, and other contrasts of them, are not meant.
    """
    left = [file for _, files in folders_with_images(root) for file in files if file not in known]
    scans = {name for _, name in _names(listed)}
    meant = [file for file in without_contrasts(left, listed) if _case_of_mask(file) not in scans]
    if not meant:
        return (), None
    return tuple(meant), (
        f"left aside: {len(meant)} images such as {meant[0]}, because {root / NAME} does not list them. List their "
        f'cases under "training" (or "test"), or remove {NAME} to use all cases that lie there.'
    )


def told_trained(root: Path, names: Collection[str]) -> tuple[str, ...]:
    """Return a warning of cases that are trained on though a list leaves them out; nothing where there is none."""
    if not names:
        return ()
    return (
        f"{root / NAME} does not list {len(names)} cases such as {min(names)}, which are used for training. "
        'List those that are not meant for it under "test", or move them elsewhere.',
    )


def _case_of_mask(file: Path) -> str | None:
    """Return the name of the case whose mask a file is by its name or its folder, or None."""
    named = split_mask(stem_of(file))
    if named is None and mask_part(file.parent.name) is None:
        return None
    return _without_contrast(stem_of(file) if named is None else named)
