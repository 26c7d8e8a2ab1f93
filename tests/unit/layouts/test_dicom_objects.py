"""Which DICOM objects are one patient's, which are copies, and which are no slices or no masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag

from dicom_series import MR, contours, phantom, segmentation, slices, uid, write
from equireg.config import DicomOptions
from equireg.errors import EquiregError
from equireg.imaging.dicom.library import quietly
from equireg.layouts import discover, discover_inputs

MASK = np.random.default_rng(5).integers(0, 2, (12, 10, 6)).astype(np.uint8)
DERIVED = {"ImageType": ["DERIVED", "SECONDARY"]}


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


def put(folder: Path, patient: str, description: str, **changes: Any) -> list[FileDataset]:
    """Write a series of a study whose UID an anonymiser gave to the studies of all patients."""
    files = slices(phantom(patient=patient, series=len(description), description=description, **changes), MR)
    for file in files:
        file.StudyInstanceUID = "1.2.3"
    write(folder / description, files)
    return files


def test_patients_whose_studies_have_one_uid_are_not_mixed(tmp_path: Path) -> None:
    for name in "AB":
        put(tmp_path / "both" / name, name, "T1")
        put(tmp_path / "both" / name, name, "FLAIR")
    first, second = discover(tmp_path / "both").cases
    assert first.patient != second.patient
    for case in (first, second):
        assert len({image.parent.parent.name for image in case.images}) == 1
    put(tmp_path / "mixed" / "A", "A", "T1")
    put(tmp_path / "mixed" / "B", "B", "FLAIR")
    found = discover(tmp_path / "mixed")
    assert (found.channels, len(found.cases)) == (("image",), 2)
    with pytest.raises(
        EquiregError, match=r"no series for the channel flair .* 2 patients .* have a study of this UID"
    ):
        discover_inputs(tmp_path / "mixed", ["t1", "flair"])
    put(tmp_path / "derived" / "A", "A", "T1")
    put(tmp_path / "derived" / "B", "B", "T1", more=DERIVED)
    assert len(discover(tmp_path / "derived").cases) == 2


def test_a_series_without_a_patient_is_its_studys(tmp_path: Path) -> None:
    put(tmp_path, "A", "T1")
    put(tmp_path, "", "FLAIR")
    write(tmp_path / "later", visit("A", "study 2", ""))
    found = discover(tmp_path, options=DicomOptions(channel=("flair=flair", "t1=t1")))
    (case,) = found.cases
    (later,) = discover(tmp_path / "later").cases
    assert [image.parent.name for image in case.images] == ["FLAIR", "T1"]
    assert case.patient == later.patient


def test_a_mask_without_references_is_of_its_patients_series_in_its_place(tmp_path: Path) -> None:
    def without_references(source: Sequence[FileDataset]) -> Dataset:
        made = segmentation(source, MASK, ["liver"])
        del made.ReferencedSeriesSequence
        for group in made.PerFrameFunctionalGroupsSequence:
            del group.DerivationImageSequence
        return made

    for name in "AB":
        files = put(tmp_path / name, name, "T1")
        for file in files:
            file.FrameOfReferenceUID = "4.5.6"
        write(tmp_path / name / "T1", [*files, without_references(files)])
    for case in discover(tmp_path).cases:
        assert case.label is not None
        assert case.label.parent == case.images[0].parent
    files = put(tmp_path / "B", "B", "Abdomen")
    for file in files:
        file.FrameOfReferenceUID = "4.5.6"
    write(tmp_path / "B" / "Abdomen", files)
    (refused,) = discover(tmp_path).refused
    assert "names no series, and 2 lie in its place" in refused.reason
    assert str(tmp_path / "B" / "Abdomen") in refused.reason


def test_two_issuers_of_one_id_do_not_part_a_study(tmp_path: Path) -> None:
    for description, issuer in (("T1", "one"), ("T2 TSE", "two")):
        files = put(tmp_path, "A", description)
        for file in files:
            file.IssuerOfPatientID = issuer
        write(tmp_path / description, files)
    (case,) = discover_inputs(tmp_path, ["T1", "T2"])
    assert [image.parent.name for image in case.images] == ["T1", "T2 TSE"]


def test_a_model_of_one_channel_takes_no_reformat_beside_an_original_without_a_name(tmp_path: Path) -> None:
    put(tmp_path, "A", "3D TFE sag iso")
    put(tmp_path, "A", "T1 ax MPR", more=DERIVED)
    (case,) = discover_inputs(tmp_path, ["T1"])
    assert case.images[0].parent.name == "3D TFE sag iso"


def test_a_model_takes_derived_series_where_there_is_no_original(tmp_path: Path) -> None:
    put(tmp_path, "A", "T2 TSE")
    put(tmp_path, "A", "T2 reformat", more=DERIVED)
    put(tmp_path, "A", "ADC", more=DERIVED)
    (case,) = discover_inputs(tmp_path, ["T2", "ADC"])
    assert [image.parent.name for image in case.images] == ["T2 TSE", "ADC"]
    for wanted, folder in (("adc", "ADC"), ("t2", "T2 TSE")):
        (case,) = discover_inputs(tmp_path, [wanted])
        assert [image.parent.name for image in case.images] == [folder]
    (case,) = discover(tmp_path).cases
    assert [image.parent.name for image in case.images] == ["T2 TSE"]


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


def test_an_anonymous_copy_with_the_same_uids_is_left_out(tmp_path: Path) -> None:
    source, copy = slices(phantom()), slices(phantom())
    other = slices(phantom(seed=1))  # of an anonymiser that numbers the studies of all patients from 1
    for file in copy:
        file.PatientID = "ANON"
    write(tmp_path / "a", source)
    write(tmp_path / "b", copy)
    found = discover(tmp_path)
    (case,) = found.cases
    assert case.images[0].parent.name == "a"
    assert found.notes[0].startswith("left out: 6 files of copies of other files")
    for file in other:
        file.PatientID = "OTHER"
    write(tmp_path / "c", other)
    found = discover(tmp_path)
    assert sorted(case.images[0].parent.name for case in found.cases) == ["a", "c"]
    assert len({case.patient for case in found.cases}) == 2


def drawn_by_program(source: Sequence[Dataset], maker: str, description: str = "masks") -> Dataset:
    made = segmentation(source, MASK, ["liver"], description=description)
    made.Manufacturer = maker
    made.SegmentSequence[0].SegmentAlgorithmType = "AUTOMATIC"
    return made


def test_predictions_of_equireg_are_no_masks(tmp_path: Path) -> None:
    sources = [slices(phantom(series=number, seed=number)) for number in range(2)]
    for number, source in enumerate(sources):
        write(tmp_path / f"{number}", [*source, drawn_by_program(source, "equireg", "predicted")])
    write(tmp_path / "1" / "mask", [segmentation(sources[1], MASK, ["liver"])])
    found = discover(tmp_path)
    assert [case.label and case.label.parent.name for case in found.cases] == [None, "mask"]
    (note,) = found.notes
    assert "left out: 2 masks that equireg drew and nobody corrected, such as" in note
    assert not found.warnings
    (first, _) = discover(tmp_path, options=DicomOptions(mask_series="predicted")).cases
    assert first.label is not None


def test_corrected_and_approved_predictions_are_masks(tmp_path: Path) -> None:
    source = slices(phantom())
    corrected = drawn_by_program(source, "equireg")
    corrected.SegmentSequence[0].SegmentAlgorithmType = "SEMIAUTOMATIC"
    write(tmp_path / "corrected", [*source, corrected])
    other = slices(phantom(series=4, seed=1))
    approved = contours(other, {"liver": [(0, np.array([[-8.0, -18, 30], [-6, -18, 30], [-6, -14, 30]]))]})
    approved.Manufacturer, approved.ApprovalStatus = "equireg", "APPROVED"
    approved.StructureSetROISequence[0].ROIGenerationAlgorithm = "AUTOMATIC"
    write(tmp_path / "approved", [*other, approved])
    found = discover(tmp_path)
    assert all(case.label for case in found.cases)
    assert not found.notes


def test_masks_that_a_program_drew_alone_are_told(tmp_path: Path) -> None:
    for number, maker in enumerate(("another", "made up")):
        source = slices(phantom(series=number, seed=number))
        made = drawn_by_program(source, maker) if maker == "another" else segmentation(source, MASK, ["liver"])
        write(tmp_path / f"{number}", [*source, made])
    found = discover(tmp_path)
    assert all(case.label for case in found.cases)
    (warning,) = found.warnings
    assert warning.startswith("1 of 2 masks say that a program drew them alone (AUTOMATIC), such as")


def test_slices_that_are_called_secondary_captures_are_used(tmp_path: Path) -> None:
    files = slices(phantom())
    for file in files:
        file.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    write(tmp_path, files)
    (case,) = discover(tmp_path).cases
    assert len(case.scan_files) == 6


def test_secondary_captures_beside_the_slices_of_their_series_are_left_out(tmp_path: Path) -> None:
    files = slices(phantom())
    (shot,) = slices(phantom(shape=(12, 10, 1), seed=1))
    shot.SOPClassUID, shot.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", uid("shot")
    shot.ImagePositionPatient = [0, 0, 31]
    write(tmp_path, [shot, *files])
    found = discover(tmp_path)
    (case,) = found.cases
    assert len(case.scan_files) == 6
    assert "1 file of secondary captures beside the slices of their series" in found.notes[0]


def test_slices_that_are_called_mosaics_are_told_by_their_places(tmp_path: Path) -> None:
    mosaic = {"ImageType": ["DERIVED", "PRIMARY", "M", "MOSAIC"]}
    write(tmp_path / "slices", slices(phantom(more=mosaic)))
    tiled = slices(phantom(series=4, more=mosaic))
    for file in tiled:  # images of one place, one a time
        file.ImagePositionPatient = [0, 0, 0]
    write(tmp_path / "tiled", tiled)
    found = discover(tmp_path)
    (case,) = found.cases
    assert (case.images[0].parent.name, len(case.scan_files)) == ("slices", 6)
    (note,) = found.notes
    assert "6 files of Siemens mosaics" in note


def test_whole_numbers_may_have_a_point(tmp_path: Path) -> None:
    files = slices(phantom())
    with quietly():  # pydicom warns of what it writes
        for file in files:
            for tag in (Tag("InstanceNumber"), Tag("SeriesNumber")):
                file[tag] = RawDataElement(tag, "IS", 4, b"3.0 ", 0, False, True)
        write(tmp_path, files)
    (case,) = discover(tmp_path).cases
    assert case.name.endswith("_003")


def test_x_rays_are_left_out_with_a_remedy(tmp_path: Path) -> None:
    files = slices(phantom((8, 8, 2)))
    for file in files:
        file.Modality = "DX"
        del file.ImagePositionPatient, file.ImageOrientationPatient, file.PixelSpacing
    write(tmp_path, files)
    found = discover(tmp_path)
    assert not found.cases
    (note,) = found.notes
    assert note.startswith("left out: 2 files of pictures without a place in the patient (most X-ray and ultrasound;")
    assert "convert them to PNG" in note


def test_regions_of_a_fused_scan_are_no_labels(tmp_path: Path) -> None:
    source = slices(phantom())
    triangle = np.array([[-8.0, -18, 35], [-6, -18, 35], [-6, -14, 35]])
    mask = contours(source, {"liver": [(2, triangle)], "tumour on MR": [(2, triangle)]})
    mask.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = "4.5.6"
    mask.ROIContourSequence[1].ContourSequence[0].ContourImageSequence[0].ReferencedSOPInstanceUID = "4.5.6.7"
    write(tmp_path, [*source, mask])
    labels = discover(tmp_path).labels
    assert labels is not None
    assert labels.names == ("background", "liver")
