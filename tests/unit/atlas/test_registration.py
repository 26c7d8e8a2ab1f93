"""A known displacement is found again; what cannot be registered says so."""

import numpy as np
import pytest
import SimpleITK as sitk

from atlas_made_up import FLAT, SOLID, anatomy
from equireg.atlas.fusing import mean_dice
from equireg.atlas.registration import Scan, affine, bent, coarsening
from equireg.processes.cores import one_itk_thread

MM = (1.0, 1.0, 1.0)


def carried(overlay, label: np.ndarray) -> np.ndarray:
    return np.argmax([overlay.carried(label == index, 0.0) for index in range(3)], axis=0)


@pytest.mark.parametrize("shape", [FLAT, SOLID])
def test_a_known_displacement_is_found(shape):
    (still, known), (moved, label) = anatomy(shape), anatomy(shape, shift=0.25, bend=0.15, seed=1)
    fixed, moving = Scan(still, MM), Scan(moved, MM)
    straight = affine(fixed, moving)
    assert straight is not None
    found = bent(straight)
    assert found is not None
    before, near, after = (mean_dice(mask, known) for mask in (label, carried(straight, label), carried(found, label)))
    assert before < 0.65
    assert after > max(near, 0.85)
    again = bent(affine(fixed, moving))  # pyright: ignore[reportArgumentType]
    assert np.array_equal(again.carried(label, 0.0), found.carried(label, 0.0))  # pyright: ignore[reportOptionalMemberAccess]


def test_what_lies_outside_is_filled():
    image, label = anatomy()
    overlay = affine(Scan(image, MM), Scan(image[:, :, :20], MM))
    assert overlay is not None
    found = overlay.carried(np.ones_like(label[:, :20]), -1.0)
    assert found.shape == label.shape
    assert (found == 1).any()
    assert (found == -1).any()


def test_constant_scans_cannot_be_registered():
    blank = Scan(np.zeros((1, *FLAT), np.float32), MM)
    overlay = affine(blank, blank)
    assert overlay is None or np.isfinite(overlay.transform.GetParameters()).all()


def test_a_slice_does_not_go_with_a_volume():
    with pytest.raises(ValueError, match="single slice"):
        affine(Scan(anatomy(FLAT)[0], MM), Scan(anatomy(SOLID)[0], MM))


def test_thin_scans_are_registered_too():
    image, label = anatomy((3, 20, 18))
    overlay = affine(Scan(image, (5.0, 1.0, 1.0)), Scan(image, (5.0, 1.0, 1.0)))
    assert overlay is not None
    assert mean_dice(carried(overlay, label), label) > 0.95


@pytest.mark.parametrize(
    ("size", "spacing", "expected"),
    [
        ((30, 30, 30), (1, 1, 1), [1, 1, 1]),
        ((240, 240, 155), (1, 1, 1), [7, 7, 7]),
        ((200, 200, 8), (1, 1, 8), [4, 4, 1]),
    ],
)
def test_large_scans_are_coarsened_along_their_finest_axis(size, spacing, expected):
    factors = coarsening(size, spacing)
    assert np.prod([a // b for a, b in zip(size, factors, strict=True)]) <= 30_000
    assert factors == pytest.approx(expected, abs=1)


def test_threads_are_as_before():
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    with one_itk_thread():
        assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == 1
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == before
