"""Folders that earlier versions wrote (``tests/fixtures``, made by its ``make.py``): read, resumed, or refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from equireg.cli.reading import read
from equireg.cli.verbs import VERBS
from equireg.comparing.sources import read_sources
from equireg.evaluation.evaluate import evaluate
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.prediction.predict import predict
from equireg.preparation.prepare import prepare

FIXTURES = Path(__file__).parents[1] / "fixtures"
VERSIONS = ("0.1", "0.2")
CPU = {"device": "cpu", "precision": "32", "jobs": 1}


@pytest.fixture(params=VERSIONS)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of the folders of one version, moved to another place."""
    return Path(shutil.copytree(FIXTURES / request.param, tmp_path / request.param))


def voxels(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_run_predicts_what_its_own_version_predicted(study: Path) -> None:
    predict(study / "run", study / "new", study / "again", **CPU)
    stored, found = (voxels(study / folder / "scan_6.nii.gz") for folder in ("predictions", "again"))
    assert np.unique(stored).tolist() == [0, 1, 4]
    assert np.mean(stored != found) < 0.002  # other processors round otherwise
    assert stored.dtype == found.dtype


def test_predictions_have_the_scores_that_they_had(study: Path) -> None:
    stored = json.loads((study / "evaluation" / "summary.json").read_text())["regions"]
    found = evaluate(study / "predictions", study / "masks", study / "again").summary["regions"]
    for region in ("label 1", "label 4"):
        for metric in ("dice", "hd95_mm", "nsd"):
            assert found[region][metric]["mean"] == pytest.approx(stored[region][metric]["mean"], rel=1e-6)


def test_a_report_reads_its_run_and_evaluation(study: Path) -> None:
    (run,), (evaluation,), *_ = read_sources([study / "run", study / "evaluation"])
    assert (run.facts.method, run.last_step, run.finished) == ("equireg", 80, False)
    assert evaluation.facts.name == run.facts.name
    assert evaluation.regions == ("label 1", "label 4")


def test_a_prepared_folder_is_read_and_made_anew(study: Path) -> None:
    """What is read is what this version makes of the same scans; `prepare` again goes on from the folder."""
    old = PreparedSet(study / "prepared")
    prepare(study / "raw", study / "anew", val_fraction=0.25, jobs=1)
    new = PreparedSet(study / "anew")
    assert [(case.name, case.split) for case in old.manifest.cases] == [
        (case.name, case.split) for case in new.manifest.cases
    ]
    for case in old.manifest.cases:
        for array in ("image", "label") if case.labelled else ("image",):
            before, now = (np.asarray(getattr(data, array)(case.name)[:]) for data in (old, new))
            assert np.array_equal(before, now)
    prepare(study / "raw", study / "prepared", val_fraction=0.25, jobs=1)
    assert PreparedSet(study / "prepared").digest == new.digest


def test_a_stopped_run_is_resumed_and_says_which_version_began_it(study: Path, equireg: Callable) -> None:
    outcome = equireg("train", study / "prepared", "--out", study / "run", "--resume")
    assert outcome.code == 0, outcome.err
    assert "step 82 of 82" in outcome.err
    assert ("warning: run was begun by equireg 0.1.0" in outcome.err) == (study.name == "0.1")
    assert RunFolder(study / "run").is_finished()


def test_its_options_can_be_given_again_and_mean_what_they_meant(study: Path) -> None:
    file = study / "run" / "config.yaml"
    given = read("train", VERBS["train"], [str(study / "prepared"), "--out", str(study / "x"), "--config", str(file)])
    stored = yaml.safe_load(file.read_text())
    assert given["max_steps"] == 82
    assert given["method"]["ema_span"] == {"0.1": 1.0, "0.2": stored["method"].get("ema_span")}[study.name]
    assert "checkpointing" not in given["network"]
    assert given["optimizer"] == stored["optimizer"]


@pytest.mark.parametrize(
    ("version", "remedy"),
    [(0, "Make it again with this version, by the same `equireg "), (9, "Install the equireg that made it (`pip ")],
)
@pytest.mark.parametrize(("folder", "verb"), [("prepared", "prepare"), ("run", "train"), ("evaluation", "evaluate")])
def test_another_format_is_refused_with_the_command(
    tmp_path: Path, equireg: Callable, version: int, remedy: str, folder: str, verb: str
) -> None:
    study = Path(shutil.copytree(FIXTURES / "0.1", tmp_path / "study"))
    signature = study / folder / "made_by.json"
    signature.write_text(json.dumps(json.loads(signature.read_text()) | {"format_version": version}))
    outcome = equireg("report", study / folder, "--out", tmp_path / "page")
    assert outcome.code == 1
    assert f"has format version {version}" in outcome.error
    assert remedy in outcome.error
    assert outcome.error.endswith(f"by the same `equireg {verb}`.")
