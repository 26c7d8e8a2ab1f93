"""Grey values are told from labels by where they lie."""

import numpy as np
import pytest
from scipy import ndimage

from equireg.errors import EquiregError
from equireg.imaging.grey import check_labels
from equireg.imaging.labels import distinct

RNG = np.random.default_rng(1)


def check(values: np.ndarray) -> None:
    check_labels("m.nii", values, distinct(values))


def ball(shape: tuple[int, ...]) -> np.ndarray:
    places = np.stack(np.meshgrid(*((2 * np.arange(size) + 1) / size - 1 for size in shape), indexing="ij"))
    return ((places**2).sum(axis=0) < 0.5).astype(np.uint8)


def scan(shape: tuple[int, ...]) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 20, shape)
    return np.clip(100 * ball(shape) + 60 + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(48, 40, 1), (48, 40, 6), (32, 32, 32)])
@pytest.mark.parametrize(
    "grey",
    [
        lambda shape: np.round(np.asarray(ndimage.gaussian_filter(255.0 * ball(shape), 2))),
        lambda shape: np.round(np.asarray(ndimage.zoom(255.0 * ball(shape)[::4, ::4], (4, 4, 1), order=1))),
        scan,
    ],
)
def test_grey_values_are_refused(shape, grey):
    with pytest.raises(
        EquiregError, match=r"^m.nii: is a mask with \d+ values, and \d+% of the voxels at edges lie between"
    ):
        check(grey(shape))


def test_many_labels_are_none():
    parcels = np.kron(RNG.permutation(64).reshape(4, 4, 4), np.ones((3, 3, 3))).astype(np.int32)
    check(parcels)
    check(parcels[:, :, :1])
    check(parcels * 1000)  # ids of an atlas


def test_labels_of_a_voxel_or_two_are_labels():
    ribbon = np.zeros((60, 60, 20), dtype=np.int16)
    for label in range(1, 29):
        ribbon[2 * label : 2 * label + 2, 10:50, 5:15] = label
    check(ribbon)
    sparse = np.zeros_like(ribbon)
    sparse[:, :, ::4] = ribbon[:, :, ::4]  # every fourth slice was annotated
    check(sparse)
    one = np.zeros_like(ribbon)
    one[:, :, 10] = ribbon[:, :, 10]
    check(one)
    cells = np.zeros((48, 48, 1), dtype=np.int16)
    cells[::4, ::4, 0] = RNG.permutation(144).reshape(12, 12) + 1
    check(cells)
    check(np.maximum(cells, np.roll(cells, 1, axis=0)))


def test_few_values_are_labels_whatever_their_shape():
    check(RNG.integers(0, 17, (20, 20, 20)))  # scattered


def test_thin_structures_beside_thick_ones_are_labels():
    values = np.zeros((64, 64, 4), dtype=np.uint8)
    for label in range(1, 31):
        values[:, 2 * label : 2 * label + (1 if label % 3 == 0 else 2)] = label
    values = np.repeat(values, 2, axis=1)  # two or four voxels thick
    check(values)
