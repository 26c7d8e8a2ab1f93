"""Predictions and masks with palettes: their colours count, and where nothing tells them they must agree."""

import json
from pathlib import Path

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.preparation.prepare import prepare
from pictures_made_up import PALETTE, disc, photo, save, save_palette

SWAPPED = (0, 0, 0, 30, 200, 30, 200, 30, 30)
INDEX = disc() + disc(radius=4)
OTHER_INDEX = np.array([0, 2, 1], np.uint8)[INDEX]
"""With ``SWAPPED`` the same picture to the eye as ``INDEX`` with ``PALETTE``."""


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    for name in "abc":
        save_palette(tmp_path, f"masks/{name}.png", INDEX)
    return tmp_path / "masks"


@pytest.fixture
def swapped(tmp_path: Path) -> Path:
    for name in "abc":
        save_palette(tmp_path, f"found/{name}.png", OTHER_INDEX, SWAPPED)
    return tmp_path / "found"


def dice(found: Path, reference: Path, out: Path, **options) -> float:
    evaluate(found, reference, out, jobs=1, **options)
    return json.loads((out / "summary.json").read_text())["mean"]["dice"]


def test_predictions_of_another_palette_are_refused(masks, swapped, tmp_path):
    with pytest.raises(
        EquiregError,
        match=r"found.a\.png: its palette has the colour .* for the value 1, .* for 2\. Give --colours",
    ):
        evaluate(swapped, masks, tmp_path / "out")


def test_with_a_table_of_colours_they_are_read_by_it(masks, swapped, tmp_path):
    (tmp_path / "colours.csv").write_text("colour,value,name\n#c81e1e,1,polyp\n#1ec81e,2,vessel\n")
    assert dice(swapped, masks, tmp_path / "out", colours=str(tmp_path / "colours.csv")) == 1


def test_masks_of_two_palettes_are_refused(masks, tmp_path):
    save_palette(tmp_path, "masks/b.png", OTHER_INDEX, SWAPPED)
    for name in "abc":
        save(tmp_path, f"grey/{name}.png", INDEX)
    with pytest.raises(EquiregError, match=r"masks.b\.png: its palette"):
        evaluate(tmp_path / "grey", masks, tmp_path / "out")


def test_other_colours_for_the_same_values_are_told(masks, tmp_path, caplog):
    for name in "abc":
        save_palette(tmp_path, f"found/{name}.png", INDEX, (0, 0, 0, 1, 2, 3, 4, 5, 6))
    assert dice(tmp_path / "found", masks, tmp_path / "out") == 1
    (told,) = [record for record in caplog.messages if "two" in record or "label value" in record]
    assert "the label value 1 is #c81e1e" in told
    assert "They are compared by the value" in told


def test_black_behind_a_colour_is_refused(tmp_path):
    for name in "ab":
        save_palette(tmp_path, f"masks/{name}.png", (INDEX + 1) % 3, (*PALETTE[6:], *PALETTE[:6]))
    with pytest.raises(EquiregError, match="its background is not known"):
        evaluate(tmp_path / "masks", tmp_path / "masks", tmp_path / "out")


def test_palettes_that_differ_in_what_no_mask_shows_are_compared(masks, tmp_path):
    for name in "abc":
        save_palette(tmp_path, f"longer/{name}.png", INDEX, (*PALETTE, 9, 9, 9))
    assert dice(tmp_path / "longer", masks, tmp_path / "out") == 1


def test_the_colours_of_a_prepared_folder_count(masks, swapped, tmp_path):
    for name in "abc":
        save(tmp_path, f"images/{name}.png", photo(INDEX, ord(name)))
    (tmp_path / "raw").mkdir()
    (tmp_path / "images").rename(tmp_path / "raw/images")
    masks.rename(tmp_path / "raw/masks")
    prepare(tmp_path / "raw", tmp_path / "prepared", jobs=1)
    assert dice(swapped, tmp_path / "prepared", tmp_path / "out") == 1
    for name in "abc":
        save(tmp_path, f"grey/{name}.png", INDEX)
    assert dice(tmp_path / "grey", tmp_path / "prepared", tmp_path / "of_grey") == 1
