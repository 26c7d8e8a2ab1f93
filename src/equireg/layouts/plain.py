"""Plain folders, of volumes or of pictures: ``images/`` and ``labels/``, a folder a case, scans beside masks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from equireg.imaging.formats import VOLUMES
from equireg.imaging.pictures import is_picture
from equireg.layouts import orphans
from equireg.layouts.base import (
    SEVERAL_MASKS,
    SEVERAL_MASKS_OF_PICTURE,
    STACKED,
    FoundCase,
    FoundSet,
    LayoutMismatchError,
    Refusal,
    channel_count,
    describe,
)
from equireg.layouts.by_key import by_key
from equireg.layouts.channels import NUMBERED, modality_of
from equireg.layouts.files import folders_with_images, stem_of
from equireg.layouts.folder_cases import group_folders
from equireg.layouts.grouping import Group, choose_scheme, common_channels, group_files
from equireg.layouts.held_out import is_held_out, told_of_sets
from equireg.layouts.picture_sets import are_parts, channels_of, told_of_parts
from equireg.layouts.places import Places
from equireg.layouts.serving import settle_shared


@dataclass
class _Harvest:
    """What the folders yield, while they are read."""

    cases: list[tuple[Group, list[Path], bool]] = field(default_factory=list)
    """Files, masks that may be the case's, and whether held out, a case."""
    unclear: list[Group] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)
    united: set[Path] = field(default_factory=set)
    """Masks that are all of the only case of their folder."""
    unclear_masks: dict[Path, tuple[str, str]] = field(default_factory=dict)
    """Mask that fits several scans to why it is nobody's, and how to mend it."""
    warnings: tuple[str, ...] = ()


def find(root: Path, channel_count: int | None = None) -> FoundSet:
    """Find volumes under any names.

    Args:
        root: the folder.
        channel_count: channels of a case, where it is known; distinguishes ``x_0000``, a channel, from a case.

    Raises:
        LayoutMismatchError: if there is no volume.
    """
    return _find(root, channel_count, pictures=False)


def find_pictures(root: Path, channel_count: int | None = None) -> FoundSet:
    """Find pictures under any names, as ``find`` finds volumes.

    Raises:
        LayoutMismatchError: if there is no picture.
    """
    return _find(root, channel_count, pictures=True)


def _find(root: Path, channel_count: int | None, *, pictures: bool) -> FoundSet:
    files = [file for _, several in folders_with_images(root) for file in several]
    fits = bool(files) and any(map(is_picture, files)) == pictures  # no picture is left where a volume is a scan
    places = Places(root) if fits else None
    if places is None or not places.scans:
        kinds = "PNG, JPEG, TIFF, BMP or WebP" if pictures else ", ".join(VOLUMES)
        raise LayoutMismatchError(
            f"{root}: has no scans, neither directly inside nor in images/ nor in a folder a case; expected "
            f"{kinds} files."
        )
    return _to_found(_read(root, places, channel_count), places)


def _read(root: Path, places: Places, channel_count: int | None) -> _Harvest:
    """Group the scans of all folders, and look up the masks of each case."""
    harvest = _Harvest()
    flat = [file for home in places.homes for file in places.scans.get(home, [])]
    scheme = choose_scheme(
        flat, lambda name: any(places.masks_of(home, [name]) for home in places.homes), channel_count
    )
    below = {folder: files for folder, files in places.scans.items() if folder not in places.homes}
    found = group_folders(
        root,
        below,
        lambda folder, name: bool(places.masks_of(folder, [name])),
        lambda folder: len(places.masks_beside(folder)),
        channel_count,
    )
    flat_groups = [group for home in places.homes for group in group_files(places.scans.get(home, []), scheme)]
    lone = _lone_folders([*flat_groups, *found.groups, *found.unclear])
    renamed = _names_by_folder_above(root, flat_groups, lone, places)
    used: set[Path] = set()
    for group in (*flat_groups, *found.groups):
        homes = dict.fromkeys(file.parent for file in group.files.values())
        masks = next((masks for home in homes if (masks := places.masks_of(home, group.names()))), [])
        if not masks and group.place in lone:
            masks = places.only_mask(group.place) or places.pictures_beside(group.place)
            harvest.united.update(filter(is_picture, masks))
        used.update([*masks, *(places.masks_inside(group.place) if masks else ())])
        name = renamed.get((group.folder, group.name), group.name)
        harvest.cases.append((replace(group, name=name), masks, is_held_out(group.folder, root)))
    harvest.unclear = found.unclear
    harvest.cases, harvest.unclear_masks, harvest.warnings = settle_shared(harvest.cases, places.is_near)
    # A mask under the very name of a scan says that the number is the scan's; one under another name does not.
    proven = any(
        stem_of(mask) == group.name
        for group, masks, _ in harvest.cases
        if NUMBERED.fullmatch(group.name)
        for mask in masks
    )
    if scheme == "single" and not proven and not any(map(is_picture, flat)):
        harvest.warnings += _numbers_warning(flat)
    used.update(mask for group in found.unclear for mask in places.masks_beside(group.folder))
    harvest.orphans = sorted(places.all_masks() - used)
    _look_at_what_is_left(harvest)
    return harvest


