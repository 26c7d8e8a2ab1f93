"""`equireg predict --equivariance` and `--portal_zip`, and what `equireg evaluate` makes of them."""

import csv
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from equireg.metrics import dice
from equireg.prediction import equivariance
from equireg.training.train import train

Command = Callable[..., Any]

PLAIN = ("--test_time", "none", "--device", "cpu", "--precision", "32")
TRAIN_CASES = [f"Phantom_000{index}_1" for index in (1, 2, 3, 5)]
UNLABELLED = {"Phantom_0001_1", "Phantom_0002_1"}
NAMES = ("transformed_scan", "predicted_transform", "transformed_prediction")


@pytest.fixture(scope="module")
def other_run(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of a model that finds something, and of another method than ``phantom_run``."""
    options: dict[str, Any] = {"network.features": 4, "batch_size": 4, "max_steps": 60, "val_every": 60}
    options |= {"optimizer.lr": 0.02, "foreground": 1.0, "views.strong.probability": 0.0}
    out = tmp_path_factory.mktemp("equivariance") / "run"
    return train(phantom_prepared, out, method="supervised", device="cpu", precision="32", **options)


@pytest.fixture(scope="module")
def predictions(other_run: Path, phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return its predictions of the training cases, two of which have no mask."""
    from equireg.prediction.predict import predict

    out = tmp_path_factory.mktemp("equivariance") / "predictions"
    options: dict[str, Any] = {"split": "train", "test_time": "none", "device": "cpu", "precision": "32"}
    return predict(other_run, phantom_prepared, out, equivariance=True, portal_zip=True, **options)


def load(path: Path) -> Any:
    return nib.Nifti1Image.from_filename(path)


def values(path: Path) -> np.ndarray:
    return np.asarray(load(path).dataobj)


def test_each_case_has_its_volumes_in_its_own_geometry(predictions: Path) -> None:
    made = {path.name for path in (predictions / "equivariance").iterdir()}
    assert made == {f"{case}_{name}.nii.gz" for case in TRAIN_CASES for name in NAMES}
    found = 0
    for case in TRAIN_CASES:
        prediction = load(predictions / f"{case}.nii.gz")
        scan, first, second = (load(predictions / "equivariance" / f"{case}_{name}.nii.gz") for name in NAMES)
        for image in (scan, first, second):
            np.testing.assert_allclose(image.affine, prediction.affine)
            assert image.shape[:3] == prediction.shape
        assert (scan.shape[3:], scan.get_data_dtype()) == ((4,), np.uint8)
        assert np.ptp(np.asarray(scan.dataobj)) > 200
        labels = [np.asarray(image.dataobj) for image in (first, second)]
        assert {*np.unique(labels[0]), *np.unique(labels[1])} <= {0, 1, 2, 4}
        found += sum(np.count_nonzero(one) for one in labels)
    assert found > 50, "the model finds nothing, so there is nothing to compare"
    run = json.loads((predictions / "made_by.json").read_text())["run"]
    assert run["split"] == "train"
    assert {"repeat", "masked_cases"} <= set(run)


def test_the_portals_zip_holds_all_predictions_flat(predictions: Path) -> None:
    with zipfile.ZipFile(predictions / "portal.zip") as archive:
        assert archive.namelist() == [f"{case}.nii.gz" for case in TRAIN_CASES]
        for name in archive.namelist():
            assert archive.read(name) == (predictions / name).read_bytes()


def test_the_evaluation_has_equivariance_with_and_without_mask(
    equireg: Command, predictions: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    outcome = equireg("evaluate", predictions, phantom_prepared, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert "over 2 cases" in outcome.out
    assert "mean                     equivariance Dice" in outcome.out
    with (tmp_path / "out" / "metrics.csv").open(newline="") as file:
        rows = {(row["case"], row["region"], row["metric"]): row["value"] for row in csv.DictReader(file)}
    assert {case for case, _, metric in rows if metric == "dice"} == set(TRAIN_CASES) - UNLABELLED
    for case in TRAIN_CASES:
        first, second = (values(predictions / "equivariance" / f"{case}_{name}.nii.gz") for name in NAMES[1:])
        assert float(rows[case, "whole", "equivariance_dice"]) == dice(first > 0, second > 0)


def test_all_models_are_judged_under_the_same_transforms(
    equireg: Command, phantom_run: Path, predictions: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    arguments = ("predict", phantom_run, phantom_prepared, "--split", "train", *PLAIN)
    outcome = equireg(*arguments, "--equivariance", "true", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert not (tmp_path / "out" / "portal.zip").exists()
    for case in TRAIN_CASES:
        path = Path("equivariance") / f"{case}_transformed_scan.nii.gz"
        np.testing.assert_array_equal(values(tmp_path / "out" / path), values(predictions / path))


def test_a_stopped_command_goes_on(
    equireg: Command,
    other_run: Path,
    predictions: Path,
    phantom_prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    arguments = ("predict", other_run, phantom_prepared, "--split", "train", *PLAIN, "--equivariance", "true")
    whole, cases = equivariance.transform_scan, []

    def stopped(*given: Any) -> Any:
        cases.append(given)
        if len(cases) == 3:
            raise KeyboardInterrupt
        return whole(*given)

    monkeypatch.setattr(equivariance, "transform_scan", stopped)
    assert equireg(*arguments, "--portal_zip", "true", "--out", out).code != 0
    assert not (out / "made_by.json").exists()
    assert not (out / "portal.zip").exists()
    assert equireg(*arguments, "--portal_zip", "true", "--out", out).code == 0
    assert len(cases) == 3 + 2  # the two that were done are not done again
    names = sorted(str(path.relative_to(predictions)) for path in predictions.rglob("*.nii.gz"))
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.nii.gz")) == names
    for name in names:
        np.testing.assert_array_equal(values(out / name), values(predictions / name))


def test_raw_scans_have_no_fixed_transform(
    equireg: Command, phantom_run: Path, phantom_raw: Path, tmp_path: Path
) -> None:
    outcome = equireg("predict", phantom_run, phantom_raw, *PLAIN, "--equivariance", "true", "--out", tmp_path / "out")
    assert outcome.code == 1
    assert f"{phantom_raw}: --equivariance needs a prepared folder" in outcome.error
    assert not (tmp_path / "out").exists()


def test_a_folder_without_seeds_is_refused(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    prepared = tmp_path / "prepared"
    shutil.copytree(phantom_prepared, prepared)
    (prepared / "cases" / "Phantom_0002_1" / "equivariance.npy").unlink()
    arguments = ("predict", phantom_run, prepared, *PLAIN, "--out", tmp_path / "out")
    outcome = equireg(*arguments, "--equivariance", "true")
    assert outcome.code == 1
    assert "Phantom_0002_1" in outcome.error
    assert not (tmp_path / "out").exists()
    assert equireg(*arguments).code == 0  # who does not ask for it needs none


def test_volumes(equireg: Command, phantom_prepared: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"network.features": 4, "batch_size": 2, "max_steps": 2, "val_every": 2}
    options["patch_size"] = [8, 16, 16]
    train(phantom_prepared, tmp_path / "run", method="supervised", spatial_dims=3, device="cpu", **options)
    arguments = ("predict", tmp_path / "run", phantom_prepared, "--split", "test", *PLAIN, "--equivariance", "true")
    outcome = equireg(*arguments, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    case = "Phantom_0004_1"
    shape = load(tmp_path / "out" / f"{case}.nii.gz").shape
    shapes = [load(tmp_path / "out" / "equivariance" / f"{case}_{name}.nii.gz").shape for name in NAMES]
    assert shapes == [(*shape, 4), shape, shape]
