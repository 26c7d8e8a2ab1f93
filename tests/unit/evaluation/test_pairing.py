"""Which cases are judged, and what is said of the others."""

import gzip
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import prepared_sets
from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.folders.signature import write_content
from equireg.imaging.volume import Geometry, write_label
from equireg.layouts import discover
from equireg.preparation.raw_states import raw_scans, tell_changed
from judged_folders import GEOMETRY, SHAPE, box, sign_predictions, write_masks, write_raw
from layout_folders import put
from pictures_made_up import disc, save
from turned_files import store_along

MASKS = {case: box(1) for case in "abcdef"}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw", MASKS)


def prepared(root: Path, splits: dict[str, str]) -> Path:
    records = [prepared_sets.record(case, split) for case, split in splits.items()]  # pyright: ignore[reportArgumentType]
    for case in splits:
        write_masks(root / "cases" / case, {"reference": box(1)})
    disk.write_json(root / "manifest.json", prepared_sets.manifest(records).as_dict())
    folders.sign(root, "prepare", {})
    return root


def judge(tmp_path: Path, reference: Path, cases: Iterable[str], *, signed: bool = False):
    predictions = write_masks(tmp_path / "predictions", {case: box(1) for case in cases})
    if signed:
        sign_predictions(predictions)
    return evaluate(predictions, reference, tmp_path / "out")


def test_masks_without_an_unsigned_prediction_are_reported_and_counted(raw, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "equireg"):
        result = judge(tmp_path, raw, "abc")
    assert (result["cases"], result["masks_without_prediction"]) == (3, 3)
    assert "3 of 6 masks have no prediction" in caplog.text
    assert "d, e, f" in caplog.text


def test_of_own_predictions_it_is_no_warning_as_they_say_what_they_were_asked_for(raw, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "equireg"):
        result = judge(tmp_path, raw, "abc", signed=True)
    assert result["masks_without_prediction"] == 3
    lines = [record for record in caplog.records if "3 of 6 masks" in record.getMessage()]
    assert [record.levelname for record in lines] == ["INFO"]


def test_masks_of_other_splits_of_a_prepared_folder_are_not_missed(tmp_path, caplog):
    reference = prepared(tmp_path / "prepared", {"a": "test", "b": "test", "c": "train", "d": "train", "e": "val"})
    with caplog.at_level(logging.WARNING, "equireg"):
        result = judge(tmp_path, reference, "a")
    assert result["masks_without_prediction"] == 1
    assert "no prediction" in caplog.text
    assert "not judged: b" in caplog.text


def test_where_every_mask_was_predicted_nothing_is_said(raw, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "equireg"):
        assert judge(tmp_path, raw, "abcdef")["masks_without_prediction"] == 0
    assert "no prediction" not in caplog.text


@pytest.mark.parametrize("kind", ["raw", "prepared"])
def test_masks_beside_other_scans_than_were_predicted_are_told(raw, tmp_path, caplog, kind):
    scans = {case.name: case for case in discover(raw).cases}
    reference = raw if kind == "raw" else prepared(tmp_path / "prepared", dict.fromkeys("abc", "test"))
    predictions = sign_predictions(write_masks(tmp_path / "predictions", {case: box(1) for case in "abc"}))
    signature = folders.read_content(predictions)
    write_content(predictions, {**signature, "scans": raw_scans([scans["a"], scans["b"]])})

    def told(out: str) -> str:
        caplog.clear()
        tell_changed(tmp_path / "prepared", scans.values(), {}) if kind == "prepared" else None
        evaluate(predictions, reference, tmp_path / out)
        return caplog.text

    assert "other scans" not in told("one")
    unpacked = gzip.decompress(scans["a"].images[0].read_bytes())
    (copy := tmp_path / "a.nii").write_bytes(unpacked)
    packed = {"a": replace(scans["a"], images=(copy,)), "b": scans["b"]}
    write_content(predictions, {**signature, "scans": raw_scans(packed.values())})
    assert "other scans" not in told("copies")
    content = scans["b"].images[0].read_bytes()
    for case in "bc":  # of c nobody knows what was predicted
        scans[case].images[0].write_bytes(content + b" ")
    assert "1 of 3 judged cases have other scans in" in told("two")
    assert "too: b. Predict" in caplog.text
    # A model may take some channels of a folder alone.
    write_content(predictions, {**signature, "scans": {case: f"{case}0:.nii.gz" for case in "abc"}})
    if kind == "prepared":
        states = disk.read_json(tmp_path / "prepared" / "raw.json")
        for case in "abc":
            states["cases"][case]["scan"] = f"{case}0:.nii.gz-{case}1:.nii.gz"
        disk.write_json(tmp_path / "prepared" / "raw.json", states)
    caplog.clear()
    evaluate(predictions, reference, tmp_path / "three")
    assert ("other scans" in caplog.text) == (kind == "raw")