def _look_at_what_is_left(harvest: _Harvest) -> None:
    """Give masks in unforeseen places to their scans, and take masks from the scans."""
    left = [group for group, masks, _ in harvest.cases if not masks]
    masks = orphans.look_like_masks(left, len(harvest.cases))
    harvest.orphans += [file for group in masks for file in group.files.values()]
    gone = set(map(id, masks))
    owned = orphans.by_whole_name([group for group in left if id(group) not in gone], harvest.orphans, harvest.cases)
    mask_of = {id(group): [mask] for mask, group in owned.items()}
    harvest.cases = [
        (group, mask_of.get(id(group), found), held_out)
        for group, found, held_out in harvest.cases
        if id(group) not in gone
    ]
    harvest.orphans = [mask for mask in harvest.orphans if mask not in owned]


def _numbers_warning(files: Sequence[Path]) -> tuple[str, ...]:
    """Say that numbers as nnU-Net gives them to channels were taken for those of cases."""
    numbered = [file for file in files if (match := NUMBERED.fullmatch(stem_of(file))) and int(match[2]) < len(files)]
    names = [stem_of(file) for file in numbered]
    if len({name[:-5] for name in names}) == len(names):
        return ()
    return (
        f"the numbers at the end of {', '.join(names[:2])} and others were taken for those of cases, not of "
        "channels as nnU-Net numbers them. If they are channels, give a mask under the name without the number.",
    )


def _names_by_folder_above(
    root: Path, groups: Sequence[Group], lone: set[Path], places: Places
) -> dict[tuple[Path, str], str]:
    """Return new names for cases that have the same name in ``c1/images`` and ``c2/images``.

    So too in ``train_images`` and ``test_images``, where each has a mask: one of two without may be the other's mask.
    """
    renamed: dict[tuple[Path, str], str] = {}
    for name, several in by_key(groups, lambda group: group.name).items():
        if len({group.folder for group in several}) == 1:
            continue
        sure = all(places.masks_of(group.folder, group.names()) for group in several)
        for folder in {group.folder for group in several} - {root}:
            above = folder.name if folder.parent == root else folder.parent.name
            if sure or folder.parent != root:
                renamed[folder, name] = above if folder in lone else f"{above}_{name}"
    return renamed


def _lone_folders(groups: Sequence[Group]) -> set[Path]:
    """Return the folders that hold one case alone."""
    count = Counter(group.place for group in groups)
    return {folder for folder, number in count.items() if number == 1}


def _to_found(harvest: _Harvest, places: Places) -> FoundSet:
    """Settle the channels that the cases have in common, and put each case in their terms."""
    groups = [group for group, _, _ in harvest.cases]
    # A mask says which scans are meant to be trained on; those without one may be many, and of fewer channels.
    named = common_channels([group for group, masks, _ in harvest.cases if masks] or groups)
    single = sorted((bool(not masks), index) for index, (group, masks, _) in enumerate(harvest.cases))
    channels = named or _channels_of_files([groups[index] for _, index in single if STACKED in groups[index].files])
    cases: list[FoundCase] = []
    refused: list[Refusal] = [_shared_mask(group) for group in harvest.unclear]
    for group, masks, held_out in harvest.cases:
        files = dict(group.files)
        if named and group.contrast and STACKED in files:
            files = {group.contrast: files[STACKED]}
        if refusal := _refusal(group, named):
            refused.append(refusal)
        else:
            found = FoundCase(group.name or group.folder.name, files, held_out=held_out, contrast=group.contrast)
            if unclear := harvest.unclear_masks.keys() & masks:
                problem, remedy = harvest.unclear_masks[min(unclear)]
                found = replace(found, label_problem=problem, label_remedy=remedy)
            elif len(masks) == 1 or are_parts(masks) or (masks and harvest.united.issuperset(masks)):
                found = replace(found, label=masks[0], more=tuple(masks[1:]))
            elif masks:
                remedy = SEVERAL_MASKS_OF_PICTURE if any(map(is_picture, masks)) else SEVERAL_MASKS
                found = replace(found, label_problem=_several_masks(masks), label_remedy=remedy)
            cases.append(found)
    notes, warnings = told_of_parts(cases)
    sets = told_of_sets(case.scan for case in cases if case.scan and not case.held_out)
    return FoundSet(
        layout="pictures" if _are_pictures(groups) else "plain",
        channels=channels,
        modality=modality_of(channels, "other" if _are_pictures(groups) else "mri"),
        labels=None,
        cases=tuple(cases),
        suffixes=_suffixes(cases),
        refused=tuple(refused),
        orphans=tuple(harvest.orphans),
        aside=places.aside(),
        notes=(*places.notes(), *notes),
        warnings=(*harvest.warnings, *_contrasts_warning(cases), *warnings, *sets),
    )


