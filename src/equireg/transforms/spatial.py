"""Spatial transforms of batches, 2D and 3D: drawn as parameters, then applied with one interpolation.

A transform is a chain of pull-backs in millimetres about the centre of the field of view: an output point p
reads the image at ``after(q + u(q))`` with ``q = before(p)``, where ``before`` and ``after`` are affine and u
is a smooth displacement. Chains compose, so a weak and a strong transform are one interpolation, and a
rotation stays one on anisotropic voxels. This is the only module that calls ``grid_sample``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from equireg.transforms.precision import full_precision

_EXACT = 1e-5
"""Greatest deviation of a matrix from a signed permutation that still counts as one."""


@dataclass(frozen=True)
class Pullback:
    """One link of the chain, from an output point to the point that it reads, in mm about the centre."""

    before: Tensor
    """Affine maps ahead of the displacement, [B, n + 1, n + 1]."""
    displacement: Tensor | None = None
    """Displacement in mm on a coarse grid whose corners are the field of view's, [B, n, *K]."""
    after: Tensor | None = None
    """Affine maps behind the displacement, [B, n + 1, n + 1]."""

    def __getitem__(self, rows: slice | Tensor) -> "Pullback":
        """Return the link for some samples of the batch."""
        displacement, after = (None if part is None else part[rows] for part in (self.displacement, self.after))
        return Pullback(self.before[rows], displacement, after)


@dataclass(frozen=True)
class SpatialParams:
    """A drawn transform of a batch: what ``apply`` needs to know, and nothing random."""

    links: tuple[Pullback, ...]
    """The chain, in the order in which an output point runs through it."""
    shape: tuple[int, ...]
    """Voxels of the field of view, [n]."""
    spacing_mm: Tensor
    """Voxel spacing, [B, n], mm."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.spacing_mm)

    def __getitem__(self, rows: slice | Tensor) -> "SpatialParams":
        """Return the transform of some samples of the batch."""
        return SpatialParams(tuple(link[rows] for link in self.links), self.shape, self.spacing_mm[rows])

    @property
    def extent_mm(self) -> Tensor:
        """Size of the field of view, [B, n], mm."""
        return self.spacing_mm * torch.tensor(self.shape, device=self.spacing_mm.device)


def spacing_tensor(spacing_mm: Sequence[float] | Tensor, batch_size: int) -> Tensor:
    """Give every sample its spacing, [B, n], from one spacing for all or from one a sample."""
    spacing = torch.as_tensor(spacing_mm, dtype=torch.float32)
    return spacing.expand(batch_size, spacing.shape[-1])


def identity(batch_size: int, shape: Sequence[int], spacing_mm: Sequence[float] | Tensor) -> SpatialParams:
    """Return the transform that changes nothing."""
    return affine(torch.eye(len(shape) + 1).expand(batch_size, -1, -1), shape, spacing_mm)


def affine(matrices: Tensor, shape: Sequence[int], spacing_mm: Sequence[float] | Tensor) -> SpatialParams:
    """Return the transform whose output reads the image at ``matrices @ (p, 1)``.

    Args:
        matrices: pull-backs in mm about the centre of the field of view, [B, n + 1, n + 1].
        shape: voxels of the field of view, n numbers.
        spacing_mm: voxel spacing, n numbers or [B, n].
    """
    spacing = spacing_tensor(spacing_mm, len(matrices)).to(matrices.device)
    return SpatialParams((Pullback(matrices),), tuple(shape), spacing)


def shift(by_vox: Tensor, shape: Sequence[int], spacing_mm: Tensor) -> SpatialParams:
    """Return the transform that moves a window's content onwards by voxels [B, n], on the CPU as its spacing [B, n]."""
    matrices = torch.eye(len(shape) + 1).repeat(len(by_vox), 1, 1)
    matrices[:, :-1, -1] = -by_vox * spacing_mm
    return affine(matrices, shape, spacing_mm)


def compose(first: SpatialParams, second: SpatialParams) -> SpatialParams:
    """Return the transform that does ``first`` and then ``second``, with one interpolation.

    Raises:
        ValueError: if they are of different fields of view.
    """
    if first.shape != second.shape or len(first) != len(second):
        raise ValueError(
            f"transforms of {len(first)} x {first.shape} and {len(second)} x {second.shape} voxels; expected the same"
        )
    return SpatialParams(second.links + first.links, first.shape, first.spacing_mm)


