"""`evaluate` of predictions that were made under transforms too, with and without masks."""

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest

import prepared_sets
from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.folders.predictions import Files
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry, write_label
from equireg.metrics import METRICS, dice

SHAPE = (12, 10, 6)
GEOMETRY = Geometry.from_array(SHAPE, np.diag([0.8, 1.0, 2.5, 1]))
TABLE = LabelTable((0, 1, 2, 4), ("background", "core", "oedema", "rim"), {"whole": (1, 2, 4), "core": (1, 4)})
CASES = ("case_a", "case_b", "case_c")


def boxes(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, dtype=np.int64)
    for value in (1, 2, 4):
        x, y, z = (rng.integers(0, size - 3) for size in SHAPE)
        mask[x : x + 4, y : y + 4, z : z + 3] = value
    return mask


def under_transform(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Both predictions of a case; the later the case, the less alike."""
    first = boxes(10 + index)
    return first, np.roll(first, index, axis=0)


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    folder = tmp_path / "predictions"
    (folder / "equivariance").mkdir(parents=True)
    for index, case in enumerate(CASES):
        write_label(folder / f"{case}.nii.gz", boxes(index), GEOMETRY)
        files = Files.of(folder, case)
        for path, labels in zip(
            (files.predicted_transform, files.transformed_prediction), under_transform(index), strict=True
        ):
            write_label(path, labels, GEOMETRY)
    disk.write_json(folder / "labels.json", TABLE.as_dict())
    folders.sign(folder, "predict", {}, cases=list(CASES), run={"name": "first", "split": "test"})
    return folder


def prepared(root: Path, masked=CASES, cases=CASES) -> Path:
    """A prepared folder that has masks of some of its cases."""
    for case in masked:
        (root / "cases" / case).mkdir(parents=True)
        write_label(root / "cases" / case / "reference.nii.gz", boxes(CASES.index(case)), GEOMETRY)
    root.mkdir(exist_ok=True)
    records = [prepared_sets.record(case, "test") for case in cases]
    disk.write_json(root / "manifest.json", prepared_sets.manifest(records, labels=TABLE).as_dict())
    folders.sign(root, "prepare", {})
    return root


def rows_of(out: Path) -> dict[tuple[str, str, str], float]:
    with (out / "metrics.csv").open(newline="") as file:
        return {(row["case"], row["region"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)}


def expected(index: int, region: str) -> float:
    first, second = (np.isin(labels, TABLE.regions[region]) for labels in under_transform(index))
    return dice(first, second)


def test_every_case_has_its_equivariance_dice_beside_the_others(predictions: Path, tmp_path: Path) -> None:
    summary = evaluate(predictions, prepared(tmp_path / "prepared"), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert set(rows) == {(case, region, name) for case in CASES for region in TABLE.regions for name in METRICS}
    for index, case in enumerate(CASES):
        for region in TABLE.regions:
            assert rows[case, region, "equivariance_dice"] == pytest.approx(expected(index, region))
            assert rows[case, region, "dice"] == 1.0
    assert rows["case_a", "whole", "equivariance_dice"] == 1.0 > rows["case_c", "whole", "equivariance_dice"] > 0
    for region in TABLE.regions:
        values = [expected(index, region) for index in range(3)]
        found = summary["regions"][region]["equivariance_dice"]
        assert (found["mean"], found["missing"]) == (pytest.approx(np.mean(values)), 0)
        assert [found["q25"], found["q75"]] == pytest.approx(np.quantile(values, [0.25, 0.75]).tolist())
    means = [region["equivariance_dice"]["mean"] for region in summary["regions"].values()]
    assert summary["mean"]["equivariance_dice"] == pytest.approx(np.mean(means))
    assert json.loads((tmp_path / "out" / "made_by.json").read_text())["run"]["split"] == "test"


def test_a_set_without_masks_has_equivariance_alone(predictions: Path, tmp_path: Path) -> None:
    summary = evaluate(predictions, prepared(tmp_path / "prepared", masked=()), tmp_path / "out")
    assert summary["cases"] == 3
    assert set(summary["mean"]) == {"equivariance_dice"}
    assert all(set(metrics) == {"equivariance_dice"} for metrics in summary["regions"].values())
    rows = rows_of(tmp_path / "out")
    assert set(rows) == {(case, region, "equivariance_dice") for case in CASES for region in TABLE.regions}
    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == TABLE.as_dict()
    assert not list((tmp_path / "out" / "pictures").iterdir())


def test_cases_with_and_without_masks_mix(predictions: Path, tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING, "equireg"):
        summary = evaluate(predictions, prepared(tmp_path / "prepared", masked=CASES[:2]), tmp_path / "out")
    assert "1 of 3 predictions have no mask" in caplog.text
    assert "judged by their equivariance alone: case_c" in caplog.text
    rows = rows_of(tmp_path / "out")
    assert {metric for case, _, metric in rows if case == "case_c"} == {"equivariance_dice"}
    assert {metric for case, _, metric in rows if case == "case_b"} == set(METRICS)
    assert summary["cases"] == 2  # those with a mask
    assert summary["regions"]["core"]["dice"]["missing"] == 0
    values = [expected(index, "core") for index in range(3)]
    assert summary["regions"]["core"]["equivariance_dice"]["mean"] == pytest.approx(np.mean(values))


@pytest.mark.parametrize("kind", ["prepared", "masks"])
def test_a_reference_of_other_cases_is_refused(predictions: Path, tmp_path: Path, kind: str) -> None:
    reference = prepared(tmp_path / "prepared", masked=(), cases=("other",))
    if kind == "masks":
        reference = tmp_path / "masks"
        reference.mkdir()
        write_label(reference / "other.nii.gz", boxes(0), GEOMETRY)
    with pytest.raises(EquiregError, match="no case in common"):
        evaluate(predictions, reference, tmp_path / "out")


def test_without_transforms_a_set_without_masks_is_refused(predictions: Path, tmp_path: Path) -> None:
    (predictions / "equivariance").rename(tmp_path / "elsewhere")
    with pytest.raises(EquiregError, match="has no mask; expected those of the predicted cases"):
        evaluate(predictions, prepared(tmp_path / "prepared", masked=()), tmp_path / "out")


def test_both_empty_is_perfect_and_one_empty_is_none(predictions: Path, tmp_path: Path) -> None:
    files = [Files.of(predictions, case) for case in CASES]
    empty = np.zeros(SHAPE, dtype=int)
    write_label(files[0].predicted_transform, empty, GEOMETRY)
    write_label(files[0].transformed_prediction, empty, GEOMETRY)
    write_label(files[1].predicted_transform, empty, GEOMETRY)
    evaluate(predictions, prepared(tmp_path / "prepared"), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert rows["case_a", "core", "equivariance_dice"] == 1.0
    assert rows["case_b", "core", "equivariance_dice"] == 0.0


@pytest.mark.parametrize("damage", ["absent", "value", "shape"])
def test_a_damaged_file_is_named(predictions: Path, tmp_path: Path, damage: str) -> None:
    path = Files.of(predictions, "case_b").transformed_prediction
    if damage == "absent":
        path.unlink()
    elif damage == "value":
        write_label(path, np.full(SHAPE, 3), GEOMETRY)
    else:
        write_label(path, boxes(0)[..., :5], Geometry.from_array((12, 10, 5), GEOMETRY.affine_array))
    with pytest.raises(EquiregError) as caught:
        evaluate(predictions, prepared(tmp_path / "prepared"), tmp_path / "out")
    assert str(path) in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_give_what_one_gives(predictions: Path, tmp_path: Path) -> None:
    reference = prepared(tmp_path / "prepared", masked=CASES[1:])
    evaluate(predictions, reference, tmp_path / "one")
    evaluate(predictions, reference, tmp_path / "two", jobs=2)
    assert (tmp_path / "one" / "metrics.csv").read_text() == (tmp_path / "two" / "metrics.csv").read_text()
