"""Palettes of masks that are pictures."""

from pathlib import Path

import pytest

from equireg.imaging.colours import RGB
from equireg.preparation.pictures import common_palette

WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (200, 0, 0)


@pytest.mark.parametrize(
    ("own", "refused"),
    [
        ({0: BLACK, 1: WHITE}, False),
        ({0: WHITE, 1: RED}, False),
        ({0: WHITE, 1: RED, 2: BLACK}, True),
        ({0: WHITE, 1: BLACK, 2: BLACK}, False),  # no palette at all: its indices are the labels
    ],
)
def test_a_palette_in_which_black_is_another_index_is_refused(own: dict[int, RGB], *, refused: bool) -> None:
    assert bool(common_palette({"c": Path("c.png")}, {"c": own})[1]) == refused
