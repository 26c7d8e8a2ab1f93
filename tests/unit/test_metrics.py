import numpy as np
import pytest
import torch

from equireg.metrics import dice, hd95_mm, nsd, region_dice, volume_ml


def box(shape, *ranges):
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*limits) for limits in ranges)] = True
    return mask


EMPTY = np.zeros((4, 5, 6), dtype=bool)
FULL = box((4, 5, 6), (1, 3), (1, 3), (1, 3))
ISOTROPIC = (1.0, 1.0, 1.0)


def test_both_empty_is_perfect():
    assert dice(EMPTY, EMPTY) == 1.0
    assert hd95_mm(EMPTY, EMPTY, ISOTROPIC) == 0.0
    assert nsd(EMPTY, EMPTY, ISOTROPIC) == 1.0
    assert volume_ml(EMPTY, ISOTROPIC) == 0.0


@pytest.mark.parametrize(("prediction", "reference"), [(EMPTY, FULL), (FULL, EMPTY)])
def test_one_empty_has_no_overlap_and_no_distance(prediction, reference):
    assert dice(prediction, reference) == 0.0
    assert hd95_mm(prediction, reference, ISOTROPIC) is None
    assert nsd(prediction, reference, ISOTROPIC) == 0.0


def test_dice_by_hand():
    first, second = box((4, 4), (0, 2), (0, 2)), box((4, 4), (1, 3), (0, 2))
    assert dice(first, second) == pytest.approx(2 * 2 / 8)


def test_distance_of_two_single_voxels_follows_the_spacing():
    first, second = box((9, 9, 9), (1, 2), (1, 2), (1, 2)), box((9, 9, 9), (4, 5), (1, 2), (3, 4))
    assert hd95_mm(first, second, (0.5, 3.0, 2.0)) == pytest.approx(np.hypot(3 * 0.5, 2 * 2.0))


def test_hd95_is_the_larger_of_both_directions():
    # The long line covers the short one: one directed distance is 0, the other the line's 95th percentile.
    short, long = box((40, 3), (0, 1), (1, 2)), box((40, 3), (0, 40), (1, 2))
    expected = np.percentile(np.arange(40) * 2.0, 95)
    assert hd95_mm(short, long, (2.0, 1.0)) == pytest.approx(expected, rel=1e-6)
    assert hd95_mm(long, short, (2.0, 1.0)) == pytest.approx(expected, rel=1e-6)


def test_nsd_counts_both_surfaces_within_the_tolerance():
    short, long = box((10, 3), (0, 1), (1, 2)), box((10, 3), (0, 10), (1, 2))
    # The one voxel of the short line, and the voxels 0 and 1 of the long one, of 11 surface voxels.
    assert nsd(short, long, (2.0, 1.0), tolerance_mm=2.0) == pytest.approx(3 / 11)
    assert nsd(short, long, (2.0, 1.0), tolerance_mm=1.9) == pytest.approx(2 / 11)


def test_rounded_header_spacing_stays_within_the_tolerance():
    first, second = box((6, 6, 6), (2, 3), (2, 3), (2, 3)), box((6, 6, 6), (3, 4), (2, 3), (2, 3))
    assert nsd(first, second, (1.0000001, 1.0, 1.0), tolerance_mm=1.0) == 1.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_of_one_slice_is_judged_by_its_contour(axis):
    first, second = box((12, 12), (2, 9), (2, 9)), box((12, 12), (3, 12), (2, 9))
    spacing = [2.0, 0.5]
    thick = [2.0, 0.5]
    thick.insert(axis, 7.0)
    flat_first, flat_second = np.expand_dims(first, axis), np.expand_dims(second, axis)
    assert hd95_mm(flat_first, flat_second, thick) == hd95_mm(first, second, spacing)
    assert nsd(flat_first, flat_second, thick) == nsd(first, second, spacing)
    # The inside is no surface, or the insides' agreement would hide the contours' disagreement.
    assert nsd(first, second, spacing) < dice(first, second)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 1), (1, 1), (5, 1)])
def test_lines_and_single_voxels_do_not_crash(shape):
    mask = np.ones(shape, dtype=bool)
    spacing = (1.0,) * len(shape)
    assert (hd95_mm(mask, mask, spacing), nsd(mask, mask, spacing)) == (0.0, 1.0)


def test_the_border_of_the_image_is_a_surface():
    everything, without_rim = np.ones((6, 6, 6), dtype=bool), box((6, 6, 6), (1, 5), (1, 5), (1, 5))
    # Of the 152 voxels of the outer surface 96 are 1 mm away, 48 on edges sqrt(2) and 8 corners sqrt(3).
    expected = np.percentile([1] * 96 + [2**0.5] * 48 + [3**0.5] * 8, 95)
    assert hd95_mm(everything, without_rim, ISOTROPIC) == pytest.approx(expected, abs=1e-5)
    assert nsd(everything, without_rim, ISOTROPIC, tolerance_mm=0.5) == 0.0


def test_volume_in_millilitres():
    assert volume_ml(FULL, (0.5, 2.0, 5.0)) == pytest.approx(8 * 5 / 1000)
    assert volume_ml(FULL[1], (2.0, 5.0)) == pytest.approx(4 * 10 / 1000)


@pytest.mark.parametrize("metric", [dice, lambda p, r: hd95_mm(p, r, ISOTROPIC), lambda p, r: nsd(p, r, ISOTROPIC)])
def test_other_shapes_are_refused(metric):
    with pytest.raises(ValueError, match=r"\(4, 5, 6\).*\(4, 5, 5\)"):
        metric(FULL, FULL[..., :-1])


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, float("nan"), 1.0)])
def test_a_bad_spacing_is_refused(spacing):
    for metric in (hd95_mm, nsd):
        with pytest.raises(ValueError, match="expected 3 positive numbers"):
            metric(FULL, FULL, spacing)


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_bad_tolerance_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance_mm"):
        nsd(FULL, FULL, ISOTROPIC, tolerance)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_region_dice_unites_classes(dtype):
    reference = torch.tensor([[0, 1, 2, 2]], dtype=dtype)
    prediction = torch.tensor([[0, 2, 2, 0]], dtype=torch.int64)
    scores = region_dice(prediction, reference, {"both": (1, 2), "second": (2,), "third": (3,)})
    assert scores == {"both": pytest.approx(4 / 5), "second": pytest.approx(2 / 4), "third": 1.0}


def test_region_dice_leaves_ignored_voxels_out_of_both():
    reference = torch.tensor([[[1, 1, 255, 255]]], dtype=torch.uint8)
    prediction = torch.tensor([[[1, 1, 1, 0]]])
    assert region_dice(prediction, reference, {"one": (1,)}) == {"one": 1.0}
    assert region_dice(prediction * 0, reference * 0 + 255, {"one": (1,)}) == {"one": 1.0}


def test_region_dice_refuses_other_shapes():
    with pytest.raises(ValueError, match="expected one shape"):
        region_dice(torch.zeros(1, 2, 3), torch.zeros(1, 3, 2), {"one": (1,)})
