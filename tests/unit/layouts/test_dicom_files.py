"""Files and series as old programs, archives and anonymisers leave them."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from dicom_series import contours, phantom, slices, uid, write
from equireg.config import DicomOptions
from equireg.layouts import discover, discover_inputs

TRIANGLE = np.array([[-8.0, -18, 30], [-6, -18, 30], [-6, -14, 30]])


@pytest.mark.parametrize("implicit", [True, False])
def test_files_without_a_preamble_and_without_an_ending_are_found(tmp_path: Path, implicit: bool) -> None:
    one = phantom()
    for path in write(tmp_path, slices(one)):
        file = pydicom.dcmread(path)
        del file.file_meta, file.preamble
        file.save_as(path, implicit_vr=implicit, little_endian=True)
    (tmp_path / "notes").write_bytes(b"\x08\0\x05\0CS\x02\0text that is no further element")
    found = discover(tmp_path)
    (case,) = found.cases
    assert np.array_equal(case.read_image()[0][0], one.stored)
    assert any("1 files that are no DICOM" in note for note in found.notes)


def test_a_series_whose_slices_have_a_uid_each_is_one_with_its_mask(tmp_path: Path) -> None:
    for patient in ("A", "B"):
        source = slices(phantom(patient=patient))
        for number, file in enumerate(source):
            file.SeriesInstanceUID = uid(patient, number)
        write(tmp_path / patient, [*source, contours(source, {"liver": [(0, TRIANGLE)]})])
    single = slices(phantom((12, 10, 1), patient="A", series=7))
    write(tmp_path / "single", single)
    found = discover(tmp_path)
    assert sorted(len(case.scan_files) for case in found.cases) == [1, 6, 6]
    assert [case.label is not None for case in sorted(found.cases, key=lambda case: len(case.scan_files))] == [
        False,
        True,
        True,
    ]
    assert any(note.startswith("joined: 2 series whose slices") for note in found.notes)


@pytest.mark.parametrize("constant", ["", "1.2.3"])
def test_patients_with_one_series_uid_are_parted_where_each_has_a_stack(tmp_path: Path, constant: str) -> None:
    for patient in ("A", "B", "C"):
        source = slices(phantom(patient=patient, seed=ord(patient)))
        for file in source:
            file.StudyInstanceUID = file.SeriesInstanceUID = constant
        write(tmp_path / patient, [*source, contours(source, {"liver": [(0, TRIANGLE)]})])
    found = discover(tmp_path)
    assert len({case.patient for case in found.cases}) == 3
    assert [(len(case.scan_files), case.label is not None) for case in found.cases] == [(6, True)] * 3
    assert any(note.startswith("parted by PatientID: 1 series") for note in found.notes)


def test_a_series_that_changes_its_patient_half_way_is_still_refused(tmp_path: Path) -> None:
    source = slices(phantom())
    for file in source[:3]:
        file.PatientID = "another"
    write(tmp_path, source)
    (refusal,) = discover(tmp_path).refused
    assert "images of 2 patients" in refusal.reason


@pytest.mark.parametrize("same", [True, False])
def test_a_slice_that_was_sent_again_under_another_uid_is_a_copy(tmp_path: Path, same: bool) -> None:
    source = slices(phantom())
    again = slices(phantom(seed=0 if same else 1))[3]
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = UID("1.2.9")
    write(tmp_path, [*source, again])
    found = discover(tmp_path)
    assert (len(found.cases), len(found.refused)) == ((1, 0) if same else (0, 1))


def test_one_slice_of_a_series_is_predicted_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = write(tmp_path, [*slices(phantom()), *slices(phantom(series=4))])
    assert len(discover_inputs(paths[0], ("ct",))) == 1
    assert "5 other files of its series lie beside it" in caplog.text


def test_segments_that_are_not_chosen_are_quoted_with_how_to_write_a_comma(tmp_path: Path) -> None:
    source = slices(phantom())
    write(tmp_path, [*source, contours(source, {"Lung, left": [(0, TRIANGLE)]})])
    (refusal,) = discover(tmp_path, options=DicomOptions(segments=("Lung",))).refused
    assert "has the segments 'Lung, left'; expected one of --segments" in refusal.reason
    assert r"a comma in a name is written \x2c" in refusal.remedy
