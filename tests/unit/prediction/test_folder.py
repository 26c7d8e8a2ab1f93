"""The folder of predictions that is being filled: gone on with by the same command alone, and never emptied."""

import json
from pathlib import Path
from typing import Any

import pytest

from equireg import disk, folders
from equireg.disk import DiskError
from equireg.errors import EquiregError
from equireg.folders import predictions
from equireg.folders.quality import CaseQuality, record_file, write_record
from equireg.imaging.labels import LabelTable
from equireg.prediction.folder import Unfinished, unfinished

COMMAND = {"source": "/scans", "checkpoint_digest": "12", "overlap": 0.5}
SCANS = {"a": "1", "b": "2", "c": "3", "d": "5"}


def begun(out: Path, *done: str) -> Path:
    """Leave a folder as a killed command does, with some cases done."""
    filling = Unfinished(out, COMMAND, SCANS)
    for case in done:
        write_record(out, CaseQuality(case, 1.0))
        predictions.prediction_file(out, case).write_text(case)
        filling.add(case, 1.0)
    return out


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_same_command_goes_on(tmp_path: Path) -> None:
    out = begun(tmp_path / "out", "a", "c")
    assert Unfinished(out, COMMAND, SCANS).seconds == {"a": 1.0, "c": 1.0}


@pytest.mark.parametrize("change", [{"source": "/other"}, {"checkpoint_digest": "13"}, {"overlap": 0.0}, {"new": 1}])
def test_another_command_is_refused_and_changes_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    out = begun(tmp_path / "out", "a")
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with pytest.raises(EquiregError, match=f"unfinished predictions of another command .*{next(iter(change))}"):
        Unfinished(out, COMMAND | change, SCANS)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_a_changed_scan_and_a_deleted_prediction_are_made_again(tmp_path: Path) -> None:
    out = begun(tmp_path / "out", "a", "b", "c", "d")
    predictions.prediction_file(out, "b").unlink()
    record_file(out, "d").unlink()
    changed = SCANS | {"c": "4"}
    assert set(Unfinished(out, COMMAND, changed).seconds) == {"a"}
    assert set(Unfinished(out, COMMAND, changed).seconds) == {"a"}, "forgotten when it was stopped again"


def test_predictions_of_scans_that_are_gone_are_refused(tmp_path: Path) -> None:
    out = begun(tmp_path / "out", "a", "b")
    with pytest.raises(EquiregError, match="no longer there: b"):
        Unfinished(out, COMMAND, {"a": "1"})


@pytest.mark.parametrize("content", ["[]", "{}", '{"scans": "x", "step": 3}', "no json"])
def test_a_mark_that_is_not_ours_is_refused(tmp_path: Path, content: str) -> None:
    out = begun(tmp_path / "out", "a")
    (out / folders.UNFINISHED).write_text(content)
    with pytest.raises(EquiregError):
        Unfinished(out, COMMAND, SCANS)
    assert (out / "a.nii.gz").is_file()


def test_a_folder_with_anything_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").touch()
    with pytest.raises(EquiregError, match="exists already"):
        Unfinished(tmp_path, COMMAND, SCANS)
    assert names(tmp_path) == {"scan.nii.gz"}


def test_a_finished_folder_says_where_new_scans_go(tmp_path: Path) -> None:
    out = begun(tmp_path / "out", "a")
    predictions.write_labels(out, LabelTable((0, 1), ("background", "core")))
    (out / folders.UNFINISHED).unlink()
    folders.sign(out, "predict", {}, cases=["a"])
    with pytest.raises(EquiregError, match=r"exists already, with finished predictions.*For new scans"):
        Unfinished(out, COMMAND, SCANS | {"e": "6"})
    assert (out / "a.nii.gz").read_text() == "a"


def test_without_a_prediction_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), unfinished(tmp_path / "new", COMMAND, SCANS):
        raise KeyboardInterrupt
    assert names(tmp_path) == set()
    (tmp_path / "empty").mkdir()
    with pytest.raises(KeyboardInterrupt), unfinished(tmp_path / "empty", COMMAND, SCANS):
        raise KeyboardInterrupt
    assert names(tmp_path) == {"empty"}, "a folder that was there before is not removed"
    assert names(tmp_path / "empty") == set()


@pytest.mark.parametrize("noted", [True, False])
def test_a_full_disk_keeps_what_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: bool) -> None:
    """Also a prediction that was written and could not be noted, and a file of somebody else."""
    out = begun(tmp_path / "out", *(["a"] if noted else []))
    (out / "b.nii.gz").write_text("b")
    before = names(out)

    def full(*_: Any) -> None:
        raise DiskError("full")

    monkeypatch.setattr(disk, "write_json", full)
    monkeypatch.setattr(disk, "write_atomic", full)
    with pytest.raises(DiskError), unfinished(out, COMMAND, SCANS | {"c": "9"}):
        pass
    assert names(out) == before


def test_what_a_failed_case_left_goes(tmp_path: Path) -> None:
    out = begun(tmp_path / "out", "a")
    for name in predictions.SUBFOLDERS:
        (out / name).mkdir(exist_ok=True)
    for path in predictions.files_of(out, "b"):
        path.touch()
    Unfinished(out, COMMAND, SCANS).discard(["b"])
    assert names(out) == {"a.nii.gz", predictions.TIMES, folders.UNFINISHED, *predictions.SUBFOLDERS}
    assert [path.name for name in predictions.SUBFOLDERS for path in (out / name).iterdir()] == ["a.json"]


def test_what_another_command_was_is_not_shown_whole(tmp_path: Path) -> None:
    folder = tmp_path / "q"
    folder.mkdir()
    mark = {"command": {"checkpoint": "x" * 5000}, "scans": {}}
    (folder / "underway.json").write_text(json.dumps(mark))
    with pytest.raises(EquiregError, match="unfinished predictions of another command") as caught:
        Unfinished(folder, {"checkpoint": "y"}, {})
    assert len(str(caught.value)) < 1000 + len(str(folder))
