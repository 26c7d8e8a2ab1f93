"""Segmentations and contours out: the same voxels come back by our readers, by highdicom and by pydicom."""

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import UID

from dicom_series import BORN, NAME, PATIENT, enhanced, phantom, slices, write
from equireg.errors import EquiregError
from equireg.imaging.dicom import codes as coding
from equireg.imaging.dicom.contour_writing import write_contours
from equireg.imaging.dicom.heads import Head, read_heads
from equireg.imaging.dicom.library import quietly
from equireg.imaging.dicom.mask_heads import read_mask_head
from equireg.imaging.dicom.masks import read_mask
from equireg.imaging.dicom.object_writing import write_object
from equireg.imaging.dicom.seg_writing import Told, write_segmentation
from equireg.imaging.dicom.series import Series, series_of
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import LIMITS
from equireg.imaging.segments import label_of

LABELS = LabelTable((0, 1, 4), ("background", "liver", "liver tumour"))
TOLD = Told(LABELS, coding.codes_of(LABELS), "equireg")
SHAPE = (20, 16, 5)
OBLIQUE = {"row": (0.8, 0.6, 0.0), "column": (0.0, 0.0, -1.0)}


def blobs() -> np.ndarray:
    """Return a mask with a hole, lone voxels, voxels that touch at a corner, and a label inside another."""
    x, y = np.mgrid[: SHAPE[0], : SHAPE[1]]
    values = np.zeros(SHAPE, np.uint8)
    ring = (x - 8) ** 2 + (y - 8) ** 2
    values[..., 1][(ring < 49) & (ring > 6)] = 1
    values[..., 2][ring < 30] = 1
    values[..., 2][ring < 8] = 4
    values[[15, 16, 19, 0], [3, 4, 15, 0], 3] = 4
    return values


def heads(paths) -> list[Head]:
    return [head for head in read_heads(paths) if isinstance(head, Head)]


def read_series(folder, **changes) -> Series:
    files = write(folder, slices(phantom(SHAPE, **changes)))
    return series_of(heads(files))


@pytest.fixture(params=[{}, OBLIQUE], ids=["axial", "oblique"])
def series(request, tmp_path) -> Series:
    return read_series(tmp_path / "series", **request.param)


def values_of(path, series: Series) -> np.ndarray:
    """Read a mask as `equireg prepare` does."""
    names = dict(read_mask_head(heads([path])[0]).names)
    known = dict(zip(LABELS.names, LABELS.values, strict=True))
    return read_mask(path, {number: known[name] for number, name in names.items()}, series.geometry, LIMITS)


