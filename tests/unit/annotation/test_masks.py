"""Which case a mask is of."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equireg.annotation.masks import find_masks
from equireg.config import AdoptConfig
from equireg.errors import EquiregError
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


def mask_of(case: str) -> np.ndarray:
    """Return a mask of the size of a picture of ``picture_set``."""
    index = int(case[1:])
    return disc((40 + 2 * index, 32 + index)) * np.uint8(255)


@pytest.mark.parametrize(
    ("name", "told"),
    [("b.mgz", "Save volumes"), ("b.nii.bz2", "Save volumes"), ("b.zip", "Unpack"), ("anna/b.png", "Give that folder")],
)
def test_files_that_are_passed_over_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, told: str
) -> None:
    prepare(picture_set(tmp_path / "raw"), tmp_path / "p", jobs=1)
    data, masks = PreparedSet(tmp_path / "p"), tmp_path / "masks"
    case = next(record.name for record in data.manifest.cases if record.split == "train")
    (masks / name).parent.mkdir(parents=True)
    (masks / name).write_bytes(b"x")
    with pytest.raises(EquiregError, match=rf"holds no mask.*{name}.*{told}"):
        find_masks(data, [masks], AdoptConfig())
    Image.fromarray(mask_of(case)).save(masks / f"{case}.png")
    assert [mask.case for mask in find_masks(data, [masks], AdoptConfig())] == [case]
    assert f"not used: {'1 image' if '/' in name else 'a file'}" in caplog.text
    assert str(masks / name) in caplog.text


def test_a_folder_below_that_is_given_too_is_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepare(picture_set(tmp_path / "raw"), tmp_path / "p", jobs=1)
    data, masks = PreparedSet(tmp_path / "p"), tmp_path / "masks"
    cases = [record.name for record in data.manifest.cases if record.split == "train"][:2]
    for folder, case in zip((masks, masks / "anna"), cases, strict=True):
        folder.mkdir()
        Image.fromarray(mask_of(case)).save(folder / f"{case}.png")
    found = find_masks(data, [masks, masks / "anna"], AdoptConfig())
    assert [mask.case for mask in found] == cases
    assert "not used" not in caplog.text
