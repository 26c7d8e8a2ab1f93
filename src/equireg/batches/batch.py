"""What a training step reads: labelled and unlabelled samples, and the step's only source of chance."""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor


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
    """[B, n], on the CPU, where chance is drawn; of the whole batch, also where this is one rank's share of it."""
    cases: tuple[str, ...]
    """Case name of each sample."""
    label: Tensor | None = None
    """Class indices, [B, 1, *S]; IGNORED where nobody annotated; None for unlabelled samples."""
    masked: Tensor | None = None
    """True where an unlabelled sample's case is a labelled case too, [B]; None where that is not known."""

    def to(self, device: torch.device | str) -> "Samples":
        """Return the samples on a device."""
        return replace(self, **{name: value.to(device, non_blocking=True) for name, value in self._large().items()})

    def pin_memory(self) -> "Samples":
        """Return the samples in page-locked memory, from which a GPU copies without waiting."""
        return replace(self, **{name: value.pin_memory() for name, value in self._large().items()})

    def _large(self) -> dict[str, Tensor]:
        """Return what goes to the device; the spacing stays, or drawing would wait for a GPU."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return {name: value for name, value in tensors.items() if name != "spacing_mm"}


@dataclass(frozen=True)
class Batch:
    """The batch of one step, a function of seed and step alone, or one rank's share of it."""

    labelled: Samples
    unlabelled: Samples | None
    """None for methods that use no unlabelled scans."""
    generator: Generator
    """The only source of chance for transforms, on the CPU; it draws for the whole batch (`processes.ranks`)."""
    flip_axes: tuple[int, ...]
    """Spatial axes along which a mirrored scan is a plausible one."""

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on a device; chance stays on the CPU."""
        unlabelled = None if self.unlabelled is None else self.unlabelled.to(device)
        return replace(self, labelled=self.labelled.to(device), unlabelled=unlabelled)

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory; the data loader calls this where a GPU trains."""
        unlabelled = None if self.unlabelled is None else self.unlabelled.pin_memory()
        return replace(self, labelled=self.labelled.pin_memory(), unlabelled=unlabelled)
