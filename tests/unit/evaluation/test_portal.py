"""`evaluate` of the table that the evaluation portal of BraTS sends back."""

import csv
import json
import logging
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from equireg import disk, folders
from equireg.errors import EquiregError, UsageError
from equireg.evaluation.evaluate import evaluate
from equireg.folders.predictions import Files
from equireg.folders.signature import write_content
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry, write_label

GEOMETRY = Geometry.from_array((6, 5, 4), np.eye(4))
REGIONS = {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)}
TABLE = LabelTable((0, 1, 2, 4), ("background", "necrosis", "oedema", "enhancing tumour"), REGIONS)
CASES = ("BraTS19_X_1", "BraTS19_X_2", "BraTS19_X_3")
SHORT = {"whole": "WT", "core": "TC", "enhancing": "ET"}
VALUES = {
    "Dice_ET": ["0.71234", "0", "0.9"],
    "Dice_WT": ["0.9", "0.85", "0.87"],
    "Dice_TC": ["0.8", "0.4", "0.6"],
    "Sensitivity_ET": ["0.5", "NaN", "0.7"],
    "Sensitivity_WT": ["0.5", "0.6", "0.7"],
    "Sensitivity_TC": ["0.5", "0.6", "0.7"],
    "Specificity_ET": ["0.99", "0.99", "0.99"],
    "Specificity_WT": ["0.99", "0.99", "0.99"],
    "Specificity_TC": ["0.99", "0.99", "0.99"],
    "Hausdorff95_ET": ["1.41421", "NaN", "2"],
    "Hausdorff95_WT": ["3", "4.12311", "5"],
    "Hausdorff95_TC": ["6", "7", "8.5"],
}


def mean_of(cells: list[str]) -> str:
    found = [float(cell) for cell in cells if cell != "NaN"]
    return f"{statistics.fmean(found):.5f}"


def table_rows() -> list[list[str]]:
    """The table as the portal writes it: header, cases in its own order, statistics."""
    cases = [[case, *(cells[index] for cells in VALUES.values())] for index, case in enumerate(CASES)]
    means = ["Mean", *(mean_of(cells) for cells in VALUES.values())]
    others = [[name, *["0.1"] * len(VALUES)] for name in ("StdDev", "Median", "25quantile", "75quantile")]
    return [["Label", *VALUES], cases[1], cases[0], cases[2], means, *others]


