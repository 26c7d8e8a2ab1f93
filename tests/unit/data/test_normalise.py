"""Background, foreground box and intensities."""

import numpy as np
import pytest

from equireg.data.normalise import box_of, constant_background, foreground, normalise


def skull_stripped(background: float = 0.0) -> np.ndarray:
    """A block of tissue in a constant background, [1, 6, 8, 10]."""
    image = np.full((1, 6, 8, 10), background, dtype=np.float32)
    tissue = np.random.default_rng(0).normal(100, 10, (3, 4, 5))
    image[0, 1:4, 2:6, 3:8] = tissue
    return image


@pytest.mark.parametrize("value", [0.0, -1024.0, 37.0])
def test_a_constant_border_is_background_whatever_its_value(value: float) -> None:
    assert constant_background(skull_stripped(value)) == [value]


def test_tissue_at_the_border_is_no_background() -> None:
    crop = np.random.default_rng(0).normal(size=(2, 6, 8, 10)).astype(np.float32)
    crop[1] = skull_stripped()[0]
    assert constant_background(crop) == [None, 0.0]


def test_the_box_holds_what_differs_in_any_channel() -> None:
    image = np.concatenate([skull_stripped(), skull_stripped()])
    assert box_of(foreground(image, [0.0, 0.0])) == ((1, 4), (2, 6), (3, 8))
    image[1, 5, 7, 0] = 1
    assert box_of(foreground(image, [0.0, 0.0])) == ((1, 6), (2, 8), (0, 8))


def test_the_box_is_whole_without_a_background_or_without_tissue() -> None:
    whole = ((0, 6), (0, 8), (0, 10))
    assert box_of(foreground(skull_stripped(), [None])) == whole
    assert box_of(foreground(np.zeros((1, 6, 8, 10), dtype=np.float32), [0.0])) == whole


def test_zscore_is_of_the_foreground_alone() -> None:
    image = skull_stripped()
    result = normalise(image, [0.0], {"name": "zscore"})
    inside = result.image[image != 0]
    assert inside.mean() == pytest.approx(0, abs=1e-5)
    assert inside.std() == pytest.approx(1, abs=1e-5)
    assert result.background[0] == pytest.approx(float(result.image[0, 0, 0, 0]))
    assert result.background[0] < inside.min()
    assert result.image.dtype == np.float32


def test_a_scan_without_background_is_normalised_whole() -> None:
    image = np.random.default_rng(0).normal(5, 3, (1, 6, 8, 10)).astype(np.float32)
    result = normalise(image, [None], {"name": "zscore"})
    assert result.image.mean() == pytest.approx(0, abs=1e-5)
    assert result.image.std() == pytest.approx(1, abs=1e-5)


def test_ct_clips_and_scales_all_cases_alike() -> None:
    image = np.array([-2000.0, 0.0, 50.0, 4000.0], dtype=np.float32).reshape(1, 1, 1, 4)
    scale = {"name": "ct", "low": [-100.0], "high": [300.0], "mean": [50.0], "std": [25.0]}
    result = normalise(image, [None], scale)
    np.testing.assert_allclose(result.image.ravel(), [-6, -2, 0, 10])


def test_none_leaves_intensities() -> None:
    image = skull_stripped()
    np.testing.assert_array_equal(normalise(image, [0.0], {"name": "none"}).image, image)


def test_extremes_fit_into_16_bits() -> None:
    image = np.zeros((1, 1, 1, 3), dtype=np.float32)
    image[..., 2] = 1e9
    scale = {"name": "ct", "low": [-1e9], "high": [1e9], "mean": [0.0], "std": [1.0]}
    assert np.isfinite(normalise(image, [None], scale).image.astype(np.float16)).all()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="expected zscore, ct or none"):
        normalise(skull_stripped(), [0.0], {"name": "minmax"})
