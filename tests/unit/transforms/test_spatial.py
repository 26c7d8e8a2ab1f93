"""Spatial transforms: exact moves, physical correctness on anisotropic voxels, ``valid``, chains, types."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from equireg.transforms import spatial
from equireg.transforms.spatial import SpatialParams


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def positions_mm(shape, spacing_mm) -> Tensor:
    """Voxel centres about the centre of the field of view, [n, *S], mm."""
    axes = [(torch.arange(size) - (size - 1) / 2) * step for size, step in zip(shape, spacing_mm, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def rotation(n: int, a: int, b: int, degrees: float) -> Tensor:
    matrix, angle = torch.eye(n + 1), math.radians(degrees)
    matrix[a, a] = matrix[b, b] = math.cos(angle)
    matrix[a, b], matrix[b, a] = -math.sin(angle), math.sin(angle)
    return matrix


def shift(offset_mm) -> Tensor:
    matrix = torch.eye(len(offset_mm) + 1)
    matrix[:-1, -1] = torch.tensor(offset_mm, dtype=torch.float32)
    return matrix


def transform(matrix: Tensor, shape, spacing_mm=None, batch_size: int = 1) -> SpatialParams:
    spacing_mm = [1.0] * len(shape) if spacing_mm is None else spacing_mm
    return spatial.affine(matrix.expand(batch_size, -1, -1), shape, spacing_mm)


def elastic(shape, spacing_mm, seed: int = 0) -> SpatialParams:
    n = len(shape)
    bent = spatial.Pullback(torch.eye(n + 1)[None], noise(1, n, *[5] * n, seed=seed), torch.eye(n + 1)[None])
    return SpatialParams((bent,), tuple(shape), torch.tensor([spacing_mm], dtype=torch.float32))


def pull(matrix: Tensor, points: Tensor) -> Tensor:
    """Apply an affine map [n + 1, n + 1] to points [n, *S]."""
    return torch.einsum("ij,j...->i...", matrix[:-1, :-1], points) + matrix[:-1, -1].view(-1, *[1] * (points.ndim - 1))


FIELDS = [((5, 7), (3.0, 1.0)), ((6, 6), (1.0, 1.0)), ((3, 4, 5), (4.0, 1.0, 0.7))]


@pytest.mark.parametrize(("shape", "spacing"), FIELDS)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_identity_is_exact(shape, spacing, mode):
    x = noise(2, 3, *shape)
    moved, valid = spatial.apply(x, spatial.identity(2, shape, spacing), mode)
    assert torch.equal(moved, x)
    assert torch.equal(valid, torch.ones(2, 1, *shape))


@pytest.mark.parametrize(("shape", "spacing"), FIELDS)
def test_flips_are_exact(shape, spacing):
    x = noise(1, 2, *shape)
    for axes in itertools.chain.from_iterable(itertools.combinations(range(len(shape)), k) for k in (1, 2)):
        signs = torch.ones(len(shape) + 1)
        signs[list(axes)] = -1
        moved, valid = spatial.apply(x, transform(torch.diag(signs), shape, spacing))
        assert torch.equal(moved, x.flip([2 + axis for axis in axes]))
        assert valid.all()


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize(("shape", "spacing", "plane"), [((6, 6), (2.0, 2.0), (0, 1)), ((3, 5, 5), (4, 1, 1), (1, 2))])
def test_quarter_turns_are_exact_and_of_the_right_direction(shape, spacing, plane, turns):
    x = noise(1, 2, *shape)
    matrix = rotation(len(shape), *plane, degrees=90.0 * turns)
    moved, valid = spatial.apply(x, transform(matrix, shape, spacing))
    # The output at p reads the input at R p, so what is seen turns by the inverse of R.
    assert torch.equal(moved, torch.rot90(x, -turns, [2 + axis for axis in plane]))
    assert valid.all()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_cube_turned_onto_itself_is_exact(order):
    """The output at p reads the input at P p: input axis i runs along output axis order[i], here one mirrored."""
    x = noise(1, 1, 4, 4, 4)
    matrix = torch.eye(4)
    matrix[:3, :3] = torch.eye(3)[list(order)]
    matrix[0] *= -1
    moved, _ = spatial.apply(x, transform(matrix, (4, 4, 4)))
    expected = torch.empty_like(x)
    for place in itertools.product(range(4), repeat=3):
        read = [place[axis] for axis in order]
        expected[0, 0][place] = x[0, 0, 3 - read[0], read[1], read[2]]
    assert torch.equal(moved, expected)


def test_turns_that_differ_by_sample_are_exact_in_one_batch():
    x = noise(3, 1, 4, 4)
    matrices = torch.stack([torch.eye(3), rotation(2, 0, 1, 90.0), torch.diag(torch.tensor([1.0, -1.0, 1.0]))])
    moved, _ = spatial.apply(x, spatial.affine(matrices, (4, 4), (1.0, 1.0)))
    assert torch.equal(moved, torch.stack([x[0], torch.rot90(x[1], -1, [1, 2]), x[2].flip(2)]))


@pytest.mark.parametrize(
    ("shape", "spacing", "matrix"),
    [
        ((4, 7), (1.0, 1.0), rotation(2, 0, 1, 90.0)),
        ((4, 8), (2.0, 1.0), rotation(2, 0, 1, 90.0)),
        ((6, 6), (2.0, 1.0), rotation(2, 0, 1, 90.0)),
        ((9, 15), (2.0, 1.0), rotation(2, 0, 1, 33.0) @ shift((1.3, -0.4))),
        ((5, 15, 15), (3.0, 1.0, 1.0), rotation(3, 0, 1, 25.0) @ rotation(3, 1, 2, -40.0)),
        ((5, 9, 9), (3.0, 1.0, 1.0), torch.diag(torch.tensor([0.7, 0.7, 0.7, 1.0]))),
    ],
    ids=["oblong", "oblong_voxels", "square_of_oblong_voxels", "rotation_2d", "rotation_3d", "scale"],
)
def test_reads_the_right_position_in_mm(shape, spacing, matrix):
    """A picture of the coordinates in mm, which interpolation keeps exactly, shows which point was read."""
    points = positions_mm(shape, spacing)
    moved, valid = spatial.apply(points[None], transform(matrix, shape, spacing))
    expected = pull(matrix, points)
    step = torch.tensor(spacing).view(-1, *[1] * len(shape))
    reach = torch.tensor(shape).view(-1, *[1] * len(shape)) * step / 2
    between_centres = (expected.abs() <= reach - step / 2 + 1e-4).all(0)
    assert between_centres.sum() >= 8
    assert torch.allclose(moved[0][:, between_centres], expected[:, between_centres], atol=1e-4)
    # Voxels that lie within rounding of the border may count either way.
    assert valid[0, 0][(expected.abs() < reach - 1e-3).all(0)].all()
    assert not valid[0, 0][(expected.abs() > reach + 1e-3).any(0)].any()


def test_a_ball_in_mm_stays_a_ball_of_its_volume():
    shape, spacing, radius = (13, 35, 35), (3.0, 1.0, 1.0), 10.0
    inside_of = positions_mm(shape, spacing).norm(dim=0)
    ball = (radius + 0.5 - inside_of).clamp(0, 1)  # [D, H, W], a soft edge of 1 mm
    turn = rotation(3, 0, 1, 35.0) @ rotation(3, 0, 2, 20.0)
    moved = spatial.apply(ball[None, None], transform(turn, shape, spacing))[0][0, 0]
    assert float(moved.sum()) == pytest.approx(float(ball.sum()), rel=0.03)
    assert (moved[inside_of < radius - 3] > 0.95).all()
    assert (moved[inside_of > radius + 3] < 0.05).all()
    larger = torch.diag(torch.tensor([1 / 1.2] * 3 + [1.0]))
    grown = spatial.apply(ball[None, None], transform(larger, shape, spacing))[0][0, 0]
    assert float(grown.sum()) == pytest.approx(float(ball.sum()) * 1.2**3, rel=0.03)


@pytest.mark.parametrize(
    "matrix",
    [rotation(3, 0, 2, 30.0), rotation(3, 1, 2, 75.0), shift((3.0, -4.0, 2.0)) @ rotation(3, 0, 1, -50.0)],
    ids=["through_slices", "in_plane", "moved_and_turned"],
)
def test_a_blob_moves_to_its_analytical_place(matrix):
    shape, spacing, place = (15, 41, 41), (3.0, 1.0, 1.0), torch.tensor([6.0, 5.0, -7.0])
    points = positions_mm(shape, spacing)
    blob = torch.exp(-((points - place.view(3, 1, 1, 1)) ** 2).sum(0) / (2 * 4.0**2))
    moved = spatial.apply(blob[None, None], transform(matrix, shape, spacing))[0][0, 0]
    found = (moved * points).sum(dim=(1, 2, 3)) / moved.sum()
    expected = torch.linalg.solve(matrix[:3, :3], place - matrix[:3, 3])
    assert torch.allclose(found, expected, atol=0.25)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("k", [-5, -1, 2])
def test_translation_by_voxels_leaves_exactly_the_band_invalid(k, mode):
    shape, spacing = (9, 6), (2.5, 1.0)
    x = noise(1, 2, *shape)
    moved, valid = spatial.apply(x, transform(shift((2.5 * k, 0.0)), shape, spacing), mode, fill=7.0)
    expected = torch.full_like(x, 7.0)
    band = torch.zeros(1, 1, *shape)
    for row in range(9):
        if 0 <= row + k < 9:
            expected[:, :, row], band[:, :, row] = x[:, :, row + k], 1
    assert torch.equal(valid, band)
    assert torch.allclose(moved, expected, atol=1e-5)


def test_a_shift_by_voxels_is_each_samples_own():
    x = noise(2, 1, 5, 6)
    moved, seen = spatial.apply(
        x, spatial.shift(torch.tensor([[1, -2], [0, 3]]), (5, 6), torch.tensor([[2.0, 0.7]] * 2))
    )
    assert torch.allclose(moved[0, :, 1:, :4], x[0, :, :4, 2:], atol=1e-5)
    assert torch.allclose(moved[1, :, :, 3:], x[1, :, :, :3], atol=1e-5)
    assert seen[0, 0].sum() == 4 * 4
    assert seen[1, 0].sum() == 5 * 3


def test_out_and_back_is_invalid_where_the_image_had_left_the_field_of_view():
    x = noise(1, 1, 6, 8)
    out, back = (transform(shift((0.0, offset)), (6, 8)) for offset in (3.0, -3.0))
    moved, valid = spatial.apply(x, spatial.compose(out, back), fill=-1.0)
    expected = torch.ones(1, 1, 6, 8)
    expected[..., :3] = 0  # the first transform reads 3 voxels further on: it loses the first three
    assert torch.equal(valid, expected)
    assert torch.allclose(moved, torch.where(expected > 0, x, -1.0), atol=1e-5)


def test_turned_out_and_back_loses_the_corners():
    there, back = (transform(rotation(2, 0, 1, degrees), (12, 12)) for degrees in (45.0, -45.0))
    _, valid = spatial.apply(noise(1, 1, 12, 12), spatial.compose(there, back))
    assert not valid[0, 0, [0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert valid[0, 0, 3:9, 3:9].all()


@pytest.mark.parametrize("matrix", [torch.diag(torch.tensor([-1.0, 1.0, 1.0])), shift((0.0, 2.0))])
def test_a_mask_of_validity_is_carried(matrix):
    given = torch.ones(1, 1, 5, 6)
    given[..., 1, 3] = 0
    _, without = spatial.apply(noise(1, 1, 5, 6), transform(matrix, (5, 6)))
    moved, valid = spatial.apply(noise(1, 1, 5, 6), transform(matrix, (5, 6)), valid=given, fill=9.0)
    place = (3, 3) if matrix[0, 0] < 0 else (1, 1)
    assert float(valid[0, 0][place]) == 0
    assert valid.sum() == without.sum() - 1
    assert moved[0, 0][place] == 9.0


def test_fill_is_by_sample_and_channel():
    fill = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    moved, valid = spatial.apply(noise(2, 2, 4, 4), transform(shift((3.0, 0.0)), (4, 4), batch_size=2), fill=fill)
    assert not valid[:, :, 1:].any()
    assert torch.equal(moved[:, :, 1:], fill[:, :, None, None].expand(2, 2, 3, 4))


def test_without_a_fill_the_border_is_repeated():
    x = noise(1, 1, 4, 4)
    moved, _ = spatial.apply(x, transform(shift((2.0, 0.0)), (4, 4)))
    assert torch.allclose(moved[0, 0], x[0, 0][[2, 3, 3, 3]], atol=1e-6)


def smooth(shape) -> Tensor:
    points = positions_mm(shape, [1.0] * len(shape))
    waves = [torch.sin(points[axis] / 5 + 0.3 * axis) for axis in range(len(shape))]
    return torch.stack([sum(waves, torch.zeros(shape)), waves[0] * waves[1]])[None]


@pytest.mark.parametrize("shape", [(32, 32), (16, 20, 20)])
def test_a_chain_is_the_first_and_then_the_second(shape):
    n = len(shape)
    spacing = [1.0] * n
    first = spatial.compose(
        transform(rotation(n, n - 2, n - 1, 20.0), shape, spacing), transform(shift([2.0] + [-1.0] * (n - 1)), shape)
    )
    second = spatial.compose(elastic(shape, spacing), transform(rotation(n, 0, 1, -35.0), shape, spacing))
    x = smooth(shape)
    once, seen = spatial.apply(x, spatial.compose(first, second))
    half, half_seen = spatial.apply(x, first)
    twice, twice_seen = spatial.apply(half, second, valid=half_seen)
    other, _ = spatial.apply(x, spatial.compose(second, first))
    both = ((seen * twice_seen) > 0).expand_as(x)
    assert both.float().mean() > 0.3
    assert (once - twice)[both].abs().max() < 0.1
    assert (once - other)[both].abs().max() > 0.3  # the order matters, so the test can tell
    assert (seen != twice_seen).float().mean() < 0.08


def test_a_chain_of_moves_is_exact():
    x = noise(1, 1, 5, 5)
    flip, turn = transform(torch.diag(torch.tensor([-1.0, 1, 1])), (5, 5)), transform(rotation(2, 0, 1, 90.0), (5, 5))
    once, valid = spatial.apply(x, spatial.compose(flip, turn))
    assert torch.equal(once, spatial.apply(spatial.apply(x, flip)[0], turn)[0])
    assert not torch.equal(once, spatial.apply(x, spatial.compose(turn, flip))[0])
    assert valid.all()


def test_invert_undoes_an_affine_chain():
    shape, spacing = (24, 24), (1.5, 1.0)
    matrix = rotation(2, 0, 1, 25.0) @ torch.diag(torch.tensor([1.2, 1.2, 1.0]))
    params = spatial.compose(transform(matrix, shape, spacing), transform(shift((3.0, 1.0)), shape, spacing))
    there, seen = spatial.apply(smooth(shape), params)
    back, valid = spatial.apply(there, spatial.invert(params), valid=seen)
    both = (valid > 0).expand_as(back)
    assert both.float().mean() > 0.3
    assert (back - smooth(shape))[both].abs().max() < 0.15
    assert (there - smooth(shape))[both].abs().max() > 0.5


def test_invert_of_moves_is_exact():
    x = noise(1, 1, 5, 5)
    turn = transform(rotation(2, 0, 1, 90.0), (5, 5))
    assert torch.equal(spatial.apply(spatial.apply(x, turn)[0], spatial.invert(turn))[0], x)


def test_invert_refuses_an_elastic_part():
    with pytest.raises(ValueError, match="elastic"):
        spatial.invert(elastic((8, 8), (1.0, 1.0)))


def test_refuses_what_the_transform_was_not_drawn_for():
    params = spatial.identity(2, (4, 5), (1.0, 1.0))
    for shape in [(2, 1, 5, 4), (3, 1, 4, 5), (2, 1, 4, 5, 1)]:
        with pytest.raises(ValueError, match=r"\(4, 5\)"):
            spatial.apply(torch.zeros(shape), params)
    for other in [spatial.identity(2, (5, 4), (1.0, 1.0)), spatial.identity(1, (4, 5), (1.0, 1.0))]:
        with pytest.raises(ValueError, match="the same"):
            spatial.compose(params, other)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float16, torch.float64])
def test_the_type_is_kept(dtype, exact):
    labels = torch.arange(36).view(1, 1, 6, 6) % 4
    matrix = torch.diag(torch.tensor([-1.0, 1, 1])) if exact else shift((0.0, 1.0))
    moved, valid = spatial.apply(labels.to(dtype), transform(matrix, (6, 6)), "nearest")
    expected = labels.flip(2) if exact else labels[..., [1, 2, 3, 4, 5, 5]]
    assert moved.dtype == dtype
    assert torch.equal(moved, expected.to(dtype))
    assert valid.dtype == (dtype if dtype.is_floating_point else torch.float32)


def test_nothing_is_changed_in_place():
    for matrix in (torch.eye(3), rotation(2, 0, 1, 30.0)):
        x, valid = noise(1, 1, 6, 6), torch.ones(1, 1, 6, 6)
        params = transform(matrix, (6, 6))
        moved, seen = spatial.apply(x, params, valid=valid, fill=0.0)
        moved += 1
        seen -= 1
        assert torch.equal(x, noise(1, 1, 6, 6))
        assert valid.all()
        assert torch.equal(params.links[0].before, matrix[None])


def test_gradient_flows_back_to_the_voxels_that_were_read():
    x = noise(1, 1, 6, 6).requires_grad_()
    moved, valid = spatial.apply(x, transform(shift((2.0, 0.0)), (6, 6)))
    (moved * valid).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad[0, 0].sum(dim=1), torch.tensor([0.0, 0, 6, 6, 6, 6]), atol=1e-4)


def test_probabilities_stay_probabilities():
    probs = noise(2, 4, 10, 12).mul(4).softmax(dim=1)
    matrix = shift((3.0, 0.0)) @ rotation(2, 0, 1, 33.0)
    warped, valid = spatial.warp_probabilities(probs, transform(matrix, (10, 12), batch_size=2))
    assert torch.allclose(warped.sum(dim=1), torch.ones(2, 10, 12), atol=1e-6)
    assert (warped >= 0).all()
    assert 0 < valid.mean() < 1


def test_autocast_changes_nothing():
    shape, spacing = (32, 32), (1.0, 1.0)
    params = spatial.compose(transform(rotation(2, 0, 1, 20.0), shape), elastic(shape, spacing))
    affine = transform(rotation(2, 0, 1, 20.0), shape)
    plain = [*spatial.apply(noise(1, 2, *shape), params), spatial.invert(affine).links[0].before]
    plain += spatial.warp_probabilities(noise(1, 2, *shape).softmax(1), params)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = [*spatial.apply(noise(1, 2, *shape), params), spatial.invert(affine).links[0].before]
        cast += spatial.warp_probabilities(noise(1, 2, *shape).softmax(1), params)
    for ours, theirs in zip(cast, plain, strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


def test_rows_of_the_parameters_are_samples():
    params = spatial.affine(torch.stack([torch.eye(3), shift((1.0, 0.0)), shift((2.0, 0.0))]), (4, 4), (1.0, 1.0))
    assert len(params) == 3
    some = params[torch.tensor([2, 0])]
    assert len(some) == 2
    assert some.links[0].before[0, 0, -1] == 2
    assert torch.equal(params.extent_mm, torch.full((3, 2), 4.0))
