"""Folders of DICOM to cases: any nesting, channels of a study, masks by reference, and what is left out."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_series import (
    MR,
    NAME,
    PATIENT,
    Phantom,
    contours,
    phantom,
    segmentation,
    slices,
    write,
    write_series,
)
from equireg.config import DicomOptions
from equireg.errors import EquiregError, UsageError
from equireg.imaging.labels import LabelTable
from equireg.layouts import RawDataset, discover, discover_inputs, relabelled

MASK = np.random.default_rng(5).integers(0, 3, (12, 10, 6)).astype(np.uint8)
FOUR = {"t1": "AX T1 MPRAGE", "t1ce": "AX T1 post Gd", "t2": "T2 tse tra", "flair": "AX T2 FLAIR"}


def put_study(root: Path, study: str, descriptions: dict[str, str], **changes: Any) -> dict[str, Phantom]:
    """Write a study of several series into one folder."""
    made = {}
    for number, (channel, words) in enumerate(descriptions.items(), 1):
        one = phantom((6, 5, 2), seed=number, study=study, series=number, description=words, **changes)
        write(root / study / f"{number}", slices(one, MR))
        made[channel] = one
    return made


def reasons(dataset: RawDataset) -> str:
    return "\n".join(f"{item.case}: {item.reason} {item.remedy}" for item in dataset.refused)


def test_series_in_one_folder_are_cases_named_without_identity(tmp_path: Path) -> None:
    files = [*slices(phantom(series=3)), *slices(phantom(series=4, seed=1)), *slices(phantom(patient="B", series=3))]
    write(tmp_path / "a" / "deep" / "folder", files)
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "readme.txt").write_text("no DICOM")
    found = discover(tmp_path)
    assert (found.layout, found.channels, found.modality, found.labels) == ("dicom", ("ct",), "ct", None)
    assert len(found.cases) == 3
    assert sorted(case.name[-4:] for case in found.cases) == ["_003", "_003", "_004"]
    assert len({case.patient for case in found.cases}) == 2
    assert not any(word in str([vars(case)["name"] for case in found.cases]) for word in (PATIENT, NAME))
    assert all(len(case.scan_files) == 6 for case in found.cases)
    assert any("no DICOM, such as" in note and "readme.txt" in note for note in found.notes)
    again = discover(shutil.copytree(tmp_path, tmp_path.parent / "elsewhere"))
    assert [case.name for case in again.cases] == [case.name for case in found.cases]


def test_names_may_be_kept_or_depend_on_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path)
    (plain,) = discover(tmp_path).cases
    (kept,) = discover(tmp_path, options=DicomOptions(keep_names=True)).cases
    assert kept.name.startswith(f"{PATIENT}_")
    assert kept.patient == PATIENT
    monkeypatch.setenv("EQUIREG_NAME_KEY", "a secret")
    (keyed,) = discover(tmp_path).cases
    assert len({plain.name, kept.name, keyed.name}) == 3


def test_known_contrasts_of_studies_are_channels(tmp_path: Path) -> None:
    made = put_study(tmp_path, "s1", FOUR)
    put_study(tmp_path, "s2", FOUR | {"other": "AX DTI"})
    put_study(tmp_path, "s3", {name: FOUR[name] for name in ("t1", "t2", "flair")})
    found = discover(tmp_path)
    assert found.channels == ("t1", "t1ce", "t2", "flair")
    assert len(found.cases) == 2
    case = next(case for case in found.cases if "s1" in str(case.images[0]))
    image, _ = case.read_image()
    assert all(np.array_equal(image[i], made[name].stored) for i, name in enumerate(found.channels))
    assert "no series for the channel t1ce" in reasons(found)
    assert any("left out: 1 series that are none of the channels" in note for note in found.notes)


def test_patterns_choose_channels(tmp_path: Path) -> None:
    made = put_study(tmp_path, "s1", {"a": "weird name 1,2", "b": "WEIRD name 3", "c": "else"})
    options = DicomOptions(channel=("second=weird.*3", "first=1,2$"))
    (case,) = discover(tmp_path, options=options).cases
    assert np.array_equal(case.read_image()[0], np.stack([made["b"].stored, made["a"].stored]))
    both = discover(tmp_path, options=DicomOptions(channel=("x=weird",)))
    assert not both.cases
    assert "2 series for the channel x" in reasons(both)
    with pytest.raises(UsageError, match="expected NAME=PATTERN"):
        DicomOptions(channel=("flair",))
    with pytest.raises(UsageError, match="a regular expression"):
        DicomOptions(channel=("flair=(",))


def test_channels_on_different_grids_are_cases_or_refused(tmp_path: Path) -> None:
    put_study(tmp_path, "s1", {"t1": FOUR["t1"]})
    write_series(
        tmp_path / "other", phantom((6, 5, 2), study="s1", series=9, origin=(0, 0, 0), description="FLAIR"), MR
    )
    found = discover(tmp_path)
    assert len(found.cases) == 2
    assert "lie on different grids" in found.warnings[0]
    (case,) = discover(tmp_path, options=DicomOptions(channel=("t1=t1", "flair=flair"))).cases
    with pytest.raises(EquiregError, match="has another affine than the case's first channel"):
        case.read_image()


def test_a_channel_whose_rows_run_the_other_way_is_turned_to_the_first(tmp_path: Path) -> None:
    made = put_study(tmp_path, "s1", {"t1": FOUR["t1"]})
    other = phantom((5, 6, 2), seed=7, study="s1", series=9, description="FLAIR", spacing_mm=(1.2, 0.8, 2.5))
    # Columns run along the rows of the first series and its rows against the columns.
    other.row, other.column = (0, -1, 0), (1, 0, 0)
    other.origin = (-10.0, -20.0 + 4 * 1.2, 30.0)
    write_series(tmp_path / "other", other, MR)
    (case,) = discover(tmp_path, options=DicomOptions(channel=("t1=t1", "flair=flair"))).cases
    image, geometry = case.read_image()
    np.testing.assert_array_equal(image[0], made["t1"].stored)
    np.testing.assert_array_equal(image[1], other.stored[::-1].transpose(1, 0, 2))
    np.testing.assert_allclose(geometry.affine_array, made["t1"].affine)


def test_a_model_finds_its_channels(tmp_path: Path) -> None:
    made = put_study(tmp_path, "s1", FOUR)
    (case,) = discover_inputs(tmp_path, ["flair", "t1"])
    assert np.array_equal(case.read_image()[0], np.stack([made["flair"].stored, made["t1"].stored]))
    (alone,) = discover_inputs(tmp_path, ["flair"])
    assert np.array_equal(alone.read_image()[0][0], made["flair"].stored)
    (file,) = discover_inputs(next((tmp_path / "s1" / "4").iterdir()), ["flair"])
    assert file.read_geometry().shape == (6, 5, 1)


def test_localisers_derived_series_and_other_objects_are_left_out(tmp_path: Path) -> None:
    write_series(tmp_path / "scan")
    scout = phantom(series=1, more={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    reformat = phantom(series=7, more={"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]})
    alone = phantom(study="s2", more={"ImageType": ["DERIVED", "PRIMARY"]})
    for one in (scout, reformat, alone):
        write(tmp_path / f"{one.study}{one.series}", slices(one))
    shot, report = slices(phantom(series=8))[:2]
    shot.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    del shot.ImagePositionPatient
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    write(tmp_path / "rest", [shot, report])
    copies = tmp_path / "copies"
    shutil.copytree(tmp_path / "scan", copies)
    found = discover(tmp_path)
    assert sorted(case.name[-4:] for case in found.cases) == ["_003", "_003"]
    notes = "\n".join(found.notes)
    for words in (
        "6 files of localisers",
        "1 file of secondary captures",
        "1 file of reports",
        "6 files of copies",
        "1 derived series",
    ):
        assert words in notes
    (named,) = discover(tmp_path / "study7", options=DicomOptions(channel=("ct=.",))).cases
    assert len(named.scan_files) == 6


def test_a_mosaic_is_left_out_with_a_remedy(tmp_path: Path) -> None:
    mosaic = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}
    write_series(tmp_path / "scan")
    tiled = {**mosaic, "AcquisitionMatrix": [6, 0, 0, 5]}
    write_series(tmp_path / "mosaic", phantom((24, 20, 1), series=4, more=tiled))
    write_series(tmp_path / "unsaid", phantom((24, 20, 1), series=5, more=mosaic))
    # Cut into slices by another program, which left the words as they were.
    write_series(tmp_path / "slices", phantom(series=6, more={**mosaic, "AcquisitionMatrix": [0, 12, 10, 0]}))
    found = discover(tmp_path)
    assert sorted(case.name[-4:] for case in found.cases) == ["_003", "_006"]
    assert all(len(case.scan_files) == 6 for case in found.cases)
    (note,) = found.notes
    for words in ("2 files of Siemens mosaics", "tiles of one picture", "dcm2niix", "single slices", "mosaic"):
        assert words in note


def test_masks_belong_to_the_series_that_they_refer_to(tmp_path: Path) -> None:
    first, second = slices(phantom(series=3)), slices(phantom(series=4, seed=1))
    triangle = np.array([[-8.0, -18, 30], [-6, -18, 30], [-6, -14, 30]])
    write(tmp_path / "all", [*first, *second])
    write(tmp_path / "masks", [segmentation(first, MASK, ["liver", "tumour"])])
    write(tmp_path / "more", [contours(second, {"tumour": [(0, triangle)]})])
    found = discover(tmp_path)
    assert found.labels is not None
    assert found.labels.names == ("background", "liver", "tumour")
    one, two = found.cases
    assert np.array_equal(one.read_label(one.read_geometry()), MASK)
    # The name has another number in each file, so its label value is that of the name.
    assert np.unique(two.read_label(two.read_geometry())).tolist() == [0, 2]
    table = LabelTable((0, 5), ("background", "tumour"))
    one, two = relabelled(found, table).cases
    assert np.array_equal(one.read_label(one.read_geometry()), 5 * (MASK == 2))
    only = discover(tmp_path, options=DicomOptions(segments=("tumour",)))
    assert only.labels == LabelTable((0, 1), ("background", "tumour"))
    assert np.array_equal(only.cases[0].read_label(one.read_geometry()), MASK == 2)


def put_masks(root: Path, *named: tuple[str, str]) -> None:
    """Write a series for each pair of names, with a mask of these segments; the second name may be empty."""
    for number, names in enumerate(named):
        source = slices(phantom(series=number, seed=number))
        drawn = MASK if names[1] else MASK % 2
        write(root / f"{number}", [*source, segmentation(source, drawn, [name for name in names if name])])


def read_masks(found: RawDataset) -> list[np.ndarray]:
    return [case.read_label(case.read_geometry()) for case in found.cases]


def test_names_that_differ_in_capitals_or_blanks_are_one_label(tmp_path: Path) -> None:
    put_masks(tmp_path, ("liver", "Tumour"), ("Liver ", ""), ("  liver", "tumour"))
    triangle = np.array([[-8.0, -18, 30], [-6, -18, 30], [-6, -14, 30]])
    source = slices(phantom(series=9, seed=9))
    write(tmp_path / "9", [*source, contours(source, {"LIVER": [(0, triangle)]})])
    found = discover(tmp_path)
    assert found.labels == LabelTable((0, 1, 2), ("background", "liver", "Tumour"))
    first, second, third, fourth = read_masks(found)
    assert np.array_equal(first, MASK)
    assert np.array_equal(second, MASK % 2)
    assert np.array_equal(third, MASK)
    assert np.unique(fourth).tolist() == [0, 1]
    (note,) = found.notes
    assert "are one label: Tumour (also tumour); liver (also LIVER, Liver)" in note
    (warning,) = found.warnings
    assert "masks do not list the labels Tumour (2 of 4, such as " in warning
    # Predictions may spell the label in another way again.
    relabels = read_masks(relabelled(found, LabelTable((0, 5), ("background", "LiVer"))))
    assert np.array_equal(relabels[1], 5 * (MASK % 2))
    chosen = discover(tmp_path, options=DicomOptions(segments=("TUMOUR", "LIVER")))
    assert chosen.labels == LabelTable((0, 1, 2), ("background", "TUMOUR", "LIVER"))
    assert np.array_equal(read_masks(chosen)[2], np.array([0, 2, 1])[MASK])


def test_names_that_one_mask_has_in_two_spellings_stay_apart(tmp_path: Path) -> None:
    put_masks(tmp_path, ("GTV", "gtv"), ("Gtv", ""), ("gtv", ""), ("GTV", ""))
    found = discover(tmp_path)
    assert found.labels == LabelTable((0, 1, 2, 3), ("background", "GTV", "Gtv", "gtv"))
    assert [np.unique(mask).tolist() for mask in read_masks(found)] == [[0, 1, 3], [0, 2], [0, 3], [0, 1]]
    warning, _ = found.warnings
    for words in ("1 of 4 masks", "(GTV, gtv)", "stay labels of their own", "Rename"):
        assert words in warning
    assert not found.notes
    # A table with one of the spellings takes this one alone.
    relabels = relabelled(found, LabelTable((0, 5), ("background", "gtv")))
    assert [dict(case.segments) for case in relabels.cases] == [{2: 5}, {}, {1: 5}, {}]
    chosen = discover(tmp_path, options=DicomOptions(segments=("gtv",)))
    assert [dict(case.segments) for case in chosen.cases] == [{2: 1}, {1: 1}]
    assert reasons(chosen).count("expected one of --segments") == 2
    put_masks(tmp_path / "more", ("liver", "Kidney"), ("Liver", ""))
    other = discover(tmp_path / "more", options=DicomOptions(segments=("kidney",)))
    assert (len(other.notes), other.warnings) == (1, ())


def test_two_masks_of_a_series_are_refused_unless_one_is_chosen(tmp_path: Path) -> None:
    source = slices(phantom())
    write(tmp_path, source)
    for reader in ("reader one", "reader two"):
        write(tmp_path / reader, [segmentation(source, MASK, ["liver", "tumour"], description=reader)])
    found = discover(tmp_path)
    assert "is one of 2 masks of its series" in reasons(found)
    assert "--mask_series" in reasons(found)
    assert not found.cases
    (case,) = discover_inputs(tmp_path, ["ct"])  # the scan can be predicted all the same
    assert case.problem is None
    (case,) = discover(tmp_path, options=DicomOptions(mask_series="two$")).cases
    assert case.label is not None
    assert case.label.parent.name == "reader two"


def test_bad_files_are_named_and_lose_no_other(tmp_path: Path) -> None:
    write_series(tmp_path / "good")
    gap = slices(phantom(series=5))
    write(tmp_path / "gap", [*gap[:2], *gap[3:]])
    mixed = slices(phantom(series=6))
    mixed[3].PatientID = "another"
    write(tmp_path / "mixed", mixed)
    (tmp_path / "locked.dcm").write_bytes(np.random.default_rng(0).bytes(4000))
    (tmp_path / "cut.dcm").write_bytes(next((tmp_path / "good").iterdir()).read_bytes()[:400])
    write(tmp_path / "mask", [segmentation(slices(phantom(series=77)), MASK, ["liver", "tumour"])])
    source = slices(phantom(series=8))
    write(tmp_path / "soft", [*source, segmentation(source, MASK, ["liver", "tumour"], "FRACTIONAL")])
    found = discover(tmp_path)
    assert [case.name[-4:] for case in found.cases] == ["_003"]
    text = reasons(found)
    for words in (
        "1 slice is missing",
        "images of 2 patients",
        "locked.dcm: does not begin as DICOM does, so it is encrypted",
        "cut.dcm: is DICOM that cannot be read",
        "is a mask whose series is not here",
        "is a fractional segmentation",
    ):
        assert words in text
    assert len(found.refused) == 6


@pytest.mark.parametrize("ending", [".dcm", ""])
def test_nifti_beside_dicom_is_read_as_before_with_a_word(tmp_path: Path, ending: str) -> None:
    import nibabel as nib

    nib.save(nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4)), tmp_path / "a.nii.gz")
    write(tmp_path / "series", slices(phantom()), ending=ending)
    (tmp_path / "series" / "LICENCE").write_text("no DICOM")
    found = discover(tmp_path)
    assert found.layout == "plain"
    assert any("6 DICOM files" in note and "--layout dicom" in note for note in found.notes)
    assert discover(tmp_path, "dicom").layout == "dicom"
