"""`equireg train --folds`: every fold trained, every case predicted by a run that did not see it, and the ensemble."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equireg import disk
from equireg.folders import lineage
from equireg.folders.folds import SPLITS, FoldCases, read_folds
from equireg.folders.quality import read_quality
from equireg.folders.run import RunFolder
from equireg.model import ENTRY, read_checkpoint

Command = Callable[..., Any]
SHORT = (
    "--method",
    "supervised",
    "--network.features",
    "4",
    "--max_steps",
    "1",
    "--val_every",
    "1",
    "--batch_size",
    "1",
)
GRID = {"fold": ["1/2"]}
TINY = (*SHORT, "--device", "cpu", "--precision", "32", "--logger", "none")


@pytest.fixture(scope="module")
def crossed(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny cross-validation of two folds."""
    from equireg.cli import main

    out = tmp_path_factory.mktemp("crossed") / "crossed"
    assert main(["train", str(phantom_prepared), "--folds", "2", "--out", str(out), *TINY]) == 0
    return out


def underway(crossed: Path, tmp_path: Path, **changes: str) -> Path:
    """Return a copy of a cross-validation that was not finished, with the options that it was begun with."""
    again = tmp_path / "crossed"
    shutil.copytree(crossed, again)
    options = json.loads((again / "made_by.json").read_text())["config"]
    (again / "made_by.json").unlink()
    disk.write_json(again / "underway.json", {**options, **changes})
    return again


def test_every_case_is_predicted_by_the_run_that_did_not_see_it(crossed: Path) -> None:
    folds = read_folds(crossed / SPLITS)
    held_out = json.loads((crossed / "held_out" / "made_by.json").read_text())["cases"]
    assert held_out == sorted(name for fold in folds for name in fold.val)
    for index, fold in enumerate(folds):
        run = RunFolder(crossed / "runs" / f"fold{index}_2")
        assert run.facts().fold == f"{index}/2"
        made_by = json.loads((crossed / "predictions" / run.root.name / "made_by.json").read_text())
        assert made_by["cases"] == sorted(fold.val)
        assert made_by["config"]["post_process"] == "none"
        for case in fold.val:
            parts = (f"predictions/{run.root.name}", "held_out")
            alone, together = (crossed / part / f"{case}.nii.gz" for part in parts)
            assert alone.read_bytes() == together.read_bytes()
    assert sorted(row.case for row in read_quality(crossed / "held_out")) == held_out
    summary = json.loads((crossed / "evaluation" / "summary.json").read_text())
    assert summary["cases"] == len(held_out) == 3
    assert len((crossed / "results.csv").read_text().splitlines()) == 3
    assert (crossed / "report" / "index.html").is_file()
    assert [made_by["verb"] for made_by in lineage(crossed / "held_out")][:2] == ["predict", "prepare"]
    assert any((crossed / "evaluation" / "pictures").iterdir())
    assert not (crossed / "underway.json").exists()


