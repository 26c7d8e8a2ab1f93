import csv
import json
import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import prepared_sets
from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry, write_label
from equireg.metrics import METRICS, dice, hd95_mm, nsd, volume_ml

SHAPE = (12, 10, 6)
# Left, posterior and superior, as many scanners write; the voxels are anisotropic.
AFFINE = np.array([[-0.8, 0, 0, 5], [0, -1.0, 0, 9], [0, 0, 2.5, -3], [0, 0, 0, 1]])
GEOMETRY = Geometry.from_array(SHAPE, AFFINE)
SPACING = (0.8, 1.0, 2.5)
TABLE = LabelTable((0, 1, 2, 4), ("background", "core", "oedema", "rim"), {"whole": (1, 2, 4), "core": (1, 4)})
CASES = ("case_a", "case_b", "case_c", "case_d")


def labels(seed: int, values=(1, 2, 4)) -> np.ndarray:
    """Boxes of label values, another for each seed."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, dtype=np.int64)
    for value in values:
        x, y, z = (rng.integers(0, size - 3) for size in SHAPE)
        mask[x : x + 4, y : y + 4, z : z + 3] = value
    return mask


def shifted(mask: np.ndarray, voxels: int) -> np.ndarray:
    """A prediction that is wrong by some voxels along x."""
    return np.roll(mask, voxels, axis=0)


@pytest.fixture
def references(tmp_path: Path) -> Path:
    folder = tmp_path / "masks"
    folder.mkdir()
    for seed, case in enumerate(CASES):
        write_label(folder / f"{case}.nii.gz", labels(seed), GEOMETRY)
    return folder


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Predictions as `equireg predict` leaves them, the later the worse."""
    return write_predictions(tmp_path / "predictions", CASES)


def write_predictions(folder: Path, cases, *, signed=True, table: LabelTable | None = TABLE, **facts) -> Path:
    folder.mkdir()
    for case in cases:
        seed = CASES.index(case)
        write_label(folder / f"{case}.nii.gz", shifted(labels(seed), seed), GEOMETRY)
    if table is not None:
        (folder / "labels.json").write_text(json.dumps(table.as_dict()))
    if signed:
        run = {"run": "first", "method": "equireg"}
        folders.sign(folder, "predict", {}, **{"source": None, "cases": list(cases), "run": run, **facts})
    return folder


def write_raw(root: Path, cases=CASES) -> Path:
    """A raw folder in nnU-Net's layout, one channel."""
    for name in ("imagesTr", "labelsTr"):
        (root / name).mkdir(parents=True)
    named = {"background": 0, "core": 1, "oedema": 2, "rim": 4}
    content = {
        "channel_names": {"0": "FLAIR"},
        "labels": named,
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(content))
    for seed, case in enumerate(cases):
        write_label(root / "labelsTr" / f"{case}.nii.gz", labels(seed), GEOMETRY)
        nib.save(nib.Nifti1Image(scan(seed), AFFINE), root / "imagesTr" / f"{case}_0000.nii.gz")
    return root


def scan(seed: int) -> np.ndarray:
    return np.random.default_rng(100 + seed).normal(size=SHAPE).astype(np.float32)


def write_prepared(root: Path, raw: Path | None, cases=CASES, unlabelled=()) -> Path:
    for seed, case in enumerate(cases):
        (root / "cases" / case).mkdir(parents=True)
        write_label(root / "cases" / case / "reference.nii.gz", labels(seed), GEOMETRY)
    records = [prepared_sets.record(case, "test") for case in (*cases, *unlabelled)]
    disk.write_json(root / "manifest.json", prepared_sets.manifest(records, labels=TABLE).as_dict())
    folders.sign(root, "prepare", {}, source=raw)
    return root


def table_of(out: Path) -> dict[tuple[str, str, str], float]:
    """Read metrics.csv; NaN where a value is missing."""
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {(row["case"], row["region"], row["metric"]): float(row["value"] or "nan") for row in rows}


