"""Masks in little memory, and regions inside their box."""

import tracemalloc

import numpy as np
import pytest

from equireg.evaluation.comparing import compare
from equireg.evaluation.voxels import LabelVoxels
from equireg.imaging.geometry import Geometry
from equireg.metrics import METRICS, hd95_mm, nsd

SCATTERED = (1, 5, 100, 200, 1000, 2**24 + 1)


def grid(*spacing_mm: float) -> Geometry:
    return Geometry.from_array((1, 1, 1), np.diag([*spacing_mm, 1.0]))


def scattered(dtype, shape=(9, 8, 7)):
    rng = np.random.default_rng(3)
    values = [value for value in SCATTERED if value <= np.iinfo(dtype).max]
    return rng.choice(np.array([0, *values], dtype=dtype), size=shape, p=None)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_integers_come_back_from_their_codes(dtype, order):
    labels = np.asarray(scattered(dtype), order=order)
    voxels = LabelVoxels.of(labels)
    assert voxels.codes.dtype == np.uint8
    assert voxels.values == {0, *np.unique(labels).tolist()}
    whole = tuple(slice(0, size) for size in labels.shape)
    for members in ((1,), (1, 100), (5, 2**24 + 1), (77,)):
        np.testing.assert_array_equal(voxels.mask(members, whole), np.isin(labels, members))


def test_negative_values_and_strided_arrays_are_taken():
    labels = np.zeros((6, 6, 6), np.int16)
    labels[1, 2, 3], labels[4, 4, 4] = -1, 3
    voxels = LabelVoxels.of(labels[::-1, ::2])
    assert voxels.values == {-1, 0, 3}
    assert voxels.box((-1,)) == (slice(4, 5), slice(1, 2), slice(3, 4))
    assert voxels.box((3,)) == (slice(1, 2), slice(2, 3), slice(4, 5))
    assert not voxels.codes[0, 0, 0]


def test_more_values_than_a_byte_holds():
    labels = np.arange(600, dtype=np.int64).reshape(10, 10, 6) * 3
    voxels = LabelVoxels.of(labels)
    assert voxels.codes.dtype == np.uint16
    assert voxels.mask((1797,), voxels.box((1797,)) or ()).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_boxes_hold_every_voxel_of_their_values(order):
    labels = np.zeros((9, 8, 7), np.uint8)
    labels[1:3, 2:4, 5], labels[6, 7, 0] = 1, 4
    voxels = LabelVoxels.of(np.asarray(labels, order=order))
    assert voxels.box((1,)) == (slice(1, 3), slice(2, 4), slice(5, 6))
    assert voxels.box((1, 4)) == (slice(1, 7), slice(2, 8), slice(0, 6))
    assert voxels.box((2,)) is None
    assert voxels.box((0,)) == (slice(0, 9), slice(0, 8), slice(0, 7))
    assert LabelVoxels.of(labels * 0).box((1, 4)) is None


@pytest.mark.parametrize("shape", [(12, 11, 10), (12, 11, 1), (1, 9, 9)])
def test_a_region_in_its_box_scores_as_in_the_whole_volume(shape):
    rng = np.random.default_rng(0)
    first, second = (rng.random(shape) < 0.05 for _ in range(2))
    first[..., 0], second[0] = False, False  # a region off the border, where the box ends within the image
    spacing_mm = (0.7, 1.0, 3.0)
    voxels = [LabelVoxels.of(mask.astype(np.uint8) * 3) for mask in (first, second)]
    compared = compare(voxels[0], voxels[1], (3,), grid(*spacing_mm))
    assert METRICS["hd95_mm"].value(compared) == hd95_mm(first, second, spacing_mm)
    assert METRICS["nsd"].value(compared) == nsd(first, second, spacing_mm)


def test_a_region_of_one_slice_in_a_volume_is_no_volume_of_one_slice():
    first = np.zeros((9, 9, 5), bool)
    first[2:7, 2:7, 2] = True
    second = first.copy()
    second[4, 4, 2] = False  # a hole inside the slice: surface in the volume anyway
    voxels = [LabelVoxels.of(mask.astype(np.uint8)) for mask in (first, second)]
    compared = compare(voxels[0], voxels[1], (1,), grid(1, 1, 1))
    assert METRICS["nsd"].value(compared) == nsd(first, second, (1, 1, 1))
    assert min(compared.prediction.shape) > 1


def test_ignored_voxels_are_in_neither_mask():
    reference = np.zeros((5, 5, 5), np.uint8)
    reference[1:3], reference[3] = 1, 9
    compared = compare(LabelVoxels.of(reference * 0 + 1), LabelVoxels.of(reference), (1,), grid(1, 1, 1), ignore=9)
    assert (compared.predicted_voxels, compared.reference_voxels, compared.common_voxels) == (100, 50, 50)


def ball(radius: float, centre: int) -> np.ndarray:
    places = np.indices((32, 32, 24)) - np.array((centre, 16, 12))[:, None, None, None]
    return (np.sqrt((places**2).sum(axis=0)) < radius).astype(np.uint8)


def test_cuts_by_ignored_voxels_are_no_surface():
    whole, predicted = ball(9, 14), ball(9, 18)
    sparse = np.full_like(whole, 9)
    sparse[:, :, ::3] = whole[:, :, ::3]
    full, compared = (
        compare(LabelVoxels.of(predicted), LabelVoxels.of(reference), (1,), grid(1, 1, 1), ignore=9)
        for reference in (whole, sparse)
    )
    for name, error in (("nsd", 0.1), ("hd95_mm", 0.5)):
        assert METRICS[name].value(compared) == pytest.approx(METRICS[name].value(full), abs=error)
    contours = [
        METRICS["hd95_mm"].value(compare(LabelVoxels.of(first), LabelVoxels.of(second), (1,), grid(1, 1, 1)))
        for first, second in ((predicted[..., z : z + 1], whole[..., z : z + 1]) for z in range(6, 19, 3))
    ]
    assert METRICS["hd95_mm"].value(compared) == max(value for value in contours if value is not None)


@pytest.mark.parametrize(("predicted", "nsd"), [(slice(1, 4), None), (slice(2, 3), 0.0)])
def test_a_mask_whose_surface_is_all_unknown_has_no_distance(predicted, nsd):
    reference = np.full((5, 5, 5), 9, np.uint8)
    reference[1:4, 1:4, 1:4] = 1
    prediction = np.zeros_like(reference)
    prediction[(predicted,) * 3] = 1
    compared = compare(LabelVoxels.of(prediction), LabelVoxels.of(reference), (1,), grid(1, 1, 1), 1.0, 9)
    assert (METRICS["hd95_mm"].value(compared), METRICS["nsd"].value(compared)) == (None, nsd)
    assert METRICS["dice"].value(compared) == pytest.approx(1.0 if nsd is None else 2 / 28)


def peak_bytes(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_memory_stays_within_eight_bytes_a_voxel(dtype):
    labels = np.zeros((160, 160, 160), dtype)
    labels[10:150, 10:150, 10:150] = np.iinfo(dtype).max

    def work():
        first, second = LabelVoxels.of(labels.copy()), LabelVoxels.of(np.roll(labels, 2, axis=0))
        compared = compare(first, second, (int(labels.max()),), grid(1, 1, 1))
        assert all(metric.value(compared) is not None for metric in METRICS.values())

    assert peak_bytes(work) / labels.size < 8
