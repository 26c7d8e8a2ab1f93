"""DICOM masks in a folder of their own: found by the series that they refer to, in the folder of the scans."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dicom_series import PATIENT, Phantom, phantom, segmentation, slices, write
from equireg import folders
from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.imaging.labels import LabelTable
from equireg.imaging.masks import MaskFiles
from equireg.imaging.turning import Turn
from equireg.imaging.volume import write_label
from equireg.layouts import discover
from turned_files import store_along

SHAPE = (12, 10, 6)
TABLE = LabelTable((0, 7), ("background", "liver"))


def scan(number: int) -> Phantom:
    return phantom(SHAPE, seed=number, patient=f"{PATIENT}-{number}", study=f"study {number}")


def drawn(number: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2 + number : 5 + number, 3:6, 1:4] = 1
    return mask


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Predict in two series what `drawn` says."""
    for number in range(2):
        write(tmp_path / "raw" / f"{number}", slices(scan(number)))
    cases = discover(tmp_path / "raw").cases
    (tmp_path / "q").mkdir()
    for case in cases:
        number = int(case.images[0].parent.name)
        write_label(tmp_path / "q" / f"{case.name}.nii.gz", drawn(number) * np.uint8(7), case.read_geometry())
    (tmp_path / "q" / "labels.json").write_text(json.dumps(TABLE.as_dict()))
    folders.sign(tmp_path / "q", "predict", {}, source=tmp_path / "raw", cases=[case.name for case in cases], run={})
    return tmp_path / "q"


def put_mask(
    folder: Path, number: int, mask: np.ndarray, description: str = "masks", names: Sequence[str] = ("liver",)
) -> None:
    write(folder / f"{number}", [segmentation(slices(scan(number)), mask, names, description=description)])


def test_masks_are_found_by_their_series(predictions: Path, tmp_path: Path) -> None:
    put_mask(tmp_path / "masks", 0, drawn(0), names=["Liver"])
    put_mask(tmp_path / "masks", 1, drawn(0))  # a voxel beside the prediction
    result = evaluate(predictions, tmp_path / "masks", tmp_path / "out", jobs=1)
    dice = sorted(
        value for (_, region, metric), value in result.scores.items() if (region, metric) == ("liver", "dice")
    )
    np.testing.assert_allclose(dice, [2 / 3, 1])


def test_predictions_along_other_axes_are_turned_to_the_series(predictions: Path, tmp_path: Path) -> None:
    put_mask(tmp_path / "masks", 0, drawn(0))
    put_mask(tmp_path / "masks", 1, drawn(1))
    for path in predictions.glob("*.nii.gz"):
        store_along(path, "SRA")
    result = evaluate(predictions, tmp_path / "masks", tmp_path / "out", jobs=1)
    assert result["regions"]["liver"]["dice"]["mean"] == 1


def test_a_mask_is_turned_to_a_prediction_that_is_shown_along_its_own_axes(tmp_path: Path) -> None:
    series = scan(0)
    write(tmp_path / "raw", slices(series))
    (path,) = write(tmp_path / "mask", [segmentation(slices(series), drawn(0), ["liver"])])
    (case,) = discover(tmp_path / "raw").cases
    mask, turn = MaskFiles(path, segments=((1, 7),), grid=case.read_geometry()), Turn((1, 2, 0), (True, False, True))
    found = mask.read(turn.geometry(case.read_geometry()))
    np.testing.assert_array_equal(found, turn.to_scan(drawn(0) * 7))


def test_a_folder_of_one_patients_masks_is_not_told(predictions: Path, tmp_path: Path) -> None:
    put_mask(tmp_path / "masks", 0, drawn(0))
    put_mask(tmp_path / "Patricia in other words", 0, drawn(0))
    put_mask(tmp_path / "masks", 1, drawn(1))
    for name, told in (("masks", "masks"), ("Patricia in other words", "data")):
        evaluate(predictions, tmp_path / name, tmp_path / f"by {name}", jobs=1)
        assert folders.read_signature(tmp_path / f"by {name}", "evaluate")["reference"] == told


def test_masks_without_their_series_say_what_to_give(predictions: Path, tmp_path: Path) -> None:
    put_mask(tmp_path / "masks", 0, drawn(0))
    (tmp_path / "raw").rename(tmp_path / "moved")
    with pytest.raises(EquiregError, match=r"holds DICOM masks without their series, .* Give it as --scans"):
        evaluate(predictions, tmp_path / "masks", tmp_path / "out", jobs=1)
    evaluate(predictions, tmp_path / "masks", tmp_path / "out", jobs=1, scans=str(tmp_path / "moved"))


def test_predictions_that_came_back_are_no_masks(predictions: Path, tmp_path: Path) -> None:
    for number in range(2):
        made = segmentation(slices(scan(number)), drawn(number), ["liver"], description="predicted")
        made.Manufacturer, made.SegmentSequence[0].SegmentAlgorithmType = "equireg", "AUTOMATIC"
        write(tmp_path / "masks" / f"{number}", [made])
    with pytest.raises(EquiregError, match="holds no masks but predictions of equireg"):
        evaluate(predictions, tmp_path / "masks", tmp_path / "out", jobs=1)
    shutil.copytree(tmp_path / "masks", tmp_path / "raw" / "masks")
    with pytest.raises(EquiregError, match=r"has no mask; .* Left out: 2 masks that equireg drew"):
        evaluate(predictions, tmp_path / "raw", tmp_path / "out", jobs=1)
    put_mask(tmp_path / "masks" / "true", 0, drawn(1))
    result = evaluate(predictions, tmp_path / "masks", tmp_path / "out", jobs=1)
    assert {case for case, _, _ in result.scores} == {discover(tmp_path / "raw" / "0").cases[0].name}
    assert result["regions"]["liver"]["dice"]["mean"] < 1


def test_a_region_that_a_mask_does_not_list_has_no_score(
    predictions: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = LabelTable((0, 7, 8), ("background", "liver", "kidney"))
    (predictions / "labels.json").write_text(json.dumps(table.as_dict()))
    put_mask(tmp_path / "masks", 0, drawn(0), names=["liver", "kidney"])
    put_mask(tmp_path / "masks", 1, drawn(1))
    result = evaluate(predictions, tmp_path / "masks", tmp_path / "out", jobs=1)
    dice = sorted(result.scores[key] for key in result.scores if key[1:] == ("kidney", "dice"))
    assert dice[0] == 1
    assert np.isnan(dice[1])
    assert result["presence"]["kidney"]["neither"] == 1
    assert "masks do not list the regions kidney (1 of 2, such as " in caplog.text


def test_two_masks_of_a_series_are_refused(predictions: Path, tmp_path: Path) -> None:
    put_mask(tmp_path / "masks" / "a", 0, drawn(0))
    put_mask(tmp_path / "masks" / "b", 0, drawn(1), "corrected")
    with pytest.raises(EquiregError, match="is a second mask of"):
        evaluate(predictions, tmp_path / "masks", tmp_path / "out", jobs=1)
