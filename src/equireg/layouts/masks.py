"""Masks by their names: which files are masks, and which scan a mask belongs to."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from equireg.errors import EquiregError
from equireg.folders.predictions import LABELS, case_of, is_probabilities, read_labels
from equireg.imaging.formats import read_header
from equireg.imaging.labels import LabelTable
from equireg.imaging.pictures import is_picture
from equireg.layouts.by_key import by_key
from equireg.layouts.dataset_json import NAME, described_labels
from equireg.layouts.files import images_in, stem_of

_WORDS = (
    r"(?:seg|segm|segs|segmentations?|segmented|d?seg|masks?|msk|labels?|label[_\-. ]?maps?|lbl|gt|ground[_\-. ]?truth|"
    r"annotations?|annot|manual|rois?|contours?|lesions?|delineations?)"
)
_EDITS = r"[_\-. ](?:manual|final|corrected|edited|expert|binary|bin)"
_FIRST_WORDS = r"(?:seg|segm|segmentation|mask|msk|labels?|label[_\-. ]?map|lbl|gt|ground[_\-. ]?truth|annotation)"
_LAST = re.compile(
    rf"(?P<rest>.*?)(?:^|[_\-. ]){_WORDS}(?:[_\-. ]?(?:map|mask|seg|file|\d))?"
    rf"(?:{_EDITS})*",
    re.IGNORECASE,
)
_ONE = re.compile(rf"(?P<rest>.+)(?:{_EDITS}|[_\-. ]{_WORDS}(?:[_\-. ]?(?:map|file|\d))?)", re.IGNORECASE)
"""The last word for masks alone."""
_COUNTED = re.compile(rf"(?P<rest>.+?)[_\-. ]{_WORDS}\d{{2,3}}", re.IGNORECASE)
"""Such as ``aligned_seg35``, with 35 classes."""
_FIRST = re.compile(rf"{_FIRST_WORDS}(?:[_\-. ]+(?=.)|(?=\d))(?P<rest>.+)", re.IGNORECASE)
_SCAN_FIRST = re.compile(
    r"(?:img|image|im|scan|volume|vol|ct|mri|mr|input)(?:[_\-. ]+(?=.)|(?=\d))(?P<rest>.+)", re.IGNORECASE
)
_BRAIN = re.compile(r".*(?:brain|bet|head|skull)[_\-. ]?(?:mask|seg|msk|segmentation)", re.IGNORECASE)


def split_mask(stem: str) -> str | None:
    """Return the case's part of a stem that is a mask's (``c1_seg``, ``c1-mask``, ``label_c1``), or None."""
    for pattern in (_LAST, _FIRST, _COUNTED):
        match = pattern.fullmatch(stem)
        if match:
            return match["rest"]
    return None


def case_names(stem: str) -> list[str]:
    """Return what the case of a mask may be called: the stem, then less its words for masks, one after the other.

    For files that are known to be masks. Programs put several words behind a scan's name (``c1 segmentation.seg``),
    and scans have such words in their own (``p1_lesion``), so the longest name goes first.
    """
    found = [stem]
    while True:
        match = _ONE.fullmatch(found[-1])
        rest = match["rest"] if match else split_mask(found[-1])
        if not rest:
            return found
        found.append(rest)


def is_brain_mask(file: Path) -> bool:
    """Whether a mask says where the brain is, which is made for preprocessing and is nobody's label."""
    return _BRAIN.fullmatch(stem_of(file)) is not None


def labels_beside(folder: Path) -> LabelTable | None:
    """Read what a folder of masks says of their label values: ``labels.json``, ``dataset.json`` there or one above."""
    return next(filter(None, map(read_beside, places_beside(folder, folder.absolute().parent))), None)


def places_beside(folder: Path, above: Path | None) -> list[Path]:
    """Return the files that may say what the label values in a folder of masks mean, what counts first in front."""
    return [folder / LABELS, folder / NAME, *([] if above is None else [above / NAME])]


def read_beside(path: Path) -> LabelTable | None:
    """Read one of ``places_beside``; None where it is not there, or says no labels.

    Raises:
        EquiregError: if the file is damaged.
    """
    return read_labels(path.parent) if path.name == LABELS else described_labels(path.parent)


def mask_files(folder: Path) -> list[Path]:
    """List the masks directly in a folder by name, without previews and the probabilities of a prediction there."""
    return without_previews(without_probabilities(images_in(folder)))


def without_probabilities(files: Sequence[Path]) -> list[Path]:
    """Leave out the files of probabilities that `equireg predict` wrote beside its masks."""
    stems = {case_of(file.name) for file in files}
    return [file for file in files if not is_probabilities(stem_of(file), stems)]


def without_previews(files: Sequence[Path]) -> list[Path]:
    """Leave previews out of the files in a folder of masks: pictures of cases that have a volume there.

    Where the volumes have several slices, all pictures are previews: no picture can be such a mask. But where most
    files are pictures of other cases, the volumes are the odd ones.
    """
    volumes = [file for file in files if not is_picture(file)]
    if len(volumes) in (0, len(files)):
        return [*files]
    cases = {split_mask(stem) or stem for stem in map(stem_of, volumes)}
    others = {file for file in files if is_picture(file) and not cases & {*_beginnings(stem_of(file))}}
    if len(others) <= len(volumes) and _have_slices(volumes):
        return volumes
    return [file for file in files if not is_picture(file) or file in others]


def _beginnings(stem: str) -> list[str]:
    """Return the case's part of a stem, and its beginnings up to each mark."""
    case = split_mask(stem) or stem
    return [case, *(case[: match.start()] for match in re.finditer(r"[_\-. ]", case))]


def _have_slices(volumes: Iterable[Path]) -> bool:
    """Whether the first volume that can be read has several slices."""
    for file in volumes:
        with suppress(EquiregError):
            return read_header(file).shape[2] > 1
    return True


def core_of(stem: str) -> str | None:
    """Return a stem less its first word for a scan or a mask: ``img_0001`` and ``seg_0001`` are both ``0001``."""
    match = _FIRST.fullmatch(stem) or _SCAN_FIRST.fullmatch(stem)
    return match["rest"] if match else None


class MaskIndex:
    """Masks of one place, to be looked up by the names that a case goes by."""

    def __init__(self, files: Iterable[Path], home: Path, cases: Mapping[Path, str]) -> None:
        """Index masks that lie anywhere below ``home``.

        Args:
            files: the masks.
            home: a folder above them.
            cases: the case's part of names whose words do not tell it.
        """
        self.home = home
        self.files = [file for file in files if not is_brain_mask(file)]
        self._levels: list[defaultdict[str, list[Path]]] = [defaultdict(list) for _ in range(4)]
        for file in self.files:
            stem = stem_of(file)
            part = cases.get(file) or split_mask(stem)
            for level, key in zip(self._levels, (stem, part, core_of(stem)), strict=False):
                if key:
                    level[key].append(file)
        for folder, inside in by_key(self.files, lambda file: file.parent).items():
            if folder != home and len(inside) == 1:
                self._levels[3][folder.name] += inside

    def find(self, names: Sequence[str], place: Path = Path()) -> list[Path]:
        """Return the masks that fit a case best: one, none, or several where the names leave it open.

        Args:
            names: names that the mask may have, the likeliest first.
            place: folder of the scan below its own home; a mask in the same folder below the masks' goes first.
        """
        cores = [core for name in names if (core := core_of(name))]
        for level in self._levels:
            for name in [*names, *cores] if level is self._levels[2] else names:
                found = level.get(name, [])
                near = [file for file in found if file.parent.relative_to(self.home) == place]
                if near or found:
                    return near or found
        return []
