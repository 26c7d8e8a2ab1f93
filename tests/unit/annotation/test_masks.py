"""Which case a mask is of."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equireg.annotation.masks import find_masks
from equireg.config import AdoptConfig
from equireg.folders.prepared import PreparedSet
from equireg.preparation.prepare import prepare
from layout_folders import put
from pictures_made_up import disc, photo, picture_set, save


@pytest.mark.parametrize("name", ["Mu\u0308ller.png", "Müller_mask.PNG"])
def test_a_mask_is_found_whatever_the_spelling_of_its_ending_and_letters(tmp_path: Path, name: str) -> None:
    save(picture_set(tmp_path / "raw", unlabelled=0), "images/Müller.png", photo(disc()))
    prepare(tmp_path / "raw", tmp_path / "p", jobs=1)
    path = tmp_path / name
    Image.fromarray(disc() * 255).save(path)
    (found,) = find_masks(PreparedSet(tmp_path / "p"), [path], AdoptConfig())
    assert found.case == "Müller"


def test_probabilities_beside_masks_are_none(tmp_path: Path) -> None:
    prepare(picture_set(tmp_path / "raw"), tmp_path / "p", jobs=1, val_fraction=0)
    save(tmp_path, "drawn/p0.png", disc((40, 32), 8, (18, 14.0)) * np.uint8(255))
    put(tmp_path / "drawn", "p0_probabilities.nii.gz", channels=2, slices=1)
    (found,) = find_masks(PreparedSet(tmp_path / "p"), [tmp_path / "drawn"], AdoptConfig())
    assert found.path.name == "p0.png"
