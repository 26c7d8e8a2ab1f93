"""Blends at the edges of a mask become what is beside them; colours in patches never do."""

import numpy as np
import pytest
from PIL import Image

from equireg.errors import EquiregError
from equireg.imaging.colours import ColourTable
from equireg.imaging.limits import Limits
from equireg.imaging.masks import read_label_values
from equireg.imaging.smooth_edges import settled
from pictures_made_up import disc, save

COLOURS = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (120, 0, 0))
TABLE = ColourTable(tuple((colour, value) for value, colour in enumerate(COLOURS)))
FINE = disc((160, 128), 34, (80, 56)) + disc((160, 128), 18, (80, 56))


def smooth(pixels, factor=4):
    """Draw a mask smaller, as programs do that smooth edges."""
    picture = Image.fromarray(pixels)
    return np.asarray(picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.BOX))


def read(path, table=None):
    return read_label_values(path, Limits(colours=table))[0][..., 0].T


def test_smooth_edges_of_colours_become_colours_beside_them(tmp_path, caplog):
    drawn = smooth(np.array(COLOURS, np.uint8)[FINE])
    values = read(save(tmp_path, "a.png", drawn), TABLE)
    assert set(np.unique(values)) == {0, 1, 2}  # never 3, which red over black looks like
    sure = (drawn[..., None, :] == np.array(COLOURS[:3])).all(axis=-1)
    assert 0 < (~sure.any(axis=-1)).sum() < 0.1 * values.size
    assert (values[sure.any(axis=-1)] == sure.argmax(axis=-1)[sure.any(axis=-1)]).all()
    assert caplog.text.count("smooth edges") == 1


def test_smooth_edges_of_black_and_white_are_no_labels(tmp_path, caplog):
    drawn = smooth((FINE > 0) * np.uint8(255))
    assert len(np.unique(drawn)) > 4
    values = read(save(tmp_path, "a.png", drawn))
    np.testing.assert_array_equal(values[np.isin(drawn, (0, 255))], drawn[np.isin(drawn, (0, 255))])
    assert set(np.unique(values)) == {0, 255}
    read(save(tmp_path, "b.png", drawn))
    assert caplog.text.count("smooth edges") == 1  # for all masks of a folder


def test_grey_values_in_patches_stay_labels(tmp_path, caplog):
    grey = np.array([0, 100, 255], np.uint8)[FINE]
    np.testing.assert_array_equal(read(save(tmp_path, "a.png", grey)), grey)
    assert not caplog.records


def test_a_colour_in_a_patch_is_still_refused(tmp_path):
    pixels = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)[FINE]
    with pytest.raises(EquiregError, match="#0000ff in no table"):
        read(save(tmp_path, "a.png", pixels), TABLE)


def test_a_photograph_is_no_mask_with_smooth_edges():
    noise = np.random.default_rng(0).integers(0, 256, (32, 40, 1), dtype=np.uint8)
    assert settled(noise, [[0], [255]]) is None