def put_labels(folder: Path, values: dict[str, int], shown: dict[str, np.ndarray]) -> Path:
    """Write one mask of some regions, and a dataset.json with the values of their names."""
    write_masks(folder, {"a": np.sum([values[name] * mask for name, mask in shown.items()], axis=0)})
    disk.write_json(folder / "dataset.json", {"labels": {"background": 0, **values}})
    return folder


@pytest.mark.parametrize(
    ("ours", "theirs", "judged", "told"),
    [
        ({"liver": 1, "kidney": 2}, {"kidney": 1, "liver": 2, "spleen": 3}, ["liver", "kidney", "spleen"], True),
        (
            {"liver": 1, "kidney": 2, "hip": 3},
            {"kidney": 1, "liver": 2, "spleen": 3},
            ["liver", "kidney", "spleen"],
            True,
        ),
        ({"liver": 2, "kidney": 1}, {"liver": 1}, ["liver"], True),
        ({"liver": 1, "left_kidney": 2}, {"Liver": 1, "left kidney": 2}, ["Liver", "left kidney"], False),
    ],
)
def test_labels_that_one_side_alone_declares(tmp_path, caplog, ours, theirs, judged, told):
    liver = np.zeros(SHAPE, np.uint8)
    liver[:2] = 1
    shown = {"liver": liver, "kidney": liver[::-1], "Liver": liver, "left kidney": liver[::-1]}
    shown["left_kidney"] = shown["kidney"]
    predictions, masks = (
        put_labels(tmp_path / folder, table, {name: mask for name, mask in shown.items() if name in table})
        for folder, table in (("p", ours), ("r", theirs))
    )
    found = evaluate(predictions, masks, tmp_path / "out")
    assert {name: scores["dice"]["mean"] for name, scores in found["regions"].items()} == dict.fromkeys(judged, 1.0)
    assert ("declare other labels; the names are compared" in caplog.text) == told


@pytest.mark.parametrize(("ours", "theirs"), [(1, 255), (255, 1)])
def test_masks_of_one_bit_have_the_values_of_their_own_table(tmp_path, ours, theirs):
    mask = np.zeros((24, 30), bool)
    mask[4:12, 5:20] = True
    for folder, value, picture in (
        ("p", ours, Image.fromarray(mask * np.uint8(ours))),
        ("r", theirs, Image.fromarray(mask)),
    ):
        (tmp_path / folder).mkdir()
        disk.write_json(tmp_path / folder / "dataset.json", {"labels": {"background": 0, "cell": value}})
        picture.save(tmp_path / folder / "a.png")
    assert evaluate(tmp_path / "p", tmp_path / "r", tmp_path / "out")["regions"]["cell"]["dice"]["mean"] == 1.0


@pytest.mark.parametrize(
    "name", ["{}_seg", "{}-mask", "label_{}", "{} segmentation.seg", "{}_seg_2.seg", "{}_corrected"]
)
def test_a_word_for_masks_in_the_names_of_masks_does_not_part_them_from_their_cases(tmp_path, name):
    masks = write_masks(tmp_path / "masks", {name.format(case): box(1) for case in ("c1", "c2")})
    assert judge(tmp_path, masks, ["c1", "c2"])["cases"] == 2


def test_a_word_for_masks_in_the_names_of_some_masks_does_not_part_these_from_their_cases(tmp_path):
    masks = write_masks(tmp_path / "masks", {"c1": box(1), "c2_seg": box(1)})
    assert judge(tmp_path, masks, ["c1", "c2"])["cases"] == 2


def test_two_masks_of_a_case_stay_what_they_are_called(tmp_path):
    masks = write_masks(tmp_path / "masks", {name: box(1) for name in ("c1_seg", "c1_mask")})
    with pytest.raises(EquiregError, match="no case in common"):
        judge(tmp_path, masks, ["c1"])


@pytest.mark.parametrize("side", ["p", "r"])
def test_a_volume_among_pictures_and_probabilities_leave_the_pictures(tmp_path, side):
    for folder in "pr":
        for case in "abc":
            save(tmp_path / folder, f"{case}.png", disc())
            put(tmp_path / folder, f"{case}_probabilities.nii.gz", channels=2, slices=1)
    (tmp_path / side / "a.png").unlink()
    write_label(
        tmp_path / side / "a.nii.gz",
        disc().T[..., None],
        Geometry.from_array((40, 32, 1), np.diag([-1.0, -1.0, 1.0, 1.0])),
    )
    assert evaluate(tmp_path / "p", tmp_path / "r", tmp_path / "out")["cases"] == 3


def test_all_absent_predictions_of_a_folder_of_masks_are_named(tmp_path):
    masks = write_masks(tmp_path / "masks", MASKS)
    with pytest.raises(EquiregError, match=r"b\.\*: no such file; .*2 more: d, f\. Predict"):
        judge(tmp_path, masks, "ace")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", ["shape", "value", "cut"])
