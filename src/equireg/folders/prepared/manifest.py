"""The manifest: facts of a prepared data set, and a record of every case; strict on reading."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from equireg.errors import EquiregError
from equireg.folders.label_tables import label_table
from equireg.folders.prepared.names import case_folder
from equireg.folders.schema import SchemaError, strict
from equireg.folders.signature import FORMAT_VERSION
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable

Split = Literal["train", "val", "test"]
_LONGEST_AXIS = 2**15
"""Voxels along an axis, at most: places of classes are kept in 16 bits."""


@dataclass(frozen=True)
class CaseRecord:
    """What the manifest says of one case."""

    name: str
    patient: str
    split: Split
    labelled: bool
    held_out: bool
    """Its layout calls it test or validation."""
    shape: tuple[int, int, int]
    """Working array [D, H, W], voxels."""
    spacing_mm: tuple[float, float, float]
    """Spacing of the working array [D, H, W], mm."""
    grid: Mapping[str, Any]
    """The way from native voxels to the working array and back, as ``WorkingGrid.as_dict`` wrote it."""
    background: tuple[float, ...]
    """Value of each channel's background after normalisation."""
    class_voxels: tuple[int, ...]
    """Voxels of each class, empty for an unlabelled case."""
    class_slices: tuple[int, ...] = ()
    """Slices that show each class; empty for an unlabelled case, and in folders of earlier versions."""
    labelled_box: tuple[int, ...] = ()
    """Sides [D, H, W] of the smallest box about all classes but the background, voxels; empty likewise."""
    intensities: tuple[tuple[float, ...], ...] = ()
    """Raw percentiles inside the foreground, for each channel; empty where none were kept."""
    notes: tuple[str, ...] = ()
    """What the user should know of the scan, such as voxels that were clipped."""
    mask_notes: tuple[str, ...] = ()
    """What the user should know of the mask: what was lost on the way to the working array."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Name of each file in the case's folder to the digest of its bytes; empty for older folders."""
    drafted: bool = False
    """Its classes are a model's draft: training may learn from them, and nothing else knows of them."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; of a case without a draft and such notes as earlier versions wrote them."""
        return {name: value for name, value in vars(self).items() if name not in ("drafted", "mask_notes") or value}

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel of the working array."""
        return math.prod(self.spacing_mm) * self.working_grid().native.shear_factor

    def working_grid(self) -> WorkingGrid:
        """Return the way back to the case's native geometry.

        Raises:
            EquiregError: if the record is damaged.
        """
        try:
            return WorkingGrid.from_dict(self.grid)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
            raise EquiregError(
                f"{self.name}: the grid in its record is damaged ({error}). Make the prepared folder again."
            ) from error


@dataclass(frozen=True)
class Manifest:
    """The facts of a prepared data set."""

    dataset: str
    channels: tuple[str, ...]
    modality: str
    labels: LabelTable
    axes: str
    """Anatomical axis of D, H and W, such as ``zyx``."""
    flips: str
    """Anatomical axes along which a mirrored scan is a plausible one, such as ``xz``."""
    spacing_mm: tuple[float, float, float] | None
    """Spacing x, y, z that all cases were resampled to, or None where they were not."""
    normalisation: Mapping[str, Any]
    """How intensities were normalised: the name, and for CT the numbers."""
    fingerprint: Mapping[str, Any]
    """Medians over the cases, for people and for planning."""
    cases: tuple[CaseRecord, ...]
    refused: tuple[Mapping[str, str], ...] = field(default=())
    """Case, reason and remedy of every case that was left out."""
    pictures: Mapping[str, Any] | None = None
    """Of pictures how their masks are stored (``masks``: grey, palette or rgb) and the size of a pixel (``pixel_mm``);
    None where the scans are volumes."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``from_dict`` reads them back."""
        left_out = ("labels", "cases", *(() if self.pictures is not None else ("pictures",)))
        content = {name: value for name, value in vars(self).items() if name not in left_out}
        return {
            **content,
            "format_version": FORMAT_VERSION,
            "labels": self.labels.as_dict(),
            "cases": [case.as_dict() for case in self.cases],
        }

    def volumes_mm3(self, names: Sequence[str]) -> dict[str, tuple[float, float]] | None:
        """Return the least and the greatest volume of each judged region over some cases, mm3; None without masks.

        Ignored voxels may belong to any region: where no mask is without them, the greatest counts them too.
        """
        masked = self._masked(names)
        if not masked:
            return None
        ignored = [0 if self.labels.ignore is None else math.prod(one.shape) - sum(one.class_voxels) for one in masked]
        rest = ignored if all(ignored) else [0] * len(masked)
        place = {value: index for index, value in enumerate(self.labels.values)}
        found = {}
        for region, values in self.labels.judged_regions().items():
            members = [place[value] for value in values if value in place]
            known = [sum(one.class_voxels[index] for index in members) for one in masked]
            least = min(one.voxel_mm3 * count for one, count in zip(masked, known, strict=True))
            most = [one.voxel_mm3 * sum(counts) for one, *counts in zip(masked, known, rest, strict=True)]
            found[region] = (least, max(most))
        return found

    def least_foreground_mm3(self, names: Sequence[str]) -> float | None:
        """Return the least volume of all labels but the background over some cases, mm3; None without masks."""
        return min((one.voxel_mm3 * sum(one.class_voxels[1:]) for one in self._masked(names)), default=None)

    def _masked(self, names: Sequence[str]) -> list[CaseRecord]:
        """Return those of some cases whose masks say something: not those that are ignored everywhere."""
        return [case for case in self.cases if case.name in set(names) and sum(case.class_voxels)]

    @classmethod
    def from_dict(cls, content: Any) -> "Manifest":
        """Read what ``as_dict`` wrote.

        Raises:
            SchemaError: if a value is missing, unknown, of another kind or out of its range.
        """
        if not isinstance(content, Mapping):
            raise SchemaError(f"it holds a {type(content).__name__}; expected a mapping")
        values = {key: value for key, value in content.items() if key != "format_version"}
        manifest = strict(cls, {**values, "labels": label_table(content.get("labels"))}, "manifest")
        _check(manifest)
        return manifest


