import json
import logging
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import prepared_sets
from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.evaluation.pictures import check_asked
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry, write_label
from layout_folders import of_two_layouts
from turned_files import store_along

SHAPE = (8, 10, 6)
# Left, anterior and superior: the first voxel axis runs to the patient's left.
AFFINE = np.diag([-1.5, 2.0, 3.0, 1.0])
TABLE = LabelTable((0, 3), ("background", "tumour"))
CASES = ("a", "b", "c", "d", "e")


def mask_of(case: str) -> np.ndarray:
    """A box, largest in slice 4; voxel (1, 7, 4), left and anterior, is its corner."""
    mask = np.zeros(SHAPE, dtype=int)
    mask[1:6, 2:8, 4] = 3
    mask[2:4, 2:4, 2:4] = 3
    return mask


def guess_of(case: str) -> np.ndarray:
    """A prediction that is worse the later the case."""
    mask = mask_of(case)
    mask[1 : 1 + CASES.index(case)] = 0
    return mask


def scan_of(case: str) -> np.ndarray:
    return np.random.default_rng(CASES.index(case)).normal(size=SHAPE).astype(np.float32)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    root = tmp_path / "raw"
    for name in ("imagesTr", "labelsTr"):
        (root / name).mkdir(parents=True)
    content = {
        "channel_names": {"0": "T1", "1": "FLAIR"},
        "labels": {"background": 0, "tumour": 3},
        "numTraining": len(CASES),
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(content))
    for case in CASES:
        write_label(root / "labelsTr" / f"{case}.nii.gz", mask_of(case), Geometry.from_array(SHAPE, AFFINE))
        for channel in range(2):
            image = nib.Nifti1Image(scan_of(case) + channel, AFFINE)
            nib.save(image, root / "imagesTr" / f"{case}_{channel:04d}.nii.gz")
    return root


def predict(folder: Path, cases=CASES, source: Path | None = None) -> Path:
    folder.mkdir()
    for case in cases:
        write_label(folder / f"{case}.nii.gz", guess_of(case), Geometry.from_array(SHAPE, AFFINE))
    (folder / "labels.json").write_text(json.dumps(TABLE.as_dict()))
    folders.sign(folder, "predict", {}, source=source, cases=list(cases), run={})
    return folder


def pictures(out: Path) -> dict[str, dict[str, np.ndarray]]:
    return {path.stem: dict(np.load(path)) for path in (out / "pictures").iterdir()}


@pytest.mark.parametrize(
    ("count", "roles"),
    [
        (1, {"a": "best, median, worst"}),
        (2, {"a": "best", "b": "worst"}),
        (5, {"a": "best", "c": "median", "e": "worst"}),
    ],
)
def test_best_median_and_worst_case_are_shown(raw, tmp_path, count, roles):
    predictions = predict(tmp_path / "predictions", CASES[:count])
    evaluate(predictions, raw, tmp_path / "out")
    found = pictures(tmp_path / "out")
    assert {case: str(content["role"]) for case, content in found.items()} == roles
    assert float(found["a"]["mean_dice"]) == 1.0


def test_a_picture_is_an_axial_slice_with_anterior_up_and_right_on_the_left(raw, tmp_path):
    evaluate(predict(tmp_path / "predictions"), raw, tmp_path / "out")
    shown = pictures(tmp_path / "out")["e"]
    # The file's first axis runs to the left already, its second to anterior, which must be at the top.
    for name, volume in (("reference", mask_of("e")), ("prediction", guess_of("e"))):
        np.testing.assert_array_equal(shown[name], volume[:, ::-1, 4].T)
    np.testing.assert_allclose(shown["scan"], np.stack([scan_of("e"), scan_of("e") + 1])[:, :, ::-1, 4].swapaxes(1, 2))
    assert shown["scan"].dtype == np.float32
    np.testing.assert_allclose(shown["spacing_mm"], [2.0, 1.5])
    assert list(shown["channel_names"]) == ["T1", "FLAIR"]


def test_orientation_of_the_file_does_not_matter(raw, tmp_path):
    evaluate(predict(tmp_path / "predictions"), raw, tmp_path / "out")
    expected = pictures(tmp_path / "out")["e"]
    # The same scan, stored with the axes superior, right, posterior.
    for path in [*raw.rglob("*.nii.gz"), *(tmp_path / "predictions").glob("*.nii.gz")]:
        image = nib.Nifti1Image.from_filename(path)
        turn = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt("SRP")
        )
        nib.save(image.as_reoriented(turn.astype(int).tolist()), path)
    evaluate(tmp_path / "predictions", raw, tmp_path / "turned")
    turned = pictures(tmp_path / "turned")["e"]
    for name in ("reference", "prediction", "scan", "spacing_mm"):
        np.testing.assert_allclose(turned[name], expected[name])


@pytest.mark.parametrize("side", ["labelsTr", "predictions"])
def test_masks_along_other_axes_than_the_scans_make_the_same_picture(raw, tmp_path, side):
    evaluate(predict(tmp_path / "predictions"), raw, tmp_path / "out")
    expected = pictures(tmp_path / "out")["e"]
    for path in (tmp_path / side if side == "predictions" else raw / side).glob("*.nii.gz"):
        store_along(path, "SRP")
    evaluate(tmp_path / "predictions", raw, tmp_path / "turned")
    turned = pictures(tmp_path / "turned")["e"]
    for name in ("reference", "prediction", "scan", "spacing_mm"):
        np.testing.assert_allclose(turned[name], expected[name])


