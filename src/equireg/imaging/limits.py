"""What a file may claim, as no header is believed before it is checked; and what pictures do not say of themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equireg.config import LimitOptions
from equireg.errors import EquiregError
from equireg.imaging.colours import ColourTable


@dataclass(frozen=True)
class Limits:
    """Bounds of what is read; a file beyond them is refused before memory is asked for.

    For pictures, what a file of another kind says itself: the size of a pixel, and what colours mean in masks.
    """

    min_spacing_mm: float = 0.0001
    """Smallest distance of neighbouring voxels."""
    max_spacing_mm: float = 50.0
    """Largest distance of neighbouring voxels."""
    max_voxels: int = 2**31
    """Most values in one file, all channels together."""
    max_ratio: float = 200.0
    """How many times its own size a compressed file may grow; noise lets no scan come near."""
    small_bytes: int = 2**27
    """Decompressed size below which the ratio is not looked at."""
    seconds: float = 60.0
    """Longest time for a .mha or .nrrd file, beside one second for each 10 MB of it."""
    pixel_mm: float = 1.0
    """Size of a picture's pixel."""
    colours: ColourTable | None = None
    """What the colours of masks mean that are pictures."""
    segments: tuple[tuple[str, int], ...] = ()
    """Label values of named segments, by which masks of 3D Slicer are read; see ``segments``."""

    @classmethod
    def of(cls, options: LimitOptions, *recorded: Mapping[str, Any]) -> "Limits":
        """Return the limits that a verb's options ask for.

        Args:
            options: the verb's own.
            recorded: signatures of the folders that it reads; what their verbs were allowed is allowed again.
        """
        spacing_mm, voxels, pixel_mm = options.max_spacing_mm, options.max_voxels, options.pixel_mm
        for config in (signature.get("config") for signature in recorded):
            if isinstance(config, Mapping):
                found_mm, found = config.get("max_spacing_mm"), config.get("max_voxels")
                spacing_mm = max(spacing_mm, found_mm) if isinstance(found_mm, float | int) else spacing_mm
                voxels = max(voxels, found) if isinstance(found, int) else voxels
                pixel_mm = pixel_mm or _size(config.get("pixel_mm"))
        return cls(max_spacing_mm=spacing_mm, max_voxels=voxels, pixel_mm=pixel_mm or cls.pixel_mm)


def _size(recorded: Any) -> float | None:
    return float(recorded) if isinstance(recorded, float | int) and recorded > 0 else None


LIMITS = Limits()
"""The limits where none are given."""
ANY_SIZE = Limits(max_voxels=2**62)
"""For a look at a header alone, which needs no memory."""

_THICKEST_MM = 1e5
"""Largest spacing across a single slice, where it says nothing; nnU-Net writes 999 for pictures."""
PACKED = 1040
"""Times that deflate can shrink at most (1032), with its frame."""


def check_size(path: Path, sizes: tuple[int, ...], voxel_bytes: int, capacity: int, limits: Limits) -> None:
    """Refuse a header that claims more bytes than its file can hold, or more voxels than is sane."""
    count = 1
    for size in sizes:
        count *= size
    shape = " x ".join(str(size) for size in sizes)
    if count > limits.max_voxels:
        raise EquiregError(
            f"{path}: its header claims {shape} voxels; expected at most {limits.max_voxels} in all. The header is "
            "damaged, or the scan has to be cut."
        )
    if count * voxel_bytes > capacity:
        raise EquiregError(
            f"{path}: is cut short or damaged: its header claims {shape} voxels of {voxel_bytes} bytes, the file can "
            f"hold {capacity} bytes. Copy it again from its source, or remove it."
        )


def check_ratio(path: Path, claimed: int, packed: int, limits: Limits) -> None:
    """Refuse a compressed scan whose bytes would grow, from ``packed`` to ``claimed``, as those of none do."""
    if claimed > limits.small_bytes and claimed > limits.max_ratio * packed:
        raise EquiregError(
            f"{path}: {packed} bytes would become {claimed}, {claimed / max(packed, 1):.0f} times as many; expected at "
            f"most {limits.max_ratio:g} times of a scan. If it is one, decompress it first (gunzip)."
        )


def check_spacing(path: Path, spacing_mm: tuple[float, ...], shape: tuple[int, ...], limits: Limits) -> None:
    """Refuse voxel sizes that no scanner or microscope makes, but for the thickness of what is a single voxel thick."""
    low, high = limits.min_spacing_mm, limits.max_spacing_mm
    most = [high if size > 1 else max(high, _THICKEST_MM) for size in shape]
    if not all(low <= spacing <= limit for spacing, limit in zip(spacing_mm, most, strict=True)):
        shown = " x ".join(f"{spacing:g}" for spacing in spacing_mm)
        raise EquiregError(
            f"{path}: has a voxel spacing of {shown} mm; expected {low:g} to {high:g} mm along each axis. Correct the "
            f"spacing or the unit in its header{', or allow it by --max_spacing_mm' * (max(spacing_mm) > high)}."
        )