def test_a_segmentation_comes_back_voxel_by_voxel(series, tmp_path):
    import highdicom as hd

    path = tmp_path / "a.dcm"
    write_segmentation(path, blobs(), series, TOLD)
    np.testing.assert_array_equal(values_of(path, series), blobs())
    uids = [str(pydicom.dcmread(series.files[frame.file]).SOPInstanceUID) for frame in series.frames]
    found = hd.seg.segread(path).get_pixels_by_source_instance(
        uids, combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(np.array([0, 1, 4])[found].transpose(2, 1, 0), blobs())


def test_a_segmentation_says_what_it_shows_and_who_drew_it(series, tmp_path):
    write_segmentation(tmp_path / "a.dcm", blobs(), series, TOLD)
    found = pydicom.dcmread(tmp_path / "a.dcm")
    source = pydicom.dcmread(series.files[0])
    first, second = found.SegmentSequence
    assert (first.SegmentLabel, second.SegmentLabel) == ("liver", "liver tumour")
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == codes.SCT.Liver.value
    assert second.SegmentedPropertyTypeCodeSequence[0].CodeValue == codes.SCT.Neoplasm.value
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    assert first.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "equireg"
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert (found.PatientID, found.PatientName, found.PatientBirthDate) == (PATIENT, NAME, BORN)
    assert (found.StudyInstanceUID, found.FrameOfReferenceUID) == (source.StudyInstanceUID, source.FrameOfReferenceUID)
    assert found.SeriesInstanceUID != source.SeriesInstanceUID


def test_an_empty_segmentation(series, tmp_path):
    write_segmentation(tmp_path / "a.dcm", np.zeros(SHAPE, np.uint8), series, TOLD)
    assert not values_of(tmp_path / "a.dcm", series).any()


def test_frames_of_one_file_keep_their_places(tmp_path):
    (path,) = write(tmp_path / "series", [enhanced(phantom(SHAPE))])
    series = series_of(heads([path]))
    write_segmentation(tmp_path / "a.dcm", blobs(), series, TOLD)
    np.testing.assert_array_equal(values_of(tmp_path / "a.dcm", series), blobs())
    write_contours(tmp_path / "b.dcm", blobs(), series, TOLD)
    np.testing.assert_array_equal(values_of(tmp_path / "b.dcm", series), blobs())


def test_contours_come_back_voxel_by_voxel(series, tmp_path):
    path = tmp_path / "a.dcm"
    write_contours(path, blobs(), series, TOLD)
    np.testing.assert_array_equal(values_of(path, series), blobs())
    found, source = pydicom.dcmread(path), pydicom.dcmread(series.files[0])
    assert [item.ROIName for item in found.StructureSetROISequence] == ["liver", "liver tumour"]
    assert (found.PatientID, found.Modality, found.ApprovalStatus) == (PATIENT, "RTSTRUCT", "UNAPPROVED")
    assert found["OperatorsName"].is_empty, "type 2 of the module RT Series: it must be there (PS3.3, C.8.8.1)"
    frame = found.ReferencedFrameOfReferenceSequence[0]
    of_series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert of_series.SeriesInstanceUID == source.SeriesInstanceUID
    assert len(of_series.ContourImageSequence) == SHAPE[2]
    assert max(len(number) for number in map(str, found.ROIContourSequence[0].ContourSequence[0].ContourData)) <= 16


@pytest.mark.parametrize("writer", [write_segmentation, write_contours])
@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_what_an_anonymised_source_lacks_is_named(tmp_path, writer, name):
    files = slices(phantom(SHAPE))
    for one in files:
        delattr(one, name)
    series = series_of(heads(write(tmp_path / "series", files)))
    finding = f"of this series cannot be written, because its header has no {name}: "
    with pytest.raises(EquiregError, match=finding) as caught:
        writer(tmp_path / "a.dcm", blobs(), series, TOLD)
    assert "Error" not in str(caught.value)
    assert "Give --format nifti, or add the element" in str(caught.value)


@pytest.mark.parametrize("writer", [write_segmentation, write_contours])
def test_what_may_be_empty_or_made_up_may_be_missing(tmp_path, writer):
    files = slices(phantom(SHAPE))
    names = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID")
    for one in files:
        for name in (*names, "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID"):
            delattr(one, name)
    series = series_of(heads(write(tmp_path / "series", files)))
    writer(tmp_path / "a.dcm", blobs(), series, TOLD)
    np.testing.assert_array_equal(values_of(tmp_path / "a.dcm", series), blobs())
    found = pydicom.dcmread(tmp_path / "a.dcm")
    assert all(name in found and not found[name].value for name in names)


@pytest.mark.parametrize("writer", [write_segmentation, write_contours])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PatientBirthDate", "1956"),
        ("PatientBirthDate", "00000000"),
        ("StudyDate", "ANONYMIZED"),
        ("StudyDate", "2001-02-03"),
        ("StudyTime", "10:11:12"),
        ("PatientSex", "FEMALE"),
        ("SliceThickness", None),
        ("SliceThickness", "unknown"),
        ("SeriesNumber", "A1"),
        ("Modality", None),
    ],
)
def test_what_the_removal_of_identities_leaves_is_no_hindrance(tmp_path, writer, name, value):
    files = slices(phantom(SHAPE))
    with quietly():
        for one in files:
            delattr(one, name)
            if value is not None:
                tag, kind = Tag(name), dictionary_VR(name)
                one[tag] = RawDataElement(tag, kind, len(value), value.encode(), 0, False, True)
        series = series_of(heads(write(tmp_path / "series", files)))
    writer(tmp_path / "a.dcm", blobs(), series, TOLD)
    np.testing.assert_array_equal(values_of(tmp_path / "a.dcm", series), blobs())
    found = pydicom.dcmread(tmp_path / "a.dcm")
    assert found.PatientID == PATIENT
    assert not found.get(name) or name in ("Modality", "SeriesNumber")


@pytest.mark.parametrize("writer", [write_segmentation, write_contours])
@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (None, "Mueller^J"),
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 126", "Παπαδόπουλος^Α"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("Not Supplied", "Muller^J"),
        ("ISO_IR 192", "Иванов^И"),
    ],
)
def test_names_of_any_script_stay_beside_labels_of_another(tmp_path, writer, charset, name):
    files = slices(phantom(SHAPE))
    with quietly():
        for one in files:
            if charset is not None:
                one.SpecificCharacterSet = charset
            one.PatientName = name
        series = series_of(heads(write(tmp_path / "series", files)))
    labels = LabelTable((0, 1), ("background", "Läsion"))
    told = Told(labels, coding.codes_of(labels), "equireg")
    writer(tmp_path / "a.dcm", np.uint8(blobs() == 1), series, told)
    found = pydicom.dcmread(tmp_path / "a.dcm")
    assert (str(found.PatientName), found.SpecificCharacterSet) == (name, "ISO_IR 192")
    assert read_mask_head(heads([tmp_path / "a.dcm"])[0]).names == ((1, "Läsion"),)


@pytest.mark.parametrize("writer", [write_segmentation, write_contours])
def test_a_backslash_in_a_name_stays_one_name(series, tmp_path, writer):
    labels = LabelTable((0, 1, 4), ("background", "liver\\left", "liver tumour"))
    path = tmp_path / "a.dcm"
    writer(path, blobs(), series, Told(labels, coding.codes_of(labels), "equireg"))
    names = [name for _, name in read_mask_head(heads([path])[0]).names]
    assert names == ["liver/left", "liver tumour"]
    assert label_of(names[0], labels.names) == "liver\\left"
    file = pydicom.dcmread(path)
    if writer is write_segmentation:
        file.SegmentSequence[0].SegmentLabel = ["liver", "left"]
    else:
        file.StructureSetROISequence[0].ROIName = ["liver", "left"]
    file.save_as(path)
    assert read_mask_head(heads([path])[0]).names[0] == (1, "liver\\left")