def test_its_folder_is_the_ensemble_and_can_be_moved(
    equireg: Command, crossed: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    moved, out = tmp_path / "moved", tmp_path / "predictions"
    shutil.copytree(crossed, moved)
    fast = ("--test_time", "none", "--device", "cpu", "--precision", "32")
    assert equireg("predict", moved, phantom_prepared, "--split", "test", "--out", out, *fast).code == 0
    assert json.loads((out / "made_by.json").read_text())["run"]["options"]["members"] == 2
    outcome = equireg("predict", moved, phantom_prepared, "--split", "val", "--out", tmp_path / "val", *fast)
    assert "validated on different cases (0/2, 1/2)" in outcome.error
    next((moved / "runs" / "fold1_2" / "checkpoints").glob("best.ckpt")).unlink()
    outcome = equireg("predict", moved, phantom_prepared, "--split", "test", "--out", tmp_path / "none", *fast)
    assert "is missing; the ensemble has 2 members" in outcome.error
    assert not (tmp_path / "none").exists()


def test_a_page_of_the_folder_shows_its_runs_and_what_they_held_out(
    equireg: Command, crossed: Path, tmp_path: Path
) -> None:
    assert equireg("report", crossed, "--out", tmp_path / "page").code == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert re.findall(r"<td>([01]/2)</td>", page) == ["0/2", "1/2"]
    assert "masks_without_prediction" in (crossed / "evaluation" / "summary.json").read_text()
    for name in ("evaluation", "evaluations/fold0_2"):
        assert json.loads((crossed / name / "summary.json").read_text())["masks_without_prediction"] == 0


@pytest.mark.slow
def test_resume_goes_on_with_what_is_missing(
    equireg: Command, crossed: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    again = underway(crossed, tmp_path)
    for gone in ("runs", "predictions", "evaluations"):
        shutil.rmtree(again / gone / "fold1_2")
    for gone in ("held_out", "evaluation"):
        shutil.rmtree(again / gone)
    other = equireg("train", phantom_prepared, "--out", again, "--resume", "--network.features", "8")
    assert "for network" in other.error
    assert "for folds" in equireg("train", phantom_prepared, "--out", again, "--resume", "--folds", "3").error
    outcome = equireg("train", phantom_prepared, "--out", again, "--resume")
    assert outcome.code == 0, outcome.err
    assert "2 runs, 1 of them to do" in outcome.err
    last = Path("runs") / "fold1_2" / "checkpoints" / "last.ckpt"
    ours, theirs = (read_checkpoint(one / last)[ENTRY]["digest"] for one in (again, crossed))
    assert ours == theirs
    assert "nothing is left to do" in equireg("train", phantom_prepared, "--out", again, "--resume").err


def test_resume_refuses_a_folder_that_was_prepared_again(
    equireg: Command, crossed: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    again = underway(crossed, tmp_path, data="digest of the folder as it was")
    outcome = equireg("train", phantom_prepared, "--out", again, "--resume")
    assert "was prepared again with other scans, masks or options since it was begun" in outcome.error


def test_resume_refuses_other_folds_and_writes_nothing(
    equireg: Command, crossed: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    from equireg.folders.folds import write_folds

    again = underway(crossed, tmp_path)
    shutil.rmtree(again / "runs" / "fold1_2")  # as if it had not been begun
    folds = read_folds(again / SPLITS)
    write_folds(tmp_path / "others.json", folds[::-1])
    words = ("train", phantom_prepared, "--out", again, "--resume", "--folds", "2")
    outcome = equireg(*words, "--folds_file", tmp_path / "others.json")
    assert outcome.code == 1
    assert "others.json: holds other folds than those of" in outcome.error
    assert read_folds(again / SPLITS) == folds


@pytest.mark.parametrize(
    ("words", "code", "finding"),
    [
        (("--folds", "9"), 1, "9 folds are asked for, but only 3 patients have a mask"),
        (("--folds", "1"), 2, "--folds is 1; expected a count from 2"),
        (("--folds", "2", "--fold", "0/2"), 2, "both --folds and --fold 0/2 are given"),
        (("--folds", "2", "--sup_cases", "3"), 1, "asks for 3 labelled cases; expected 1 to"),
        (("--jobs", "2"), 2, "expected --folds beside it"),
        (("--folds", "2", "--resume"), 1, "holds no cross-validation to resume"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(
    equireg: Command, phantom_prepared: Path, tmp_path: Path, words: tuple[str, ...], code: int, finding: str
) -> None:
    out = tmp_path / "out"
    outcome = equireg("train", phantom_prepared, "--out", out, *words, *TINY)
    assert (outcome.code, finding in outcome.error) == (code, True), outcome.error
    assert list(tmp_path.iterdir()) == []


def test_folds_of_a_file_are_used(equireg: Command, phantom_prepared: Path, tmp_path: Path) -> None:
    from equireg.folders.folds import write_folds

    drawn = [name for fold in read_folds_of(phantom_prepared) for name in fold.val]
    file = tmp_path / "splits.json"
    write_folds(file, [FoldCases((drawn[0],), (drawn[1],)), FoldCases((drawn[1],), (drawn[0],))])
    words = ("train", phantom_prepared, "--fold", "1/2", "--folds_file", file, "--out", tmp_path / "run", *TINY)
    assert equireg(*words).code == 0
    assert read_folds(tmp_path / "run" / SPLITS) == read_folds(file)
    config = tmp_path / "run" / "config.yaml"
    assert str(tmp_path) not in config.read_text()
    again = ("train", phantom_prepared, "--config", config, "--out", tmp_path / "again")
    outcome = equireg(*again)
    assert "the name and digest by which a run keeps its folds" in outcome.error
    assert not (tmp_path / "again").exists()
    assert equireg(*again, "--folds_file", "null").code == 0
    assert read_folds(tmp_path / "again" / SPLITS) != read_folds(file)
    sweep = tmp_path / "sweep.yaml"
    options = {"config": str(config), "folds_file": "splits.json", "val_every": 1}
    sweep.write_text(json.dumps({"prepared": str(phantom_prepared), "split": "val", "train": options, "grid": GRID}))
    assert equireg("sweep", sweep, "--out", tmp_path / "swept").code == 0
    write_folds(file, read_folds(file)[::-1])
    assert "other options (fold1_2)" in equireg("sweep", sweep, "--out", tmp_path / "swept").error


def test_a_cross_validation_takes_the_folds_of_a_file(
    equireg: Command, phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equireg.folders.folds import write_folds
    from equireg.pipeline import folds

    drawn = [name for fold in read_folds_of(phantom_prepared) for name in fold.val]
    write_folds(tmp_path / "splits.json", [FoldCases((drawn[0],), (drawn[1],)), FoldCases((drawn[1],), (drawn[0],))])
    monkeypatch.setattr(folds, "_do_runs", lambda *_: None)
    monkeypatch.setattr(folds, "_finish", lambda *_: None)
    words = ("--folds", "2", "--folds_file", tmp_path / "splits.json", "--out", tmp_path / "crossed", *TINY)
    assert equireg("train", phantom_prepared, *words).code == 0
    assert read_folds(tmp_path / "crossed" / SPLITS) == read_folds(tmp_path / "splits.json")


def read_folds_of(prepared: Path) -> list[FoldCases]:
    from equireg.batches.folds import draw_folds
    from equireg.folders.prepared import PreparedSet

    return draw_folds(PreparedSet(prepared).manifest.cases, 3)
