"""A folder a case with a mask a class."""

import nibabel as nib
import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.imaging.volume import read_geometry
from equireg.layouts import discover
from layout_folders import labelled, masks, names, put


def mask(path, *places):
    voxels = np.zeros((2, 3, 4), dtype=np.uint8)
    for place in places:
        voxels[place] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)


@pytest.mark.parametrize("folder", ["segmentations", "Segmentations", "masks", "labels"])
def test_a_mask_a_class_is_one_mask(tmp_path, folder):
    for name in ("s0000", "s0001"):
        put(tmp_path, f"{name}/ct.nii.gz")
        mask(tmp_path / name / folder / "spleen.nii.gz", (0, 0, 0), (1, 1, 1))
        mask(tmp_path / name / folder / "liver.nii.gz", (1, 2, 3), (1, 1, 1))
    mask(tmp_path / "s0001" / folder / "aorta.nii.gz", (0, 1, 0))
    put(tmp_path, "s0002/ct.nii.gz")
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.channels, dataset.modality) == ("totalsegmentator", ("ct",), "ct")
    assert names(dataset) == ["s0000", "s0001", "s0002"]
    assert labelled(dataset) == ["s0000", "s0001"]
    assert dataset.labels is not None
    assert dataset.labels.names == ("background", "aorta", "liver", "spleen")
    case = dataset.cases[0]
    values = case.read_label(read_geometry(case.images[0])[0])
    assert (values[0, 0, 0], values[1, 2, 3], values[1, 1, 1], values.sum()) == (3, 2, 3, 8)
    assert len(case.files) == 3
    assert any("1 aorta, 2 liver, 3 spleen" in note for note in dataset.notes)
    (warning,) = dataset.warnings
    assert warning.startswith("1 case has no mask of some classes, which count as absent there: ")
    assert f"{tmp_path / 's0000'} (aorta). Where" in warning


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz"])
def test_names_of_masks_may_begin_with_the_case(tmp_path, ending):
    for case in ("c1", "c2"):
        put(tmp_path, f"{case}/ct.nii.gz", f"{case}/segmentations/{case}_liver.nii.gz")
        for organ in ("Brainstem", "A_Carotid_L"):
            put(tmp_path, f"{case}/segmentations/{case}_{organ}.nii.gz")
        for file in sorted((tmp_path / case / "segmentations").iterdir()):
            file.rename(file.with_name(file.name.removesuffix(".nii.gz") + ending))
    dataset = discover(tmp_path)
    assert labelled(dataset) == ["c1", "c2"]
    assert dataset.labels is not None
    assert dataset.labels.names == ("background", "A_Carotid_L", "Brainstem", "liver")


@pytest.mark.parametrize("kind", ["rater{}", "{}", "v{}"])
def test_raters_and_versions_behind_the_case_are_no_classes(tmp_path, kind):
    for case in ("c1", "c2"):
        put(tmp_path, f"{case}/ct.nii.gz", *(f"{case}/segmentations/{case}_{kind.format(i)}.nii.gz" for i in (1, 2)))
    dataset = discover(tmp_path)
    assert dataset.layout == "plain"
    assert not labelled(dataset)


def test_split_of_the_table(tmp_path):
    for name in ("s0", "s1", "s2"):
        put(tmp_path, f"{name}/mri.nii.gz", f"{name}/segmentations/a.nii.gz", f"{name}/segmentations/b.nii.gz")
    (tmp_path / "meta.csv").write_text("image_id;age;split\ns0;1;train\ns1;2;val\ns2;3;test\n")
    dataset = discover(tmp_path)
    assert [case.held_out for case in dataset.cases] == [False, True, True]
    assert dataset.channels == ("mri",)


def test_one_mask_of_all_classes_goes_first(tmp_path):
    for name in ("c1", "c2"):
        put(tmp_path, f"{name}/ct.nii.gz", f"{name}/combined_labels.nii.gz")
        put(tmp_path, f"{name}/segmentations/liver.nii.gz", f"{name}/segmentations/spleen.nii.gz")
    dataset = discover(tmp_path)
    assert dataset.layout == "plain"
    assert masks(dataset) == {"c1": "c1/combined_labels.nii.gz", "c2": "c2/combined_labels.nii.gz"}


def test_more_classes_than_a_mask_holds(tmp_path):
    put(tmp_path, "c/ct.nii.gz")
    for index in range(255):
        (tmp_path / "c/segmentations").mkdir(exist_ok=True)
        (tmp_path / f"c/segmentations/organ_{index}x.nii.gz").touch()
    with pytest.raises(EquiregError, match="255 classes; expected at most 254"):
        discover(tmp_path)


@pytest.mark.parametrize("content", [b"image_id;split\ns0000;test\n\xff\xfe", b"image_id;split\n" + b"x" * 200_000])
def test_a_damaged_table_of_splits_is_refused(tmp_path, content):
    for name in ("s0000", "s0001"):
        put(tmp_path, f"{name}/ct.nii.gz")
        mask(tmp_path / name / "segmentations" / "spleen.nii.gz", (0, 0, 0))
        mask(tmp_path / name / "segmentations" / "liver.nii.gz", (1, 2, 3))
    (tmp_path / "meta.csv").write_bytes(content)
    with pytest.raises(EquiregError, match=r"meta\.csv: is not a CSV table"):
        discover(tmp_path)


def test_the_first_cases_and_classes_that_are_lacking_are_named(tmp_path):
    for index in range(7):
        put(tmp_path, f"s{index}/ct.nii.gz", f"s{index}/segmentations/liver.nii.gz")
    for name in ("aorta", "colon", "heart", "spleen"):
        put(tmp_path, f"s5/segmentations/{name}.nii.gz", f"s6/segmentations/{name}.nii.gz")
    (warning,) = discover(tmp_path).warnings
    assert warning.startswith("5 cases have no mask of some classes")
    assert all(f"{tmp_path / name} (aorta, colon, heart and 1 more)" in warning for name in ("s0", "s1", "s2"))
    assert "and 2 more. Where" in warning


def test_a_mask_of_the_background_is_no_class(tmp_path):
    for name in ("s0", "s1"):
        put(tmp_path, f"{name}/ct.nii.gz", *(f"{name}/segmentations/{part}.nii.gz" for part in ("Background", "x")))
    dataset = discover(tmp_path)
    assert dataset.labels is not None
    assert dataset.labels.names == ("background", "x")
    assert labelled(dataset) == ["s0", "s1"]
    assert any("not used: 2 images" in note and "Background.nii.gz" in note for note in dataset.notes)
    assert dataset.warnings == ()
