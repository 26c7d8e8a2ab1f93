"""BIDS: ``sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz``, masks beside the scans or anywhere below ``derivatives/``."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError, Refusal, channel_count, left_aside
from equireg.layouts.bids_tables import label_names, split_name
from equireg.layouts.by_key import by_key
from equireg.layouts.channels import is_known, meaning, modality_of, split_channel
from equireg.layouts.files import folders_with_images, stem_of
from equireg.layouts.folder_words import mask_part
from equireg.layouts.grouping import Group, common_channels
from equireg.layouts.held_out import is_held_out
from equireg.layouts.masks import is_brain_mask, split_mask

_SESSION = ("sub", "ses")
_OTHER_KINDS = ("func", "fmap", "perf", "meg", "eeg", "ieeg", "beh")
_PROBABILITIES = "probseg"
_NO_ANATOMY = "series that are no anatomy"
_OTHER_SUFFIXES = ("bold", "sbref", "epi", "asl", "m0scan", "phasediff", "magnitude1", "magnitude2", "phase1", "phase2")


_NATIVE_SPACES = ("orig", "native", "individual", "scanner", "subject", "t1w", "t2w", "flair")


@dataclass(frozen=True)
class _File:
    """A file, taken apart by its name."""

    path: Path
    entities: Mapping[str, str]
    """Such as ``{"sub": "01", "ses": "02", "run": "1"}``."""
    suffix: str
    """The rest of the name, such as ``T1w``."""

    @property
    def session(self) -> str:
        return "_".join(f"{key}-{self.entities[key]}" for key in _SESSION if key in self.entities)

    @property
    def name(self) -> str:
        """Return all entities that distinguish this scan from others of the session."""
        others = [f"{key}-{value}" for key, value in self.entities.items() if key not in (*_SESSION, "desc", "ce")]
        return "_".join([self.session, *others])

    @property
    def channel(self) -> str:
        if meaning(self.suffix) == "t1" and "ce" in self.entities:
            return "t1ce"
        return meaning(self.suffix) if is_known(self.suffix) else self.suffix or "image"


def find(root: Path) -> FoundSet:
    """Find the scans of each session, and the masks that have its subject and session in their names.

    Functional, field map and perfusion series are left aside, and so are processed scans below ``derivatives``.

    Raises:
        LayoutMismatchError: if no folder ``sub-...`` holds a scan of that subject.
    """
    scans, masks, left = _harvest(root)
    if not scans:
        raise LayoutMismatchError(f"{root}: has no sub-01/ with sub-01_T1w.nii.gz or the like; expected BIDS' names.")
    groups = _groups(scans)
    channels = common_channels([Group(name, {file.channel: file.path for file in files}) for name, files in groups])
    cases: list[FoundCase] = []
    refused: list[Refusal] = []
    masks = _settle(groups, masks, left)
    used: set[Path] = set()
    for name, files in groups:
        images = {file.channel: file.path for file in files}
        if len(images) < len(files):
            refused.append(_twice(name, files))
            continue
        fitting = _masks_of(files, masks)
        used.update(mask.path for mask in fitting)
        problem = _several(fitting) if len(fitting) > 1 else None
        label = fitting[0].path if len(fitting) == 1 else None
        held = is_held_out(files[0].path.parent, root)
        patient = f"sub-{files[0].entities['sub']}"
        cases.append(FoundCase(name, images, label, held, patient=patient, label_problem=problem))
    called, tables, damaged = label_names(root, ((mask.path, mask.entities) for mask in masks if mask.path in used))
    names = [f"names of labels: {table}" for table in tables[:1]]
    return FoundSet(
        layout="bids",
        channels=channels or (STACKED,),
        modality=modality_of(channels, "mri"),
        labels=None,
        label_names=called,
        cases=tuple(cases),
        suffixes={channel: f"_{channel}" for channel in channels},
        refused=tuple(refused),
        orphans=tuple(mask.path for mask in masks if mask.path not in used),
        aside=tuple(file for files in left.values() for file in files),
        notes=(*names, *(note for what, files in left.items() for note in left_aside(files, what))),
        warnings=tuple(damaged),
    )


def _harvest(root: Path) -> tuple[list[_File], list[_File], defaultdict[str, list[Path]]]:
    """Return the scans, the masks, and what is left aside by kind."""
    scans: list[_File] = []
    masks: list[_File] = []
    left: defaultdict[str, list[Path]] = defaultdict(list)
    for folder, files in folders_with_images(root):
        inside = [part.lower() for part in folder.relative_to(root).parts]
        derived = "derivatives" in inside
        among_masks = any(mask_part(part) is not None for part in inside)
        for path in files:
            file = _take_apart(path)
            if file is None or not (derived or among_masks or _is_below_its_subject(file, inside)):
                continue
            is_mask = among_masks or split_mask(stem_of(path)) is not None or "label" in file.entities
            if is_mask or file.suffix.lower() == _PROBABILITIES:
                (left["brain masks"].append(path) if is_brain_mask(path) or _is_brain(file) else masks.append(file))
            elif "sourcedata" in inside:
                left["copies below sourcedata"].append(path)
            elif derived:
                left["processed scans below derivatives"].append(path)
            elif set(inside) & set(_OTHER_KINDS) or file.suffix.lower() in _OTHER_SUFFIXES:
                left[_NO_ANATOMY].append(path)
            else:
                scans.append(file)
    series = {file.path for file in scans if _is_diffusion_series(file)}
    if len(series) < len(scans):
        left[_NO_ANATOMY] += sorted(series)
        scans = [file for file in scans if file.path not in series]
    return scans, masks, left


def _is_below_its_subject(file: _File, folders: Sequence[str]) -> bool:
    return f"sub-{file.entities['sub']}".lower() in folders


def _is_diffusion_series(file: _File) -> bool:
    """Whether a file holds volumes of many directions; one volume is a contrast like any other, such as in strokes."""
    return file.suffix.lower() == "dwi" and (channel_count(file.path) or 0) > 1


def _is_brain(file: _File) -> bool:
    return "brain" in (file.entities.get("desc", "").lower(), file.entities.get("label", "").lower())


def _take_apart(path: Path) -> _File | None:
    """Split a name into entities and suffix; None where it names no subject."""
    entities, suffix = split_name(stem_of(path))
    return _File(path, entities, suffix) if "sub" in entities else None


def _groups(scans: Iterable[_File]) -> list[tuple[str, list[_File]]]:
    """Group scans by session; where one has a contrast several times (runs), by all that distinguishes them."""
    sessions = by_key(scans, lambda file: file.session)
    whole = {session for session, files in sessions.items() if len({file.channel for file in files}) == len(files)}
    every = (file for files in sessions.values() for file in files)
    return sorted(by_key(every, lambda file: file.session if file.session in whole else file.name).items())


def _masks_of(scans: Sequence[_File], masks: Iterable[_File]) -> list[_File]:
    """Return the masks of a case: same subject and session, and nothing in their names that no scan of it has.

    A mask that names the scan's contrast as well goes first.
    """
    fitting = [mask for mask in masks if any(_fits(mask, scan) for scan in scans)]
    named = [mask for mask in fitting if any(_names_contrast(mask, scan) for scan in scans)]
    return named if len(named) == 1 else fitting


def _settle(
    groups: Sequence[tuple[str, list[_File]]], masks: Sequence[_File], left: defaultdict[str, list[Path]]
) -> list[_File]:
    """Return the masks that may count: none in another space, none of a kind that loses to another kind anywhere.

    Probabilities count where nothing else does.

    Where one pipeline's masks are named after the contrast (``T1w_seg``), those of another pipeline (``desc-aseg``)
    mean something else, also in a session that has no other.
    """
    native = [mask for mask in masks if mask.entities.get("space", "orig").lower() in _NATIVE_SPACES] or masks
    left["masks in another space than the scans"] += [mask.path for mask in masks if mask not in native]
    if certain := [mask for mask in native if mask.suffix.lower() != _PROBABILITIES]:
        left["probability maps"] += [mask.path for mask in native if mask not in certain]
        native = certain
    losers: set[tuple[str, ...]] = set()
    for _, files in groups:
        fitting = [mask for mask in native if any(_fits(mask, scan) for scan in files)]
        chosen = _masks_of(files, native)
        if len(chosen) == 1:
            losers |= {_kind(mask) for mask in fitting} - {_kind(chosen[0])}
    kept = [mask for mask in native if _kind(mask) not in losers]
    left["masks of another kind"] += [mask.path for mask in native if mask not in kept]
    return kept


def _kind(mask: _File) -> tuple[str, ...]:
    """Return what distinguishes masks by meaning: the pipeline's folder, ``desc``, ``label`` and suffix."""
    parts = [part.lower() for part in mask.path.parts]
    pipeline = parts[parts.index("derivatives") + 1] if "derivatives" in parts[:-2] else ""
    pipeline = "" if pipeline.startswith("sub-") else pipeline
    return (pipeline, mask.entities.get("desc", ""), mask.entities.get("label", ""), mask.suffix.lower())


def _fits(mask: _File, scan: _File) -> bool:
    ours, theirs = scan.entities, mask.entities
    if any(ours.get(key) != theirs.get(key) for key in _SESSION):
        return False
    return all(ours.get(key) == theirs[key] for key in ("run", "acq", "rec", "echo", "chunk") if key in theirs)


def _names_contrast(mask: _File, scan: _File) -> bool:
    rest = split_mask(stem_of(mask.path)) or ""
    split = split_channel(rest)
    return split is not None and split[1] == scan.channel


def _several(masks: Sequence[_File]) -> str:
    others = ", ".join(mask.path.name for mask in masks[1:])
    return f"{masks[0].path}: is one of several masks of the session (also {others}); expected one."


def _twice(name: str, files: Sequence[_File]) -> Refusal:
    return Refusal(
        name,
        f"{files[1].path}: is a second file for a channel of {name}, beside {files[0].path.name}; expected one.",
        "Remove or rename one of the two.",
    )