def _contrasts_warning(cases: Sequence[FoundCase]) -> tuple[str, ...]:
    """Say that cases of one file each are of different contrasts."""
    examples = {case.contrast: case.name for case in cases if case.stacked and case.contrast}
    times = set(examples) <= {"t1", "t2"} and any(case.stacked and not case.contrast for case in cases)
    if len(examples) < 2 or times:
        return ()
    shown = ", ".join(f"{contrast} ({name})" for contrast, name in examples.items())
    return (
        f"cases of one channel are of different contrasts: {shown}. If they are channels of one case, give them one "
        "mask and name them CASE_0000, CASE_0001; else keep the cases of one contrast.",
    )


def _several_masks(masks: Sequence[Path]) -> str:
    apart = len({mask.parent for mask in masks}) > 1
    others = ", ".join(str(mask) if apart else mask.name for mask in masks[1:])
    return f"{masks[0]}: is one of several masks that may be the case's (also {others}); expected one."


def _shared_mask(group: Group) -> Refusal:
    return Refusal(
        group.name,
        f"{group.scan}: is one of several time points beside a mask whose name does not say which of them it is of.",
        "Name the mask after its scan, such as followup_seg for followup. If the scans are channels of one case, name "
        "them CASE_0000, CASE_0001.",
    )


def _refusal(group: Group, named: Sequence[str]) -> Refusal | None:
    """Return why a case's files do not fit the channels that the cases have in common, or None."""
    if group.twice:
        other, second = group.twice
        reason = f"{second}: is a second file for the channel of {other.name}; expected one a channel."
        return Refusal(group.name, reason, "Remove or rename one of the two.")
    if named and STACKED in group.files and not group.contrast:
        count = channel_count(group.scan)
        if count not in (len(named), None):
            reason = f"{group.scan}: has {count} of the channels; expected {describe(named)} as other cases have."
            return Refusal(group.name, reason, "Add a file for each channel.")
    if not named and STACKED not in group.files:
        reason = f"{group.scan}: is one of {describe(list(group.files))}; expected one file as other cases have."
        return Refusal(group.name, reason, "Keep one file a case, or give all cases these channels.")
    return None


def _channels_of_files(groups: Sequence[Group]) -> tuple[str, ...]:
    """Name the channels of files that hold all of their case's: the first readable file says how many.

    Pictures in grey may lie among those in colour, so all are asked.
    """
    if _are_pictures(groups):
        return channels_of([group.files[STACKED] for group in groups])
    for group in groups:
        count = channel_count(group.files[STACKED])
        if count is not None and count > 1:
            return tuple(f"channel_{index}" for index in range(count))
        if count == 1:
            break
    contrasts = {group.contrast for group in groups}
    only = contrasts.pop() if len(contrasts) == 1 else None
    return (only,) if only else ("image",)


def _are_pictures(groups: Sequence[Group]) -> bool:
    return any(is_picture(file) for group in groups for file in group.files.values())


def _suffixes(cases: Sequence[FoundCase]) -> dict[str, str]:
    """Learn from a case that has it what a channel adds to the case's name."""
    suffixes: dict[str, str] = {}
    for case in cases:
        for channel, file in case.files.items():
            stem = stem_of(file)
            if stem.startswith(case.name):
                suffixes.setdefault(channel, stem.removeprefix(case.name))
    return suffixes
