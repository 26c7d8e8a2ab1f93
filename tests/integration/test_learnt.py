"""A prepared folder whose split changed: what is told where a run is judged by cases that it learnt from."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from equireg.folders.packed import read_packed
from equireg.folders.prepared import PreparedSet, Split, renew
from equireg.folders.run import RunFolder

Command = Callable[..., Any]
FAST = ("--test_time", "none", "--quality_views", "0", "--device", "cpu", "--precision", "32")
FEW = ("--max_steps=1", "--val_every=1", "--batch_size=2", "--unsup_ratio=1", "--device=cpu", "--precision=32")


def learnt(prepared: Path) -> list[str]:
    return [case.name for case in PreparedSet(prepared).manifest.cases if case.labelled and case.split == "train"]


@pytest.fixture
def anew(phantom_prepared: Path, tmp_path: Path) -> Path:
    """Return the folder with one of the two labelled training cases in the test set, and the test case in training."""
    out = Path(shutil.copytree(phantom_prepared, tmp_path / "prepared"))
    manifest = PreparedSet(out).manifest
    trained, tested = learnt(out)[0], next(case.name for case in manifest.cases if case.split == "test")
    change: dict[str, Split] = {trained: "test", tested: "train"}
    cases = tuple(replace(case, split=change.get(case.name, case.split)) for case in manifest.cases)
    renew(out, replace(manifest, cases=cases))
    return out


def test_predictions_and_their_evaluation_name_what_was_learnt_from(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, anew: Path, tmp_path: Path
) -> None:
    case = learnt(phantom_prepared)[0]
    out = tmp_path / "predictions"
    words = f"learnt from 1 of these 1 cases with their masks ({case}). Their scores say nothing of new scans"
    assert (
        f"--split test: run has {words}"
        in equireg("predict", phantom_run, anew, "--split", "test", "--out", out, *FAST).err
    )
    assert json.loads((out / "made_by.json").read_text())["learnt_cases"] == [case]
    assert f"the model has {words}" in equireg("evaluate", out, anew, "--out", tmp_path / "evaluation").err
    assert json.loads((tmp_path / "evaluation" / "made_by.json").read_text())["learnt_cases"] == [case]
    outcome = equireg("predict", phantom_run, phantom_prepared, "--split", "test", "--out", tmp_path / "own", *FAST)
    assert "learnt" not in outcome.err + (tmp_path / "own" / "made_by.json").read_text()


def test_scans_of_the_raw_folder_are_known_too(
    equireg: Command, phantom_run: Path, phantom_raw: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions"
    outcome = equireg("predict", phantom_run, phantom_raw, "--out", out, *FAST)
    assert "learnt" not in outcome.err
    assert json.loads((out / "made_by.json").read_text())["learnt_cases"] == learnt(phantom_prepared)
    renamed = Path(shutil.copytree(phantom_raw, tmp_path / "renamed"))
    first, *rest = learnt(phantom_prepared)
    new = next(case.name for case in PreparedSet(phantom_prepared).manifest.cases if not case.labelled)
    for channel in ("flair", "t1", "t1ce", "t2"):
        old = next(renamed.rglob(f"{first}_{channel}.nii.gz"))
        shutil.copy(next(renamed.rglob(f"{new}_{channel}.nii.gz")), old)
    equireg("predict", phantom_run, renamed, "--out", tmp_path / "again", *FAST)
    assert json.loads((tmp_path / "again" / "made_by.json").read_text())["learnt_cases"] == rest


def test_weights_bring_along_what_they_learnt_from(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, anew: Path, tmp_path: Path
) -> None:
    out, case = tmp_path / "run", learnt(phantom_prepared)[0]
    outcome = equireg("train", anew, "--out", out, "--init", phantom_run, *FEW)
    assert f"the weights of run have learnt from 1 of these 2 cases with their masks ({case})" in outcome.err
    own = RunFolder(out).facts().learnt or {}
    assert (RunFolder(phantom_run).facts().learnt or {}).items() <= own.items()
    assert len(own) == len({*learnt(phantom_prepared), *learnt(anew)}) == 3
    assert equireg("train", anew, "--out", out, "--resume").code == 0
    assert RunFolder(out).facts().learnt == own
    assert equireg("ensemble", phantom_run, out, "--out", tmp_path / "both").code == 0
    outcome = equireg("predict", tmp_path / "both", anew, "--split", "test", "--out", tmp_path / "p", *FAST)
    assert "both has learnt from 1 of these 1 cases" in outcome.err
    assert equireg("pack", out, "--out", tmp_path / "model.zip").code == 0
    assert "learnt" not in read_packed(tmp_path / "model.zip").members[0].run
    assert case not in (out / "made_by.json").read_text()


def test_a_run_of_an_earlier_version_says_nothing(
    equireg: Command, phantom_run: Path, anew: Path, tmp_path: Path
) -> None:
    from equireg.folders.signature import read_content, write_content

    run = Path(shutil.copytree(phantom_run, tmp_path / "run"))
    content = read_content(run)
    write_content(run, {**content, "run": {name: fact for name, fact in content["run"].items() if name != "learnt"}})
    outcome = equireg("predict", run, anew, "--split", "test", "--out", tmp_path / "p", *FAST)
    assert outcome.code == 0
    assert "learnt" not in outcome.err
