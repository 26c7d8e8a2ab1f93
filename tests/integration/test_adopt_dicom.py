"""`equireg adopt` takes DICOM-SEG and RTSTRUCT, by the series that they refer to or by the names of their files."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_series import BORN, HOSPITAL, NAME, PATIENT, Phantom, contours, phantom, segmentation, slices, write
from equireg.annotation.adopt import adopt
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.folders.prepared.adopted import read_history
from equireg.imaging.dicom.identity import digest
from equireg.preparation.prepare import prepare
from planted_names import found_in

SHAPE = (12, 10, 6)


def mask_of(*values: int) -> np.ndarray:
    """Return a mask with a block of 2 x 3 x 2 voxels of each value."""
    mask = np.zeros(SHAPE, np.uint8)
    for place, value in enumerate(values):
        mask[2 + 3 * place : 4 + 3 * place, 3:6, 1:3] = value
    return mask


def scan(number: int) -> Phantom:
    return phantom(SHAPE, seed=number, patient=f"{PATIENT}-{number}", study=f"study {number}")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return four series, one with a mask of two segments, and what `prepare` makes of them."""
    root = tmp_path_factory.mktemp("adopted") / "raw"
    for number in range(4):
        write(root / f"{number}", slices(scan(number)))
    write(root / "0" / "seg", [segmentation(slices(scan(0)), mask_of(1, 2), ["liver", "tumour"])])
    prepare(root, root.parent / "prepared", jobs=1)
    return root, root.parent / "prepared"


@pytest.fixture
def own(archive: tuple[Path, Path], tmp_path: Path) -> Path:
    shutil.copytree(archive[0], tmp_path / "raw")
    return Path(shutil.copytree(archive[1], tmp_path / "prepared"))


def case_of(number: int) -> str:
    """Return the name of the case that a series is."""
    one = slices(scan(number))[0]
    return f"{digest(one.PatientID, 10)}_{digest(one.StudyInstanceUID, 6)}_003"


def test_a_segmentation_is_taken_by_what_it_refers_to(own: Path, tmp_path: Path) -> None:
    files = slices(scan(1))
    write(tmp_path / "sent" / "deep", [segmentation(files, mask_of(2, 1), ["tumour", "liver"])])
    taken = adopt(own, tmp_path / "sent", by="R. One")
    (case,) = taken
    assert case == case_of(1)
    assert taken[case].file == "DICOM-SEG"
    assert PreparedSet(own).manifest.labels.names == ("background", "liver", "tumour")
    assert PreparedSet(own).by_name[case].class_voxels[1:3] == (12, 12)
    label = np.asarray(PreparedSet(own).label(case)[:])
    others = [name for name, known in PreparedSet(own).by_name.items() if known.labelled and name != case]
    before = np.asarray(PreparedSet(own).label(others[0])[:])
    assert (label == before).all(), "the names count, not the numbers: here they are exchanged"
    assert found_in(own, (NAME, NAME.split("^")[0], PATIENT, BORN, HOSPITAL, "IM0001")) == []


def test_contours_and_a_whole_archive_are_taken(own: Path, tmp_path: Path) -> None:
    files = slices(scan(2))
    corners = np.array([(1.5, 2.5), (5.5, 2.5), (5.5, 6.5), (1.5, 6.5)])
    x, y, z = scan(2).spacing_mm
    points = np.array([(-10 + column * x, -20 + row * y, 30 + 3 * z) for column, row in corners])
    write(tmp_path / "sent", [*files, contours(files, {"tumour": [(3, points)]})])
    taken = adopt(own, tmp_path / "sent")
    (case,) = taken
    assert (case, taken[case].file) == (case_of(2), "RTSTRUCT")
    assert PreparedSet(own).by_name[case].class_voxels[1:3] == (0, 16)


def test_a_file_named_after_its_case_needs_no_raw_folder(own: Path, tmp_path: Path) -> None:
    case = case_of(3)
    shutil.rmtree(tmp_path / "raw")
    (path,) = write(tmp_path / "sent", [segmentation(slices(scan(3)), mask_of(1), ["liver"])])
    with pytest.raises(EquiregError, match=r"Give it as --scans, or name the file after its case"):
        adopt(own, path)
    named = path.rename(path.with_name(f"{case}.dcm"))
    assert list(adopt(own, named)) == [case]
    again = adopt(own, named)[case]
    assert (again.corrects, again.changed_voxels) == ("mask", 0)


