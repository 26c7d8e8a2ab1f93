"""What a training step reads: labelled and unlabelled samples, and the step's only source of random numbers."""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from equireg.processes.ranks import Random
from equireg.transforms.group import Planes


@dataclass(frozen=True)
class Samples:
    """A batch of patches of one kind."""

    image: Tensor
    """[B, C, *S], normalised."""
    valid: Tensor
    """1 where the voxel is of the scan, 0 where the patch reaches beyond it, [B, 1, *S]."""
    fill: Tensor
    """Value of each channel's background, [B, C]."""
    spacing_mm: Tensor
    """[B, n], mm, on the CPU, where random numbers are drawn."""
    cases: tuple[str, ...]
    """Case name of each sample."""
    label: Tensor | None = None
    """Class indices, [B, 1, *S]; IGNORED where nobody annotated; None for unlabelled samples."""
    masked: Tensor | None = None
    """True where an unlabelled sample's case is a labelled case too, [B]; None where that is not known."""

    centred: Tensor | None = None
    """True where a labelled sample's window was drawn about a labelled voxel, [B]; None where that is not known."""
    atlas: Tensor | None = None
    """Class indices that registration has carried over to unlabelled samples, [B, 1, *S]; IGNORED where it has none;
    None where the run has no atlas."""
    pasted: Tensor | None = None
    """Class indices of lesions that were pasted into unlabelled samples, [B, 1, *S]; IGNORED elsewhere; None where no
    method pastes any."""
    batch_spacing_mm: Tensor | None = None
    """``spacing_mm`` of the whole batch, of which this may be one rank's slice; None where it is all of it."""
    second: Tensor | None = None
    """Another window of the same scans, [B, C, *S], for unlabelled samples of a method that asks for it."""
    second_shift_vox: Tensor | None = None
    """How many voxels further on along each axis that window begins, [B, n], on the CPU."""

    @property
    def drawn_spacing_mm(self) -> Tensor:
        """The spacing by which a transform is drawn: of the whole batch, because ranks draw it together."""
        return self.spacing_mm if self.batch_spacing_mm is None else self.batch_spacing_mm

    def to(self, device: torch.device | str) -> "Samples":
        """Return the samples on a device."""
        return replace(self, **{name: value.to(device, non_blocking=True) for name, value in self._large().items()})

    def pin_memory(self) -> "Samples":
        """Return the samples in page-locked memory, from which a GPU copies without waiting."""
        return replace(self, **{name: value.pin_memory() for name, value in self._large().items()})

    def _large(self) -> dict[str, Tensor]:
        """Return what goes to the device; spacings and shifts stay, or drawing would wait for a GPU."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return {name: value for name, value in tensors.items() if not name.endswith(("spacing_mm", "shift_vox"))}


@dataclass(frozen=True)
class Batch:
    """The batch of one step, a function of seed and step alone, or one rank's slice of it."""

    labelled: Samples
    unlabelled: Samples | None
    """None for methods that use no unlabelled scans."""
    generator: Generator
    """The only source of random numbers, on the CPU; it draws for the whole batch (`processes.ranks`)."""
    flip_axes: tuple[int, ...]
    """Spatial axes along which a mirrored scan is a plausible one."""
    turn_planes: Planes = ()
    """Pairs of spatial axes in whose plane a quarter turn gives a plausible one; their voxels are as wide as high."""

    @property
    def cases(self) -> list[str]:
        """Names of all cases at hand."""
        return sorted({*self.labelled.cases, *(self.unlabelled.cases if self.unlabelled else ())})

    @property
    def random(self) -> Random:
        """Random numbers for the samples at hand, drawn from ``generator``."""
        return Random(self.generator)

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on a device; its generator stays on the CPU."""
        unlabelled = None if self.unlabelled is None else self.unlabelled.to(device)
        return replace(self, labelled=self.labelled.to(device), unlabelled=unlabelled)

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory; the data loader calls this where a GPU trains."""
        unlabelled = None if self.unlabelled is None else self.unlabelled.pin_memory()
        return replace(self, labelled=self.labelled.pin_memory(), unlabelled=unlabelled)


def label_of(samples: Samples) -> Tensor:
    """Return the label that labelled samples carry.

    Raises:
        ValueError: if they carry none.
    """
    if samples.label is None:
        raise ValueError("got samples without a label; expected the labelled ones of the batch")
    return samples.label