def test_a_folder_of_masks_shows_masks_only(raw, tmp_path):
    evaluate(predict(tmp_path / "predictions"), raw / "labelsTr", tmp_path / "out")
    assert "scan" not in pictures(tmp_path / "out")["a"]


def test_scans_can_be_given(raw, tmp_path):
    evaluate(predict(tmp_path / "predictions"), raw / "labelsTr", tmp_path / "out", scans=raw)
    assert pictures(tmp_path / "out")["a"]["scan"].shape == (2, 10, 8)


def test_a_raw_folder_is_read_by_the_layout_it_was_prepared_with(tmp_path):
    raw, prepared, predicted = of_two_layouts(tmp_path / "raw"), tmp_path / "prepared", tmp_path / "predicted"
    prepared.mkdir()
    folders.sign(prepared, "prepare", {"layout": "plain"}, source=raw)
    shutil.copytree(raw / "labels", predicted)
    folders.sign(predicted, "predict", {}, source=prepared, cases=["a", "b"], run={})
    for reference in (raw, raw / "labels"):
        evaluate(predicted, reference, tmp_path / reference.name / "out")
        found = pictures(tmp_path / reference.name / "out")
        assert {case: content["scan"].shape for case, content in found.items()} == dict.fromkeys("ab", (1, 8, 9))


def test_given_scans_must_be_there(raw, tmp_path):
    with pytest.raises(EquiregError, match="nowhere"):
        evaluate(predict(tmp_path / "q"), raw / "labelsTr", tmp_path / "out", scans=tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("recorded_by", ["predictions", "prepared", "both"])
def test_scans_are_found_by_what_a_folder_was_made_from(raw, tmp_path, recorded_by):
    prepared = tmp_path / "prepared"
    for case in CASES:
        (prepared / "cases" / case).mkdir(parents=True)
        (raw / "labelsTr" / f"{case}.nii.gz").rename(prepared / "cases" / case / "reference.nii.gz")
    content = prepared_sets.manifest([prepared_sets.record(case, "test") for case in CASES], labels=TABLE)
    disk.write_json(prepared / "manifest.json", content.as_dict())
    folders.sign(prepared, "prepare", {}, source=None if recorded_by == "predictions" else raw)
    source = {"predictions": raw, "prepared": None, "both": prepared}[recorded_by]
    evaluate(predict(tmp_path / "predictions", source=source), prepared, tmp_path / "out")
    assert pictures(tmp_path / "out")["a"]["scan"].shape == (2, 10, 8)


def test_a_scan_that_cannot_be_read_spoils_nothing_else(raw, tmp_path, caplog):
    path = raw / "imagesTr" / "a_0001.nii.gz"
    path.write_bytes(path.read_bytes()[:-60])
    with caplog.at_level(logging.WARNING, "equireg"):
        evaluate(predict(tmp_path / "predictions"), raw, tmp_path / "out")
    found = pictures(tmp_path / "out")
    assert "scan" not in found["a"]
    assert "scan" in found["c"]
    assert "a_0001.nii.gz" in caplog.text


def test_an_empty_reference_shows_the_prediction(raw, tmp_path):
    write_label(raw / "labelsTr" / "a.nii.gz", np.zeros(SHAPE), Geometry.from_array(SHAPE, AFFINE))
    predictions = predict(tmp_path / "predictions", CASES[:1])
    evaluate(predictions, raw, tmp_path / "out")
    assert pictures(tmp_path / "out")["a"]["prediction"].sum() == 3 * 30


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_shown_as_it_is(tmp_path, axis):
    mask = np.zeros([5, 6, 7], dtype=int)
    mask[1:3, 2:4, 2:6] = 3
    mask = mask.take([2], axis=axis)
    geometry = Geometry.from_array(mask.shape, np.diag([1.5, 2.0, 3.0, 1.0]))
    for name in ("masks", "predictions"):
        (tmp_path / name).mkdir()
        write_label(tmp_path / name / "a.nii.gz", mask, geometry)
    evaluate(tmp_path / "predictions", tmp_path / "masks", tmp_path / "out")
    shown = pictures(tmp_path / "out")["a"]
    np.testing.assert_array_equal(shown["reference"], mask.squeeze(axis)[::-1, ::-1].T)
    np.testing.assert_allclose(shown["spacing_mm"], np.delete([1.5, 2.0, 3.0], axis)[::-1])


def test_a_case_with_a_comma_in_its_name_is_refused_with_how_it_is_given() -> None:
    check_asked(["a,b"], ["a,b", "c"])
    with pytest.raises(EquiregError, match=r"pictures of a, b are asked for.*--pictures '\[\"a,b\"\]'\.$"):
        check_asked(["a", "b"], ["a,b", "c"])
    with pytest.raises(EquiregError, match=r"a prediction and a mask\.$"):
        check_asked(["a", "b"], ["c"])
