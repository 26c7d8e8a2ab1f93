"""The two views of a scan, weak and strong, and the transform between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Generator, Tensor

from equireg.config import SpatialConfig, ViewsConfig
from equireg.transforms import intensity, sampling, spatial
from equireg.transforms.spatial import SpatialParams

_ROUNDING = 1e-3
"""Part of the background's value by which a voxel may differ from it and still be background."""


@dataclass(frozen=True)
class TwoViews:
    """A weak view and the strong view made from it; both are single interpolations of the scan."""

    weak: Tensor
    """[B, C, *S]."""
    weak_valid: Tensor
    """[B, 1, *S]."""
    strong: Tensor
    """[B, C, *S]."""
    strong_valid: Tensor
    """[B, 1, *S]; 0 where either transform read from outside."""
    strong_tissue: Tensor
    """1 where the strong view, ahead of intensity changes, differs from the background in a channel, [B, 1, *S]."""
    transform: SpatialParams
    """From the weak view to the strong one: what the teacher's prediction must go through."""
    whole: SpatialParams
    """From the scan to the strong view."""


def two_views(
    image: Tensor,
    valid: Tensor,
    fill: Tensor,
    spacing_mm: Tensor,
    config: ViewsConfig,
    generator: Generator,
    flip_axes: Sequence[int] = (),
) -> TwoViews:
    """Draw and make both views of a batch.

    Args:
        image: scans, [B, C, *S].
        valid: 1 where the voxel is of the scan, [B, 1, *S].
        fill: value of each channel's background, [B, C].
        spacing_mm: voxel spacing, [B, n], mm.
        config: ranges and probabilities of both views.
        generator: the only source of random numbers.
        flip_axes: axes along which a mirrored scan is a plausible one.
    """
    shape = image.shape[2:]
    weak = sampling.sample(config.weak, len(image), shape, spacing_mm, generator, flip_axes)
    strong = sampling.sample(config.strong, len(image), shape, spacing_mm, generator, flip_axes)
    changes = intensity.sample(config.intensity, len(image), image.shape[1], generator)
    weak_image, weak_valid = spatial.apply(image, weak, fill=fill, valid=valid)
    whole = spatial.compose(weak, strong)
    strong_image, strong_valid = spatial.apply(image, whole, fill=fill, valid=valid)
    shows = tissue(strong_image, fill).to(strong_valid.dtype)
    return TwoViews(weak_image, weak_valid, intensity.apply(strong_image, changes), strong_valid, shows, strong, whole)


def tissue(image: Tensor, fill: Tensor) -> Tensor:
    """Return where images [B, C, *S] differ from their background [B, C] in any channel, [B, 1, *S].

    By more than rounding: scans lie on disk in 16 bits, and interpolation adds its own. A background of 0 is exact.
    """
    outside = fill.view(*fill.shape, *[1] * (image.ndim - 2)).to(image)
    return ((image - outside).abs() > _ROUNDING * outside.abs()).any(dim=1, keepdim=True)


def geometric_view(
    image: Tensor,
    valid: Tensor,
    fill: Tensor,
    spacing_mm: Tensor,
    ranges: SpatialConfig,
    generator: Generator,
    flip_axes: Sequence[int] = (),
) -> tuple[Tensor, Tensor]:
    """Make one view of scans without a label, by a spatial transform alone.

    Returns:
        Image [B, C, *S] and ``valid`` [B, 1, *S], 0 where the transform read from outside.
    """
    params = sampling.sample(ranges, len(image), image.shape[2:], spacing_mm, generator, flip_axes)
    return spatial.apply(image, params, fill=fill, valid=valid)


@dataclass(frozen=True)
class LabelledScans:
    """A batch of scans with their labels, as labelled_view takes them."""

    image: Tensor
    """[B, C, *S]"""
    label: Tensor
    """[B, 1, *S]"""
    valid: Tensor
    """1 where the voxel is of the scan, [B, 1, *S]"""
    fill: Tensor
    """value of each channel's background, [B, C]"""
    spacing_mm: Tensor
    """voxel spacing, [B, n], mm"""


def labelled_view(
    scans: LabelledScans,
    config: ViewsConfig,
    generator: Generator,
    flip_axes: Sequence[int] = (),
    view: Literal["strong", "weak"] = "strong",
) -> tuple[Tensor, Tensor, Tensor]:
    """Make a view of labelled scans, with their labels [B, 1, *S] by nearest neighbour.

    The strong view has intensity changes, the weak one has none.

    Returns:
        Image [B, C, *S], label [B, 1, *S] and ``valid`` [B, 1, *S].
    """
    image = scans.image
    ranges = config.strong if view == "strong" else config.weak
    params = sampling.sample(ranges, len(image), image.shape[2:], scans.spacing_mm, generator, flip_axes)
    changes = intensity.sample(config.intensity, len(image), image.shape[1], generator)
    moved, seen = spatial.apply(image, params, fill=scans.fill, valid=scans.valid)
    moved_label, _ = spatial.apply(scans.label, params, mode="nearest")
    return (intensity.apply(moved, changes) if view == "strong" else moved), moved_label, seen
