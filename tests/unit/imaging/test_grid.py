"""The working grid: orientation, resampling, crop, and the way back."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equireg.imaging.grid import WorkingGrid
from equireg.imaging.volume import Geometry

SHAPE = (5, 6, 7)
ORIENTATIONS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]


def rotation(degrees: float, axis: int) -> np.ndarray:
    a = np.deg2rad(degrees)
    i, j = [k for k in range(3) if k != axis]
    turn = np.eye(3)
    turn[[i, i, j, j], [i, j, i, j]] = [np.cos(a), -np.sin(a), np.sin(a), np.cos(a)]
    return turn


def geometry_of(order, signs, shape=SHAPE, spacing=(1.0, 1.0, 1.0), tilt=0.0) -> Geometry:
    """Build a geometry whose file axis i runs along canonical axis order[i], forwards or backwards."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (canonical, sign) in enumerate(zip(order, signs, strict=True)):
        affine[canonical, axis] = sign * spacing[axis]
    affine[:3, :3] = rotation(tilt, 2) @ rotation(tilt, 0) @ affine[:3, :3]
    affine[:3, 3] = [3.0, -8.0, 11.0]
    return Geometry.from_array(shape, affine)


def positions(geometry: Geometry) -> np.ndarray:
    """Return each voxel's RAS position as an image, [3, X, Y, Z]."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij"))
    affine = geometry.affine_array
    return (np.einsum("ij,jxyz->ixyz", affine[:3, :3], index) + affine[:3, 3, None, None, None]).astype(np.float32)


def one_hot(label: np.ndarray, classes: int) -> np.ndarray:
    return np.stack([label == index for index in range(classes)]).astype(np.float32)


@pytest.mark.parametrize("slice_axis", ["x", "y", "z"])
@pytest.mark.parametrize("tilt", [0.0, 20.0])
def test_all_orientations_come_out_right_anterior_superior(slice_axis, tilt):
    for order, signs in ORIENTATIONS:
        native = geometry_of(order, signs, tilt=tilt)
        grid = WorkingGrid.plan(native, None, slice_axis)
        working = grid.image_to_working(positions(native))
        for axis, name in enumerate(grid.axes):
            steps = np.diff(working["xyz".index(name)], axis=axis)
            assert (steps > 0.8).all(), (order, signs, name)
        assert working.shape[1:] == grid.shape
        assert grid.axes[0] == slice_axis


def test_axes_in_order():
    native = geometry_of((0, 1, 2), (1, 1, 1))
    axes = {name: WorkingGrid.plan(native, None, name).axes for name in ("x", "y", "z")}
    assert axes == {"z": "zyx", "y": "yzx", "x": "xzy"}


@pytest.mark.parametrize("slice_axis", ["x", "y", "z"])
def test_labels_come_back_in_all_orientations(slice_axis):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, SHAPE)
    for order, signs in ORIENTATIONS:
        grid = WorkingGrid.plan(geometry_of(order, signs, tilt=15.0), None, slice_axis)
        probs = one_hot(grid.label_to_working(label), 4)
        native = grid.probs_to_native(probs)
        assert native.dtype == np.float32
        np.testing.assert_array_equal(native, one_hot(label, 4))


def test_identity_is_exact_and_a_copy():
    native = geometry_of((2, 1, 0), (1, 1, 1))  # the file's axes are z, y, x already
    image = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    grid = WorkingGrid.plan(native, None, "z")
    working = grid.image_to_working(image)
    np.testing.assert_array_equal(working, image)
    working[...] = 0
    assert image.any()
    label = np.ones(SHAPE, dtype=np.uint8)
    grid.label_to_working(label)[...] = 0
    assert label.all()


def test_crop_and_what_it_leaves_out():
    native = geometry_of((0, 1, 2), (-1, 1, -1))
    label = np.random.default_rng(0).integers(1, 3, SHAPE)
    whole = WorkingGrid.plan(native, None, "z")
    grid = whole.with_crop(((1, 4), (0, 6), (2, 5)))
    assert whole.shape == (7, 6, 5)
    assert grid.shape == (3, 6, 3)
    assert grid == WorkingGrid.plan(native, None, "z", crop=((1, 4), (0, 6), (2, 5)))
    np.testing.assert_array_equal(grid.label_to_working(label), whole.label_to_working(label)[1:4, :, 2:5])
    image = positions(native)
    np.testing.assert_array_equal(grid.image_to_working(image), whole.image_to_working(image)[:, 1:4, :, 2:5])
    back = grid.probs_to_native(one_hot(grid.label_to_working(label), 3)).argmax(0)
    kept = np.zeros(whole.shape, dtype=int)
    kept[1:4, :, 2:5] = 1
    kept = kept.transpose(2, 1, 0)[::-1, :, ::-1]  # zyx back to xyz, and x and z run backwards in the file
    np.testing.assert_array_equal(back, np.where(kept, label, 0))


@pytest.mark.parametrize("crop", [((0, 8), (0, 6), (0, 5)), ((2, 2), (0, 6), (0, 5)), ((-1, 2), (0, 6), (0, 5))])
def test_crop_must_lie_inside(crop):
    with pytest.raises(ValueError, match="crop"):
        WorkingGrid.plan(geometry_of((0, 1, 2), (1, 1, 1)), None, "z", crop)


def test_bad_plans():
    native = geometry_of((0, 1, 2), (1, 1, 1))
    with pytest.raises(ValueError, match="positive"):
        WorkingGrid.plan(native, (1.0, 0.0, 1.0), "z")
    with pytest.raises(ValueError, match="slice axis"):
        WorkingGrid.plan(native, None, "w")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="spatial shape"):
        WorkingGrid.plan(native, None, "z").image_to_working(np.zeros((1, 7, 6, 5)))


def test_spacing_belongs_to_canonical_axes():
    native = geometry_of((2, 0, 1), (1, -1, 1), shape=(10, 20, 30), spacing=(4.0, 1.0, 2.0))  # z, x, y
    grid = WorkingGrid.plan(native, (2.0, 3.0, 2.0), "z")
    assert grid.spacing_mm == (2.0, 3.0, 2.0)  # D = z, H = y, W = x
    assert grid.full_shape == (20, 20, 10)
    assert WorkingGrid.plan(native, None, "z").spacing_mm == (4.0, 2.0, 1.0)


def test_a_spacing_within_one_percent_is_kept():
    native = geometry_of((0, 1, 2), (1, 1, 1), shape=(200, 4, 4))
    near, far = WorkingGrid.plan(native, (1.009, 1, 1), "z"), WorkingGrid.plan(native, (1.02, 1, 1), "z")
    assert near == WorkingGrid.plan(native, None, "z")
    assert far.full_shape == (4, 4, 196)


@pytest.mark.parametrize("spacing", [0.5, 2.0, 0.7])
def test_a_ramp_stays_where_it_is(spacing):
    """World extents stay equal: intensity equal to the position is the position of the new voxel's centre."""
    native = geometry_of((0, 1, 2), (1, -1, 1), shape=(24, 20, 22))
    grid = WorkingGrid.plan(native, (spacing,) * 3, "z")
    working = grid.image_to_working(positions(native))
    for axis, name in enumerate(grid.axes):
        canonical = "xyz".index(name)
        low = positions(native)[canonical].min() - 0.5
        size = grid.shape[axis]
        centres = low + (np.arange(size) + 0.5) * (native.shape[canonical] / size)
        line = np.moveaxis(working[canonical], axis, 0).reshape(size, -1).mean(1)
        edge = 4  # voxels there are held or blurred at the border
        np.testing.assert_allclose(line[edge:-edge], centres[edge:-edge], atol=2e-2)


