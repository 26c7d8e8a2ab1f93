"""Drawing spatial transforms: which parts, how strong, in which order, for every sample of a batch.

The parts and their random order follow the thesis (Scholin 2020), which draws three or more of flips,
rotation, translations, shear, scale and an elastic deformation; ranges and probabilities are options.
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from equireg.config import SpatialConfig
from equireg.processes.ranks import rank_of
from equireg.transforms.precision import full_precision
from equireg.transforms.spatial import Pullback, SpatialParams, spacing_tensor

_THICK = 3.0
"""Slices so many times thicker than their voxels are wide are turned and bent only in their own plane."""
_NODES = 1.5
"""Nodes of the elastic grid for each standard deviation of its smoothing."""


@full_precision
def sample(
    config: SpatialConfig,
    batch_size: int,
    spatial_shape: Sequence[int],
    spacing_mm: Sequence[float] | Tensor,
    generator: Generator,
    flip_axes: Sequence[int] = (),
) -> SpatialParams:
    """Draw a transform for every sample of a batch.

    Args:
        config: ranges and probabilities.
        batch_size: samples, B.
        spatial_shape: voxels of the field of view, n = 2 or 3 numbers, slowest axis first.
        spacing_mm: voxel spacing, n numbers or [B, n], mm; of the whole batch where ``generator`` is shared by ranks.
        generator: the only source of random numbers, on the CPU.
        flip_axes: spatial axes (0 to n - 1) along which a mirrored scan is still a plausible one.

    Returns:
        Parameters on the CPU, so that every device sees the same transforms.
    """
    rank = rank_of(generator)
    whole = rank.whole(batch_size)
    draw = _Draw(config, whole, tuple(spatial_shape), spacing_tensor(spacing_mm, whole), generator)
    return _drawn(draw, flip_axes)[rank.slice_of(batch_size)]


def _drawn(draw: "_Draw", flip_axes: Sequence[int]) -> SpatialParams:
    """Draw the parts, which of them are active and in which order, and multiply them."""
    config = draw.config
    matrices = draw.matrices(flip_axes)  # [B, parts, n + 1, n + 1]
    parts = matrices.shape[1] + (config.elastic_amplitude > 0)
    if parts == 0:
        eye = torch.eye(draw.n + 1).expand(draw.size, -1, -1)
        return SpatialParams((Pullback(eye),), draw.shape, draw.spacing_mm)
    active, order = draw.choice(parts)
    if config.flips and flip_axes and config.flip_probability is not None:
        active[:, 0] = True  # the flip is the first part, and draws by itself
    identity = torch.eye(matrices.shape[-1])
    affine = torch.where(active[:, : matrices.shape[1], None, None], matrices, identity)
    if not config.elastic_amplitude:
        return SpatialParams((Pullback(_product(affine, order)),), draw.shape, draw.spacing_mm)
    # The elastic part is the last; the affine parts that come before it in the drawn order go on one side.
    place = order.argsort(dim=1)
    early = place[:, :-1] < place[:, -1:]
    order = torch.where(early, place[:, :-1], place[:, :-1] - 1).argsort(dim=1)
    before = _product(torch.where(early[..., None, None], affine, identity), order)
    after = _product(torch.where(early[..., None, None], identity, affine), order)
    displacement = draw.displacement() * active[:, -1].view(-1, *[1] * (len(draw.shape) + 1))
    return SpatialParams((Pullback(before, displacement, after),), draw.shape, draw.spacing_mm)


def _product(matrices: Tensor, order: Tensor) -> Tensor:
    """Multiply [B, parts, m, m] such that the first in order [B, parts] is applied to a point first."""
    rows = torch.arange(len(matrices))
    result = torch.eye(matrices.shape[-1]).expand(len(matrices), -1, -1)
    for position in range(matrices.shape[1]):
        result = matrices[rows, order[:, position]] @ result
    return result


class _Draw:
    """The single draws; they differ in range alone."""

    def __init__(
        self,
        config: SpatialConfig,
        batch_size: int,
        shape: tuple[int, ...],
        spacing_mm: Tensor,
        generator: Generator,
    ) -> None:
        self.config, self.size, self.shape, self.spacing_mm = config, batch_size, shape, spacing_mm
        self.generator = generator
        self.n = len(shape)
        self.extent_mm = spacing_mm * torch.tensor(shape)
        # [B, n], 0 where an axis is too coarse to turn, shear, scale or bend a sample along it.
        self.bends = torch.ones(batch_size, self.n)
        if self.n == 3:
            self.bends[:, 0] = (spacing_mm[:, 0] <= _THICK * spacing_mm[:, 1:].amin(dim=1)).float()

    def uniform(self, *shape: int) -> Tensor:
        """Draw from -1 to 1, [B, *shape]."""
        return torch.rand((self.size, *shape), generator=self.generator) * 2 - 1

    def choice(self, parts: int) -> tuple[Tensor, Tensor]:
        """Draw which parts are active and in which order, both [B, parts]."""
        drawn = torch.rand((self.size, parts), generator=self.generator)
        rank = drawn.argsort(dim=1).argsort(dim=1)
        if self.config.some_of:
            least = min(self.config.at_least, parts)
            active = rank < torch.randint(least, parts + 1, (self.size, 1), generator=self.generator)
        else:
            active = (drawn < self.config.probability) | (rank < self.config.at_least)
        order = torch.rand((self.size, parts), generator=self.generator).argsort(dim=1)
        return active, order

    def matrices(self, flip_axes: Sequence[int]) -> Tensor:
        """Draw every affine part that the options switch on, [B, parts, n + 1, n + 1]."""
        config = self.config
        parts = []
        if config.flips and flip_axes:
            parts.append(self._flip(flip_axes))
        if config.rotation_deg:
            parts.append(self._rotation())
        if config.shear:
            parts.append(self._shear())
        if config.scale > 1:
            parts.append(self._scale())
        if config.translation:
            parts += [self._translation(axis) for axis in range(self.n)]
        if not parts:
            return torch.empty(self.size, 0, self.n + 1, self.n + 1)
        return torch.stack(parts, dim=1)

    def _eye(self) -> Tensor:
        return torch.eye(self.n + 1).repeat(self.size, 1, 1)

    def _flip(self, axes: Sequence[int]) -> Tensor:
        matrix = self._eye()
        probability = 0.5 if self.config.flip_probability is None else self.config.flip_probability
        mirrored = self.uniform(self.n) < 2 * probability - 1
        for axis in axes:
            matrix[:, axis, axis] = torch.where(mirrored[:, axis], -1.0, 1.0)
        return matrix

    def _rotation(self) -> Tensor:
        planes = [(a, b) for a in range(self.n) for b in range(a + 1, self.n)]
        angles = self.uniform(len(planes)) * math.radians(self.config.rotation_deg)
        result = self._eye()
        for index, (a, b) in enumerate(planes):
            matrix = self._eye()
            angle = angles[:, index] * self.bends[:, a] * self.bends[:, b]
            cos, sin = angle.cos(), angle.sin()
            matrix[:, a, a], matrix[:, b, b], matrix[:, a, b], matrix[:, b, a] = cos, cos, -sin, sin
            result = matrix @ result
        return result

    def _shear(self) -> Tensor:
        matrix = self._eye()
        axes = range(self.n - 1, -1, -1)  # the slice's own plane comes first
        pairs = torch.tensor(sorted(((a, b) for a in axes for b in axes if a != b), key=lambda pair: -min(pair)))
        which = torch.randint(len(pairs), (self.size,), generator=self.generator)
        which = torch.where(self.bends[:, 0] > 0, which, which % 2)
        rows = torch.arange(self.size)
        matrix[rows, pairs[which, 0], pairs[which, 1]] = self.uniform() * self.config.shear
        return matrix

    def _scale(self) -> Tensor:
        matrix = self._eye()
        exponent = self.uniform() * math.log(self.config.scale)
        for axis in range(self.n):
            matrix[:, axis, axis] = torch.exp(exponent * self.bends[:, axis])
        return matrix

    def _translation(self, axis: int) -> Tensor:
        matrix = self._eye()
        matrix[:, axis, -1] = self.uniform() * self.config.translation * self.extent_mm[:, axis]
        return matrix

    def displacement(self) -> Tensor:
        """Draw white noise and smooth it by a Gaussian, [B, n, *K] in mm; its deviation is known by algebra."""
        # Along the axes that bend: slices and volumes of thick slices bend in the same way.
        view_mm = (self.extent_mm * self.bends).sum(dim=1) / self.bends.sum(dim=1)
        sigma_mm = self.config.elastic_smoothness * view_mm
        nodes = [
            min(max(math.ceil(float((self.extent_mm[:, axis] / sigma_mm).max()) * _NODES), 2), 48) + 1
            for axis in range(self.n)
        ]
        kernels = [_gaussian(sigma_mm / (self.extent_mm[:, axis] / (nodes[axis] - 1))) for axis in range(self.n)]
        margins = [kernel.shape[1] - 1 for kernel in kernels]
        size = [count + margin for count, margin in zip(nodes, margins, strict=True)]
        field = torch.randn((self.size, self.n, *size), generator=self.generator)
        for axis, kernel in enumerate(kernels):
            windows = field.unfold(2 + axis, kernel.shape[1], 1)
            field = torch.einsum("b...k,bk->b...", windows, kernel)
        amplitude = self.bends * (self.config.elastic_amplitude * view_mm)[:, None]
        return field * amplitude.view(self.size, self.n, *[1] * self.n)


def _gaussian(sigma: Tensor) -> Tensor:
    """Return kernels [B, K] for deviations [B] in nodes, scaled to keep white noise at variance 1."""
    radius = max(1, math.ceil(2.5 * float(sigma.max())))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-(offsets[None] ** 2) / (2 * sigma[:, None] ** 2))
    return kernel / kernel.norm(dim=1, keepdim=True)