def test_the_first_masks_give_the_folder_its_labels_for_good(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "prepared"
    for number in range(2):
        write(raw / f"{number}", slices(scan(number)))
    prepare(raw, out, jobs=1)
    write(tmp_path / "sent", [segmentation(slices(scan(1)), mask_of(1, 2), ["spleen", "liver"])])
    adopt(out, tmp_path / "sent")
    assert PreparedSet(out).manifest.labels.names == ("background", "spleen", "liver")
    assert prepare(raw, out, jobs=1).labels.names == ("background", "spleen", "liver")
    assert [one.names for one in read_history(out)[case_of(1)]] == [{"1": "spleen", "2": "liver"}]


def test_segments_are_chosen(own: Path, tmp_path: Path) -> None:
    write(tmp_path / "sent", [segmentation(slices(scan(1)), mask_of(1, 2), ["body", "liver"])])
    with pytest.raises(EquiregError, match=r"has the segment 'body'; expected some of liver, tumour\. Rename"):
        adopt(own, tmp_path / "sent")
    with pytest.raises(EquiregError, match="--segments is spleen; expected labels of the data set: liver, tumour"):
        adopt(own, tmp_path / "sent", segments=("spleen",))
    (case,) = adopt(own, tmp_path / "sent", segments=("liver",))
    assert PreparedSet(own).by_name[case].class_voxels[1:3] == (12, 0)


def test_segments_may_be_spelt_in_other_capitals(own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "equireg")
    write(tmp_path / "sent", [segmentation(slices(scan(1)), mask_of(1, 2), ["body", "Liver "])])
    (case,) = adopt(own, tmp_path / "sent", segments=("LIVER",))
    assert PreparedSet(own).by_name[case].class_voxels[1:3] == (12, 0)
    assert PreparedSet(own).manifest.labels.names == ("background", "liver", "tumour")
    assert "are one label: liver (also Liver)" in caplog.text
    assert "masks do not list the labels tumour (1 of 1, such as " in caplog.text
    write(tmp_path / "both", [segmentation(slices(scan(2)), mask_of(1, 2), ["liver", "Liver"])])
    with pytest.raises(EquiregError, match="has the segment 'Liver'; expected some of liver, tumour"):
        adopt(own, tmp_path / "both")


def test_predictions_that_came_back_are_told_unless_a_corrected_mask_is_there(
    own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        made = segmentation(slices(scan(number)), mask_of(1), ["liver"], description="predicted")
        made.Manufacturer, made.SegmentSequence[0].SegmentAlgorithmType = "equireg", "AUTOMATIC"
        write(tmp_path / "sent" / f"{number}", [made])
    write(tmp_path / "sent" / "corrected", [segmentation(slices(scan(1)), mask_of(1, 1), ["liver"])])
    assert set(adopt(own, tmp_path / "sent")) == {case_of(1), case_of(2)}
    assert PreparedSet(own).by_name[case_of(1)].class_voxels[1] == 24
    (path,) = (tmp_path / "sent" / "2").iterdir()
    assert f"equireg drew and nobody corrected count as true now: {path} (1 in all)" in caplog.text


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("scan", "is DICOM without a mask; expected a DICOM-SEG or an RTSTRUCT"),
        ("stranger", "is a mask whose series is not here"),
        ("fractional", "is a fractional segmentation"),
        ("twice", "is a second mask of"),
        ("damaged", "cannot be read"),
        ("elsewhere", "lies between the voxels of its series"),
    ],
)
def test_masks_that_do_not_fit_change_nothing(
    own: Path, tmp_path: Path, equireg: Callable[..., Any], what: str, words: str
) -> None:
    sent, files, names = tmp_path / "sent", slices(scan(1)), ["liver", "tumour"]
    if what == "scan":
        sent = write(sent, files)[0]
    elif what == "stranger":
        write(sent, [segmentation(slices(scan(9)), mask_of(1, 2), names)])
    elif what == "fractional":
        write(sent, [segmentation(files, mask_of(1, 2), names, "FRACTIONAL")])
    elif what == "twice":
        both = [segmentation(files, mask_of(1, 2), names, description=words) for words in ("first", "second")]
        write(sent, both)
    elif what == "damaged":
        (path,) = write(sent, [segmentation(files, mask_of(1, 2), names)])
        path.write_bytes(path.read_bytes()[:400])
    else:
        moved = slices(phantom(SHAPE, patient=f"{PATIENT}-1", study="study 1", origin=(0, 0, 0)))
        (path,) = write(sent, [segmentation(moved, mask_of(1, 2), names)])
        path.rename(sent / f"{case_of(1)}.dcm")
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    told = equireg("adopt", own, sent)
    assert told.code == 1
    assert words in told.error
    assert {path: path.read_bytes() for path in own.rglob("*") if path.is_file()} == before