def test_shrinking_does_not_alias():
    """A pattern too fine for the coarse grid fades to its mean; one that it can hold stays."""
    native = geometry_of((2, 1, 0), (1, 1, 1), shape=(4, 4, 64))
    x = np.arange(64)
    fine, coarse = np.cos(2 * np.pi * x * 0.45), np.cos(2 * np.pi * x / 32)
    grid = WorkingGrid.plan(native, (2.0, 1.0, 1.0), "z")
    found = [grid.image_to_working(np.broadcast_to(v, (1, 4, 4, 64)))[0, 0, 0, 4:-4] for v in (fine, coarse)]
    assert np.abs(found[0]).max() < 0.05
    assert np.abs(found[1]).max() > 0.9


def test_labels_stay_labels_when_resampled():
    native = geometry_of((0, 1, 2), (1, 1, 1), shape=(16, 16, 16))
    label = np.where(np.indices((16, 16, 16))[0] < 8, 0, 4).astype(np.uint8)
    for spacing in (0.4, 1.7, 2.0):
        working = WorkingGrid.plan(native, (spacing,) * 3, "z").label_to_working(label)
        assert working.dtype == np.uint8
        assert set(np.unique(working)) == {0, 4}
        assert abs((working == 4).mean() - 0.5) < 0.1


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (0.6, 0.6, 0.6), (1.0, 1.0, 3.0)])
def test_a_ball_comes_back_through_resampling(spacing):
    native = geometry_of((1, 2, 0), (-1, 1, -1), shape=(32, 30, 28), tilt=10.0)
    index = np.indices(native.shape)
    ball = (((index - np.array([15, 14, 13])[:, None, None, None]) ** 2).sum(0) < 100).astype(np.uint8)
    grid = WorkingGrid.plan(native, spacing, "z")
    probs = grid.probs_to_native(one_hot(grid.label_to_working(ball), 2))
    back = probs.argmax(0)
    np.testing.assert_allclose(probs.sum(0), 1, atol=1e-6)
    assert 2 * (back & ball).sum() / (back.sum() + ball.sum()) > 0.9
    centre = [index[:, region > 0].mean(1) for region in (back, ball)]
    np.testing.assert_allclose(*centre, atol=0.55)  # nearest neighbour at a factor of 2 lies half a voxel off


