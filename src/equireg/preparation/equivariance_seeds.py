"""Seeds of the fixed transforms under which every model is judged for equivariance, one a slice."""

from collections.abc import Iterable
from hashlib import sha256

import numpy as np

_SEED = 42


def draw(case: str, slices: Iterable[int]) -> np.ndarray:
    """Return the seed of each slice, uint64 [D].

    A function of the case's name and the slice alone, so that neither cropping nor other cases change it.

    Args:
        case: the case's name.
        slices: indices of the slices in the working frame before cropping.
    """
    digests = (sha256(f"{_SEED}/{case}/{index}".encode()).digest() for index in slices)
    return np.array([int.from_bytes(digest[:8], "big") for digest in digests], dtype=np.uint64)