def test_all_bad_cases_are_named_in_one_error(tmp_path, wrong):
    masks = write_masks(tmp_path / "masks", MASKS)
    predictions = write_masks(tmp_path / "predictions", MASKS, prepared_sets.LABELS)
    for case in ("b", "e"):
        if wrong == "shape":
            write_masks(predictions, {case: np.zeros((12, 10, 7), np.uint8)})
        elif wrong == "value":
            write_label(predictions / f"{case}.nii.gz", np.full(SHAPE, 7), GEOMETRY)
        else:
            path = predictions / f"{case}.nii.gz"
            path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(EquiregError, match=r"2 of 6 cases cannot be judged, so none is\..*b\.nii\.gz.*e\.nii\.gz"):
        evaluate(predictions, masks, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_of_many_bad_cases_all_are_named_and_five_explained(tmp_path):
    cases = [f"case{index:02d}" for index in range(8)]
    masks = write_masks(tmp_path / "masks", {case: box(1) for case in cases})
    predictions = write_masks(tmp_path / "predictions", {case: box(7) for case in cases}, prepared_sets.LABELS)
    with pytest.raises(EquiregError) as caught:
        evaluate(predictions, masks, tmp_path / "out")
    assert str(caught.value).count("has the label values") == 5
    assert all(case in str(caught.value) for case in cases)
    assert "\n" not in str(caught.value)


def test_masks_of_a_prepared_folder_are_checked_unless_nobody_verifies(tmp_path):
    reference = prepared(tmp_path / "prepared", {"a": "test"})
    damaged = prepared_sets.record("a", "test", digests={"reference.nii.gz": "0" * 32})
    disk.write_json(reference / "manifest.json", prepared_sets.manifest([damaged]).as_dict())
    predictions = write_masks(tmp_path / "predictions", {"a": box(1)})
    with pytest.raises(EquiregError, match=r"reference\.nii\.gz.*not what was written"):
        evaluate(predictions, reference, tmp_path / "out")
    assert evaluate(predictions, reference, tmp_path / "out", verify=False)["cases"] == 1


def test_names_of_dicom_cases_say_how_they_are_called_otherwise(raw, tmp_path):
    with pytest.raises(EquiregError, match=r"no case in common.* 3 more.*--keep_names true"):
        judge(tmp_path, raw, ["0d47f1f621_cfc5b1", "cc0a0def05_f0e16e_3"])
    with pytest.raises(EquiregError, match=r"under the same names\.$"):
        judge(tmp_path / "other", raw, "xy")


@pytest.mark.parametrize("side", ["predictions", "masks"])
def test_other_axes_of_prediction_or_mask_change_no_score(tmp_path, caplog, side):
    masks = write_masks(tmp_path / "masks", MASKS)
    predictions = write_masks(tmp_path / "predictions", {case: box(1, start=3) for case in MASKS})
    expected = evaluate(predictions, masks, tmp_path / "plain", jobs=1)
    for case in "abc":
        store_along(tmp_path / side / f"{case}.nii.gz", "SPR")
    with caplog.at_level(logging.INFO, "equireg"):
        found = evaluate(predictions, masks, tmp_path / "out", jobs=1)
    assert found.scores == pytest.approx(expected.scores, nan_ok=True)
    (line,) = (text for text in caplog.messages if "other axes" in text)
    assert line.startswith(f"{predictions / 'a.nii.gz'}: is stored along other axes (")
    assert f"than {masks / 'a.nii.gz'} (" in line
    assert "The same holds of 2 more files" in line


def test_a_rounded_header_is_a_warning_and_a_quarter_of_a_voxel_an_error(tmp_path, caplog):
    masks = write_masks(tmp_path / "masks", MASKS)
    predictions = write_masks(tmp_path / "predictions", MASKS)
    for case, mm in (("b", 0.05), ("c", 0.19)):
        store_along(predictions / f"{case}.nii.gz", "SPR", mm)
    result = evaluate(predictions, masks, tmp_path / "out", jobs=1)
    assert result["regions"]["label 1"]["dice"]["mean"] == 1
    (line,) = (text for text in caplog.messages if "less than a quarter" in text)
    assert line.startswith(f"{predictions / 'c.nii.gz'}: lies up to 0.19 mm beside {masks / 'c.nii.gz'}")
    assert "by at most that distance, of 1 more files" in line
    write_masks(predictions, MASKS)
    store_along(predictions / "d.nii.gz", "SPR", 0.21)
    with pytest.raises(EquiregError, match=r"d\.nii\.gz: has another affine .* Give the prediction in the geometry"):
        evaluate(predictions, masks, tmp_path / "refused", jobs=1)