def test_one_slice_can_be_resampled():
    native = geometry_of((0, 1, 2), (1, 1, 1), shape=(8, 8, 1), spacing=(1.0, 1.0, 5.0))
    grid = WorkingGrid.plan(native, (2.0, 2.0, 1.0), "z")
    assert grid.shape == (5, 4, 4)
    probs = grid.probs_to_native(one_hot(np.ones(grid.shape), 2))
    np.testing.assert_allclose(probs[1], 1)


@settings(max_examples=40, deadline=None)
@given(
    which=st.integers(0, 47),
    tilt=st.floats(-30, 30),
    spacing=st.none() | st.tuples(*[st.floats(0.6, 2.5)] * 3),
    slice_axis=st.sampled_from(["x", "y", "z"]),
    data=st.data(),
)
def test_probabilities_sum_to_one_and_json_keeps_the_grid(which, tilt, spacing, slice_axis, data):
    grid = WorkingGrid.plan(geometry_of(*ORIENTATIONS[which], tilt=tilt), spacing, slice_axis)
    box = []
    for size in grid.full_shape:
        start = data.draw(st.integers(0, size - 1))
        box.append((start, data.draw(st.integers(start + 1, size))))
    grid = grid.with_crop((box[0], box[1], box[2]))
    assert WorkingGrid.from_dict(json.loads(json.dumps(grid.as_dict()))) == grid
    rng = np.random.default_rng(which)
    probs = rng.dirichlet([0.5] * 3, size=grid.shape).transpose(3, 0, 1, 2).astype(np.float32)
    native = grid.probs_to_native(probs)
    assert native.shape == (3, *SHAPE)
    assert (native >= 0).all()
    np.testing.assert_allclose(native.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("spacing", [None, (0.5, 0.5, 0.5)])
@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[::7])
def test_labels_come_back_as_they_were(order, signs, spacing):
    native = geometry_of(order, signs)
    label = np.random.default_rng(0).integers(0, 5, size=SHAPE).astype(np.uint8)
    grid = WorkingGrid.plan(native, spacing, "y")
    back = grid.label_to_native(grid.label_to_working(label))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, label)


