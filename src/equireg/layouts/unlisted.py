"""What a datalist does not name, though it lies in the same folder: scans beside listed ones, and the rest."""

import glob
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from equireg.layouts.base import FoundCase
from equireg.layouts.channels import split_channel
from equireg.layouts.dataset_json import NAME, is_there
from equireg.layouts.files import folders_with_images, is_held_out, mask_part, stem_of
from equireg.layouts.masks import split_mask


@dataclass(frozen=True)
class _Form:
    """Where the files of a case lie: paths below the root with ``{}`` for a word that is the case's own."""

    name: str
    files: tuple[tuple[str, str], ...]
    """Channel and path."""
    label: str | None


def like_listed(root: Path, listed: Sequence[FoundCase], lists: Mapping[Path, str]) -> list[FoundCase]:
    """Find cases that no list names and whose files lie as those of two or more training cases do.

    A scan of one file counts only with its mask: without one, it may be anything.

    Args:
        root: the folder.
        listed: the cases of the lists.
        lists: files of scans to the list that names each.
    """
    count = Counter(form for case in listed if not case.held_out for form in _forms(root, case))
    tested = {file.parent for file, key in lists.items() if key != "training"}
    known = {case.label for case in listed if case.label is not None} | lists.keys()
    names = _names(lists)
    found: dict[Path, FoundCase] = {}
    for form in (form for form, times in count.items() if times > 1):
        for word in _words(root, form.files[0][1]):
            files = {channel: root / path.replace("{}", word) for channel, path in form.files}
            label = root / form.label.replace("{}", word) if form.label is not None else None
            mask = label if label is not None and label not in files.values() and is_there(label) else None
            first = next(iter(files.values()))
            whole = all(map(is_there, files.values())) and (mask is not None or len(files) > 1)
            several = (*files.values(), *([mask] if mask else []))
            used = any(file in known or file in found for file in several)
            apart = "{}/" not in form.files[0][1] or first.parent not in tested
            if not whole or used or not apart or _is_contrast(first, names):
                continue
            case = FoundCase(form.name.replace("{}", word), files, mask, is_held_out(first.parent, root))
            found |= dict.fromkeys(several, case)
    return list({id(case): case for case in found.values()}.values())


def _forms(root: Path, case: FoundCase) -> Iterator[_Form]:
    """Yield what is left of a case's paths without its name, and without the name of its folder."""
    paths = [*case.files.values(), *([case.label] if case.label else [])]
    if not all(path.is_relative_to(root) for path in paths):
        return
    places = [path.relative_to(root).as_posix() for path in paths]
    for word in dict.fromkeys(filter(None, (case.name, paths[0].parent.name))):
        forms = [place.replace(word, "{}") for place in places]
        if all("{}" in form and "{}{}" not in form for form in forms):
            files = tuple(zip(case.files, forms, strict=False))
            yield _Form(case.name.replace(word, "{}"), files, forms[-1] if case.label else None)


def _words(root: Path, form: str) -> Iterator[str]:
    """Yield what stands for ``{}`` in the paths that are there; masks and other contrasts are not meant."""
    before, *after = (re.escape(part) for part in form.split("{}"))
    pattern = re.compile(f"{before}(?P<word>[^/]+){'(?P=word)'.join(after)}")
    for path in sorted(root.glob("*".join(glob.escape(part) for part in form.split("{}")))):
        match = pattern.fullmatch(path.relative_to(root).as_posix())
        if match and match["word"][0] != "." and split_mask(match["word"]) is None:
            yield match["word"]


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


def _case_of_mask(file: Path) -> str | None:
    """Return the name of the case whose mask a file is by its name or its folder, or None."""
    named = split_mask(stem_of(file))
    if named is None and mask_part(file.parent.name) is None:
        return None
    return _without_contrast(stem_of(file) if named is None else named)
