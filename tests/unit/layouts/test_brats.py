"""BraTS folders of all years."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from equireg.layouts import discover
from layout_folders import FOUR, files, labelled, names, put, put_brats


@pytest.mark.parametrize("inner", ["MICCAI_BraTS_2019_Data_Training/HGG", "HGG", "", "MICCAI_BraTS2020_TrainingData"])
def test_brats_to_2021(tmp_path, inner):
    put_brats(tmp_path / inner, "BraTS19_2013_2_1")
    put_brats(tmp_path / inner, "BraTS19_TCIA_1_1", mask=False)
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.channels, dataset.modality) == ("brats", FOUR, "mri")
    assert names(dataset) == ["BraTS19_2013_2_1", "BraTS19_TCIA_1_1"]
    assert labelled(dataset) == ["BraTS19_2013_2_1"]
    expected = [f"BraTS19_2013_2_1_{name}.nii.gz" for name in FOUR]
    assert [Path(name).name for name in files(dataset, "BraTS19_2013_2_1")] == expected
    assert dataset.labels is not None
    assert dataset.labels.values == (0, 1, 2, 4)
    assert dataset.labels.regions == {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)}
    assert not any(case.held_out for case in dataset.cases)


def test_brats_from_2023(tmp_path):
    put_brats(tmp_path, "BraTS-GLI-00000-000", new=True)
    dataset = discover(tmp_path)
    assert dataset.channels == FOUR
    ends = [f"BraTS-GLI-00000-000-{end}.nii.gz" for end in ("t1n", "t1c", "t2w", "t2f")]
    assert [Path(name).name for name in files(dataset, "BraTS-GLI-00000-000")] == ends
    assert dataset.labels is not None
    assert dataset.labels.values == (0, 1, 2, 3)
    assert dataset.labels.regions["enhancing"] == (3,)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("BraTS2021_00000", "BraTS2021_00000"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS19_2013_2_1", "BraTS19_2013_2"),
        ("Brats18_CBICA_AAM_1", "Brats18_CBICA_AAM"),
        ("TCGA_DU_7294_1", "TCGA_DU_7294"),
        ("BraTS-GLI-00000-001", "BraTS-GLI-00000"),
        ("patient_1", "patient_1"),
    ],
)
def test_patients(tmp_path, name, patient):
    put_brats(tmp_path, name)
    assert [case.patient for case in discover(tmp_path).cases] == [patient]


def with_labels(root, name, *values):
    put_brats(root, name, new=True)
    voxels = np.zeros((2, 3, 4), dtype=np.uint8)
    voxels.flat[: len(values)] = values
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), root / name / f"{name}-seg.nii.gz")


TO_2023 = {"whole": (1, 2, 3), "core": (1, 3), "enhancing": (3,)}
RESECTED = TO_2023 | {"necrotic": (1,), "oedema": (2,), "resection cavity": (4,)}
ALONE = {"enhancing": (1,), "non-enhancing": (2,), "cystic": (3,), "oedema": (4,)}
OF_CHILDREN = {"whole": (1, 2, 3, 4), "core": (1, 2, 3)} | ALONE


@pytest.mark.parametrize(
    ("labels", "names_", "regions"),
    [
        ({"BraTS-GLI-00005-000": (1, 2, 3), "BraTS-GLI-00005-001": (2, 4)}, "necrotic oedema enhancing", RESECTED),
        ({"BraTS-MET-00086-000": (1, 2, 3), "BraTS-MET-00086-001": (2, 4)}, "necrotic oedema enhancing", RESECTED),
        ({"BraTS-GLI-02063-100": (1, 2)}, "necrotic oedema enhancing", RESECTED),  # the name says 2024
        ({"BraTS-PED-00001-000": (1, 2, 3, 4)}, "enhancing non-enhancing cystic", OF_CHILDREN),
        ({"BraTS-PED-00001-000": (1, 2, 3)}, "necrotic oedema enhancing", TO_2023),
    ],
)
def test_names_and_masks_say_what_the_labels_mean(tmp_path, labels, names_, regions):
    for name, values in labels.items():
        with_labels(tmp_path, name, *values)
    table = discover(tmp_path).labels
    assert table is not None
    last = [*regions][5:]  # a label 4, where there is one
    assert table.names == ("background", *names_.split(), *last)
    assert table.values == tuple(range(len(table.names)))
    assert [*table.regions.items()] == [*regions.items()]


def test_brats_validation_is_held_out(tmp_path):
    put_brats(tmp_path / "MICCAI_BraTS_2019_Data_Training/LGG", "A_1")
    put_brats(tmp_path / "MICCAI_BraTS_2019_Data_Validation", "B_1", mask=False)
    assert [(case.name, case.held_out) for case in discover(tmp_path).cases] == [
        ("A_1", False),
        ("B_1", True),
    ]
    assert discover(tmp_path / "MICCAI_BraTS_2019_Data_Validation").cases[0].held_out


def test_brats_lacks_a_channel(tmp_path):
    put_brats(tmp_path, "A_1")
    put_brats(tmp_path, "B_1", skip="_t2")
    dataset = discover(tmp_path)
    assert names(dataset) == ["A_1"]
    assert dataset.refused[0].case == "B_1"
    assert dataset.refused[0].reason.startswith(str(tmp_path / "B_1/B_1_t2.nii.gz"))


def test_brats_name_twice(tmp_path):
    put_brats(tmp_path / "HGG", "A_1")
    put_brats(tmp_path / "LGG", "A_1")
    dataset = discover(tmp_path)
    assert names(dataset) == ["A_1"]
    assert "HGG" in str(dataset.cases[0].images[0])
    assert "LGG" in dataset.refused[0].reason


def test_brats_2020_mask_under_another_name(tmp_path):
    put_brats(tmp_path, "BraTS20_Training_355", mask=False)
    put(tmp_path, "BraTS20_Training_355/W39_1998.09.19_Segm.nii")
    assert labelled(discover(tmp_path)) == ["BraTS20_Training_355"]


def test_brats_years_are_not_mixed(tmp_path):
    put_brats(tmp_path, "BraTS2021_00000")
    put_brats(tmp_path, "BraTS2021_00001")
    put_brats(tmp_path, "BraTS-GLI-00000-000", new=True)
    put_brats(tmp_path, "BraTS-GLI-00001-000", new=True, mask=False)
    dataset = discover(tmp_path)
    assert names(dataset) == ["BraTS-GLI-00001-000", "BraTS2021_00000", "BraTS2021_00001"]
    assert [refusal.case for refusal in dataset.refused] == ["BraTS-GLI-00000-000"]


def test_brats_mask_alone(tmp_path):
    put_brats(tmp_path, "A_1")
    put(tmp_path, "B_1/B_1_seg.nii.gz")
    dataset = discover(tmp_path)
    assert names(dataset) == ["A_1"]
    assert "B_1_t1.nii.gz" in dataset.refused[0].reason


def test_validation_beside_training_data_is_held_out(tmp_path):
    put_brats(tmp_path / "training_data1_v2", "BraTS-GLI-00001-100", new=True)
    put_brats(tmp_path / "validation_data", "BraTS-GLI-00002-100", new=True, mask=False)
    dataset = discover(tmp_path)
    assert [case.held_out for case in dataset.cases] == [False, True]
