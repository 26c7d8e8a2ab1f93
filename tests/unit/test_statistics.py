"""Numbers over cases, checked against their definitions."""

import statistics

import numpy as np
import pytest
from scipy.stats import spearmanr

from equireg.statistics import describe, nan_mean, rank_correlation


def test_a_summary_is_that_of_the_values_that_are_there() -> None:
    found = describe(np.array([0.1, np.nan, 0.4, 0.8, 0.2]))
    assert found.missing == 1
    known = [0.1, 0.2, 0.4, 0.8]
    assert (found.mean, found.std) == pytest.approx((statistics.fmean(known), statistics.stdev(known)))
    assert (found.min, found.q25, found.median, found.q75, found.max) == pytest.approx((0.1, 0.175, 0.3, 0.5, 0.8))


def test_one_value_has_no_spread_and_none_has_nothing() -> None:
    assert describe(np.array([0.5])).std == 0.0
    empty = describe(np.array([np.nan, np.nan]))
    assert np.isnan(empty.mean)
    assert empty.missing == 2


def test_the_mean_of_nothing_is_missing() -> None:
    assert nan_mean(np.array([[1.0, np.nan], [3.0, np.nan]]), axis=0).tolist() == pytest.approx(
        [2, np.nan], nan_ok=True
    )


def test_the_rank_correlation_is_that_of_scipy_with_ties_too() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 6, (2, 30)).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other)[0])
    assert rank_correlation(one, one**3) == pytest.approx(1.0)
    assert np.isnan(rank_correlation(one, np.ones(30)))
