"""Plain folders: ``images/`` and ``labels/``, a folder a case, or scans and masks beside each other."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from equireg.errors import EquiregError
from equireg.imaging.formats import read_header
from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError, Refusal, describe
from equireg.layouts.channels import modality_of
from equireg.layouts.files import FolderPair, folder_pairs, folders_with_images, image_files, split_mask, stem_of
from equireg.layouts.grouping import Group, choose_scheme, common_channels, group_files, group_folders


@dataclass
class _Harvest:
    """What the folders yield, while they are read."""

    cases: list[tuple[Group, Path | None, bool]] = field(default_factory=list)
    """Files, mask and whether held out, a case."""
    orphans: list[Path] = field(default_factory=list)


def find(root: Path, channel_count: int | None = None) -> FoundSet:
    """Find scans under any names.

    Args:
        root: the folder.
        channel_count: channels of a case, where it is known; tells ``x_0000`` the channel from the case.

    Raises:
        LayoutMismatchError: if there is no image.
    """
    harvest = _Harvest()
    pairs = [pair for pair in folder_pairs(root) if any(folders_with_images(pair.images))]
    if pairs:
        _read_pairs(pairs, harvest, channel_count)
    else:
        _read_mixed(root, harvest, channel_count)
    if not harvest.cases:
        raise LayoutMismatchError(
            f"{root}: has no scans, neither directly inside nor in images/ nor in a folder a case; expected "
            ".nii, .nii.gz, .mha or .nrrd files."
        )
    return _to_found(harvest)


def _read_pairs(pairs: Sequence[FolderPair], harvest: _Harvest, channel_count: int | None) -> None:
    """Read folders of scans with folders of masks."""
    masks = {
        pair.labels: [file for _, files in folders_with_images(pair.labels) for file in files]
        for pair in pairs
        if pair.labels
    }
    direct = [file for pair in pairs for file in image_files(pair.images)]
    scheme = choose_scheme(direct, {stem for files in masks.values() for stem in _mask_names(files)}, channel_count)
    used: set[Path] = set()
    for pair in pairs:
        groups = group_files(image_files(pair.images), scheme)
        below = {folder: files for folder, files in folders_with_images(pair.images) if folder != pair.images}
        groups += group_folders(below, channel_count)
        index = _mask_names(masks[pair.labels], with_folder=True) if pair.labels else {}
        for group in groups:
            label = _mask_of(group, index)
            used |= {label} if label else set()
            harvest.cases.append((group, label, pair.held_out))
    harvest.orphans += sorted({file for files in masks.values() for file in files} - used)


def _read_mixed(root: Path, harvest: _Harvest, channel_count: int | None) -> None:
    """Read folders in which masks lie beside their scans and are told by their names."""
    scans: dict[Path, list[Path]] = {}
    masks: dict[Path, list[Path]] = {}
    for folder, files in folders_with_images(root):
        masks[folder] = [file for file in files if split_mask(stem_of(file)) is not None]
        scans[folder] = [file for file in files if file not in masks[folder]]
    index = {folder: _mask_names(files) for folder, files in masks.items()}
    direct = scans.get(root, [])
    groups = group_files(direct, choose_scheme(direct, index.get(root, {}), channel_count))
    below = {folder: files for folder, files in scans.items() if files and folder != root}
    groups += group_folders(below, channel_count)
    used: set[Path] = set()
    for group in groups:
        folder = next(iter(group.files.values())).parent
        label = _mask_of(group, index[folder])
        if label is None and set(group.files.values()) == set(scans[folder]):
            label = _only_mask(masks[folder], at_root=folder == root)
        used |= {label} if label else set()
        harvest.cases.append((group, label, False))
    harvest.orphans += sorted({file for files in masks.values() for file in files} - used)


def _only_mask(masks: Sequence[Path], *, at_root: bool) -> Path | None:
    """Return the only mask beside the only case of a folder, whatever its name.

    At the root it must be a plain ``seg``: ``b_seg`` beside ``a`` is the mask of another scan.
    """
    if len(masks) != 1 or (at_root and split_mask(stem_of(masks[0]))):
        return None
    return masks[0]


def _mask_names(files: Collection[Path], *, with_folder: bool = False) -> dict[str, Path]:
    """Index masks by the names of cases that they may belong to; the full stem goes before a part of it."""
    index: dict[str, Path] = {}
    for file in files:
        index[stem_of(file)] = file
    for file in files:
        index.setdefault(split_mask(stem_of(file)) or stem_of(file), file)
        if with_folder:
            index.setdefault(file.parent.name, file)
    return index


def _mask_of(group: Group, index: dict[str, Path]) -> Path | None:
    return next((index[name] for name in group.names() if name in index), None)


def _to_found(harvest: _Harvest) -> FoundSet:
    """Settle the channels that the cases have in common, and put each case in their terms."""
    groups = [group for group, _, _ in harvest.cases]
    named = common_channels(groups)
    channels = named or _channels_of_files([group for group in groups if STACKED in group.files])
    cases: list[FoundCase] = []
    refused: list[Refusal] = []
    for group, label, held_out in harvest.cases:
        files = dict(group.files)
        if named and group.contrast and STACKED in files:
            files = {group.contrast: files[STACKED]}
        file = next(iter(files.values()))
        refusal = _refusal(group, named)
        if refusal:
            refused.append(refusal)
        else:
            name = group.name or file.parent.name
            cases.append(FoundCase(name, files, label, held_out, group.contrast))
    return FoundSet(
        layout="plain",
        channels=channels,
        modality=modality_of(channels, "mri"),
        labels=None,
        cases=tuple(cases),
        suffixes=_suffixes(cases),
        refused=tuple(refused),
        orphans=tuple(harvest.orphans),
    )


def _refusal(group: Group, named: Sequence[str]) -> Refusal | None:
    """Return why a case's files do not fit the channels that the cases have in common, or None."""
    file = next(iter(group.files.values()))
    if group.twice:
        reason = f"{group.twice}: is a second file for a channel that has one already; expected one a channel."
        return Refusal(group.name, reason, "Remove or rename one of the two.")
    if named and STACKED in group.files and not group.contrast:
        count = _channel_count(file)
        if count not in (len(named), None):
            reason = f"{file}: has {count} of the channels; expected {describe(named)} as other cases have."
            return Refusal(group.name, reason, "Add a file for each channel.")
    if not named and STACKED not in group.files:
        reason = f"{file}: is one of {describe(list(group.files))}; expected one file as other cases have."
        return Refusal(group.name, reason, "Keep one file a case, or give all cases these channels.")
    return None


def _channels_of_files(groups: Sequence[Group]) -> tuple[str, ...]:
    """Name the channels of files that hold all of their case's: the first readable file says how many."""
    for group in groups:
        count = _channel_count(group.files[STACKED])
        if count is not None and count > 1:
            return tuple(f"channel_{index}" for index in range(count))
        if count == 1:
            break
    contrasts = {group.contrast for group in groups}
    only = contrasts.pop()
    return (only,) if only and not contrasts else ("image",)


def _channel_count(file: Path) -> int | None:
    """Return how many channels a file has; None where it cannot be read (prepare refuses it then)."""
    try:
        return read_header(file).channels
    except EquiregError:
        return None


def _suffixes(cases: Sequence[FoundCase]) -> dict[str, str]:
    """Learn from a case that has it what a channel adds to the case's name."""
    suffixes: dict[str, str] = {}
    for case in cases:
        for channel, file in case.files.items():
            stem = stem_of(file)
            if stem.startswith(case.name):
                suffixes.setdefault(channel, stem.removeprefix(case.name))
    return suffixes
