"""Which case a mask is of."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from equireg.annotation.masks import find_masks
from equireg.config import AdoptConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.imaging.volume import write_label
from equireg.preparation.prepare import prepare
from layout_folders import describe, put
from pictures_made_up import disc, photo, picture_set, save


@pytest.mark.parametrize(
    "name",
    [
        *("Mu\u0308ller.png", "Müller_mask.PNG", "Müller_corrected.png", "label_Müller.png"),
        *("Müller segmentation.seg.png", "Müller-segmentation.seg.png", "Müller_seg.seg.png", "Müller_mask_2.png"),
    ],
)
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


OURS = {"background": 0, "kidney": 1, "tumour": 2}


def new_masks(root: Path, content: np.ndarray, labels: dict[str, object], *, name: str = "dataset.json") -> PreparedSet:
    """Prepare a set with the labels ``OURS`` and the unlabelled case ``new``; write a mask of it and what it means."""
    for case in ("a", "b", "c", "new"):
        put(root / "raw", f"imagesTr/{case}_0000.nii.gz", *([f"labelsTr/{case}.nii.gz"] if case != "new" else []))
    describe(root / "raw", channel_names={"0": "T1"}, labels={**OURS, **({"ignore": 3} if "ignore" in labels else {})})
    prepare(root / "raw", root / "p", jobs=1, val_fraction=0)
    data = PreparedSet(root / "p")
    geometry = data.by_name["new"].working_grid().native
    (root / "B/masks").mkdir(parents=True)
    values = np.resize(content, geometry.shape).astype(np.uint8)
    write_label(root / "B/masks/new.nii.gz", values, geometry)
    table = {"labels": labels, "regions": {}, "ignore": None} if name == "masks/labels.json" else {"labels": labels}
    (root / "B" / name).write_text(json.dumps(table))
    return data


@pytest.mark.parametrize("ending", [".nii", "-label.nii.gz"])
def test_the_unchanged_draft_beside_its_correction_is_left_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str
) -> None:
    data = new_masks(tmp_path, np.array([0, 1, 2, 2]), {**OURS})
    masks, drafts = tmp_path / "B/masks", tmp_path / "B/drafts"
    shutil.copytree(masks, drafts)
    draft = nib.Nifti1Image.load(masks / "new.nii.gz")
    nib.save(nib.Nifti1Image(2 - np.asarray(draft.dataobj), draft.affine), masks / f"new{ending}")
    config = AdoptConfig(drafts=str(drafts))
    with caplog.at_level("INFO", "equireg"):
        (found,) = find_masks(data, [masks], config)
    assert found.path.name == f"new{ending}"
    assert f"{masks / 'new.nii.gz'}: left aside, it is the unchanged draft beside new{ending}." in caplog.messages
    shutil.copy(drafts / "new.nii.gz", masks / "new_seg.nii.gz")
    (masks / f"new{ending}").unlink()
    with pytest.raises(EquiregError, match="second mask of new"):
        find_masks(data, [masks], config)  # both unchanged: nothing says which one is meant


@pytest.mark.parametrize("name", ["dataset.json", "masks/dataset.json", "masks/labels.json"])
def test_masks_of_other_numbers_are_read_by_their_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    labels: dict[str, object] = {"background": 0, "Tumour": 1, "kidney": 2, "cyst": 3}
    data = new_masks(tmp_path, np.array([0, 1, 2, 2]), labels, name=name)
    (found,) = find_masks(data, [tmp_path / "B/masks"], AdoptConfig())
    assert found.read(found.path).ravel()[:4].tolist() == [0, 2, 1, 1]
    assert "masks are read by their names: tumour 1 as 2, kidney 2 as 1" in caplog.text


def test_the_ignore_label_is_read_by_its_name_too(tmp_path: Path) -> None:
    data = new_masks(tmp_path, np.array([0, 1, 2, 4]), {**OURS, "ignore": 4})
    (found,) = find_masks(data, [tmp_path / "B/masks"], AdoptConfig())
    assert found.read(found.path).ravel()[:4].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("labels", "shown", "told"),
    [
        ({"background": 0, "tumour": 1, "cyst": 2}, [0, 1, 2], "label value 2, which is cyst"),
        ({"background": 0, "tumour": 1, "kidney": 3}, [0, 1, 2], "label value 2, which is no label"),
        ({"background": 0, "kidney": 1, "tumour": 3, "ignore": 2}, [0, 1, 4], "label value 4, which is no label"),
    ],
)
def test_values_that_have_no_certain_meaning_are_refused(
    tmp_path: Path, labels: dict[str, object], shown: list[int], told: str
) -> None:
    data = new_masks(tmp_path, np.array(shown), labels)
    with pytest.raises(EquiregError, match=rf"new\.nii\.gz: shows the {told}.*expected some of"):
        find_masks(data, [tmp_path / "B/masks"], AdoptConfig())


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (OURS, False),
        ({"background": 0, "kidney": 1}, False),
        ({**OURS, "cyst": 3}, False),
        ({"background": 0, "whole": [1, 2], "core": 2}, True),
        ({"background": 0, "kidney": 1, "tumor": 2}, True),
        (["kidney"], False),
    ],
)
def test_labels_of_the_same_numbers_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, labels: dict[str, object], told: bool
) -> None:
    data = new_masks(tmp_path, np.array([0, 1, 2, 2]), labels)
    (found,) = find_masks(data, [tmp_path / "B/masks"], AdoptConfig())
    assert found.read(found.path).ravel()[:4].tolist() == [0, 1, 2, 2]
    assert ("masks are read by their numbers: 2 (" in caplog.text) == told
