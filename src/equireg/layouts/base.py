"""What a layout finds in a raw folder, and how that becomes the cases of a data set."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.dicom.reading import read_series, series_geometry
from equireg.imaging.dicom.series import Series
from equireg.imaging.formats import composed, extension_of, read_header
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import ANY_SIZE, LIMITS, Limits
from equireg.imaging.masks import MaskFiles
from equireg.imaging.segments import held_apart, label_of
from equireg.imaging.text_headers import with_voxels
from equireg.imaging.volume import Geometry, common_geometry, read_geometry, read_image

SEVERAL_MASKS = (
    "Keep the right mask, and move the others elsewhere. If each shows a class, unite them in one file, or put them "
    "into a folder segmentations/ beside ct.nii.gz or mri.nii.gz (--layout totalsegmentator)."
)
"""How to mend several masks of a volume."""
SEVERAL_MASKS_OF_PICTURE = (
    "Keep the right mask, and move the others elsewhere. If each shows a class, save them as the values of one file."
)
"""How to mend several masks of a picture."""
STACKED = ""
"""Key of a file that holds all channels of its case, in place of a channel's name."""


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
    parts: tuple[tuple[int, Path], ...] = ()
    """Label value and mask of each class, where ``label`` is a folder with a mask a class."""
    more: tuple[Path, ...] = ()
    """Further masks of the scan, which are united with ``label``."""
    limits: Limits = LIMITS
    """What its files may claim."""
    series: tuple[Series, ...] = ()
    """The DICOM series of each channel, whose first files are ``images``; none where these hold the scan themselves."""
    segments: tuple[tuple[int, int], ...] = ()
    """Number and label value of each segment of a DICOM mask."""

    @property
    def scan_files(self) -> tuple[Path, ...]:
        """All files of the scan."""
        return tuple(file for one in self.series for file in one.files) or tuple(with_voxels(self.images))

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the case, masks last."""
        return self.scan_files + (() if self.mask is None else tuple(with_voxels(self.mask.files)))

    @property
    def mask(self) -> MaskFiles | None:
        """The mask as it lies on disk, or None for an unlabelled case."""
        if self.label is None:
            return None
        of_dicom = self.series and extension_of(self.label) is None
        grid = self.series[0].geometry if of_dicom else None
        return MaskFiles(self.label, self.parts, self.limits, self.more, self.segments, grid)

    def with_mask(self, mask: Path) -> "RawCase":
        """Return the case with one file in place of its own masks."""
        return replace(self, label=mask, parts=(), more=(), segments=())

    def read_geometry(self) -> Geometry:
        """Read from the header of the scan, or of its first channel, where its voxels lie.

        Raises:
            EquiregError: as ``volume.read_geometry`` does.
        """
        if self.series:
            return series_geometry(self.series[0], self.limits)
        return read_geometry(self.images[0], self.limits)[0]

    def compare_headers(self, geometry: Geometry) -> None:
        """Tell, from headers alone, what channels and masks will be turned to the scan's axes, or are rounded.

        What does not fit is left to whoever reads the voxels.

        Args:
            geometry: of the scan.
        """
        if len(self.images) > 1 and not self.series and self.problem is None:
            with suppress(EquiregError):
                common_geometry(self.images, self.limits)
        if self.mask is not None:
            self.mask.compare_headers(geometry)

    def read_image(self) -> tuple[np.ndarray, Geometry]:
        """Read the scan: voxels [C, X, Y, Z] float32 in channel order, and their geometry.

        Raises:
            EquiregError: as ``volume.read_image`` does, or for the known problem.
        """
        if self.problem is not None:
            raise EquiregError(self.problem)
        if self.series:
            return read_series(self.series, self.limits)
        return read_image(self.images, self.picks, self.limits)

    def read_label(self, expected: Geometry) -> np.ndarray:
        """Read the mask: label values [X, Y, Z], of an integer type.

        A mask a class becomes one mask; where two of them overlap, the class of the higher value counts.

        Args:
            expected: geometry of the scan.

        Raises:
            EquiregError: as ``volume.read_label`` does.
            ValueError: if the case has no mask.
        """
        if self.mask is None:
            raise ValueError(f"the case {self.name} has no mask; expected a labelled case.")
        return self.mask.read(expected)


def with_limits(cases: Iterable[RawCase], limits: Limits) -> tuple[RawCase, ...]:
    """Return cases whose files are read within these limits."""
    return tuple(replace(case, limits=limits) for case in cases)


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
    label_names: Mapping[int, str] = field(default_factory=dict)
    """Label value to its name, where ``labels`` is None: the masks say which values there are."""
    pictures: bool = False
    """Whether the scans are pictures, and so of two dimensions."""
    notes: tuple[str, ...] = ()
    """What the layout left aside or decided, for the user to see."""
    warnings: tuple[str, ...] = ()
    """Decisions that could well be wrong."""
    private: frozenset[str] = frozenset()
    """Paths that may tell who a patient is: they are shown, and stay out of what is written."""


def relabelled(dataset: RawDataset, table: LabelTable | None) -> RawDataset:
    """Return a data set whose DICOM masks have the label values that their segments' names have in a table.

    Names may differ in capitals where one label alone is meant. Segments that the table does not name are left out; a
    data set without DICOM masks stays as it is.
    """
    own = dataset.labels
    if own is None or table is None or not any(case.segments for case in dataset.cases):
        return dataset
    by_name = dict(zip(table.names, table.values, strict=True))
    apart = held_apart([own.names])
    meant = ((value, label_of(name, table.names, apart)) for name, value in zip(own.names, own.values, strict=True))
    new = {value: by_name[label] for value, label in meant if label is not None}
    cases = [
        replace(case, segments=tuple((number, found) for number, value in case.segments if (found := new.get(value))))
        for case in dataset.cases
    ]
    return replace(dataset, labels=table, cases=tuple(cases))


@dataclass(frozen=True)
class FoundCase:
    """A case as its layout finds it, complete or not."""

    name: str
    files: Mapping[str, Path]
    """Channel name to file, or ``STACKED`` to the one file with all channels."""
    label: Path | None = None
    held_out: bool = False
    contrast: str | None = None
    """Known channel that the name of the one file ends with, or that its description says."""
    patient: str | None = None
    """Where the layout states the patient, for example by a folder; None leaves it to the case's name."""
    parts: Mapping[int, Path] = field(default_factory=dict)
    """Label value to the mask of that class, where ``label`` is a folder with a mask a class."""
    more: tuple[Path, ...] = ()
    """Further masks of the scan, which are united with ``label``."""
    problem: str | None = None
    """Why the case cannot be used, known from names alone; begins with a file."""
    label_problem: str | None = None
    """Why the case's mask cannot be found; begins with a file. The scan can be predicted all the same."""
    label_remedy: str = "Keep the right mask, and move the others elsewhere."
    """How to mend that."""
    series: Mapping[str, Series] = field(default_factory=dict)
    """Channel name to DICOM series, of which ``files`` holds the first file each."""
    segments: Mapping[int, int] = field(default_factory=dict)
    """Number to label value of each segment, where ``label`` is DICOM."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", composed(self.name))

    @property
    def scan(self) -> Path | None:
        """The first file of the scan, or None where there is none."""
        return next(iter(self.files.values()), None)

    @property
    def masks(self) -> tuple[Path, ...]:
        """All files of its masks, and a folder of masks."""
        return (*([self.label] if self.label else []), *self.parts.values(), *self.more)

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
    label_names: Mapping[int, str] = field(default_factory=dict)
    suffixes: Mapping[str, str] = field(default_factory=dict)
    """What a channel adds to the case's name in file names, to say which file is missing."""
    refused: tuple[Refusal, ...] = ()
    orphans: tuple[Path, ...] = ()
    """Masks without a scan."""
    aside: tuple[Path, ...] = ()
    """Images that are known and not used, which a note names."""
    notes: tuple[str, ...] = ()
    """What was left aside or decided, for the user to see."""
    warnings: tuple[str, ...] = ()
    """Decisions that could well be wrong."""
    private: frozenset[str] = frozenset()
    """Paths that may tell who a patient is: they are shown, and stay out of what is written."""


def missing_file(case: FoundCase, channel: str, suffixes: Mapping[str, str]) -> Path:
    """Return where the file of a channel that a case lacks was looked for."""
    neighbour = case.scan or case.label
    if neighbour is None:
        return Path(f"{case.name}_{channel}")
    return neighbour.parent / f"{case.name}{suffixes.get(channel, '_' + channel)}{extension_of(neighbour)}"


def left_aside(files: Sequence[Path], what: str) -> tuple[str, ...]:
    """Return a note on files that are known and not used; none without one."""
    return (f"left aside: {len(files)} {what}, such as {files[0].name}",) if files else ()


def describe(channels: Sequence[str]) -> str:
    """Name channels for a message."""
    return f"{len(channels)} ({', '.join(channels)})"


def channel_count(file: Path) -> int | None:
    """Return how many channels a file has; None where it cannot be read (it is refused then)."""
    try:
        return read_header(file, ANY_SIZE).channels
    except EquiregError:
        return None
