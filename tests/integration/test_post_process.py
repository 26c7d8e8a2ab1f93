"""Post-processing: stored in the checkpoint, applied by `equireg predict`, left out on demand."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

import equireg as package
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.model import ENTRY, POST_PROCESS, load_model, read_checkpoint, seal
from equireg.postprocessing import PostProcessing, Step, applied

Command = Callable[..., Any]
FAST = ("--split", "test", "--test_time", "none", "--device", "cpu", "--precision", "32")


@pytest.fixture(scope="module")
def cleaned_run(phantom_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny run, as if its validation had chosen a step."""
    run = tmp_path_factory.mktemp("cleaned") / "run"
    shutil.copytree(phantom_run, run)
    for path in (run / "checkpoints").glob("*.ckpt"):
        content = read_checkpoint(path)
        content[ENTRY][POST_PROCESS] = PostProcessing((Step("enhancing", 300.0, 0.5, 0.1, 0.01),), 5, 5).as_dict()
        seal(content)
        torch.save(content, path)
    return run


def labels_in(folder: Path) -> np.ndarray:
    (path,) = (path for path in folder.glob("*.nii.gz") if "probabilities" not in path.name)
    return np.asarray(nibabel.load(path).dataobj)  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage]


def test_predict_applies_what_the_checkpoint_holds(
    equireg: Command, cleaned_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    outcome = equireg("predict", cleaned_run, phantom_prepared, "--out", tmp_path / "auto", *FAST)
    assert outcome.code == 0, outcome.err
    assert "post-processing: components from 300 mm3 of enhancing (Dice +0.1000 on validation cases)" in outcome.err
    words = ("predict", cleaned_run, phantom_prepared, "--out", tmp_path / "none", "--post_process", "none", *FAST)
    assert "post-processing" not in equireg(*words).err
    model = load_model(cleaned_run / "checkpoints" / "best.ckpt")
    table, raw = model.facts.labels, labels_in(tmp_path / "none")
    expected = table.to_values(applied(model.post_process, table.to_classes(raw), table, 6.0 * 6.0 * 8.0))
    assert (expected != raw).any(), "no component of one voxel, 288 mm3; the test shows nothing"
    np.testing.assert_array_equal(labels_in(tmp_path / "auto"), expected)
    steps = json.loads((tmp_path / "auto" / "made_by.json").read_text())[POST_PROCESS]["steps"]
    assert steps[0]["region"] == "enhancing"
    assert json.loads((tmp_path / "none" / "made_by.json").read_text())[POST_PROCESS]["steps"] == []
    assert equireg("evaluate", tmp_path / "auto", phantom_prepared, "--out", tmp_path / "evaluation").code == 0
    assert equireg("report", tmp_path / "evaluation", "--out", tmp_path / "page").code == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert "components from 300 mm3 of enhancing (Dice +0.1000 on validation cases)" in page


def test_arrays_are_processed_too_and_probabilities_are_not(cleaned_run: Path) -> None:
    array, affine = np.random.default_rng(0).normal(100, 20, (4, 32, 32, 16)), np.diag([6.0, 6.0, 8.0, 1.0])
    options: dict[str, Any] = {"test_time": "none", "device": "cpu", "precision": "32"}
    auto = package.load(cleaned_run, **options).predict(array, affine)
    none = package.load(cleaned_run, post_process="none", **options).predict(array, affine)
    assert (auto.labels != none.labels).any()
    assert auto.probabilities is not None
    np.testing.assert_array_equal(auto.probabilities, none.probabilities)
    alone = package.load(cleaned_run, **options).predict(array, affine, probabilities=False)
    np.testing.assert_array_equal(alone.labels, auto.labels)


def test_training_counts_its_validation_patients(phantom_run: Path, phantom_prepared: Path) -> None:
    count = sum(case.split == "val" and case.labelled for case in PreparedSet(phantom_prepared).manifest.cases)
    assert load_model(phantom_run / "checkpoints" / "best.ckpt").post_process == PostProcessing((), count, count)
    assert RunFolder(phantom_run).facts().post_process == "none"


def test_an_ensemble_keeps_what_most_members_do(cleaned_run: Path, phantom_run: Path, tmp_path: Path) -> None:
    package.ensemble([cleaned_run, phantom_run], tmp_path / "pair")
    signature = json.loads((tmp_path / "pair" / "made_by.json").read_text())
    assert signature[POST_PROCESS]["steps"] == []