def _check(manifest: Manifest) -> None:
    """Check ranges, and that the parts fit each other."""
    channels, classes = len(manifest.channels), manifest.labels.classes
    _require(channels > 0, "channels is empty")
    _require(classes > 0, "labels is empty")
    _require(sorted(manifest.axes) == list("xyz"), f"axes is {manifest.axes!r}; expected x, y and z in some order")
    _require(set(manifest.flips) <= set("xyz"), f"flips is {manifest.flips!r}; expected some of x, y and z")
    _require(min(manifest.spacing_mm or (1.0,)) > 0, f"spacing_mm is {manifest.spacing_mm}; expected numbers above 0")
    _check_normalisation(manifest.normalisation, channels)
    for name in ("median_shape", "large_shape", "median_spacing_mm"):
        if name in manifest.fingerprint:
            kind = tuple[float, float, float]
            _require(min(strict(kind, manifest.fingerprint[name], f"fingerprint.{name}")) > 0, f"{name} is not above 0")
    if manifest.pictures is not None:
        strict(Literal["grey", "palette", "rgb"], manifest.pictures.get("masks"), "pictures.masks")
        _require(strict(float, manifest.pictures.get("pixel_mm"), "pictures.pixel_mm") > 0, "pixel_mm is not above 0")
    names = [case.name for case in manifest.cases]
    _require(len(set(names)) == len(names), "cases holds a name twice")
    for case in manifest.cases:
        _check_case(case, channels, classes)


def _check_case(case: CaseRecord, channels: int, classes: int) -> None:
    what = f"the record of {case.name[:80]!r}"
    try:
        case_folder(Path(), case.name)
    except EquiregError as error:
        raise SchemaError(str(error)) from error
    _require(all(0 < size <= _LONGEST_AXIS for size in case.shape), f"{what} has the shape {case.shape}")
    _require(all(0 < size < 1e6 for size in case.spacing_mm), f"{what} has the spacing {case.spacing_mm} mm")
    _require(len(case.background) == channels, f"{what} has {len(case.background)} backgrounds for {channels} channels")
    _require(not case.drafted or (case.split == "train" and not case.labelled), f"{what} has a draft beside a mask")
    expected = classes if case.labelled else 0
    _require(len(case.class_voxels) == expected, f"{what} counts voxels of {len(case.class_voxels)} classes")
    _require(len(case.class_slices) in (0, expected), f"{what} counts slices of {len(case.class_slices)} classes")
    _require(len(case.labelled_box) in (0, 3), f"{what} has the box {case.labelled_box}")
    _require(min(case.class_voxels, default=0) >= 0, f"{what} has a negative count of voxels")


def _check_normalisation(content: Mapping[str, Any], channels: int) -> None:
    strict(str, content.get("name"), "normalisation.name")
    schemes = strict(tuple[Literal["zscore", "ct", "none"], ...], content.get("schemes", ()), "normalisation.schemes")
    _require(len(schemes) == (channels if content["name"] == "mixed" else 0), "normalisation.schemes does not fit")
    numbers = {key: value for key, value in content.items() if key not in ("name", "schemes")}
    for key, value in numbers.items():
        found = strict(float | tuple[float, ...], value, f"normalisation.{key}")
        _require(not isinstance(found, tuple) or len(found) == channels, f"normalisation.{key} is not one a channel")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise SchemaError(message)
