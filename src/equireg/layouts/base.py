"""What a layout finds in a raw folder, and how that becomes the cases of a data set."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.formats import extension_of
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry, read_image

STACKED = ""
"""Key of a file that holds all channels of its case, in place of a channel's name."""

_SCAN_NUMBER = (
    re.compile(r"(BraTS-[A-Z]+-\d+)-\d+", re.IGNORECASE),  # 2023+: BraTS-GLI-00000-000
    re.compile(r"(BraTS1\d_.+)_\d+", re.IGNORECASE),  # 2018, 2019: BraTS19_2013_2_1
    re.compile(r"(TCGA_\w\w_\w{4})_\d+"),
)


class LayoutMismatchError(EquiregError):
    """The folder is not of the layout that was tried; says what is missing for it."""


@dataclass(frozen=True)
class RawCase:
    """One scan in a raw folder."""

    name: str
    """File-safe name: the file's stem without channel suffix and extension."""
    images: tuple[Path, ...]
    """One file a channel in the data set's channel order, or one whose fourth axis holds all channels."""
    label: Path | None
    """The mask, or None for an unlabelled case."""
    patient: str
    """Equal for all scans of one patient."""
    held_out: bool
    """Whether the layout calls the case test or validation."""
    picks: tuple[int, ...] | None = None
    """Which channels of the one file make up the image, in order; None takes the files as they are."""

    problem: str | None = None
    """Why the case cannot be read, where that is known beforehand."""

    def read_image(self) -> tuple[np.ndarray, Geometry]:
        """Read the scan: voxels [C, X, Y, Z] float32 in channel order, and their geometry.

        Raises:
            EquiregError: as ``volume.read_image`` does, or for the known problem.
        """
        if self.problem is not None:
            raise EquiregError(self.problem)
        return read_image(self.images, self.picks)


@dataclass(frozen=True)
class Refusal:
    """A case that is left out, and why."""

    case: str
    reason: str
    """Begins with the file."""
    remedy: str


@dataclass(frozen=True)
class RawDataset:
    """The cases of a raw folder, with what its layout says about them."""

    root: Path
    layout: str
    channels: tuple[str, ...]
    modality: str
    """``"mri"``, ``"ct"`` or ``"other"``."""
    labels: LabelTable | None
    """None where the layout declares none; the masks' own values count then."""
    cases: tuple[RawCase, ...]
    """Sorted by name; no name twice."""
    refused: tuple[Refusal, ...]


@dataclass(frozen=True)
class FoundCase:
    """A case as its layout finds it, complete or not."""

    name: str
    files: Mapping[str, Path]
    """Channel name to file, or ``STACKED`` to the one file with all channels."""
    label: Path | None = None
    held_out: bool = False
    contrast: str | None = None
    """Known channel that the name of the one file ends with."""

    @property
    def stacked(self) -> Path | None:
        """The one file with all channels, or None where each channel has its own."""
        return self.files.get(STACKED)


@dataclass(frozen=True)
class FoundSet:
    """What a layout finds in a folder."""

    layout: str
    channels: tuple[str, ...]
    modality: str
    labels: LabelTable | None
    cases: tuple[FoundCase, ...]
    suffixes: Mapping[str, str] = field(default_factory=dict)
    """What a channel adds to the case's name in file names, to say which file is missing."""
    refused: tuple[Refusal, ...] = ()
    orphans: tuple[Path, ...] = ()
    """Masks without a scan."""


def patient_of(name: str) -> str:
    """Return the patient of a case: its name, less the number of the scan where a known scheme has one."""
    for pattern in _SCAN_NUMBER:
        match = pattern.fullmatch(name)
        if match:
            return match[1]
    return name


def missing_file(case: FoundCase, channel: str, suffixes: Mapping[str, str]) -> Path:
    """Return where the file of a channel that a case lacks was looked for."""
    neighbour = next(iter(case.files.values()), case.label)
    if neighbour is None:
        return Path(f"{case.name}_{channel}")
    return neighbour.parent / f"{case.name}{suffixes.get(channel, '_' + channel)}{extension_of(neighbour)}"


def to_dataset(root: Path, found: FoundSet) -> RawDataset:
    """Keep the cases that have every channel and a name of their own; refuse the others with the reason."""
    cases: dict[str, RawCase] = {}
    refused = list(found.refused)
    for mask in found.orphans:
        refused.append(Refusal(mask.name, f"{mask}: is a mask without a scan.", "Add its scan under the same name."))
    for case in sorted(found.cases, key=lambda case: (case.name, [str(file) for file in case.files.values()])):
        refusal = _refusal(case, found, cases.get(case.name))
        if refusal:
            refused.append(refusal)
            continue
        images = (case.stacked,) if case.stacked else tuple(case.files[channel] for channel in found.channels)
        cases[case.name] = RawCase(case.name, images, case.label, patient_of(case.name), case.held_out)
    return RawDataset(
        root=root,
        layout=found.layout,
        channels=found.channels,
        modality=found.modality,
        labels=found.labels,
        cases=tuple(cases.values()),
        refused=tuple(sorted(refused, key=lambda refusal: refusal.case)),
    )


def _refusal(case: FoundCase, found: FoundSet, earlier: RawCase | None) -> Refusal | None:
    """Return why a case cannot stand, or None."""
    if case.stacked is None:
        missing = [channel for channel in found.channels if channel not in case.files]
        if missing:
            file = missing_file(case, missing[0], found.suffixes)
            expected = ", ".join(found.channels)
            return Refusal(
                case.name,
                f"{file}: no such file; the case lacks {', '.join(missing)} of the channels {expected}.",
                "Add the file, or remove the case's folder or files.",
            )
    if earlier is not None:
        file = next(iter(case.files.values()))
        return Refusal(
            case.name,
            f"{file}: the name {case.name} is taken by {earlier.images[0]}; expected each name once.",
            "Rename one of the two.",
        )
    return None


def describe(channels: Sequence[str]) -> str:
    """Name channels for a message."""
    return f"{len(channels)} ({', '.join(channels)})"
