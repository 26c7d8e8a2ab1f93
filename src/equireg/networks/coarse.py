"""A network that works at a lower resolution than its samples have: more of a scan in the same time."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from equireg.networks.deep import Pyramid, pyramid
from equireg.networks.topology import check_axes, divided

_MEAN = {2: functional.avg_pool2d, 3: functional.avg_pool3d}
_LINEAR = {2: "bilinear", 3: "trilinear"}
_OPTION = "--network.downsample"


class Coarse(nn.Module):
    """Shows a network the mean of each block of voxels, and interpolates its logits back, linearly.

    The blocks' centres are the same in a mirrored image, so a network's equivariance stays as it is.

    Args:
        network: from images [B, C, *S] to logits [B, K, *S].
        factors: voxels of a block along each axis.
    """

    def __init__(self, network: nn.Module, factors: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.factors = tuple(factors)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, K, *S] for an image [B, C, *S] whose sides divide by the factors."""
        return self._finer(self.network(self._coarser(image)))

    @property
    def lower_heads(self) -> object:
        """The network's heads at lower resolutions, for deep supervision; none where it has none."""
        return getattr(self.network, "lower_heads", None)

    def pyramid(self, image: Tensor) -> Pyramid:
        """Return logits [B, K, *S] for an image [B, C, *S], and those of the lower heads as they are."""
        logits, lower = pyramid(self.network, self._coarser(image))
        return self._finer(logits), lower

    def _coarser(self, image: Tensor) -> Tensor:
        return _MEAN[len(self.factors)](image, self.factors)

    def _finer(self, logits: Tensor) -> Tensor:
        factors = tuple(map(float, self.factors))
        return functional.interpolate(logits, scale_factor=factors, mode=_LINEAR[len(factors)], align_corners=False)


def bare(network: nn.Module) -> nn.Module:
    """Return the network itself, whose tensors have the same names at every resolution."""
    return network.network if isinstance(network, Coarse) else network


def coarse_sides(patch_size: Sequence[int], downsample: Sequence[int] | None) -> tuple[int, ...]:
    """Return the sides of a patch as the network sees it.

    Args:
        patch_size: voxels, [n].
        downsample: voxels of a block along each axis, [n]; None for the full resolution.

    Raises:
        UsageError: if the number of axes differs, or a side does not divide.
    """
    if downsample is None:
        return tuple(patch_size)
    check_axes(f"{_OPTION} is {list(downsample)}", downsample, patch_size)
    return divided(_OPTION, downsample, patch_size)
