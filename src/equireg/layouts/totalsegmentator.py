"""TotalSegmentator's layout: a folder a case with ``ct.nii.gz`` and ``segmentations/`` with a mask a class."""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from equireg.disk import read_errors
from equireg.errors import EquiregError, some_of
from equireg.imaging.labels import LabelTable
from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError
from equireg.layouts.channels import split_channel
from equireg.layouts.files import MARKS, folders_with_images, goes_on_behind, image_files, stem_of
from equireg.layouts.folder_words import mask_part
from equireg.layouts.held_out import is_held_out
from equireg.layouts.masks import is_brain_mask, split_mask

_MOST_CLASSES = 254
"""Classes that a mask of 8 bits can hold, with the background and the ignore label."""
_SHOWN = 3
"""Cases and classes that a warning names."""

_NO_CLASS = re.compile(
    r"(?:raters?|readers?|observers?|annotators?|experts?|versions?|v|times?|frames?|visits?|fu|followup|baseline)?"
    r"[_\-. ]?\d*",
    re.IGNORECASE,
)
"""What stands behind a case's name where masks of one class are told apart, or nothing."""


def find(root: Path) -> FoundSet:
    """Find the cases, each a folder with one scan beside a folder with a mask a class.

    Classes are numbered from 1 in the order of their files' names over all cases. A class that a case has no file
    of is absent from it, with a warning; masks of the background are not used.

    Raises:
        LayoutMismatchError: if no folder is such a case.
        EquiregError: if there are more classes than a mask of 8 bits holds.
    """
    found = {folder: parts for folder, files in folders_with_images(root) if (parts := _parts(folder, files))}
    if len(found) > 1:
        found.pop(root, None)
    names = [name for name in _classes(list(found.values())) if name.lower() != "background"]
    if not names:
        raise LayoutMismatchError(
            f"{root}: has no folder with a scan beside segmentations/ with a mask a class; expected TotalSegmentator's."
        )
    if len(names) > _MOST_CLASSES:
        raise EquiregError(
            f"{root}: has masks of {len(names)} classes; expected at most {_MOST_CLASSES}. Remove those not needed."
        )
    held_out = _held_out(root)
    cases = []
    for folder, files in folders_with_images(root):
        scans = [file for file in files if split_mask(stem_of(file)) is None]
        if folder in found or _is_case(folder, root, scans, found):
            masks = {names.index(stem) + 1: file for stem, file in found.get(folder, {}).items() if stem in names}
            home = next(iter(masks.values())).parent if masks else None
            held = folder.name in held_out or is_held_out(folder, root)
            cases.append(FoundCase(folder.name, {STACKED: scans[0]}, home, held, parts=masks))
    channel = _channel(cases)
    return FoundSet(
        layout="totalsegmentator",
        channels=(channel,),
        modality="ct" if channel == "ct" else "mri",
        labels=LabelTable(tuple(range(len(names) + 1)), ("background", *names)),
        cases=tuple(cases),
        notes=_notes(names),
        warnings=_lacking(names, found),
    )


def _parts(folder: Path, files: Sequence[Path]) -> dict[str, Path] | None:
    """Return class to mask of a folder that is a case with a mask a class, or None.

    A mask of all classes beside the scan (``combined_labels``) says the same in one file: then it is another layout.
    """
    masks = [file for file in files if split_mask(stem_of(file)) is not None and not is_brain_mask(file)]
    if len(files) - len(masks) != 1 or masks:
        return None
    for below in sorted(folder.iterdir()):
        if below.is_dir() and mask_part(below.name) == "":
            masks = image_files(below)
            scan = next(stem_of(file).lower() for file in files)
            if masks and not any(stem_of(mask).lower().startswith(scan) for mask in masks):
                return {_class_of(mask, folder.name): mask for mask in masks}
    return None


def _class_of(mask: Path, case: str) -> str:
    """Return the class that a mask's name says, less the case and a word for masks: ``c1_liver_mask`` is ``liver``."""
    name = re.sub(r"[_\-. ](?:seg|segmentation|mask|msk|label)$", "", stem_of(mask), flags=re.IGNORECASE)
    rest = name[len(case) :].lstrip(MARKS) if goes_on_behind(name, case) else ""
    return name if _NO_CLASS.fullmatch(rest) else rest


def _classes(cases: Sequence[Mapping[str, Path]]) -> list[str]:
    """Return the classes, sorted; none where masks are named after cases and not after classes."""
    counts = Counter(name for parts in cases for name in parts)
    several = sum(len(parts) > 1 for parts in cases)
    recurring = sum(count > 1 for count in counts.values())
    if not several or (len(cases) > 1 and 2 * recurring < len(counts)):
        return []
    return sorted(counts)


def _is_case(folder: Path, root: Path, scans: Sequence[Path], found: Mapping[Path, object]) -> bool:
    """Whether a folder without masks is an unlabelled case, beside others that have masks."""
    beside = {case.parent for case in found}
    return len(scans) == 1 and folder.parent in beside and folder != root


def _channel(cases: Sequence[FoundCase]) -> str:
    """Name the one channel after the scans' files; CT where they say nothing, as TotalSegmentator's are."""
    names = Counter(split[1] for case in cases if (split := split_channel(stem_of(case.files[STACKED]))))
    mri = any(stem_of(case.files[STACKED]).lower() in ("mri", "mr") for case in cases)
    return names.most_common(1)[0][0] if names else ("mri" if mri else "ct")


def _held_out(root: Path) -> set[str]:
    """Return the cases that TotalSegmentator's ``meta.csv`` calls validation or test.

    Raises:
        EquiregError: if it cannot be read: its cases would be trained on that are to test.
    """
    path = root / "meta.csv"
    if not path.is_file():
        return set()
    try:
        with read_errors(path), path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise EquiregError(
            f"{path}: is not a CSV table ({error}); expected one with semicolons, which says what validates and tests. "
            "Restore it, or remove it."
        ) from error
    return {str(row.get("image_id")) for row in rows if row.get("split") in ("val", "test")}


def _notes(names: Sequence[str]) -> tuple[str, ...]:
    table = ", ".join(f"{value} {name}" for value, name in enumerate(names, 1))
    return (f"classes, by the names of their masks: {table}; where masks overlap, the higher number counts",)


def _lacking(names: Sequence[str], found: Mapping[Path, Mapping[str, Path]]) -> tuple[str, ...]:
    """Return a warning of cases without a file of some classes, which may be there and not annotated."""
    masked = {folder: parts for folder, parts in found.items() if parts.keys() & {*names}}
    lacking = {folder: [name for name in names if name not in parts] for folder, parts in masked.items()}
    lines = [f"{folder} ({some_of(missing, _SHOWN)})" for folder, missing in lacking.items() if missing]
    if not lines:
        return ()
    count = f"{len(lines)} case{'s have' if len(lines) > 1 else ' has'}"
    return (
        f"{count} no mask of some classes, which count as absent there: {some_of(lines, _SHOWN)}. "
        "Where such a class was not annotated, add its mask, or move the case's masks elsewhere: then it is unlabelled",
    )
