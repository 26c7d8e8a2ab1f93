"""The prepared folder: its manifest, and arrays that can be read in part."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import blosc2
import numpy as np

from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable

MANIFEST = "manifest.json"
CASES = "cases"
EXAMPLES = "examples"
"""Folder with the steps of one case, for the report."""
IMAGE, LABEL = "image.b2nd", "label.b2nd"
"""Files in a case's folder: the working arrays."""
PLACES = "foreground.npz"
"""File in a case's folder: some places of each class."""
REFERENCE = "reference.nii.gz"
"""File in a case's folder: the mask in the scan's own geometry."""
SEEDS = "equivariance.npy"
"""File in a case's folder: the seeds of its fixed transforms, one a slice."""
RECORD = "case.json"
"""File in a case's folder: its record, and what it was made from."""
_CHUNK_BYTES = 2**20
"""Bytes that a compressed chunk holds, about: small enough to read one patch, large enough to compress."""

Split = Literal["train", "val", "test"]


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

    def working_grid(self) -> WorkingGrid:
        """Return the way back to the case's native geometry."""
        return WorkingGrid.from_dict(self.grid)


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

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``from_dict`` reads them back."""
        content = {name: value for name, value in vars(self).items() if name not in ("labels", "cases")}
        return {
            **content,
            "format_version": folders.FORMAT_VERSION,
            "labels": self.labels.as_dict(),
            "cases": [dict(vars(case)) for case in self.cases],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Manifest":
        """Read what ``as_dict`` wrote."""
        spacing = content["spacing_mm"]
        return cls(
            dataset=content["dataset"],
            channels=tuple(content["channels"]),
            modality=content["modality"],
            labels=LabelTable.from_dict(content["labels"]),
            axes=content["axes"],
            flips=content["flips"],
            spacing_mm=None if spacing is None else tuple(spacing),
            normalisation=content["normalisation"],
            fingerprint=content["fingerprint"],
            cases=tuple(_record(case) for case in content["cases"]),
            refused=tuple(content["refused"]),
        )


def _record(content: Mapping[str, Any]) -> CaseRecord:
    sequences = ("shape", "spacing_mm", "background", "class_voxels")
    return CaseRecord(**{**content, **{name: tuple(content[name]) for name in sequences}})


class PreparedSet:
    """A prepared folder, opened for reading.

    Raises:
        EquiregError: if the folder is not the finished output of `equireg prepare`, or is of another format.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._signature = folders.read_signature(self.root, "prepare")
        content = disk.read_json(self.root / MANIFEST)
        folders.check_format(self.root / MANIFEST, content.get("format_version"))
        try:
            self.manifest = Manifest.from_dict(content)
        except (KeyError, TypeError) as error:
            raise EquiregError(
                f"{self.root / MANIFEST}: is damaged ({error!r}). Run `equireg prepare` again."
            ) from error

    @cached_property
    def by_name(self) -> dict[str, CaseRecord]:
        """Case name to its record."""
        return {case.name: case for case in self.manifest.cases}

    def image(self, case: str) -> blosc2.NDArray:
        """Open a case's image, float16 [C, D, H, W]; slicing it reads that part alone."""
        return self._open(case, IMAGE)

    def label(self, case: str) -> blosc2.NDArray:
        """Open a case's class indices, uint8 [D, H, W]; ``IGNORED`` where nobody annotated."""
        return self._open(case, LABEL)

    def foreground(self, case: str) -> dict[int, np.ndarray]:
        """Read places of each class that the case shows: class index to int16 [N, 3], in [D, H, W]."""
        with np.load(self.folder(case) / PLACES) as content:
            return {int(name): content[name] for name in content.files}

    def equivariance_seeds(self, case: str) -> np.ndarray:
        """Read the seeds of a case's fixed transforms, uint64 [D].

        Raises:
            EquiregError: if the folder was prepared before there were such seeds.
        """
        path = self.folder(case) / SEEDS
        try:
            return np.load(path)
        except (OSError, ValueError) as error:
            raise EquiregError(
                f"{path}: is missing or damaged ({error}); expected a seed for each slice. "
                "Run the same `equireg prepare` again."
            ) from error

    def reference(self, case: str) -> Path | None:
        """Return a case's mask in its native geometry, or None where it has none."""
        path = self.folder(case) / REFERENCE
        return path if path.is_file() else None

    def references(self) -> dict[str, Path]:
        """Return case name to native mask, of all cases that have one."""
        found = {case.name: self.reference(case.name) for case in self.manifest.cases}
        return {name: path for name, path in found.items() if path is not None}

    def examples(self) -> list[Path]:
        """Return the files ``CASE.npz`` with the steps of preparation, for the report."""
        return sorted((self.root / EXAMPLES).glob("*.npz"))

    @property
    def source(self) -> str | None:
        """The raw folder that it was made from, where that was recorded."""
        found = self._signature.get("source")
        return None if found is None else str(found)

    def folder(self, case: str) -> Path:
        """Return the folder that holds a case's arrays."""
        return self.root / CASES / case

    def _open(self, case: str, name: str) -> blosc2.NDArray:
        path = self.folder(case) / name
        try:
            array = blosc2.open(str(path), mode="r")
        except (OSError, RuntimeError, ValueError) as error:
            raise EquiregError(f"{path}: cannot be read ({error}). Run `equireg prepare` again.") from error
        if not isinstance(array, blosc2.NDArray):
            raise EquiregError(f"{path}: is not an array. Run `equireg prepare` again.")
        return array


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array [..., D, H, W], compressed such that a few slices can be read alone."""
    blosc2.set_nthreads(1)  # cases are written in parallel already
    slice_bytes = max(1, array[..., :1, :, :].nbytes)
    depth = min(array.shape[-3], math.ceil(_CHUNK_BYTES / slice_bytes))
    lead = array.shape[:-3]
    compressed = blosc2.asarray(
        np.ascontiguousarray(array),  # pyright: ignore[reportArgumentType]
        chunks=(*lead, depth, *array.shape[-2:]),
        blocks=(*[1] * len(lead), 1, *array.shape[-2:]),
        cparams={"codec": blosc2.Codec.ZSTD, "clevel": 5, "nthreads": 1},
    )
    # Written here and not by blosc2, which does not say why a write failed (a full disk, say).
    path.write_bytes(compressed.to_cframe())  # pyright: ignore[reportAttributeAccessIssue]
