"""How drafts are drawn on the page of suggestions."""

import numpy as np

from equireg.annotation.page import planes_with_mask
from equireg.drawing.scans import REGION_COLOURS, under_mask
from equireg.imaging.labels import LabelTable

LABELS = LabelTable((0, 1, 4), ("background", "a", "b"))


def test_a_mask_lies_over_its_scan_in_the_colours_of_its_labels() -> None:
    shown, mask = np.full((1, 1, 3), 0.5), np.array([[[0, 1, 4]]])
    found = under_mask(shown, mask, LABELS)
    assert found[0, 0, 0].tolist() == [0.5] * 3
    for place, colour in ((1, REGION_COLOURS[0]), (2, REGION_COLOURS[1])):
        over = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
        np.testing.assert_allclose(found[0, 0, place], 0.55 * 0.5 + 0.45 * over)
    assert shown.max() == 0.5


def test_the_planes_with_most_of_the_mask_are_drawn_and_the_middle_without_one() -> None:
    shown, mask = np.zeros((6, 8, 10)), np.zeros((6, 8, 10), dtype=np.int64)
    shown[3] = shown[:, 4] = shown[:, :, 5] = 1.0  # the middle
    empty = planes_with_mask(shown, mask, LABELS, (1.0, 1.0, 1.0), "c")
    mask[1, 2:4, 7] = 4
    drawn = planes_with_mask(shown, mask, LABELS, (1.0, 1.0, 1.0), "c")
    assert [plane.alt for plane in drawn] == [plane.alt for plane in empty]
    assert all(one.png != other.png for one, other in zip(drawn, empty, strict=True))