def refused(tmp_path: Path, predictions: Path, reference: Path, **options) -> str:
    """Evaluate into a fresh folder, which must fail and leave nothing; return the message."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(EquiregError) as caught:
        evaluate(predictions, reference, tmp_path / "out", **options)
    assert sorted(tmp_path.rglob("*")) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is written


def test_metrics_are_those_of_the_regions(predictions, references, tmp_path):
    evaluate(predictions, references, tmp_path / "out", tolerance_mm=2.0)
    table = table_of(tmp_path / "out")
    of_masks = [name for name, metric in METRICS.items() if metric.of == "reference"]
    assert set(table) == {(case, region, name) for case in CASES for region in TABLE.regions for name in of_masks}
    for seed, case in enumerate(CASES):
        for region, values in TABLE.judged_regions().items():
            reference = np.isin(labels(seed), values)
            prediction = np.isin(shifted(labels(seed), seed), values)
            expected = {
                "dice": dice(prediction, reference),
                "hd95_mm": hd95_mm(prediction, reference, SPACING),
                "nsd": nsd(prediction, reference, SPACING, 2.0),
                "volume_ml": volume_ml(prediction, SPACING),
                "reference_volume_ml": volume_ml(reference, SPACING),
            }
            found = {metric: table[case, region, metric] for metric in expected}
            assert found == pytest.approx(expected, rel=1e-6)


def test_predictions_in_the_place_of_masks_are_named(predictions, references, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("equireg"), "propagate", True)
    evaluate(predictions, references, tmp_path / "right", jobs=1)
    assert "compared with predictions" not in caplog.text
    evaluate(predictions, predictions, tmp_path / "wrong", jobs=1)
    assert "was made by `equireg predict`, so predictions are compared with predictions" in caplog.text


def test_summary_follows_from_the_table(predictions, references, tmp_path):
    write_label(predictions / "case_b.nii.gz", np.zeros(SHAPE, dtype=int), GEOMETRY)
    summary = evaluate(predictions, references, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    table = pd.read_csv(tmp_path / "out" / "metrics.csv")
    assert list(summary)[:3] == ["cases", "regions", "mean"]
    assert summary["cases"] == len(CASES)
    assert set(summary["regions"]) == {"whole", "core"}
    for region, metrics in summary["regions"].items():
        assert set(metrics) == {name for name, m in METRICS.items() if m.averaged and m.of == "reference"}
        for metric, statistics in metrics.items():
            chosen = (table["region"] == region) & (table["metric"] == metric)
            values = pd.Series(table["value"][chosen])
            expected = values.agg(["mean", "std", "median", "min", "max"]).to_dict()
            quartiles = {"q25": values.quantile(0.25), "q75": values.quantile(0.75)}
            assert statistics == pytest.approx({**expected, **quartiles, "missing": len(values) - values.count()})
    assert summary["regions"]["core"]["hd95_mm"]["missing"] == 1
    for metric, mean in summary["mean"].items():
        assert mean == pytest.approx(np.mean([r[metric]["mean"] for r in summary["regions"].values()]))


def test_missing_distance_is_an_empty_cell_and_null(predictions, references, tmp_path):
    for case in CASES:
        write_label(predictions / f"{case}.nii.gz", np.zeros(SHAPE, dtype=int), GEOMETRY)
    summary = evaluate(predictions, references, tmp_path / "out")
    names = ("mean", "std", "median", "q25", "q75", "min", "max")
    missing = {**dict.fromkeys(names), "missing": 4}
    assert summary["regions"]["whole"]["hd95_mm"] == missing
    assert summary["mean"].items() >= {"dice": 0.0, "hd95_mm": None, "nsd": 0.0}.items()
    with (tmp_path / "out" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["case", "region", "metric", "value"]
    assert {row["value"] for row in rows if row["metric"] == "hd95_mm"} == {""}


def test_both_empty_is_perfect_and_one_case_has_no_spread(tmp_path):
    empty = np.zeros(SHAPE, dtype=int)
    predictions = write_predictions(tmp_path / "predictions", CASES[:1])
    masks = tmp_path / "masks"
    masks.mkdir()
    for folder in (predictions, masks):
        write_label(folder / "case_a.nii.gz", empty, GEOMETRY)
    summary = evaluate(predictions, masks, tmp_path / "out")
    assert summary["mean"].items() >= {"dice": 1.0, "hd95_mm": 0.0, "nsd": 1.0}.items()
    assert summary["regions"]["core"]["dice"]["std"] == 0.0


def test_folder_is_signed_and_keeps_the_labels(references, tmp_path):
    predictions = write_predictions(tmp_path / "predicted", CASES, source=tmp_path / "scans")
    evaluate(predictions, references, tmp_path / "out", tolerance_mm=3.0)
    signature = folders.read_signature(tmp_path / "out", "evaluate")
    assert (signature["source"], signature["reference"]) == (predictions.name, references.name)
    assert signature["run"] == {"run": "first", "method": "equireg"}
    assert signature["config"] == {"tolerance_mm": 3.0, "record_paths": False}
    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == TABLE.as_dict()


def test_masks_of_scans_whose_folder_is_not_told_are_not_told(references, tmp_path):
    predictions = write_predictions(tmp_path / "predicted", CASES, source=None)
    evaluate(predictions, references, tmp_path / "out")
    assert folders.read_signature(tmp_path / "out", "evaluate")["reference"] == "data"


@pytest.mark.slow
def test_two_processes_give_what_one_gives(predictions, references, tmp_path):
    evaluate(predictions, references, tmp_path / "one")
    evaluate(predictions, references, tmp_path / "two", jobs=2)
    assert (tmp_path / "one" / "metrics.csv").read_text() == (tmp_path / "two" / "metrics.csv").read_text()


@pytest.mark.slow
def test_an_error_of_another_process_arrives(predictions, references, tmp_path):
    write_label(references / "case_c.nii.gz", labels(2, values=(1, 3)), GEOMETRY)
    assert str(references / "case_c.nii.gz") in refused(tmp_path, predictions, references, jobs=2)


# What the labels mean


def test_ignored_voxels_are_left_out_of_both(tmp_path):
    table = LabelTable((0, 1), ("background", "tumour"), ignore=9)
    predictions = write_predictions(tmp_path / "predictions", CASES[:1], table=table)
    masks = tmp_path / "masks"
    masks.mkdir()
    reference = np.zeros(SHAPE, dtype=int)
    reference[2:6, 2:6, 2:4] = 1
    prediction = reference.copy()
    reference[8:, :, :] = 9
    prediction[9:, 3:6, :] = 1
    write_label(masks / "case_a.nii.gz", reference, GEOMETRY)
    write_label(predictions / "case_a.nii.gz", prediction, GEOMETRY)
    summary = evaluate(predictions, masks, tmp_path / "out")
    assert summary["mean"].items() >= {"dice": 1.0, "hd95_mm": 0.0, "nsd": 1.0}.items()
    table = table_of(tmp_path / "out")
    assert table["case_a", "tumour", "volume_ml"] == table["case_a", "tumour", "reference_volume_ml"]
    assert table["case_a", "tumour", "volume_ml"] > 0


def test_a_mask_that_is_ignored_everywhere_judges_nothing(tmp_path, caplog):
    predictions = write_predictions(
        tmp_path / "predictions", CASES, table=LabelTable((0, 1), ("background", "tumour"), ignore=9)
    )
    masks = tmp_path / "masks"
    masks.mkdir()
    for case, value in zip(CASES, (1, 9, 9, 9), strict=True):
        mask = np.full(SHAPE, value)
        write_label(masks / f"{case}.nii.gz", mask, GEOMETRY)
        mask[: SHAPE[0] // 2] = 0
        write_label(predictions / f"{case}.nii.gz", mask == value, GEOMETRY)
    summary = evaluate(predictions, masks, tmp_path / "out")
    found = summary["regions"]["tumour"]
    assert summary["mean"]["dice"] == pytest.approx(2 / 3)
    assert (found["dice"]["missing"], found["hd95_mm"]["missing"], found["nsd"]["missing"]) == (3, 3, 3)
    assert summary["presence"]["tumour"] == {"both": 1, "prediction_only": 0, "reference_only": 0, "neither": 0}
    assert "the masks of 3 of 4 cases are ignored in every voxel" in caplog.text
    assert (summary["cases"], summary["judged"]) == (4, 1)
    assert str(summary).endswith("over 1 of 4 cases")
    assert [path.stem for path in (tmp_path / "out" / "pictures").iterdir()] == [CASES[0]]


def test_without_labels_json_each_value_found_is_a_region(references, tmp_path, caplog):
    predictions = write_predictions(tmp_path / "predictions", CASES, signed=False, table=None)
    write_label(references / "case_a.nii.gz", labels(0, values=(1,)), GEOMETRY)
    write_label(predictions / "case_a.nii.gz", labels(0, values=(1,)), GEOMETRY)
    summary = evaluate(predictions, references, tmp_path / "out")
    assert list(summary["regions"]) == ["label 1", "label 2", "label 4"]
    # A value that a case has in neither file is empty in both.
    assert table_of(tmp_path / "out")["case_a", "label 4", "dice"] == 1.0
    for folder in (references, predictions):
        write_label(folder / "case_a.nii.gz", labels(0, values=()), GEOMETRY)
    assert evaluate(predictions, references, tmp_path / "out2")["judged"] == len(CASES)
    assert "ignored in every voxel" not in caplog.text
    assert summary["regions"]["label 4"]["dice"]["missing"] == 0
    assert json.loads((tmp_path / "out" / "labels.json").read_text())["labels"]["label 4"] == 4


def test_labels_of_the_masks_serve_where_predictions_have_none(references, tmp_path):
    predictions = write_predictions(tmp_path / "predictions", CASES, signed=False, table=None)
    (references / "labels.json").write_text(json.dumps(TABLE.as_dict()))
    assert set(evaluate(predictions, references, tmp_path / "out")["regions"]) == {"whole", "core"}


def test_labels_of_the_raw_folder_serve_where_predictions_have_none(tmp_path):
    predictions = write_predictions(tmp_path / "predictions", CASES, signed=False, table=None)
    raw = write_raw(tmp_path / "raw")
    assert set(evaluate(predictions, raw, tmp_path / "out")["regions"]) == {"core", "oedema", "rim"}
    # The masks alone, within the raw folder, still have its dataset.json beside them.
    summary = evaluate(predictions, raw / "labelsTr", tmp_path / "out2")
    assert set(summary["regions"]) == {"core", "oedema", "rim"}


@pytest.mark.parametrize("wrong", ["predictions", "masks"])
def test_an_undeclared_value_is_refused(predictions, references, tmp_path, wrong):
    folder = predictions if wrong == "predictions" else references
    write_label(folder / "case_c.nii.gz", labels(2, values=(1, 3)), GEOMETRY)
    message = refused(tmp_path, predictions, references)
    assert str(folder / "case_c.nii.gz") in message
    assert "[3]" in message


def test_another_meaning_of_the_labels_is_reported(predictions, references, tmp_path, caplog):
    other = LabelTable((0, 1, 2, 4), ("background", "oedema", "core", "rim"))
    (references / "labels.json").write_text(json.dumps(other.as_dict()))
    with caplog.at_level(logging.WARNING, "equireg"):
        evaluate(predictions, references, tmp_path / "out")
    assert "declare other labels; the names are compared" in caplog.text


@pytest.mark.parametrize("own", ["labels.json", "dataset.json"])
@pytest.mark.parametrize("extra", [(), ("ignore",)])
def test_labels_of_the_same_names_and_other_values_are_compared_by_name(references, tmp_path, caplog, own, extra):
    table = LabelTable((0, 1, 2, 4), ("background", "core", "oedema", "Rim"))
    predictions = write_predictions(tmp_path / "p", CASES, signed=False, table=table if own == "labels.json" else None)
    if own == "dataset.json":
        (predictions / own).write_text(json.dumps({"labels": table.as_dict()["labels"]}))
    expected = evaluate(predictions, references, tmp_path / "expected")
    other = {"background": 0, "rim": 1, "core": 2, "oedema": 3, **dict.fromkeys(extra, 4)}
    (references / "dataset.json").write_text(json.dumps({"labels": other}))
    for seed, case in enumerate(CASES):
        write_label(references / f"{case}.nii.gz", np.array([0, 2, 3, 0, 1])[labels(seed)], GEOMETRY)
    with caplog.at_level(logging.WARNING, "equireg"):
        found = evaluate(predictions, references, tmp_path / "found")
    assert found["regions"] == expected["regions"]
    assert "declare other labels; the names are compared" in caplog.text
    write_label(references / f"{CASES[0]}.nii.gz", np.full(SHAPE, 9), GEOMETRY)
    assert "[9]" in refused(tmp_path, predictions, references)


def test_labels_of_other_names_are_compared_by_value(references, tmp_path, caplog):
    predictions = write_predictions(tmp_path / "predictions", CASES, signed=False, table=None)
    (predictions / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "a": 1, "b": 2, "c": 4}}))
    (references / "labels.json").write_text(json.dumps(TABLE.as_dict()))
    assert set(evaluate(predictions, references, tmp_path / "out")["regions"]) == {"whole", "core"}
    assert "declare other labels; the reference's are used" in caplog.text


def test_a_broken_label_table_is_refused(predictions, references, tmp_path):
    (predictions / "labels.json").write_text('{"labels": [0, 1]}')
    assert str(predictions / "labels.json") in refused(tmp_path, predictions, references)


# Which cases are judged


def test_a_prediction_that_is_absent_is_an_error(predictions, references, tmp_path):
    (predictions / "case_b.nii.gz").unlink()
    message = refused(tmp_path, predictions, references)
    assert f"{predictions / 'case_b'}.*: no such file" in message


@pytest.mark.parametrize("kind", ["raw", "prepared"])
def test_a_predicted_case_that_went_missing_is_an_error(predictions, tmp_path, kind):
    reference = write_raw(tmp_path / "raw") if kind == "raw" else write_prepared(tmp_path / "prepared", None)
    (predictions / "case_b.nii.gz").unlink()
    assert f"{predictions / 'case_b'}.*: no such file" in refused(tmp_path, predictions, reference)


def test_all_masks_of_a_folder_are_judged(references, tmp_path):
    predictions = write_predictions(tmp_path / "predictions", CASES[:3])
    assert "case_d" in refused(tmp_path, predictions, references)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("kind", ["raw", "prepared"])
def test_of_raw_and_prepared_folders_the_predicted_cases_are_judged(tmp_path, kind, signed):
    predictions = write_predictions(tmp_path / "predictions", CASES[:2], signed=signed)
    reference = write_raw(tmp_path / "raw") if kind == "raw" else write_prepared(tmp_path / "prepared", None)
    summary = evaluate(predictions, reference, tmp_path / "out")
    assert summary["cases"] == 2
    assert {case for case, _, _ in table_of(tmp_path / "out")} == set(CASES[:2])


@pytest.mark.parametrize("signed", [True, False])
def test_predictions_without_mask_are_reported_and_left_out(references, tmp_path, caplog, signed):
    predictions = write_predictions(tmp_path / "predictions", CASES, signed=signed)
    (references / "case_d.nii.gz").unlink()
    with caplog.at_level(logging.WARNING, "equireg"):
        summary = evaluate(predictions, references, tmp_path / "out")
    assert summary["cases"] == 3
    assert "case_d" in caplog.text


def test_no_common_case_is_an_error(predictions, references, tmp_path):
    for case in CASES:
        (references / f"{case}.nii.gz").rename(references / f"other_{case}.nii.gz")
    message = refused(tmp_path, predictions, references)
    assert str(predictions) in message
    assert str(references) in message
    assert "other_case_a" in message


def test_probabilities_are_no_predictions(references, tmp_path, caplog):
    predictions = write_predictions(tmp_path / "predictions", CASES, signed=False)
    for case in CASES:
        nib.save(nib.Nifti1Image(np.zeros((*SHAPE, 4)), AFFINE), predictions / f"{case}_probabilities.nii.gz")
    with caplog.at_level(logging.WARNING, "equireg"):
        assert evaluate(predictions, references, tmp_path / "out")["cases"] == len(CASES)
    assert not caplog.records


def test_masks_of_another_format(predictions, references, tmp_path):
    image = nib.Nifti1Image.from_filename(references / "case_a.nii.gz")
    nib.save(image, references / "case_a.nii")
    assert "case_a.nii" in refused(tmp_path, predictions, references)
    (references / "case_a.nii.gz").unlink()
    assert evaluate(predictions, references, tmp_path / "out")["cases"] == len(CASES)


# What is refused


def test_another_affine_is_refused(predictions, references, tmp_path):
    moved = AFFINE.copy()
    moved[0, 3] += 1
    write_label(predictions / "case_c.nii.gz", labels(2), Geometry.from_array(SHAPE, moved))
    message = refused(tmp_path, predictions, references)
    assert str(predictions / "case_c.nii.gz") in message
    assert str(references / "case_c.nii.gz") in message
    assert "affine" in message


def test_another_shape_is_refused(predictions, references, tmp_path):
    smaller = Geometry.from_array((12, 10, 5), AFFINE)
    write_label(predictions / "case_c.nii.gz", labels(2)[..., :5], smaller)
    message = refused(tmp_path, predictions, references)
    assert str(predictions / "case_c.nii.gz") in message
    assert str(references / "case_c.nii.gz") in message
    assert "(12, 10, 5)" in message


def test_a_truncated_mask_is_refused(predictions, references, tmp_path):
    path = references / "case_b.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])
    assert str(path) in refused(tmp_path, predictions, references)


def test_missing_folders_are_refused(predictions, references, tmp_path):
    assert str(tmp_path / "none") in refused(tmp_path, tmp_path / "none", references)
    assert str(tmp_path / "none") in refused(tmp_path, predictions, tmp_path / "none")


def test_empty_folders_are_refused(predictions, references, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty) in refused(tmp_path, empty, references)
    assert str(empty) in refused(tmp_path, predictions, empty)


def test_a_folder_of_another_verb_is_refused(predictions, references, tmp_path):
    folders.sign(predictions, "train", {})
    assert "equireg train" in refused(tmp_path, predictions, references)
    folders.sign(predictions, "prepare", {})
    assert "`equireg evaluate PREDICTIONS REFERENCE`" in refused(tmp_path, predictions, references)


def test_an_output_that_exists_is_kept(predictions, references, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert str(tmp_path / "out") in refused(tmp_path, predictions, references)


@pytest.mark.parametrize("options", [{"tolerance_mm": -1.0}, {"tolerance_mm": float("nan")}, {"jobs": -1}])
def test_bad_options_are_refused(predictions, references, tmp_path, options):
    assert next(iter(options)) in refused(tmp_path, predictions, references, **options)


def test_a_mask_a_class_beside_the_scan_is_a_reference(tmp_path: Path, predictions: Path) -> None:
    """TotalSegmentator's folder: classes get numbers by the names of their masks."""
    names = {"liver": 1, "spleen": 2, "stomach": 4}
    for seed, case in enumerate(CASES):
        home = tmp_path / "raw" / case
        (home / "segmentations").mkdir(parents=True)
        nib.save(nib.Nifti1Image(scan(seed), AFFINE), home / "ct.nii.gz")
        for name, value in names.items():
            write_label(home / "segmentations" / f"{name}.nii.gz", (labels(seed) == value).astype(np.uint8), GEOMETRY)
    table = LabelTable((0, 1, 2, 3), ("background", *names))
    masks = tmp_path / "masks"
    masks.mkdir()
    for folder in (masks, predictions):
        (folder / "labels.json").write_text(json.dumps(table.as_dict()))
    for seed, case in enumerate(CASES):
        for folder, voxels in ((masks, labels(seed)), (predictions, shifted(labels(seed), seed))):
            write_label(folder / f"{case}.nii.gz", np.where(voxels == 4, 3, voxels), GEOMETRY)
    found = evaluate(predictions, tmp_path / "raw", tmp_path / "found")
    assert found.summary == evaluate(predictions, masks, tmp_path / "expected").summary
    with np.load(tmp_path / "found" / "pictures" / "case_a.npz") as picture:
        assert picture["scan"].any()


def test_what_predict_was_allowed_is_allowed_again(tmp_path: Path) -> None:
    thick = Geometry.from_array(SHAPE, np.diag([1.0, 1.0, 60.0, 1.0]))
    predictions = write_predictions(tmp_path / "q", CASES[:1])
    masks = tmp_path / "masks"
    masks.mkdir()
    for folder in (predictions, masks):
        write_label(folder / "case_a.nii.gz", labels(0), thick)
    with pytest.raises(EquiregError, match=r"spacing of 1 x 1 x 60 mm; expected 0\.0001 to 50 mm"):
        evaluate(predictions, masks, tmp_path / "refused")
    asked = evaluate(predictions, masks, tmp_path / "asked", max_spacing_mm=60.0)
    facts = {"source": None, "cases": ["case_a"], "run": {}}
    folders.sign(predictions, "predict", {"max_spacing_mm": 60.0, "max_voxels": "many"}, **facts)
    assert evaluate(predictions, masks, tmp_path / "recorded").summary == asked.summary
