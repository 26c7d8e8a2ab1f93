"""What is said of a raw folder before anything is done."""

import logging

import pytest

from equireg.layouts import discover
from equireg.layouts.summary import lines, log_summary
from layout_folders import put


def test_two_lines_on_channels_masks_and_patients(tmp_path):
    put(tmp_path, *(f"images/p{p}_visit{v}_{c}.nii.gz" for p in range(2) for v in range(4) for c in ("t1", "flair")))
    put(tmp_path, "labels/p1_visit2.nii.gz")
    files, patients = lines(discover(tmp_path))
    assert "8 cases with the 2 channels t1, flair such as images/p1_visit2_t1.nii.gz + p1_visit2_flair" in files
    assert "masks of 1 such as labels/p1_visit2.nii.gz" in files
    assert patients == "patients: 2, 2 with several scans, such as p0 with p0_visit0, p0_visit1, p0_visit2 and 1 more"


def test_cases_of_a_test_folder_are_counted(tmp_path):
    put(tmp_path, "train/images/a.nii.gz", "train/labels/a.nii.gz", "test/images/b.nii.gz")
    files, _ = lines(discover(tmp_path))
    assert files.startswith("layout plain: 2 cases with")
    assert files.endswith("; 1 of a test or validation folder, held out as test")


def test_one_scan_a_patient_and_no_mask(tmp_path):
    put(tmp_path, "a.nii.gz", "b.nii.gz")
    files, patients = lines(discover(tmp_path))
    assert files.endswith("no masks")
    assert patients == "patients: 2, one a case"


@pytest.mark.parametrize(
    ("scans", "told"),
    [
        (("p1_1", "p1_2", "p2_1", "p2_2"), "p1_1, p1_2; p2_1, p2_2"),
        (("p1/11", "p1/12", "p2/21", "p2/22"), "11, 12; 21, 22"),
    ],
)
def test_names_and_folders_that_look_like_groups_are_reported(tmp_path, caplog, scans, told):
    put(tmp_path, *(f"{scan}.nii.gz" for scan in scans))
    logging.getLogger("equireg").propagate = True  # the command line switches it off
    log_summary(discover(tmp_path))
    (warning,) = {record.getMessage() for record in caplog.records if record.levelno == logging.WARNING}
    assert told in warning
    assert "--patients" in warning