def write_table(path: Path, change: Callable[[list[list[str]]], object] = lambda rows: None) -> Path:
    rows = table_rows()
    change(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    folder = tmp_path / "predictions"
    folder.mkdir()
    for case in CASES:
        write_label(folder / f"{case}.nii.gz", np.ones(GEOMETRY.shape, dtype=int), GEOMETRY)
    disk.write_json(folder / "labels.json", TABLE.as_dict())
    folders.sign(folder, "predict", {}, cases=list(CASES), run={"name": "first"})
    return folder


def test_dice_and_distance_of_each_case_are_read_back(predictions: Path, tmp_path: Path) -> None:
    path = write_table(tmp_path / "Stats_Validation_final.csv")
    summary = evaluate(predictions, path, tmp_path / "out")
    with (tmp_path / "out" / "metrics.csv").open(newline="") as file:
        rows = [(row["case"], row["region"], row["metric"], row["value"]) for row in csv.DictReader(file)]
    expected = [
        (case, region, metric, "" if cell == "NaN" else repr(float(cell)))
        for index, case in enumerate(CASES)
        for region, short in SHORT.items()
        for metric, title in (("dice", "Dice"), ("hd95_mm", "Hausdorff95"))
        for cell in [VALUES[f"{title}_{short}"][index]]
    ]
    assert rows == expected
    assert summary["cases"] == 3
    assert set(summary["mean"]) == {"dice", "hd95_mm"}
    assert summary["regions"]["enhancing"]["dice"]["mean"] == pytest.approx((0.71234 + 0.9) / 3)
    assert summary["regions"]["enhancing"]["hd95_mm"]["missing"] == 1
    assert summary["regions"]["core"]["hd95_mm"]["q75"] == pytest.approx(7.75)
    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == TABLE.as_dict()
    made_by = json.loads((tmp_path / "out" / "made_by.json").read_text())
    assert made_by["run"] == {"name": "first"}
    assert made_by["reference"] == path.name


def test_equivariance_stands_beside_the_portals_scores(predictions: Path, tmp_path: Path) -> None:
    (predictions / "equivariance").mkdir()
    for case in CASES:
        files = Files.of(predictions, case)
        for path, value in ((files.predicted_transform, 1), (files.transformed_prediction, 2)):
            write_label(path, np.full(GEOMETRY.shape, value), GEOMETRY)
    summary = evaluate(predictions, write_table(tmp_path / "stats.csv"), tmp_path / "out")
    found = {name: region["equivariance_dice"]["mean"] for name, region in summary["regions"].items()}
    assert found == {"whole": 1.0, "core": 0.0, "enhancing": 1.0}  # the last is empty in both
    assert summary["regions"]["whole"]["dice"]["mean"] == pytest.approx((0.9 + 0.85 + 0.87) / 3)


def test_a_case_that_was_not_predicted_is_reported_and_left_out(predictions: Path, tmp_path: Path, caplog) -> None:
    write_content(predictions, {**folders.read_content(predictions), "cases": list(CASES[:2])})
    with caplog.at_level(logging.WARNING, "equireg"):
        summary = evaluate(predictions, write_table(tmp_path / "stats.csv"), tmp_path / "out")
    assert summary["cases"] == 2
    assert "left out: BraTS19_X_3" in caplog.text


def drop_case(rows: list[list[str]]) -> None:
    rows[4] = ["Mean", *(mean_of([cells[0], cells[1]]) for cells in VALUES.values())]
    del rows[3]


CHANGES: dict[str, tuple[Callable[[list[list[str]]], object], str]] = {
    "a case that is absent": (drop_case, "no row of BraTS19_X_3"),
    "a case that was lost": (lambda rows: rows.pop(3), "damaged"),
    "a value that was changed": (lambda rows: rows[1].__setitem__(2, "0.5"), "the mean Dice_WT of its 3 cases"),
    "no mean": (lambda rows: rows.pop(4), "no row Mean"),
    "a column that is absent": (lambda rows: [row.pop(3) for row in rows], "no column Dice_TC"),
    "a word for a number": (lambda rows: rows[2].__setitem__(1, "high"), "Dice_ET of BraTS19_X_1 is 'high'"),
    "a case twice": (lambda rows: rows.insert(1, rows[1]), "two rows BraTS19_X_2"),
    "nothing": (lambda rows: rows.clear(), "no column Label"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_damaged_table_is_refused(predictions: Path, tmp_path: Path, what: str) -> None:
    change, message = CHANGES[what]
    path = write_table(tmp_path / "stats.csv", change)
    with pytest.raises(EquiregError) as caught:
        evaluate(predictions, path, tmp_path / "out")
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_predictions_of_other_regions_are_refused(predictions: Path, tmp_path: Path) -> None:
    other = LabelTable((0, 1), ("background", "tumour"))
    disk.write_json(predictions / "labels.json", other.as_dict())
    with pytest.raises(EquiregError, match="regions tumour; the portal of BraTS scores whole, core, enhancing"):
        evaluate(predictions, write_table(tmp_path / "stats.csv"), tmp_path / "out")


@pytest.mark.parametrize("options", [{"pictures": CASES[:1]}, {"scans": Path("scans")}])
def test_pictures_need_masks(predictions: Path, tmp_path: Path, options) -> None:
    with pytest.raises(UsageError, match="need reference masks"):
        evaluate(predictions, write_table(tmp_path / "stats.csv"), tmp_path / "out", **options)


def test_spelling_of_header_statistics_and_labels_does_not_matter(predictions: Path, tmp_path: Path) -> None:
    """Spaces, capitals and a file name in place of a case: what a spreadsheet makes of the table on its way."""

    def respell(rows: list[list[str]]) -> None:
        rows[0] = [f" {name.upper()} " for name in rows[0]]
        for row in rows[1:4]:
            row[0] += ".nii.gz"
        rows[4][0], rows[5][0], rows[7][0] = "mean", "Std", "25Quantile"

    plain = evaluate(predictions, write_table(tmp_path / "plain.csv"), tmp_path / "one")
    assert evaluate(predictions, write_table(tmp_path / "SPELT.CSV", respell), tmp_path / "two") == plain


def test_a_table_that_is_not_there_is_reported(predictions: Path, tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match=r"none\.csv: no such file; expected the table that the portal sent"):
        evaluate(predictions, tmp_path / "none.csv", tmp_path / "out")
