"""Drawn spatial transforms: ranges, probabilities, the number of parts, and the generator as the only source."""

import math

import pytest
import torch
from torch import Generator, Tensor

from equireg.config import SpatialConfig, ViewsConfig
from equireg.errors import UsageError
from equireg.transforms import spatial
from equireg.transforms.sampling import sample
from equireg.transforms.spatial import SpatialParams

ALL = SpatialConfig(probability=0.7, rotation_deg=20.0, shear=0.1, scale=1.2, translation=0.1, elastic_amplitude=0.02)
AFFINE = SpatialConfig(probability=0.7, rotation_deg=20.0, shear=0.1, scale=1.2, translation=0.1)
FIELDS = [((16, 20), (1.5, 1.0)), ((8, 12, 12), (2.0, 1.0, 1.0))]


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def parts_of(params: SpatialParams) -> list[Tensor]:
    return [part for link in params.links for part in (link.before, link.displacement, link.after) if part is not None]


def alike(one: SpatialParams, other: SpatialParams) -> bool:
    return all(torch.equal(a, b) for a, b in zip(parts_of(one), parts_of(other), strict=True))


def matrices(config: SpatialConfig, shape, spacing, batch_size: int = 400, flip_axes=()) -> Tensor:
    """Return the drawn affine maps without their last row, [B, n, n + 1]."""
    params = sample(config, batch_size, shape, spacing, seeded(), flip_axes)
    assert len(params.links) == 1
    assert params.links[0].displacement is None
    return params.links[0].before[:, :-1]


