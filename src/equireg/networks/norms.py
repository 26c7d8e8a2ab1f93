"""Instance normalisation (Ulyanov et al. 2016) without torch's slow way on the CPU."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.instancenorm import _InstanceNorm


class _ByGroups(_InstanceNorm):
    """Each channel as a group of its own (Wu and He 2018, section 3), which is the same normalisation.

    On the CPU torch computes an instance norm as a batch norm, which takes several times as long as its group norm.
    Group norm is exact in contiguous memory alone: with the channels last, torch takes the variance as the difference
    of two large numbers. GPUs and exported graphs keep the instance norm.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return maps [B, C, *S] whose channels have mean 0 and variance 1 in each image, then scaled and shifted."""
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        if traced or input.device.type != "cpu" or input.shape[2:].numel() == 1:  # one voxel is refused by torch
            return super().forward(input)
        return functional.group_norm(input.contiguous(), self.num_features, self.weight, self.bias, self.eps)


class InstanceNorm2d(_ByGroups, nn.InstanceNorm2d):
    """Of slices [B, C, Y, X]."""


class InstanceNorm3d(_ByGroups, nn.InstanceNorm3d):
    """Of volumes [B, C, Z, Y, X]."""