@full_precision
def invert(params: SpatialParams) -> SpatialParams:
    """Return the transform that undoes an affine one.

    Raises:
        ValueError: if the transform has an elastic part, which has no closed inverse.
    """
    links = []
    for link in reversed(params.links):
        if link.displacement is not None:
            raise ValueError("an elastic transform cannot be inverted; expected flips and affine parts alone")
        links.append(Pullback(torch.linalg.inv(link.before)))
    return SpatialParams(tuple(links), params.shape, params.spacing_mm)


@full_precision
def apply(
    x: Tensor,
    params: SpatialParams,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    *,
    fill: Tensor | float | None = None,
    valid: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Transform a batch; what lies outside the image is filled.

    Flips and quarter turns alone move voxels without interpolation. Everything else is (tri)linear, or
    nearest neighbour for labels.

    Args:
        x: images, probabilities or labels, [B, C, *S]; of any type, which is kept.
        params: the transform, of S voxels.
        mode: ``bilinear`` (in 3D trilinear) or ``nearest``.
        fill: value of voxels from outside, a number or one a sample and channel [B, C]; None repeats the
            image's border, which keeps probabilities a distribution.
        valid: 1 where x itself came from inside, [B, 1, *S]; None for everywhere.

    Returns:
        The transformed batch, [B, C, *S], and its ``valid``, [B, 1, *S] of x's floating type: 1 where every
        transform so far read from inside the image.

    Raises:
        ValueError: if x is not of the shape that the transform was drawn for.
    """
    if tuple(x.shape[2:]) != params.shape or len(x) != len(params):
        raise ValueError(
            f"got a batch of shape {tuple(x.shape)}; the transform was drawn for {len(params)} samples of "
            f"{params.shape} voxels"
        )
    kind = valid.dtype if valid is not None else x.dtype if x.is_floating_point() else torch.float32
    moves = _exact_moves(params)  # before the parameters go to a GPU, so that it is not waited for
    if moves is None:
        moved, seen = _interpolate(x, params, mode, valid)
    else:
        seen = torch.ones(len(x), 1, *params.shape, dtype=torch.bool, device=x.device)
        moved, seen = _move(x, moves), seen if valid is None else _move(valid, moves) > 0
    if fill is not None:
        outside = torch.as_tensor(fill, dtype=x.dtype, device=x.device)
        if outside.ndim:
            outside = outside.view(*outside.shape, *[1] * len(params.shape))
        moved = torch.where(seen, moved, outside)
    return moved, seen.to(kind)


def _interpolate(
    x: Tensor, params: SpatialParams, mode: Literal["bilinear", "nearest"], valid: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Do the work of ``apply`` for a transform that is not a mere move of voxels; what was seen is a bool."""
    points, inside = _pull_back(params, x.device)
    grid = points.movedim(1, -1)
    moved = functional.grid_sample(x.float(), grid, mode=mode, padding_mode="border", align_corners=False).to(x.dtype)
    # On the CPU a look saves the sampling; a GPU would have to be waited for.
    if valid is None or (valid.device.type == "cpu" and valid.amin() > 0):
        return moved, inside
    seen = functional.grid_sample(valid.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved, (seen > 0) & inside


def warp_probabilities(probs: Tensor, params: SpatialParams) -> tuple[Tensor, Tensor]:
    """Transform probabilities [B, C, *S] such that they still sum to 1 over C; also return ``valid``."""
    warped, valid = apply(probs, params)
    return warped / warped.sum(dim=1, keepdim=True).clamp_min(torch.finfo(warped.dtype).tiny), valid


def _exact_moves(params: SpatialParams) -> Tensor | None:
    """Return the chain as signed permutations of axes [B, n, n], or None where it is not one.

    Every link must be one: a shift out and back adds up to no move, but loses what had left the field of view.
    """
    moves = torch.eye(len(params.shape), device=params.spacing_mm.device).expand(len(params), -1, -1)
    for link in params.links:
        step = None if link.displacement is not None else _grid_move(link.before, params)
        if step is None:
            return None
        moves = step @ moves
    return moves.long()


def _grid_move(matrix: Tensor, params: SpatialParams) -> Tensor | None:
    """Return affine maps [B, n + 1, n + 1] as signed permutations of axes [B, n, n], or None where they are not.

    A quarter turn is one only where it maps the voxel grid onto itself.
    """
    linear, shift = matrix[:, :-1, :-1], matrix[:, :-1, -1]
    # In voxel units a map of the grid onto itself is a signed permutation between axes of equal length.
    voxels = linear * params.spacing_mm[:, None, :] / params.spacing_mm[:, :, None]
    rounded = voxels.round()
    if not ((voxels - rounded).abs().max() < _EXACT and (shift / params.spacing_mm).abs().max() < _EXACT):
        return None
    lengths = torch.tensor(params.shape, dtype=rounded.dtype, device=rounded.device)
    one_each = bool((rounded.abs().sum(1) == 1).all() and (rounded.abs().sum(2) == 1).all())
    same_lengths = bool((rounded.abs() @ lengths == lengths).all())
    return rounded if one_each and same_lengths else None


def _move(x: Tensor, moves: Tensor) -> Tensor:
    """Apply signed permutations of the axes, moves [B, n, n], to x [B, C, *S] by indexing alone."""
    result = torch.empty_like(x)
    kinds, which = torch.unique(moves, dim=0, return_inverse=True)
    for index, kind in enumerate(kinds.tolist()):
        rows = torch.nonzero(which == index)[:, 0]
        # Row i of the pull-back says which output axis, and with which sign, runs along input axis i.
        source = [max(range(len(row)), key=lambda axis, row=row: abs(row[axis])) for row in kind]
        signs = [row[axis] for row, axis in zip(kind, source, strict=True)]
        part = x[rows].flip([2 + axis for axis, sign in enumerate(signs) if sign < 0])
        order = sorted(range(len(source)), key=source.__getitem__)
        result[rows] = part.permute(0, 1, *[2 + axis for axis in order])
    return result


def _pull_back(params: SpatialParams, device: torch.device) -> tuple[Tensor, Tensor]:
    """Run every output voxel through the chain.

    Returns:
        The points to read, as ``grid_sample`` counts them: half fields of view about the centre, the last axis
        first, [B, n, *S]; and True where every link stayed inside the field of view, [B, 1, *S].
    """
    half_mm = params.extent_mm / 2
    axes = [(torch.arange(size, device=device) * 2 + 1) / size - 1 for size in reversed(params.shape)]
    points = torch.stack(torch.meshgrid(*reversed(axes), indexing="ij")[::-1]).expand(len(params), -1, *params.shape)
    inside = torch.ones((), dtype=torch.bool, device=device)
    for link in params.links:
        points = _transform(points, link.before, half_mm)
        if link.displacement is not None and link.displacement.any():
            points = points + _displace(points, link.displacement, half_mm)
        if link.after is not None:
            points = _transform(points, link.after, half_mm)
        inside = inside & (points.abs().amax(dim=1, keepdim=True) <= 1 + _EXACT)
    return points, inside


def _transform(points: Tensor, matrices: Tensor, half_mm: Tensor) -> Tensor:
    """Apply affine maps in mm [B, n + 1, n + 1] to points in half fields of view [B, n, *S]."""
    scale = functional.pad(half_mm, (0, 1), value=1.0)
    relative = (matrices * scale[:, None] / scale[:, :, None])[:, :-1].flip(1)
    linear, shift = relative[:, :, :-1].flip(2), relative[:, :, -1:]
    linear, shift = (part.to(points.device, non_blocking=True) for part in (linear, shift))
    return torch.baddbmm(shift, linear, points.flatten(2)).view(points.shape)


def _displace(points: Tensor, displacement: Tensor, half_mm: Tensor) -> Tensor:
    """Read a displacement in mm [B, n, *K] at points in half fields of view [B, n, *S]."""
    relative = (displacement / half_mm.view(*half_mm.shape, *[1] * half_mm.shape[1])).flip(1)
    relative = relative.to(points.device, non_blocking=True)
    grid = points.movedim(1, -1)
    return functional.grid_sample(relative, grid, mode="bilinear", padding_mode="border", align_corners=True)
