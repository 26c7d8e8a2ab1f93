"""Metrics against their definitions, written out by brute force, on small random masks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from equireg.metrics import TOLERANCE_SLACK_MM, dice, hd95_mm, nsd, region_dice, volume_ml

SPACINGS = st.sampled_from([0.4, 1.0, 1.5, 3.0])


@st.composite
def mask_pairs(draw):
    shape = tuple(draw(st.lists(st.integers(2, 5), min_size=2, max_size=3)))
    masks = [draw(arrays(bool, shape)) for _ in range(2)]
    return *masks, tuple(draw(SPACINGS) for _ in shape)


def surface_mm(mask, spacing):
    """Positions in mm of the voxels with a face on the outside, [N, dims]."""
    padded = np.pad(mask, 1)
    positions = []
    for voxel in np.argwhere(padded):
        for axis in range(mask.ndim):
            step = np.eye(mask.ndim, dtype=int)[axis]
            if not (padded[tuple(voxel + step)] and padded[tuple(voxel - step)]):
                positions.append((voxel - 1) * np.array(spacing))
                break
    return np.array(positions)


def directed_mm(first, second, spacing):
    """Distance of each surface voxel of the first mask to the second's surface, both ways."""
    one, other = surface_mm(first, spacing), surface_mm(second, spacing)
    pairwise = np.linalg.norm(one[:, None] - other[None], axis=-1)
    return pairwise.min(axis=1), pairwise.min(axis=0)


@given(mask_pairs())
@settings(max_examples=150, deadline=None)
def test_surface_metrics_agree_with_their_definition(pair):
    prediction, reference, spacing = pair
    if not (prediction.any() and reference.any()):
        return
    there, back = directed_mm(prediction, reference, spacing)
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    assert hd95_mm(prediction, reference, spacing) == pytest.approx(expected, abs=1e-4)
    for tolerance in (0.0, 1.0, 2.5):
        close = [np.count_nonzero(d <= tolerance + TOLERANCE_SLACK_MM) for d in (there, back)]
        expected = sum(close) / (len(there) + len(back))
        assert nsd(prediction, reference, spacing, tolerance) == pytest.approx(expected, abs=1e-6)


@given(mask_pairs())
@settings(max_examples=60, deadline=None)
def test_metrics_are_symmetric_and_bounded(pair):
    prediction, reference, spacing = pair
    for metric in (dice, lambda p, r: nsd(p, r, spacing), lambda p, r: hd95_mm(p, r, spacing)):
        there, back = metric(prediction, reference), metric(reference, prediction)
        assert there == pytest.approx(back) if there is not None else back is None
    assert 0 <= dice(prediction, reference) <= 1
    assert 0 <= nsd(prediction, reference, spacing) <= 1
    assert (dice(prediction, reference), nsd(prediction, reference, spacing)) == (1, 1) or not np.array_equal(
        prediction, reference
    )


@given(mask_pairs(), st.lists(st.integers(0, 3), min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_empty_surroundings_change_nothing(pair, margins):
    prediction, reference, spacing = pair
    padding = [(margin, 3 - margin) for margin in margins[: prediction.ndim]]
    first, second = np.pad(prediction, padding), np.pad(reference, padding)
    assert hd95_mm(first, second, spacing) == hd95_mm(prediction, reference, spacing)
    assert nsd(first, second, spacing) == nsd(prediction, reference, spacing)
    assert volume_ml(first, spacing) == volume_ml(prediction, spacing)


@given(mask_pairs())
@settings(max_examples=40, deadline=None)
def test_region_dice_is_the_dice_of_its_union(pair):
    prediction, reference, _ = pair
    maps = [
        torch.from_numpy(mask * np.arange(1, mask.size + 1).reshape(mask.shape) % 3) for mask in (prediction, reference)
    ]
    scores = region_dice(maps[0], maps[1], {"both": (1, 2), "one": (1,)})
    for name, classes in (("both", (1, 2)), ("one", (1,))):
        masks = [np.isin(labels.numpy(), classes) for labels in maps]
        assert scores[name] == pytest.approx(dice(*masks))
