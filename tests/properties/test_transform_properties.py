"""Properties of transforms that must hold for any draw: batches, moves, labels, probabilities, validity."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor
from torch.nn import functional

from equireg.config import IntensityConfig, SpatialConfig
from equireg.transforms import intensity, mixing, sampling, spatial
from equireg.transforms.spatial import SpatialParams

SEEDS = st.integers(0, 2**32)
quick = settings(max_examples=25, deadline=None)


@st.composite
def fields_of_view(draw) -> tuple[tuple[int, ...], tuple[float, ...]]:
    n = draw(st.sampled_from([2, 3]))
    shape = tuple(draw(st.integers(4, 14 if n == 2 else 9)) for _ in range(n))
    return shape, tuple(draw(st.sampled_from([0.5, 1.0, 1.3, 3.0, 5.0])) for _ in range(n))


@st.composite
def options(draw) -> SpatialConfig:
    return SpatialConfig(
        probability=draw(st.sampled_from([0.3, 0.7, 1.0])),
        at_least=draw(st.integers(0, 3)),
        rotation_deg=draw(st.sampled_from([0.0, 20.0, 180.0])),
        shear=draw(st.sampled_from([0.0, 0.2])),
        scale=draw(st.sampled_from([1.0, 1.4])),
        translation=draw(st.sampled_from([0.0, 0.2])),
        elastic_amplitude=draw(st.sampled_from([0.0, 0.03])),
    )


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed))


def drawn(config: SpatialConfig, field, seed: int, batch_size: int) -> SpatialParams:
    shape, spacing = field
    return sampling.sample(config, batch_size, shape, spacing, seeded(seed), flip_axes=range(len(shape)))


@quick
@given(fields_of_view(), options(), options(), SEEDS, st.sampled_from(["bilinear", "nearest"]))
def test_batched_is_one_by_one(field, weak, strong, seed, mode):
    params = spatial.compose(drawn(weak, field, seed, 3), drawn(strong, field, seed + 1, 3))
    x, valid = noise(3, 2, *field[0], seed=seed), (noise(3, 1, *field[0], seed=seed + 1) > -1).float()
    fill = noise(3, 2, seed=seed + 2)
    together, seen = spatial.apply(x, params, mode, fill=fill, valid=valid)
    for i in range(3):
        rows = slice(i, i + 1)
        alone, alone_seen = spatial.apply(x[rows], params[rows], mode, fill=fill[rows], valid=valid[rows])
        # Rounding may decide otherwise for a voxel that reads from the very border between two.
        unequal = (together[rows] - alone).abs().amax(1) > 1e-3
        assert unequal.float().mean() <= 0.01
        assert (seen[rows] != alone_seen).float().mean() <= 0.01


@quick
@given(fields_of_view(), SEEDS, st.sampled_from([0.5, 1.0]))
def test_intensity_batched_is_one_by_one(field, seed, probability):
    params = intensity.sample(IntensityConfig(probability=probability), 3, 2, seeded(seed))
    x = noise(3, 2, *field[0], seed=seed)
    together = intensity.apply(x, params)
    alone = torch.cat([intensity.apply(x[i : i + 1], params[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-4)
    assert together.isfinite().all()


@quick
@given(fields_of_view(), options(), SEEDS)
def test_what_is_valid_does_not_depend_on_the_picture(field, config, seed):
    params = drawn(config, field, seed, 2)
    _, seen = spatial.apply(noise(2, 3, *field[0], seed=seed), params)
    _, again = spatial.apply(noise(2, 1, *field[0], seed=seed + 1), params, "nearest", fill=3.0)
    assert torch.equal(seen, again)
    assert ((seen == 0) | (seen == 1)).all()


@quick
@given(fields_of_view(), options(), SEEDS)
def test_what_lies_outside_does_not_show(field, config, seed):
    """A picture of ones with zeros about it, as the transform fills it, shows exactly what is valid."""
    params = drawn(config, field, seed, 2)
    moved, seen = spatial.apply(torch.ones(2, 1, *field[0]), params, fill=0.0)
    assert torch.allclose(moved, seen, atol=1e-5)


@quick
@given(fields_of_view(), options(), options(), SEEDS)
def test_a_chain_is_valid_at_most_where_its_second_part_is(field, weak, strong, seed):
    first, second = drawn(weak, field, seed, 2), drawn(strong, field, seed + 1, 2)
    x = noise(2, 1, *field[0])
    _, chained = spatial.apply(x, spatial.compose(first, second))
    _, last = spatial.apply(x, second)
    assert (chained > last).float().mean() <= 0.01


@quick
@given(fields_of_view(), SEEDS, st.integers(0, 7))
def test_flips_are_exact(field, seed, chosen):
    shape, spacing = field
    axes = [axis for axis in range(len(shape)) if chosen >> axis & 1]
    signs = torch.ones(len(shape) + 1)
    signs[axes] = -1
    x = noise(2, 2, *shape, seed=seed)
    moved, valid = spatial.apply(x, spatial.affine(torch.diag(signs).expand(2, -1, -1), shape, spacing))
    assert torch.equal(moved, x.flip([2 + axis for axis in axes]))
    assert valid.all()


@quick
@given(st.integers(2, 9), st.sampled_from([2, 3]), st.sampled_from([0.3, 1.0, 4.0]), SEEDS, st.data())
def test_quarter_turns_are_exact(size, n, spacing, seed, data):
    plane = data.draw(st.permutations(range(n)))[:2]
    turns = data.draw(st.integers(0, 3))
    matrix = torch.eye(n + 1)
    # Not rounded: cos 90 degrees is 6e-17 and must still count as none.
    angle = torch.tensor(turns * torch.pi / 2)
    matrix[plane[0], plane[0]] = matrix[plane[1], plane[1]] = angle.cos()
    matrix[plane[0], plane[1]], matrix[plane[1], plane[0]] = -angle.sin(), angle.sin()
    x = noise(2, 1, *[size] * n, seed=seed)
    moved, valid = spatial.apply(x, spatial.affine(matrix.expand(2, -1, -1), [size] * n, [spacing] * n))
    assert torch.equal(moved, torch.rot90(x, -turns, [2 + axis for axis in plane]))
    assert valid.all()


@quick
@given(st.sampled_from([((24, 20), (1.0, 1.5)), ((12, 14, 14), (2.0, 1.0, 1.0))]), options(), SEEDS)
def test_a_one_hot_warp_agrees_with_a_label_warp_away_from_borders(field, config, seed):
    shape, _ = field
    # Blobs of three classes, several voxels wide.
    coarse = noise(2, 3, *[4] * len(shape), seed=seed)
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    label = functional.interpolate(coarse, size=shape, mode=mode).argmax(dim=1, keepdim=True)
    one_hot = functional.one_hot(label[:, 0], 3).movedim(-1, 1).float()
    params = drawn(config, field, seed, 2)
    warped, _ = spatial.apply(one_hot, params)
    moved, _ = spatial.apply(label, params, "nearest")
    assert moved.dtype == label.dtype
    confidence, classes = warped.max(dim=1, keepdim=True)
    away = confidence > 1 - 1e-4  # all voxels about the place that was read are of one class
    assert away.float().mean() > 0.15
    assert torch.equal(classes[away], moved[away])
    # Elsewhere the label is that of one of them.
    assert (warped.gather(1, moved) > 0).float().mean() > 0.99


@quick
@given(fields_of_view(), options(), SEEDS)
def test_probabilities_stay_probabilities(field, config, seed):
    probs = noise(2, 4, *field[0], seed=seed).mul(5).softmax(dim=1)
    warped, _ = spatial.warp_probabilities(probs, drawn(config, field, seed, 2))
    assert (warped >= 0).all()
    assert torch.allclose(warped.sum(dim=1), torch.ones(2, *field[0]), atol=1e-5)


@quick
@given(fields_of_view(), SEEDS)
def test_invert_brings_back_what_stayed_inside(field, seed):
    """The picture of a coordinate in mm shows where a voxel ends up, without an interpolation's error."""
    shape, spacing = field
    config = SpatialConfig(probability=1.0, rotation_deg=20.0, shear=0.1, scale=1.2, translation=0.1)
    params = drawn(config, field, seed, 1)
    axes = [(torch.arange(size) - (size - 1) / 2) * step for size, step in zip(shape, spacing, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
    moved, seen = spatial.apply(points, spatial.compose(params, spatial.invert(params)))
    step = torch.tensor(spacing).view(1, -1, *[1] * len(shape))
    assert (((moved - points) / step).abs() * seen).max() < 1e-3


@pytest.mark.parametrize("n", [2, 3])
@quick
@given(seed=SEEDS, batch_size=st.integers(1, 5), probability=st.sampled_from([0.0, 0.5, 1.0]))
def test_mixing_keeps_every_voxel_of_its_own_place(n, seed, batch_size, probability):
    shape = (6, 7, 8)[:n]
    params = mixing.sample(batch_size, shape, seeded(seed), probability)
    place = torch.arange(int(torch.tensor(shape).prod())).view(1, 1, *shape).expand(batch_size, 1, *shape)
    sample = torch.arange(batch_size).view(-1, 1, *[1] * n).expand(batch_size, 1, *shape)
    assert torch.equal(mixing.apply(place, params), place)
    expected = torch.where(params.box, params.partner.view(-1, 1, *[1] * n), sample)
    assert torch.equal(mixing.apply(sample, params), expected)
