"""Which DICOM objects are one patient's, which are copies, and which are no slices or no masks."""

from pathlib import Path

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.tag import Tag

from dicom_series import phantom, segmentation, slices, uid, write
from equireg.imaging.dicom.library import quietly
from equireg.layouts import discover

MASK = np.random.default_rng(5).integers(0, 2, (12, 10, 6)).astype(np.uint8)


def visit(patient: str, study: str, issuer: str) -> list[FileDataset]:
    files = slices(phantom(patient=patient, study=study))
    for file in files:
        if issuer:
            file.IssuerOfPatientID = issuer
    return files


def test_an_issuer_parts_patients_of_one_id_only_where_there_are_two(tmp_path: Path) -> None:
    visits = [("A", ""), ("A", "one"), ("B", ""), ("C", "one"), ("C", "two"), ("", "one"), ("", "one")]
    for number, (patient, issuer) in enumerate(visits):
        write(tmp_path / f"{number}", visit(patient, f"study {number}", issuer))
    cases = {int(case.images[0].parent.name): case for case in discover(tmp_path).cases}
    first, later, other, one, two, *unknown = [cases[number].patient for number in range(7)]
    assert first == later
    assert len({first, other, one, two, *unknown}) == 6
    # Names do not depend on what else lies in the folder.
    (alone,) = discover(tmp_path / "0").cases
    assert alone.name == cases[0].name


def test_images_of_one_uid_are_copies_only_within_a_series(tmp_path: Path) -> None:
    source = slices(phantom())
    filtered = slices(phantom())
    for file in filtered:
        file.SeriesInstanceUID, file.SeriesNumber = uid("filtered"), 77
    write(tmp_path / "filtered", filtered)
    write(tmp_path / "source", [*source, segmentation(source, MASK, ["liver"])])
    for patient in ("B", "C"):
        files = slices(phantom(patient=patient))
        for number, file in enumerate(files, 1):
            file.SOPInstanceUID = f"1.2.3.{number}"
        write(tmp_path / patient, [*files, segmentation(files, MASK, ["liver"])])
    found = discover(tmp_path)
    masks = {case.images[0].parent.name: case.label and case.label.parent.name for case in found.cases}
    assert masks == {"filtered": None, "source": "source", "B": "B", "C": "C"}
    assert not found.notes


def test_slices_that_are_called_secondary_captures_are_used(tmp_path: Path) -> None:
    files = slices(phantom())
    for file in files:
        file.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    write(tmp_path, files)
    (case,) = discover(tmp_path).cases
    assert len(case.scan_files) == 6


def test_whole_numbers_may_have_a_point(tmp_path: Path) -> None:
    files = slices(phantom())
    with quietly():  # pydicom warns of what it writes
        for file in files:
            for tag in (Tag("InstanceNumber"), Tag("SeriesNumber")):
                file[tag] = RawDataElement(tag, "IS", 4, b"3.0 ", 0, False, True)
        write(tmp_path, files)
    (case,) = discover(tmp_path).cases
    assert case.name.endswith("_003")
