"""Names of folders with DICOM that may be a patient's."""

import unicodedata
from pathlib import Path

import pytest

from dicom_series import BORN, PATIENT, phantom, slices, write
from equireg.layouts import discover
from equireg.layouts.dicom.telling import may_name_a_patient


def is_private(root: Path, *patients: tuple[str, str]) -> bool:
    """Write a scan of each patient (ID and name) below a folder, and ask whether its name may be a patient's."""
    for number, (patient, name) in enumerate(patients):
        files = slices(phantom((4, 4, 3), seed=number, patient=patient, study=f"study {number}"))
        for file in files:
            file.SpecificCharacterSet, file.PatientName = "ISO_IR 192", name
        write(root / f"{number}", files)
    cases = discover(root).cases
    assert len(cases) == len(patients)
    return may_name_a_patient(root, cases)


def test_a_folder_of_one_patient_may_have_the_name_whatever_it_is(tmp_path: Path) -> None:
    assert is_private(tmp_path / "Wang Xiaodong", (PATIENT, "王^小东"))
    assert is_private(tmp_path / "in other words", (PATIENT, "ANONYMOUS"), (PATIENT, "ANONYMOUS"))


def test_studies_without_an_id_are_not_known_to_be_of_several_patients(tmp_path: Path) -> None:
    assert is_private(tmp_path / "folder", ("", "A^B"), ("", "A^B"))


def test_a_folder_of_several_patients_is_called_as_all_of_them_are(tmp_path: Path) -> None:
    assert not is_private(
        tmp_path / "clinic archive", ("P-1", "Ng^Li"), ("P-2", "王^小东"), ("P-3", "Planted^Patricia")
    )


@pytest.mark.parametrize("folder", ["TCGA-GBM", "patients", "study 0001"])
def test_a_pseudonym_for_a_name_is_looked_for_as_a_whole(tmp_path: Path, folder: str) -> None:
    ids = ("TCGA-02-0003", "TCGA-06-0001", "Patient-1")
    assert not is_private(tmp_path / folder, *((number, number) for number in ids))
    assert is_private(tmp_path / "TCGA_06_0001", *((number, number) for number in ids))


def test_a_name_that_is_the_id_too_is_no_pseudonym_without_a_number(tmp_path: Path) -> None:
    assert is_private(tmp_path / "Smith", ("Smith^Jane", "Smith^Jane"), ("P-2", "Somebody^Else"))


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("王小东", "王^小东"),
        ("王_MR", "王^小东"),
        ("山田太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("김철수", "김^철수"),
        (unicodedata.normalize("NFD", "Müller_Jürgen"), "Müller^Jürgen"),
        ("Ng_Li", "Ng^Li"),
        ("LiNg", "Ng^Li"),
        ("scans of SMITHS", "Smith^Jane"),
        ("of 19560229", "Other^Name"),
    ],
)
def test_a_folder_of_several_patients_may_be_called_as_one_of_them(tmp_path: Path, folder: str, name: str) -> None:
    assert BORN == "19560229"
    assert is_private(tmp_path / folder, ("P-1", "Somebody^Else"), ("P-2", name))


def test_folders_that_hold_no_dicom_are_not_looked_at(tmp_path: Path) -> None:
    assert not may_name_a_patient(tmp_path, [])
