"""N4: a field that was put in is taken out, inside the mask alone, whatever sign the intensities have."""

import numpy as np
import pytest
import SimpleITK as sitk

from equireg.preparation.bias_field import correct

SPACING_MM = (2.0, 1.0, 1.0)


def tissue_and_field() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two tissues in a ball, a smooth field over them, and the ball; [D, H, W] each."""
    d, h, w = np.meshgrid(*(np.linspace(-1, 1, size) for size in (16, 28, 28)), indexing="ij")
    rng = np.random.default_rng(0)
    tissue = np.where(rng.random(d.shape) < 0.5, 300.0, 500.0) + rng.normal(0, 8, d.shape)
    return tissue.astype(np.float32), np.exp(0.35 * h + 0.2 * w).astype(np.float32), d**2 + h**2 + w**2 < 0.9


@pytest.fixture(scope="module")
def corrected() -> dict[int, np.ndarray]:
    """The ball with its field, corrected with two factors; the background is 0."""
    tissue, field, mask = tissue_and_field()
    return {shrink: correct(np.where(mask, tissue * field, 0), mask, SPACING_MM, shrink) for shrink in (1, 2)}


def unevenness(channel: np.ndarray) -> float:
    """How much the ratio to the true tissue varies inside the mask."""
    tissue, _, mask = tissue_and_field()
    ratio = channel[mask] / tissue[mask]
    return float(ratio.std() / ratio.mean())


@pytest.mark.parametrize("shrink", [1, 2])
def test_the_field_is_taken_out(corrected: dict[int, np.ndarray], shrink: int) -> None:
    tissue, field, _ = tissue_and_field()
    assert unevenness(corrected[shrink]) < 0.4 * unevenness(tissue * field)
    assert corrected[shrink].dtype == np.float32


def test_a_coarse_estimate_gives_nearly_the_same(corrected: dict[int, np.ndarray]) -> None:
    _, _, mask = tissue_and_field()
    one, other = corrected[1][mask], corrected[2][mask]
    assert not np.array_equal(one, other), "the factor must reach the estimate"
    assert np.corrcoef(one, other)[0, 1] > 0.98


def test_outside_the_mask_nothing_changes(corrected: dict[int, np.ndarray]) -> None:
    _, _, mask = tissue_and_field()
    assert (corrected[2][~mask] == 0).all()


def test_intensities_below_0_survive() -> None:
    """Moved above 0 for the logarithm, and back."""
    tissue, field, mask = tissue_and_field()
    positive = tissue * field
    positive = np.where(mask, positive - positive[mask].min() + 1, 0)
    below = np.where(mask, positive - 300, -999)
    result = correct(below, mask, SPACING_MM, 2)
    assert below[mask].min() == -299
    np.testing.assert_allclose(result[mask] + 300, correct(positive, mask, SPACING_MM, 2)[mask], rtol=5e-3)
    assert not np.allclose(result[mask], below[mask], atol=5), "the field must be taken out here too"
    assert (result[~mask] == -999).all()


def test_the_callers_array_is_left_alone() -> None:
    tissue, field, mask = tissue_and_field()
    channel = np.where(mask, tissue * field, 0) - 250
    before = channel.copy()
    correct(channel, mask, SPACING_MM, 2)
    np.testing.assert_array_equal(channel, before)


def test_the_number_of_threads_changes_nothing_and_stays() -> None:
    tissue, field, mask = tissue_and_field()
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    results = []
    try:
        for threads in (1, 3):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            results.append(correct(np.where(mask, tissue * field, 0), mask, SPACING_MM, 2))
            assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_mask_that_is_empty_or_of_one_value_has_no_field(value: float) -> None:
    channel = np.full((4, 5, 6), value, dtype=np.float32)
    mask = np.full(channel.shape, value > 0)
    np.testing.assert_array_equal(correct(channel, mask, SPACING_MM, 4), channel)


@pytest.mark.parametrize("shape", [(1, 30, 30), (3, 9, 40)])
def test_few_slices_are_corrected_too(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    channel = rng.normal(400, 30, shape).astype(np.float32)
    result = correct(channel, np.ones(shape, dtype=bool), SPACING_MM, 8)
    assert result.shape == shape
    assert np.isfinite(result).all()
    assert np.corrcoef(result.ravel(), channel.ravel())[0, 1] > 0.5, "it must still be the same scan"


def test_tissue_that_coarsening_misses_is_corrected_at_full_resolution() -> None:
    channel = np.zeros((32, 32, 32), dtype=np.float32)
    channel[16, 15:18, 16:19] = np.random.default_rng(2).normal(300, 20, (3, 3))
    mask = channel > 0
    mask[2::4, 2::4, 2::4] = False
    result = correct(channel, mask, SPACING_MM, 4)
    assert np.isfinite(result).all()
