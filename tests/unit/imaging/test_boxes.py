"""Boxes around masks."""

import numpy as np

from equireg.imaging.boxes import bounding_box, union, with_margin


def test_a_box_holds_all_that_is_true_and_no_more() -> None:
    mask = np.zeros((5, 6, 7), dtype=bool)
    assert bounding_box(mask) is None
    mask[1, 2, 6] = mask[3, 2, 0] = True
    assert bounding_box(mask) == (slice(1, 4), slice(2, 3), slice(0, 7))
    assert bounding_box(mask[3]) == (slice(2, 3), slice(0, 1))


def test_boxes_unite_and_grow_inside_the_array() -> None:
    first, second = (slice(0, 3), slice(4, 5)), (slice(2, 4), slice(1, 2))
    assert union([]) is None
    assert union([first, second]) == (slice(0, 4), slice(1, 5))
    assert with_margin(first, (3, 7)) == (slice(0, 3), slice(3, 6))
    assert with_margin(first, (9, 7), 4) == (slice(0, 7), slice(0, 7))
