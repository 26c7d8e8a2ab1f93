"""The layout of BraTS: a folder a case with ``CASE_t1ce.nii.gz`` (to 2021) or ``CASE-t1c.nii.gz`` (2023+)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import read_geometry, read_label
from equireg.layouts.base import FoundCase, FoundSet, LayoutMismatchError, Refusal
from equireg.layouts.files import folders_with_images, stem_of
from equireg.layouts.held_out import is_held_out

CHANNELS = ("t1", "t1ce", "t2", "flair")
"""Channel names and their order, whatever the year."""

_HELD_OUT = re.compile(r"(.*miccai.*)?brats.*(validation|testing).*", re.IGNORECASE)


@dataclass(frozen=True)
class _Style:
    """How the files of some years are named, and what their label values mean."""

    separator: str
    endings: tuple[str, str, str, str]
    """What ends a file's stem, in the order of ``CHANNELS``."""
    labels: LabelTable


def _table(labels: dict[str, int], whole: tuple[int, ...], core: tuple[int, ...], *alone: str) -> LabelTable:
    """Return labels with the regions that the challenge scores: two that unite labels, and labels alone."""
    regions = {"whole": whole, "core": core, **{name: (labels[name],) for name in alone}}
    return LabelTable((0, *labels.values()), ("background", *labels), regions)


_SHARED = {"necrotic": 1, "oedema": 2}
_STYLES = (
    _Style("_", ("t1", "t1ce", "t2", "flair"), _table({**_SHARED, "enhancing": 4}, (1, 2, 4), (1, 4), "enhancing")),
    _Style("-", ("t1n", "t1c", "t2w", "t2f"), _table({**_SHARED, "enhancing": 3}, (1, 2, 3), (1, 3), "enhancing")),
)


_RESECTED = _table(
    {"necrotic": 1, "oedema": 2, "enhancing": 3, "resection cavity": 4},
    (1, 2, 3),
    (1, 3),
    *("enhancing", "necrotic", "oedema", "resection cavity"),
)
"""From 2024 on, after treatment."""
_PAEDIATRIC = _table(
    {"enhancing": 1, "non-enhancing": 2, "cystic": 3, "oedema": 4},
    (1, 2, 3, 4),
    (1, 2, 3),
    *("enhancing", "non-enhancing", "cystic", "oedema"),
)
"""Of children, from 2024 on."""
_AFTER_TREATMENT = re.compile(r"BraTS-GLI-\d+-1\d\d", re.IGNORECASE)
"""Scans of 2024 are counted from 100 on."""
_READ_MASKS = 16
"""Masks that are read, at most, to see whether there is a label 4; one shows it."""


def find(root: Path) -> FoundSet:
    """Find the cases below a folder, at any depth (``MICCAI_BraTS_*``, ``HGG``, ``LGG``).

    Raises:
        LayoutMismatchError: if no folder holds the four contrasts under BraTS' names.
    """
    folders = [(folder, files, _held_out(root, folder)) for folder, files in folders_with_images(root)]
    found = [[case for place in folders if (case := _case(*place, style))] for style in _STYLES]
    complete = [sum(set(case.files) == set(CHANNELS) for case in cases) for cases in found]
    if not any(complete):
        raise LayoutMismatchError(
            f"{root}: has no folder with the files CASE_t1, CASE_t1ce, CASE_t2, CASE_flair or CASE-t1n, "
            "CASE-t1c, CASE-t2w, CASE-t2f; expected BraTS' names."
        )
    chosen = complete.index(max(complete))
    style = _STYLES[chosen]
    of_other_years = [case for index, cases in enumerate(found) if index != chosen for case in cases]
    return FoundSet(
        layout="brats",
        channels=CHANNELS,
        modality="mri",
        labels=_labels_of(found[chosen], style),
        cases=(*found[chosen], *(case for case in of_other_years if case.label is None)),
        suffixes={channel: style.separator + ending for channel, ending in zip(CHANNELS, style.endings, strict=True)},
        refused=tuple(_other_years(case) for case in of_other_years if case.label is not None),
    )


def _case(folder: Path, files: list[Path], held_out: bool, style: _Style) -> FoundCase | None:
    """Return the case that a folder is, or None where it is not one of this style."""
    pattern = re.compile(f"(.+){style.separator}({'|'.join(style.endings)}|seg)", re.IGNORECASE)
    matches = {file: match for file in files if (match := pattern.fullmatch(stem_of(file)))}
    names = {match[1] for match in matches.values()}
    if len(names) != 1:
        return None
    by_ending = {match[2].lower(): file for file, match in matches.items()}
    images = {
        channel: by_ending[ending]
        for channel, ending in zip(CHANNELS, style.endings, strict=True)
        if ending in by_ending
    }
    if len(images) < 2 and by_ending.keys() != {"seg"} and folder.name not in names:
        return None
    # BraTS 2020 itself has a mask under another name (case 355: W39_1998.09.19_Segm.nii).
    others = [file for file in files if file not in matches and "seg" in stem_of(file).lower()]
    label = by_ending.get("seg") or (others[0] if len(others) == 1 else None)
    twice = next((file for file, match in matches.items() if by_ending[match[2].lower()] != file), None)
    problem = f"{twice}: is a second file of that name; expected each name once." if twice else None
    return FoundCase(names.pop(), images, label, held_out, problem=problem)


def _labels_of(cases: Sequence[FoundCase], style: _Style) -> LabelTable:
    """Return what the label values mean, which depends on the year: names show it, or else some of the masks."""
    if style.separator == "_":
        return style.labels
    if any(_AFTER_TREATMENT.fullmatch(case.name) for case in cases):
        return _RESECTED
    masks = [case.label for case in cases if case.label is not None]
    for mask in masks[:: max(1, len(masks) // _READ_MASKS)]:
        try:
            values = set(read_label(mask, read_geometry(mask)[0]).ravel().tolist())
        except EquiregError:
            continue  # prepare refuses it
        if 4 in values and values <= set(_RESECTED.values):
            return _PAEDIATRIC if "-PED-" in cases[0].name.upper() else _RESECTED
    return style.labels


def _held_out(root: Path, folder: Path) -> bool:
    """Whether a folder above the case, the root included, is called BraTS' validation or test data."""
    parts = (root.resolve().name, *folder.relative_to(root).parts)
    above = parts if folder == root else parts[:-1]
    return any(_HELD_OUT.fullmatch(part) for part in above) or (folder != root and is_held_out(folder.parent, root))


def _other_years(case: FoundCase) -> Refusal:
    return Refusal(
        case.name,
        f"{case.label}: is named as in other years of BraTS, whose enhancing tumour has another label "
        "value than most cases here; expected one convention.",
        "Prepare the two conventions apart, or change the label values and names.",
    )