@pytest.mark.parametrize("writer", [write_segmentation, write_contours])
def test_slices_may_name_a_frame_of_reference_each(tmp_path, writer):
    files = slices(phantom(SHAPE))
    for place, one in enumerate(files):
        one.FrameOfReferenceUID = f"1.2.{place}"
    series = series_of(heads(write(tmp_path / "series", files)))
    writer(tmp_path / "a.dcm", blobs(), series, TOLD)
    np.testing.assert_array_equal(values_of(tmp_path / "a.dcm", series), blobs())


def test_a_series_of_several_multi_frame_files_is_one_line(tmp_path):
    one = phantom(SHAPE)
    parts = [replace(one, stored=one.stored[..., :3]), replace(one, stored=one.stored[..., 3:], origin=one.position(3))]
    files = [enhanced(part) for part in parts]
    files[1].SOPInstanceUID = files[1].file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    series = series_of(heads(write(tmp_path / "series", files)))
    with pytest.raises(
        EquiregError, match=r"lies in 2 multi-frame files; .* Give --format rtstruct or nifti"
    ) as caught:
        write_segmentation(tmp_path / "a.dcm", blobs(), series, TOLD)
    assert "Error" not in str(caught.value)
    write_contours(tmp_path / "b.dcm", blobs(), series, TOLD)
    np.testing.assert_array_equal(values_of(tmp_path / "b.dcm", series), blobs())


def test_what_a_library_raises_otherwise_is_shown(series, tmp_path):
    def fails(_sources):
        raise AttributeError("'Thing' object has no attribute 'no_element'", name="no_element")

    with pytest.raises(
        EquiregError, match=r"cannot be written \(AttributeError: .*no_element'\)\. Give --format nifti"
    ):
        write_object(tmp_path / "a.dcm", series, "contours", fails)


def test_a_source_without_its_study_is_one_line(tmp_path):
    files = slices(phantom(SHAPE))
    for one in files:
        del one.StudyInstanceUID
    series = series_of(heads(write(tmp_path / "series", files)))
    for writer in (write_segmentation, write_contours):
        with pytest.raises(
            EquiregError, match=r"cannot be written, .* no StudyInstanceUID: .* Give --format nifti"
        ) as caught:
            writer(tmp_path / "a.dcm", blobs(), series, TOLD)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "a.dcm").exists()


def test_codes_of_common_names_are_those_of_the_standard():
    found = [getattr(codes.SCT, name) for name in dir(codes.SCT)]
    known = {(code.value, code.meaning.lower()) for code in found if isinstance(code, Code)}
    for code in (*coding._ABNORMAL.values(), *coding._ANATOMICAL.values(), *coding.CATEGORIES.values()):
        assert (code.value, code.meaning.lower()) in known


@pytest.mark.parametrize(
    ("name", "category", "meaning"),
    [
        ("Liver", "anatomical", "Liver"),
        ("kidney_left", "anatomical", "Kidney"),
        ("leftKidney", "anatomical", "Kidney"),
        ("right ventricle", "anatomical", "Right ventricle"),
        ("liver tumour", "abnormal", "Neoplasm"),
        ("peritumoural oedema", "abnormal", "Edema"),
        ("label 3", "tissue", "Tissue"),
        ("deliverance", "tissue", "Tissue"),
    ],
)
def test_codes_by_name(name, category, meaning):
    found = coding.code_of(name)
    assert (found.category, found.type.meaning) == (coding.CATEGORIES[category], meaning)


def test_codes_of_a_file_go_first(tmp_path):
    (tmp_path / "a.csv").write_text("name,code,meaning,category\nliver,62611003,Lobe of liver,anatomical\n")
    found = coding.codes_of(LABELS, tmp_path / "a.csv")
    assert found["liver"].type == coding.Code("62611003", "Lobe of liver")
    assert found["liver tumour"].type.meaning == "Neoplasm"
    (tmp_path / "a.json").write_text(json.dumps({"liver": {"code": "L1", "meaning": "ours", "scheme": "99LOCAL"}}))
    assert coding.codes_of(LABELS, tmp_path / "a.json")["liver"].type == coding.Code("L1", "ours", "99LOCAL")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name,code,meaning\nspleen,78961009,Spleen\n", "'spleen'"),
        ("name,code,meaning\nliver,L1,Liver\n", "SNOMED CT are numbers"),
        ("name,code,meaning\nliver,1,\n", "no code"),
        ("name,code,meaning,category\nliver,1,Liver,organ\n", "'organ'"),
    ],
)
def test_bad_files_of_codes_are_one_line(tmp_path, text, word):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(EquiregError) as caught:
        coding.codes_of(LABELS, tmp_path / "a.csv")
    assert word in str(caught.value)
    assert str(tmp_path / "a.csv") in str(caught.value)
