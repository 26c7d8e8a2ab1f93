"""Seeds of the fixed transforms: the same for a slice whatever was cropped, and never two alike."""

import numpy as np

from equireg.preparation.equivariance_seeds import draw


def test_a_seed_follows_case_and_slice_alone() -> None:
    whole = draw("a", range(20))
    assert whole.dtype == np.uint64
    np.testing.assert_array_equal(draw("a", range(5, 12)), whole[5:12])
    assert len({*whole.tolist(), *draw("b", range(20)).tolist()}) == 40


def test_seeds_never_change() -> None:
    """Figures of different releases are comparable only under the same transforms."""
    assert draw("BraTS19_2013_0_1", [0, 77]).tolist() == [16533095256100155770, 2961681980205315723]


def test_seeds_fill_64_bits() -> None:
    assert draw("a", range(200)).max() > 2**63
