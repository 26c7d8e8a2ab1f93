"""Where the scans and the masks of a plain folder lie: beside each other, or in folders of their own."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

from equireg.imaging.pictures import is_picture
from equireg.layouts import drawings, named_masks, unnamed_masks
from equireg.layouts.by_key import by_key
from equireg.layouts.files import MARKS, folders_with_images, stem_of, up_to
from equireg.layouts.folder_words import (
    HELD_OUT_WORDS,
    TRAINING_WORDS,
    mask_part,
    mask_part_behind,
    says_unlabelled,
    scan_part,
    scan_part_beside_masks,
    set_of,
    sounds_like_masks,
    words_of,
)
from equireg.layouts.masks import MaskIndex, is_brain_mask, split_mask, without_previews
from equireg.layouts.serving import parts_that_serve

_FIELD_OF_VIEW = re.compile(r"(?:fov[_\-. ]?)?masks?(?:[_\-. ]?fov)?|fovs?", re.IGNORECASE)
"""Folders whose pictures show the field of view where manual masks lie beside, as in DRIVE and HRF."""


def _may_be(folder: Path) -> str:
    """Return how a folder is named that holds unlabelled scans; nothing where its name says what else it holds."""
    others = words_of(folder.name) & (HELD_OUT_WORDS | TRAINING_WORDS)
    if others or sounds_like_masks(folder.name):
        return ""
    return ". If they are unlabelled scans, call the folder unlabeled"


class Places:
    """The scans of each folder, and the masks that may be theirs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scans: dict[Path, list[Path]] = {}
        """Folder to the scans directly inside."""
        self._beside: dict[Path, list[Path]] = {}
        self._apart: dict[Path, list[Path]] = {}
        self._unlabelled: set[Path] = set()
        found, self._drawings = drawings.set_apart(root, folders_with_images(root))
        self._target_domains = unnamed_masks.target_domains(root, found)
        among_scans: dict[Path, list[Path]] = {}
        for folder, files in found:
            home = self._mask_folder(folder)
            if home is None:
                among_scans[folder] = files
            else:
                self._apart.setdefault(home, []).extend(without_previews(files))
        for folder, masks in named_masks.find(among_scans).items():
            files = among_scans[folder]
            if masks == files and folder != root and all(map(is_picture, files)):
                self._apart[folder] = files  # ISIC's GroundTruth beside its Input
                continue
            self._beside[folder] = masks
            named = set(masks)
            self.scans[folder] = [file for file in files if file not in named]
        self.scans = {folder: files for folder, files in self.scans.items() if files}
        self._guessed = unnamed_masks.folders(self.scans)
        self._unnamed = self._set_apart_unnamed()
        self._fields_of_view = self._set_apart_fields_of_view()
        self._outranked: set[Path] = set()
        self._keep_folders_of_scans()
        self._unnamed |= unnamed_masks.with_one_ending(self.scans, (*self._apart.values(), *self._beside.values()))
        self.homes = sorted({self._home(folder) for folder in self.scans})
        """Folders that may hold many cases directly: the root, or those called ``images`` and the like."""
        self._inner = by_key(dict.fromkeys((*self._apart, *self._beside)), lambda place: place.parent)
        """Folder to those directly inside that hold masks."""
        self._above = Counter(above for folder in self.scans for above in folder.parents)
        """Folder to the number of folders of scans below it."""
        self._index_of = cache(lambda home: MaskIndex(self._apart[home], home, self._unnamed))
        self._find_apart = cache(self._index_apart)
        self._find_beside = cache(lambda folder: MaskIndex(self._beside.get(folder, []), folder, self._unnamed))

    def _set_apart_unnamed(self) -> dict[Path, str]:
        """Take masks that no word calls so from the scans; return the case's part of their names."""
        behind = unnamed_masks.behind_scans(
            {folder: files for folder, files in self.scans.items() if folder not in self._guessed}
        )
        self._guessed |= {file.parent for file in behind}
        for folder in sorted(self._guessed):
            self._apart[folder] = self.scans.pop(folder)
        for home, folders in unnamed_masks.called_masks(self.root, self.scans).items():
            self._apart.setdefault(home, []).extend(file for folder in folders for file in self.scans.pop(folder))
            self._guessed.add(home)
        below = unnamed_masks.below_their_scan(self.scans)
        for file in below:
            self._beside[file.parent.parent].append(file)
        unnamed = below | unnamed_masks.find(
            {folder: [file for file in files if file not in below] for folder, files in self.scans.items()}
        )
        for file in unnamed:
            if file not in below:
                self._beside[file.parent].append(file)
        left = {folder: [file for file in files if file not in unnamed] for folder, files in self.scans.items()}
        self.scans = {folder: files for folder, files in left.items() if files}
        return unnamed | behind

    def _set_apart_fields_of_view(self) -> list[Path]:
        """Take out the pictures in folders called mask that lie beside as many manual masks, and in all called so."""
        manual = [(home.parent, len(files)) for home, files in self._apart.items() if "manual" in home.name.lower()]
        fields = {home.name for home, files in self._apart.items() if (home.parent, len(files)) in manual}
        fields = {name for name in fields if _FIELD_OF_VIEW.fullmatch(name)}
        homes = [home for home, files in self._apart.items() if home.name in fields and all(map(is_picture, files))]
        return [file for home in homes for file in self._apart.pop(home)]

    def _mask_folder(self, folder: Path) -> Path | None:
        """Return the topmost folder of masks that a folder is or lies in, or None."""
        named = (place for place in reversed(up_to(self.root, folder)) if self._part_of_masks(place) is not None)
        return next((place for place in named if place not in self._target_domains), None)

    def _part_of_masks(self, folder: Path) -> str | None:
        """Return the part of a data set that a folder's name says of masks; None where it says no masks.

        The name ``cow_seg_labelsTr`` does beside ``imagesTr`` without ``labelsTr``.
        """
        part, behind = mask_part(folder.name), mask_part_behind(folder.name)
        if part is not None or behind is None or named_masks.has_mask_folder(folder):
            return part
        scans = (other for other in folder.parent.iterdir() if scan_part(other.name) == behind)
        return behind if any(other.is_dir() for other in scans) else None

    def _is_scan_folder(self, folder: Path) -> bool:
        """Whether a folder's name says scans, on its own or because a folder of masks lies beside it."""
        if scan_part(folder.name) is not None or folder in self._unlabelled:
            return True
        return scan_part_beside_masks(folder.name) is not None and any(
            home.parent == folder.parent for home in self._apart
        )

    def _home(self, folder: Path) -> Path:
        """Return the folder of scans that a folder is or lies in, or the root."""
        return next(filter(self._is_scan_folder, reversed(up_to(self.root, folder))), self.root)

    def _keep_folders_of_scans(self) -> None:
        """Where folders called ``images`` hold scans, leave images elsewhere aside, but for those called unlabelled."""
        if any(self._home(folder) != self.root for folder in self.scans):
            above = {place for folder in self.scans for place in up_to(self.root, folder)}
            self._unlabelled = {place for place in above if says_unlabelled(place.name)}
        inside = {folder: files for folder, files in self.scans.items() if self._home(folder) != self.root}
        outside = {folder: files + self._beside[folder] for folder, files in self.scans.items() if folder not in inside}
        self._left = {}
        if inside:
            self.scans, self._left = inside, outside
            self._beside = {folder: masks for folder, masks in self._beside.items() if folder in inside}

    def masks_beside(self, folder: Path) -> list[Path]:
        """Return the masks in the same folder as scans, brain masks left out."""
        return self._find_beside(folder).files

    def masks_of(self, folder: Path, names: list[str]) -> list[Path]:
        """Return the masks of a scan in a folder: none, one, or several that fit equally well.

        Args:
            folder: the scan's.
            names: names that the mask may have, the likeliest first.
        """
        names = [*names, *self._without_set(folder, names)]
        found = self._find_beside(folder).find(names)
        if found:
            return found
        for homes in self._find_apart(folder):
            hits = [
                (index.home in self._guessed, masks) for index, place in homes if (masks := index.find(names, place))
            ]
            if hits:
                guessed = min(hit[0] for hit in hits)  # a folder that is called that of masks goes first
                self._outranked.update(mask for hit, masks in hits if hit != guessed for mask in masks)
                return [mask for hit, masks in hits if hit == guessed for mask in masks]
        return []

    def _without_set(self, folder: Path, names: list[str]) -> list[str]:
        """Return names less a last word that is that of a set above: ``training/images/21_training``, as in DRIVE."""
        words = [place.name.lower() for place in up_to(self.root, folder) if set_of(place.name)]
        split = [(name[: -len(word)], name) for name in names for word in words if name.lower().endswith(word)]
        return [rest.rstrip(MARKS) for rest, _ in split if rest.rstrip(MARKS) and rest[-1] in MARKS]

    def only_mask(self, folder: Path) -> list[Path]:
        """Return the only mask of a folder that holds one case, whatever the mask's name.

        At the root it must be a plain ``seg``: ``b_seg`` beside ``a`` is the mask of another scan.
        """
        masks = self.masks_beside(folder)
        at_root = folder in self.homes
        if len(masks) == 1 and not (at_root and split_mask(stem_of(masks[0]))):
            return masks
        inner = self.masks_inside(folder)
        if len(inner) == 1 or at_root:
            return inner if len(inner) == 1 else []
        return masks or inner or self._masks_above(folder)

    def masks_inside(self, folder: Path) -> list[Path]:
        """Return the masks in folders inside a case's folder that hold no scans; those of many cases are not meant."""
        if folder in self.homes:
            return []
        inner = self._inner.get(folder, [])
        below = [place for place in inner if place in self._beside and place not in self.scans]
        return [*self._inside(folder), *(mask for place in below for mask in self.masks_beside(place))]

    def _inside(self, folder: Path) -> list[Path]:
        """Return the files of the folders of masks that lie directly in a folder."""
        return [file for home in self._inner.get(folder, []) for file in self._apart.get(home, [])]

    def pictures_beside(self, folder: Path) -> list[Path]:
        """Return the masks in the folder of masks beside that of a picture, where both lie in a folder of its own."""
        if folder.parent == self.root:
            return []
        found = self._inside(folder.parent)
        return found if all(map(is_picture, found)) else []

    def _masks_above(self, folder: Path) -> list[Path]:
        """Return the masks in the folder above, where it holds nothing else: ``c1/pre/flair`` and ``c1/seg``."""
        above = folder.parent
        alone = above not in self.scans and self._above[above] == 1
        return self.masks_beside(above) if alone and above not in self.homes else []

    def _index_apart(self, folder: Path) -> list[list[tuple[MaskIndex, Path]]]:
        """Return the folders of masks that serve a folder of scans, and its place below each.

        The nearest go first; those that serve equally well are together. Masks of one set serve no other:
        ``train_masks`` has none of ``test``.
        """
        result: list[list[tuple[MaskIndex, Path]]] = []
        for path in (folder, *folder.parents):
            homes = [home for home in self._inner.get(path, []) if home in self._apart]
            for part, place in parts_that_serve(folder.relative_to(path).parts):
                fitting = [home for home in homes if (self._part_of_masks(home) or "") == part]
                result.append([(self._index_of(home), place) for home in fitting])
            if path == self.root:
                break
        return result

    def is_near(self, folder: Path, mask: Path) -> bool:
        """Whether a mask lies beside the scans of a folder, or in the place below its home that is theirs."""
        near = (index.home / place for homes in self._find_apart(folder) for index, place in homes)
        return mask.parent == folder or mask.parent in near

    def all_masks(self) -> set[Path]:
        """Return all masks, those left aside not among them."""
        beside = {file for folder in self._beside for file in self.masks_beside(folder)}
        apart = {file for home in self._apart for file in self._index_of(home).files}
        return (beside | apart) - self._outranked

    def aside(self) -> tuple[Path, ...]:
        """Return the images that ``notes`` names."""
        left = (file for files in self._left.values() for file in files)
        return (*left, *self._brain_masks(), *self._fields_of_view, *sorted(self._outranked), *self._drawings)

    def _brain_masks(self) -> list[Path]:
        places = (*self._beside.values(), *self._apart.values())
        return [file for files in places for file in files if is_brain_mask(file)]

    def notes(self) -> tuple[str, ...]:
        """Say which images were left aside because others are surer."""
        home = self.homes[0].name if self.homes else ""
        brain = self._brain_masks()
        notes = [
            f"left aside: {len(files)} images in {folder}, because scans lie in folders such as {home}{_may_be(folder)}"
            for folder, files in self._left.items()
        ]
        if brain:
            notes.append(
                f"left aside: {len(brain)} brain masks, such as {brain[0]}. If they are the labels, call them "
                "CASE_mask, without the word brain."
            )
        if self._fields_of_view:
            notes.append(
                f"left aside: {len(self._fields_of_view)} masks of the field of view, such as "
                f"{self._fields_of_view[0]}, because manual masks lie beside. If they are the labels, move the others."
            )
        if self._outranked:
            notes.append(
                f"left aside: {len(self._outranked)} masks such as {min(self._outranked)}, because a folder that is "
                "called one of masks lies beside. If they are the labels, move the others."
            )
        return (*notes, *drawings.told(self._drawings))