def coordinates(shape, spacing) -> Tensor:
    axes = [(torch.arange(size) - (size - 1) / 2) * step for size, step in zip(shape, spacing, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


@pytest.mark.parametrize(("shape", "spacing"), FIELDS)
@pytest.mark.parametrize("config", [ALL, AFFINE])
def test_the_generator_is_the_only_randomness(config, shape, spacing):
    before = torch.get_rng_state()
    first = sample(config, 4, shape, spacing, seeded(1), (0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert alike(first, sample(config, 4, shape, spacing, seeded(1), (0, 1)))
    assert not alike(first, sample(config, 4, shape, spacing, seeded(2), (0, 1)))


@pytest.mark.parametrize(("shape", "spacing"), FIELDS)
def test_samples_of_a_batch_differ_and_lie_on_the_cpu(shape, spacing):
    params = sample(ViewsConfig().strong, 64, shape, spacing, seeded(), (1,))
    assert len(params) == 64
    for part in parts_of(params):
        assert part.device.type == "cpu"
        assert len(torch.unique(part.flatten(1), dim=0)) > 16


def test_autocast_changes_no_draw():
    plain = sample(ALL, 4, (16, 16), (1.0, 1.0), seeded(), (0,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = sample(ALL, 4, (16, 16), (1.0, 1.0), seeded(), (0,))
    assert alike(plain, cast)


@pytest.mark.parametrize(("shape", "spacing"), FIELDS)
def test_probability_0_is_the_identity(shape, spacing):
    x = torch.randn(3, 2, *shape, generator=seeded())
    for config, tolerance in ((AFFINE, 0.0), (ALL, 1e-4)):
        quiet = SpatialConfig(**{**vars(config), "probability": 0.0})
        moved, valid = spatial.apply(x, sample(quiet, 3, shape, spacing, seeded(), (0, 1)))
        assert (moved - x).abs().max() <= tolerance
        assert valid.all()


def test_nothing_switched_on_is_the_identity():
    x = torch.randn(2, 1, 5, 7, generator=seeded())
    params = sample(SpatialConfig(probability=1.0), 2, (5, 7), (1.0, 1.0), seeded())
    assert torch.equal(spatial.apply(x, params)[0], x)


def test_some_of_draws_each_number_of_parts_as_often():
    """Of scale and two translations, one to three: imgaug's SomeOf, as in the thesis."""
    config = SpatialConfig(some_of=True, at_least=1, scale=1.5, translation=0.2)
    drawn = matrices(config, (16, 20), (1.5, 1.0), batch_size=3000)
    active = (drawn[:, 0, 0] != 1).int() + (drawn[:, :, -1] != 0).sum(dim=1)
    assert active.min() == 1
    shares = [float((active == count).float().mean()) for count in (1, 2, 3)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.03)


@pytest.mark.parametrize(("probability", "at_least"), [(0.0, 3), (0.4, 3), (0.0, 1), (1.0, 0)])
def test_at_least_so_many_parts_are_active(probability, at_least):
    config = SpatialConfig(probability=probability, at_least=at_least, scale=1.5, translation=0.2)
    drawn = matrices(config, (10, 10, 10), (1.0, 1.0, 1.0))
    active = (drawn[..., -1].abs() > 1e-6).sum(1) + ((drawn[:, 0, 0] - 1).abs() > 1e-6)  # of a scale and 3 shifts
    assert active.min() >= at_least
    if probability == 0:
        assert (active == at_least).all()
    elif probability < 1:
        assert active.float().mean() > at_least
        assert (active == at_least).any()
    else:
        assert (active == 4).all()


def test_each_part_has_its_probability_and_its_turn():
    config = SpatialConfig(probability=0.3, scale=1.5, translation=0.2)
    drawn = matrices(config, (10, 10), (1.0, 1.0), batch_size=2000)
    active = torch.cat([drawn[..., -1].abs() > 1e-6, ((drawn[:, 0, 0] - 1).abs() > 1e-6)[:, None]], dim=1)
    assert torch.allclose(active.float().mean(0), torch.full((3,), 0.3), atol=0.04)
    least = SpatialConfig(probability=0.0, at_least=1, scale=1.5, translation=0.2)
    drawn = matrices(least, (10, 10), (1.0, 1.0), batch_size=2000)
    active = torch.cat([drawn[..., -1].abs() > 1e-6, ((drawn[:, 0, 0] - 1).abs() > 1e-6)[:, None]], dim=1)
    assert torch.allclose(active.float().mean(0), torch.full((3,), 1 / 3), atol=0.05)


def test_the_order_of_parts_varies():
    config = SpatialConfig(probability=1.0, scale=2.0, translation=0.2)
    drawn = matrices(config, (10, 10), (1.0, 1.0), batch_size=2000)
    # A shift is at most 2 mm, unless a magnification acts on it afterwards.
    enlarged = drawn[:, 0, 0] > 1.8
    beyond = (drawn[enlarged, 0, -1].abs() > 2.0).float().mean()
    assert 0.05 < beyond < 0.5


def test_flips_only_along_the_axes_allowed():
    config = SpatialConfig(probability=1.0)
    drawn = matrices(config, (4, 5, 6), (1.0, 1.0, 1.0), flip_axes=(1, 2))
    signs = torch.diagonal(drawn[..., :-1], dim1=1, dim2=2)
    assert (signs[:, 0] == 1).all()
    for axis in (1, 2):
        assert 0.4 < (signs[:, axis] == -1).float().mean() < 0.6
    assert len(torch.unique(signs, dim=0)) == 4
    for switched_off in (matrices(config, (4, 5), (1.0, 1.0)),):
        assert torch.equal(switched_off, torch.eye(3)[:2].expand_as(switched_off))
    off = SpatialConfig(probability=1.0, flips=False)
    assert (matrices(off, (4, 5), (1.0, 1.0), flip_axes=(0, 1))[:, 0, 0] == 1).all()


def test_flips_with_a_probability_of_their_own():
    config = SpatialConfig(probability=0.0, flip_probability=0.25)
    drawn = matrices(config, (4, 5, 6), (1.0, 1.0, 1.0), batch_size=4000, flip_axes=(0, 2))
    signs = torch.diagonal(drawn[..., :-1], dim1=1, dim2=2)
    assert (signs[:, 1] == 1).all()
    assert torch.allclose((signs == -1).float().mean(dim=0), torch.tensor([0.25, 0.0, 0.25]), atol=0.03)
    off = SpatialConfig(probability=0.0, flips=False, flip_probability=1.0)
    assert (matrices(off, (4, 5), (1.0, 1.0), flip_axes=(0, 1))[:, 0, 0] == 1).all()
    assert (matrices(config, (4, 5), (1.0, 1.0))[:, 0, 0] == 1).all()  # the data set allows no axis


def test_flips_with_a_probability_of_their_own_leave_the_other_parts_alone():
    plain = SpatialConfig(probability=0.5, scale=1.5, translation=0.2)
    always = SpatialConfig(probability=0.5, scale=1.5, translation=0.2, flip_probability=1.0)
    before, after = (matrices(one, (10, 10), (1.0, 1.0), flip_axes=(0,)) for one in (plain, always))
    assert (after[:, 0, 0] < 0).all()
    assert torch.equal(before[:, 0, 0].abs(), after[:, 0, 0].abs())
    assert torch.equal(before[:, 1], after[:, 1])


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_probability_of_flips_outside_its_range_is_refused(value):
    with pytest.raises(UsageError, match="flip_probability"):
        SpatialConfig(flip_probability=value)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (3.0, 1.0)])
def test_rotation_in_mm_within_its_range(spacing):
    linear = matrices(SpatialConfig(probability=1.0, rotation_deg=25.0), (12, 30), spacing)[..., :-1]
    assert torch.allclose(linear @ linear.mT, torch.eye(2).expand_as(linear), atol=1e-5)
    angles = torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]))
    assert 24 < angles.max() <= 25.001
    assert -25.001 <= angles.min() < -24
    assert abs(float(angles.mean())) < 2.5


def test_rotation_in_a_volume_is_about_every_axis():
    linear = matrices(SpatialConfig(probability=1.0, rotation_deg=25.0), (9, 9, 9), (2.0, 1.0, 1.0))[..., :-1]
    assert torch.allclose(linear @ linear.mT, torch.eye(3).expand_as(linear), atol=1e-5)
    assert torch.allclose(torch.linalg.det(linear), torch.ones(len(linear)), atol=1e-5)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert linear[:, a, b].abs().max() > math.sin(math.radians(23.0))


def test_scale_is_the_same_along_all_axes_within_its_range():
    linear = matrices(SpatialConfig(probability=1.0, scale=1.25), (8, 16, 16), (2.0, 1.0, 1.0))[..., :-1]
    factors = linear[:, 0, 0]
    assert torch.allclose(linear, factors[:, None, None] * torch.eye(3))
    assert 1.2 < factors.max() <= 1.2501
    assert 0.7999 <= factors.min() < 0.83
    assert abs(float(factors.log().mean())) < 0.02  # as often larger as smaller


def test_shear_within_its_range():
    linear = matrices(SpatialConfig(probability=1.0, shear=0.2), (9, 9, 9), (1.0, 1.0, 1.0))[..., :-1]
    off = linear - torch.eye(3)
    assert (off.ne(0).sum(dim=(1, 2)) == 1).all()
    assert (torch.diagonal(off, dim1=1, dim2=2) == 0).all()
    assert 0.19 < off.abs().max() <= 0.2001
    assert ((off != 0).any(0).sum()) == 6


def test_translation_is_a_fraction_of_the_field_of_view():
    drawn = matrices(SpatialConfig(probability=1.0, translation=0.1), (10, 40), (3.0, 0.5))
    for axis, extent_mm in enumerate((30.0, 20.0)):
        shifts = drawn[:, axis, -1]
        assert 0.095 * extent_mm < shifts.abs().max() <= 0.1001 * extent_mm
        assert abs(float(shifts.mean())) < 0.01 * extent_mm


def test_spacing_may_differ_by_sample():
    config = SpatialConfig(probability=1.0, translation=0.1)
    spacing = torch.tensor([[1.0, 1.0], [10.0, 1.0]]).repeat(200, 1)
    params = sample(config, 400, (10, 10), spacing, seeded())
    shifts = params.links[0].before[:, 0, -1].abs()
    assert shifts[0::2].max() <= 1.0001
    assert shifts[1::2].max() > 9
    assert torch.equal(params.spacing_mm, spacing)


@pytest.mark.parametrize(
    ("shape", "spacing", "view_mm"),
    [((32, 48), (1.0, 1.0), 40.0), ((16, 32), (2.0, 1.0), 32.0), ((6, 24, 24), (4.0, 1.0, 1.0), 24.0)],
    ids=["slices", "oblong_voxels", "thick_slices"],
)
def test_elastic_displacement_has_its_deviation_in_mm(shape, spacing, view_mm):
    """The picture of a coordinate, less the coordinate, is the displacement where no border is near."""
    config = SpatialConfig(probability=1.0, elastic_amplitude=0.02, elastic_smoothness=0.15)
    grid = coordinates(shape, spacing)
    batch = 160
    params = sample(config, batch, shape, spacing, seeded())
    moved, _ = spatial.apply(grid.expand(batch, *grid.shape), params)
    thick = len(shape) == 3
    inner = (slice(None),) * 2 + (slice(None),) * thick + (slice(4, -4),) * 2
    displacement = (moved - grid)[inner]
    bent = [1, 2] if thick else [0, 1]
    for axis in bent:
        assert abs(float(displacement[:, axis].mean())) < 0.15 * 0.02 * view_mm
        assert float(displacement[:, axis].std()) == pytest.approx(0.02 * view_mm, rel=0.12)
        # each place and each sample has the deviation, not their mixture alone
        assert float(displacement[:, axis].std(dim=0).mean()) == pytest.approx(0.02 * view_mm, rel=0.12)
    if thick:
        assert displacement[:, 0].abs().max() < 1e-4


def test_elastic_displacement_is_smooth():
    rough, smooth = (
        SpatialConfig(probability=1.0, elastic_amplitude=0.02, elastic_smoothness=value) for value in (0.08, 0.3)
    )
    grid = coordinates((48, 48), (1.0, 1.0))
    slopes = []
    for config in (rough, smooth):
        moved, _ = spatial.apply(grid.expand(40, 2, 48, 48), sample(config, 40, (48, 48), (1.0, 1.0), seeded()))
        displacement = (moved - grid)[:, 0, 6:-6, 6:-6]
        slopes.append(float(displacement.diff(dim=1).std() / displacement.std()))
    # Noise smoothed by a Gaussian of deviation s has slopes of deviation 1 / (s sqrt 2).
    for slope, value in zip(slopes, (0.08, 0.3), strict=True):
        assert slope == pytest.approx(1 / (value * 48 * math.sqrt(2)), rel=0.25)


def test_elastic_acts_before_and_behind_the_affine_parts():
    params = sample(SpatialConfig(**{**vars(ALL), "probability": 1.0}), 200, (16, 16), (1.0, 1.0), seeded())
    (link,) = params.links
    assert link.after is not None
    eye = torch.eye(3)
    before = (link.before - eye).abs().amax(dim=(1, 2)) > 1e-6
    after = (link.after - eye).abs().amax(dim=(1, 2)) > 1e-6
    assert (before | after).all()
    for rows in (before & after, before & ~after, after & ~before):
        assert rows.any()


@pytest.mark.parametrize(("thickness", "stays"), [(5.0, True), (2.0, False)])
def test_thick_slices_are_not_turned_or_bent_out_of_their_plane(thickness, stays):
    config = SpatialConfig(probability=1.0, rotation_deg=20.0, shear=0.2, scale=1.3, elastic_amplitude=0.03)
    spacing = (thickness, 1.0, 1.0)
    grid = coordinates((8, 20, 20), spacing)
    moved, _ = spatial.apply(grid.expand(8, *grid.shape), sample(config, 8, (8, 20, 20), spacing, seeded()))
    assert ((moved[:, 0] - grid[0]).abs().max() < 1e-3) == stays
    assert (moved[:, 1:] - grid[1:]).abs().max() > 1
