"""Large scans are worked on coarsely: the extent stays, and a mask comes back to its place."""

import numpy as np
import pytest

from atlas_made_up import anatomy
from equireg.atlas import resolution
from equireg.atlas.fusing import mean_dice
from equireg.atlas.resolution import classes_at, coarse_image, coarse_shape


def test_small_scans_stay_as_they_are():
    image, label = anatomy((10, 14, 12))
    shape = coarse_shape(label.shape, (1.0, 1.0, 1.0))
    assert shape == label.shape
    assert np.array_equal(coarse_image(image, shape), image)
    assert np.array_equal(classes_at(label, shape), label)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 1.0, 1.0)])
def test_a_mask_comes_back_to_its_place(monkeypatch, spacing):
    monkeypatch.setattr(resolution, "MOST_VOXELS", 30_000)
    image, label = anatomy((46, 68, 82))
    shape = coarse_shape(label.shape, spacing)
    assert np.prod(shape) < 35_000
    assert (shape[0] == 46) == (spacing[0] > 1)  # the finest axes first
    there = coarse_image(image, shape)
    assert there.shape == (2, *shape)
    assert there.dtype == np.float32
    back = classes_at(classes_at(label, shape), label.shape)
    assert back.shape == label.shape
    assert mean_dice(back, label) > 0.8
    for index in (1, 2):
        places = [np.argwhere(mask == index).mean(axis=0) for mask in (back, label)]
        assert np.abs(places[0] - places[1]).max() < 0.5