def test_labels_beyond_the_crop_are_filled():
    native = geometry_of((0, 1, 2), (1, 1, 1))
    grid = WorkingGrid.plan(native, None, "z", ((2, 5), (0, 6), (1, 4)))
    back = grid.label_to_native(np.ones(grid.shape, dtype=np.uint8), fill=9)
    expected = np.full(SHAPE, 9)
    expected[1:4, :, 2:5] = 1
    np.testing.assert_array_equal(back, expected)


@pytest.mark.parametrize("block", [1, 50, 10**9])
@pytest.mark.parametrize("spacing", [None, (2.3, 0.7, 1.9)])
@pytest.mark.parametrize("cropped", [False, True])
def test_classes_come_back_as_by_their_probabilities(monkeypatch, block, spacing, cropped):
    native = geometry_of((1, 2, 0), (1, -1, 1), spacing=(0.8, 1.5, 1.1), tilt=10.0)
    grid = WorkingGrid.plan(native, spacing, "y")
    if cropped:
        d, h, w = ((size // 3, size) for size in grid.full_shape)
        grid = grid.with_crop((d, h, w))
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), size=grid.shape).transpose(3, 0, 1, 2).astype(np.float32)
    image = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    whole, working = grid.probs_to_native(probs), grid.image_to_working(image)
    monkeypatch.setattr("equireg.imaging.resampling._BLOCK_VALUES", block)
    np.testing.assert_array_equal(grid.image_to_working(image), working)
    np.testing.assert_array_equal(grid.probs_to_native(probs), whole)
    classes = grid.argmax_to_native(probs)
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, whole.argmax(axis=0))
    np.testing.assert_array_equal(grid.argmax_to_native(lambda start, stop: probs[:, start:stop], 4), classes)


def test_many_classes_are_asked_for_a_few_slices_at_a_time(monkeypatch):
    monkeypatch.setattr("equireg.imaging.resampling._BLOCK_VALUES", 118 * 30)
    grid = WorkingGrid.plan(geometry_of((0, 1, 2), (1, 1, 1), shape=(5, 6, 40)), (1.0, 1.0, 2.0), "z")
    asked = []

    def rows(start, stop):
        asked.append((start, stop))
        return np.full((118, stop - start, *grid.shape[1:]), 1 / 118, dtype=np.float16)

    assert grid.argmax_to_native(rows, 118).shape == (5, 6, 40)
    assert max(stop - start for start, stop in asked) <= 2  # one slice, interpolated from two
    assert asked == sorted(asked)
    with pytest.raises(ValueError, match="number of classes"):
        grid.argmax_to_native(rows)


def test_more_than_256_classes_need_16_bits():
    grid = WorkingGrid.plan(geometry_of((0, 1, 2), (1, 1, 1)), None, "z")
    probs = np.zeros((300, *grid.shape), dtype=np.float16)
    probs[299] = 1
    assert grid.argmax_to_native(probs).dtype == np.uint16
    assert (grid.argmax_to_native(probs) == 299).all()


def test_the_affine_leads_to_the_centres_of_the_voxels() -> None:
    # x runs to the left in the file; 1 mm voxels from 10 mm on are joined two by two.
    native = Geometry.from_array((4, 6, 3), np.array([[-1, 0, 0, 10], [0, 1, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1.0]]))
    grid = WorkingGrid.plan(native, (2.0, 1.0, 4.0), "z", ((1, 3), (2, 6), (0, 2)))
    # Slice 1, row 2, and of columns the two last of the file: 7 and 8 mm.
    np.testing.assert_allclose(grid.affine @ [0, 0, 0, 1], [7.5, 22, 34, 1])
    np.testing.assert_allclose(grid.affine @ [1, 3, 1, 1], [9.5, 25, 38, 1])
