"""From a fingerprint to settings: slices or volumes, the patch, the network's topology, which voxels are drawn.

Each rule returns its value with its reason. The ladder holds settings from the costliest to the cheapest; which rung is
taken depends on how many steps it leaves in the time there is, which is measured.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from equireg.batches.patches import patch_within
from equireg.config import MethodConfig
from equireg.config.methods import EquiRegConfig
from equireg.networks import strides_for, topology_for
from equireg.planning.fingerprint import Fingerprint

ANISOTROPIC = 3.0
"""Widest over finest spacing from which scans count as stacks of slices (nnU-Net's threshold, Isensee et al. 2021)."""
FEWEST_SLICES = 16
"""Slices below which a volume cannot be halved twice."""
FEWEST_VOLUMES = 10
"""Labelled cases below which slices are taken: every case is one volume, and tens of slices."""
SMALL_IN_SAMPLE = 0.35
"""Part of a sample's sides, on average over its axes, below which what is labelled counts as small in it: slices of
gliomas have 0.26, of hearts 0.30 in wide and 0.45 in narrow fields of view, of hippocampi cut out closely 0.69."""
_RARE = 0.2
"""Fraction of slices, or of a volume's windows, below which a class counts as rarely seen."""
_FOREGROUND, _FOREGROUND_RARE = 0.6, 0.8


@dataclass(frozen=True)
class Decision:
    """One setting of a plan."""

    option: str
    """with dots"""
    value: Any
    why: str


@dataclass(frozen=True)
class Rung:
    """Settings that decide what a step costs."""

    features: int
    batch_size: int
    unsup_ratio: int
    patch_size: tuple[int, ...]
    steps: int
    """fewest steps with which this rung is better than the next one"""
    downsample: tuple[int, ...] | None = None
    """how many times coarser the network works along each axis; None at full resolution"""

    @property
    def cost(self) -> float:
        """Work of a step relative to other rungs; the time is measured, this only says where to look first."""
        axes = len(self.patch_size)
        samples = self.batch_size * (1 + 1.5 * self.unsup_ratio)
        work = self.features**1.4 / math.prod(self.downsample or (1,)) + _OTHER_WORK
        return samples * math.prod(self.patch_size) * work * 3.0 ** (axes - 2)

    @property
    def memory(self) -> float:
        """Memory of a step relative to other rungs."""
        held = self.features / math.prod(self.downsample or (1,)) + _OTHER_WORK
        return self.batch_size * (1 + self.unsup_ratio) * math.prod(self.patch_size) * held


_OTHER_WORK = 2.5
"""Work at a sample's full resolution (transforms, losses), in the units of a network's."""
_SLICES = (
    # features, batch, ratio, most voxels that the network sees of a patch, most times coarser, fewest steps
    (32, 8, 3, 512**2, 1, 5000),
    (32, 8, 3, 256**2, 1, 5000),
    (32, 8, 1, 256**2, 1, 2000),
    (16, 8, 1, 256**2, 1, 1500),
    (16, 8, 1, 128**2, 2, 1000),
    (16, 4, 1, 128**2, 2, 500),
    (16, 4, 1, 96**2, 4, 200),
    (8, 4, 1, 64**2, 4, 50),
)
_VOLUMES = (
    (32, 2, 2, 128**3, 1, 4000),
    (32, 2, 2, 80**3, 1, 3000),
    (16, 2, 2, 80**3, 1, 2000),
    (16, 2, 1, 64**3, 1, 2000),
)
_LEAST_ACROSS = 4.0
"""Voxels across the smallest class, in a slice that shows it, that a coarser resolution leaves at least."""


def ladder(
    print_: Fingerprint, dims: int, fixed: Mapping[str, Any], strides: Sequence[Sequence[int]] | None = None
) -> list[Rung]:
    """Return the rungs for slices or volumes, the costliest first, with what the user has fixed in all of them.

    Args:
        print_: the fingerprint.
        dims: 2 or 3.
        fixed: given values by the names of ``Rung``; a value of None is not fixed.
        strides: of each stage along each axis, where they are given; they divide the patch.
    """
    rungs: list[Rung] = []
    kept = {name: value for name, value in fixed.items() if value is not None}
    sides = print_.large_shape[-dims:]
    limit = coarsest_for(print_)
    by_hand = strides is not None or "patch_size" in kept  # which another resolution need not fit
    for features, batch, ratio, most, coarsest, steps in _SLICES if dims == 2 else _VOLUMES:
        factors = None if by_hand else _downsample(sides, most, min(coarsest, limit))
        factors = kept.get("downsample", factors)
        patch = patch_within(sides, most, strides, factors)
        values = {"features": features, "batch_size": batch, "unsup_ratio": ratio, "patch_size": patch}
        rung = Rung(**values | {"downsample": factors} | kept, steps=steps)
        if rungs and rung == replace(rungs[-1], steps=steps):  # the scans are smaller than either patch
            rungs[-1] = rung
        elif not rungs or rung.cost < rungs[-1].cost:
            rungs.append(rung)
    return rungs


def coarsest_for(print_: Fingerprint) -> int:
    """Return how many times coarser slices may be seen: the smallest class keeps four voxels across."""
    shown = [one.voxels / (one.slices * print_.slices) for one in print_.classes if one.cases]
    across = math.sqrt(min(shown, default=0.0))
    return max(1, int(across / _LEAST_ACROSS))


def _downsample(sides_vox: Sequence[float], most_voxels: int, coarsest: int) -> tuple[int, ...] | None:
    """Return by which factors, the same along each axis, a network sees all of a sample within the limit of voxels.

    Halves and quarters alone. Where even the coarsest of them is too much, that is taken, and the sample is smaller.
    None is the full resolution.
    """
    factor = 1
    while 2 * factor <= coarsest and math.prod(side / factor for side in sides_vox) > most_voxels:
        factor *= 2
    return (factor,) * len(sides_vox) if factor > 1 else None


def may_be_volumes(print_: Fingerprint) -> Decision:
    """Say whether volumes come into question; whether there is time for them is another question."""
    if print_.slices < 2:
        return Decision("spatial_dims", 2, "each scan is one slice")
    across, name = print_.spacing_mm[0], print_.axes[0]
    if print_.anisotropy >= ANISOTROPIC:
        finest = min(print_.spacing_mm)
        why = f"spacing {across:g} mm across slices ({name}) is {print_.anisotropy:.1f} times the finest, {finest:g} mm"
        return Decision("spatial_dims", 2, f"{why}; from {ANISOTROPIC:g} on slices are taken")
    if print_.slices < FEWEST_SLICES:
        return Decision("spatial_dims", 2, f"{print_.slices:g} slices a case; volumes need {FEWEST_SLICES} or more")
    if print_.labelled_cases < FEWEST_VOLUMES:
        why = f"{print_.labelled_cases} labelled cases are {print_.labelled_cases} volumes, but about "
        shown = round(print_.labelled_cases * print_.slices)
        return Decision("spatial_dims", 2, f"{why}{shown} slices; volumes need {FEWEST_VOLUMES} cases or more")
    why = f"spacings are alike ({print_.anisotropy:.1f} times), {print_.slices:g} slices, {print_.labelled_cases} masks"
    return Decision("spatial_dims", 3, why)


def foreground(print_: Fingerprint, patch_size: Sequence[int]) -> Decision:
    """Decide how many labelled samples are centred on a labelled voxel: more where the rarest class is seldom seen."""
    rarest = print_.rarest
    if rarest is None:
        return Decision("foreground", _FOREGROUND, "no mask shows a class")
    plane = [min(1.0, side / size) for side, size in zip(patch_size[-2:], print_.median_shape[-2:], strict=True)]
    depth = rarest.slices if len(patch_size) == 2 else min(1.0, patch_size[0] / print_.median_shape[0] + rarest.slices)
    seen = depth * math.prod(plane)
    why = f"a random sample shows {rarest.name} about {round(100 * seen)} times of 100"
    return Decision("foreground", _FOREGROUND_RARE if seen < _RARE else _FOREGROUND, why)


def leaves_exchange_open(method: MethodConfig) -> bool:
    """Whether nobody has said how many samples exchange boxes, in a method that can."""
    return isinstance(method, EquiRegConfig) and method.exchange is None


def exchange(print_: Fingerprint, patch_size: Sequence[int]) -> Decision:
    """Decide how many labelled samples exchange a box with an unlabelled one.

    In slices all do where what is labelled is small: a box of two thirds of a sample's sides mostly holds a tumour or a
    heart whole, or leaves it out. What fills the sample is cut by every box, and its parts can no longer be told by
    their place. In volumes none does: short runs lost by it (benchmarks/strength).
    """
    if len(patch_size) == 3:
        return Decision("method.exchange", 0.0, "volumes; it was shown to help in slices alone")
    sides = [min(1.0, box / side) for box, side in zip(print_.median_box[-2:], patch_size, strict=True)]
    part = math.sqrt(math.prod(sides))
    if not part:
        return Decision("method.exchange", 0.0, "no mask shows a class")
    found, limit = f"what is labelled takes {round(100 * part)} % of a sample's sides", round(100 * SMALL_IN_SAMPLE)
    if part < SMALL_IN_SAMPLE:
        return Decision("method.exchange", 1.0, f"{found}, less than {limit} %")
    return Decision("method.exchange", 0.0, f"{found}; from {limit} % on boxes would cut it apart")


def topology(print_: Fingerprint, patch_size: Sequence[int]) -> list[Decision]:
    """Decide strides and kernels where voxels are no cubes, by nnU-Net's rule; nothing where they are."""
    found = topology_for(patch_size, print_.spacing_mm[-len(patch_size) :])
    alike = {kernel for stage in found.kernels for kernel in stage} == {3}
    if alike and found.strides == strides_for(patch_size):
        return []
    why = f"spacing {' x '.join(f'{size:g}' for size in print_.spacing_mm)} mm: coarse axes are halved later"
    return [
        Decision("network.strides", tuple(found.strides), why),
        Decision("network.kernels", tuple(found.kernels), "1 along an axis while it is twice as coarse as the finest"),
    ]


def advice(print_: Fingerprint, dims: int, patch_size: Sequence[int]) -> list[str]:
    """Return what `equireg prepare` could do better for the time there is."""
    found = []
    if dims == 3 and print_.anisotropy >= ANISOTROPIC:
        found.append(
            f"volumes of {print_.anisotropy:.1f} times wider spacing along one axis: `equireg prepare --spacing` with "
            "a finer spacing there, or --spatial_dims 2"
        )
    sides = print_.large_shape[-dims:]
    part = math.prod(min(1.0, side / size) for side, size in zip(patch_size, sides, strict=True))
    if part < 0.8:
        factor = part ** (-1 / dims)
        spacing = [size * (factor if axis >= 3 - dims else 1) for axis, size in enumerate(print_.spacing_mm)]
        by_name = dict(zip(print_.axes, spacing, strict=True))
        shown = ",".join(f"{by_name[name]:.3g}" for name in "xyz")
        found.append(
            f"a sample of {' x '.join(map(str, patch_size))} voxels shows {round(100 * part)} % of a scan's "
            f"{'slice' if dims == 2 else 'volume'}; `equireg prepare --spacing {shown}` would show all of it"
        )
    return found
