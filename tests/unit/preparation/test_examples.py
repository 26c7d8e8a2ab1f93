"""The steps of preparation of one case, kept for the report."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.layouts import RawCase
from equireg.preparation import examples
from equireg.preparation.case import CasePlan

AFFINE = np.diag([-1.0, -1.5, 2.0, 1.0])  # x runs leftwards, y backwards, as in BraTS
LABELS = LabelTable((0, 1, 4), ("background", "core", "rim"), ignore=7)
DEFAULT = CasePlan(None, "z", {"name": "zscore"}, LABELS, 2)
THESIS = CasePlan(None, "z", {"name": "thesis", "n4_shrink": 4}, LABELS, 2, keep_empty_slices=False)
NAMES = ("t1", "t2")


def scan() -> tuple[np.ndarray, np.ndarray]:
    """Two contrasts and a mask, [2, X, Y, Z] and [X, Y, Z]; most labelled voxels lie in the slice z = 5."""
    image, mask = np.zeros((2, 14, 12, 9), dtype=np.float32), np.zeros((14, 12, 9), dtype=np.uint8)
    image[:, 3:11, 2:10, 2:8] = np.random.default_rng(0).normal(100, 10, (2, 8, 8, 6))
    mask[4, 3, 3], mask[4:6, 3, 5], mask[6, 4, 5] = 1, 1, 4
    mask[3:11, 2:10, 6] = 7  # nobody annotated these
    return image, mask


@pytest.fixture
def case(tmp_path: Path) -> RawCase:
    image, mask = scan()
    paths = [tmp_path / f"a_{name}.nii.gz" for name in (*NAMES, "seg")]
    for path, voxels in zip(paths, [*image, mask], strict=True):
        nib.save(nib.Nifti1Image(voxels, AFFINE), path)
    return RawCase("a", tuple(paths[:2]), paths[2], "a", held_out=False)


def read(folder: Path) -> dict[str, Any]:
    with np.load(folder / "a.npz") as content:
        return {name: content[name] for name in content.files}


def test_the_default_recipe_has_two_steps(case: RawCase, tmp_path: Path) -> None:
    examples.renew(tmp_path / "out", case, DEFAULT, NAMES)
    content, (image, mask) = read(tmp_path / "out"), scan()
    assert content["steps"].tolist() == ["raw", "normalised"]
    assert content["channel_names"].tolist() == ["t1", "t2"]
    assert content["spacing_mm"].tolist() == [1.5, 1.0]
    # In these files x runs to the left and y to the back: rows and columns of the picture are y and x as they are.
    np.testing.assert_array_equal(content["scan_0"], image[:, :, :, 5].transpose(0, 2, 1))
    np.testing.assert_array_equal(content["label_0"], mask[:, :, 5].T)
    assert content["scan_1"].shape == (2, 8, 8)
    np.testing.assert_array_equal(content["label_1"], mask[3:11, 2:10, 5].T)
    order = np.argsort(content["scan_1"][0], axis=None)
    assert (np.diff(image[0, 3:11, 2:10, 5].T.ravel()[order]) >= 0).all(), "it is the same slice, turned alike"


def test_the_thesis_recipe_has_four_steps_of_one_slice(case: RawCase, tmp_path: Path) -> None:
    examples.renew(tmp_path / "out", case, THESIS, NAMES)
    content, (image, mask) = read(tmp_path / "out"), scan()
    assert content["steps"].tolist() == ["raw", "cropped", "bias corrected", "equalised"]
    for index in range(4):
        assert content[f"scan_{index}"].dtype == np.float32
        assert content[f"scan_{index}"].shape == (2, 12, 14)
        np.testing.assert_array_equal(content[f"label_{index}"], mask[:, :, 5].T)
    np.testing.assert_array_equal(content["scan_1"], image[:, :, :, 5].transpose(0, 2, 1))
    tissue = content["scan_0"] != 0
    assert ((content["scan_3"] > 0) == tissue).all()
    assert not np.array_equal(content["scan_2"], content["scan_1"])


def test_a_mask_without_a_label_shows_the_middle(case: RawCase, tmp_path: Path) -> None:
    assert case.label is not None
    nib.save(nib.Nifti1Image(np.zeros((14, 12, 9), dtype=np.uint8), AFFINE), case.label)
    examples.renew(tmp_path / "out", case, DEFAULT, NAMES)
    np.testing.assert_array_equal(read(tmp_path / "out")["scan_0"], scan()[0][:, :, :, 5].transpose(0, 2, 1))


def test_it_is_kept_until_its_files_or_its_plan_change(case: RawCase, tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.npz"
    examples.renew(path.parent, case, DEFAULT, NAMES)
    first = path.stat().st_ino
    examples.renew(path.parent, case, DEFAULT, NAMES)
    assert path.stat().st_ino == first
    examples.renew(path.parent, case, replace(DEFAULT, normalisation={"name": "none"}), NAMES)
    assert read(path.parent)["scan_1"].max() > 100


def test_another_case_takes_its_place_and_none_removes_it(case: RawCase, tmp_path: Path) -> None:
    examples.renew(tmp_path / "out", case, DEFAULT, NAMES)
    examples.renew(tmp_path / "out", replace(case, name="b"), DEFAULT, NAMES)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.npz"]
    examples.renew(tmp_path / "out", None, DEFAULT, NAMES)
    assert not (tmp_path / "out").exists()


def test_a_case_that_cannot_be_read_leaves_the_old_example(case: RawCase, tmp_path: Path) -> None:
    examples.renew(tmp_path / "out", case, DEFAULT, NAMES)
    case.images[0].write_bytes(b"nothing")
    with pytest.raises(EquiregError, match=r"a_t1\.nii\.gz"):
        examples.renew(tmp_path / "out", case, DEFAULT, NAMES)
    assert read(tmp_path / "out")["steps"].tolist() == ["raw", "normalised"]
