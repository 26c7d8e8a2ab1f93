"""Which case a mask is of."""

from pathlib import Path

import pytest
from PIL import Image

from equireg.annotation.masks import find_masks
from equireg.config import AdoptConfig
from equireg.folders.prepared import PreparedSet
from equireg.preparation.prepare import prepare
from pictures_made_up import disc, photo, picture_set, save


@pytest.mark.parametrize("name", ["Mu\u0308ller.png", "Müller_mask.PNG"])
def test_a_mask_is_found_whatever_the_spelling_of_its_ending_and_letters(tmp_path: Path, name: str) -> None:
    save(picture_set(tmp_path / "raw", unlabelled=0), "images/Müller.png", photo(disc()))
    prepare(tmp_path / "raw", tmp_path / "p", jobs=1)
    path = tmp_path / name
    Image.fromarray(disc() * 255).save(path)
    (found,) = find_masks(PreparedSet(tmp_path / "p"), [path], AdoptConfig())
    assert found.case == "Müller"
