"""The small run, and the ways in which its process can fail."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from equireg.diagnosis import self_test
from equireg.diagnosis.findings import Finding
from equireg.errors import EquiregError


def fails_with(code: str) -> Finding:
    return self_test.check_by_running("cpu", (sys.executable, "-c", code))


def test_all_steps_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "STEPS", 2)
    seconds = self_test.run_all(tmp_path, "cpu")
    assert set(seconds) == {"prepare", "train", "predict", "evaluate", "dice"}
    assert all(seconds[name] > 0 for name in ("prepare", "train", "predict", "evaluate"))
    assert 0 <= seconds["dice"] <= 1


def test_a_step_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def fail(folder: Path, device: str) -> None:
        raise EquiregError("the disk is full.\nFree some space")

    monkeypatch.setattr(self_test, "run_all", fail)
    with pytest.raises(SystemExit):
        self_test.run_in_process(str(tmp_path), "cpu")
    assert capsys.readouterr().out == "EquiregError: the disk is full. Free some space\n"


def test_how_the_process_ended() -> None:
    good = fails_with('print(\'noise\'); print(\'{"prepare": 1, "train": 2, "predict": 3, "evaluate": 4}\')')
    assert good.state == "ok"
    assert good.finding == "prepare 1.0 s, train 2.0 s, predict 3.0 s, evaluate 4.0 s (20 steps on phantoms)"
    for code, words, remedy in (
        ("import os; os.kill(os.getpid(), 9)", "signal 9 (SIGKILL)", "memory ran out"),
        ("import os; os.kill(os.getpid(), 4)", "signal 4 (SIGILL)", "install torch"),
        ("print('EquiregError: no room'); exit(1)", "EquiregError: no room", "Mend"),
        ("import sys; print('oh', file=sys.stderr); exit(3)", "exit code 3: oh", "Mend"),
    ):
        finding = fails_with(code)
        assert finding.state == "failure"
        assert words in finding.finding
        assert remedy in finding.remedy


def test_a_process_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "_PATIENCE_S", 0.2)
    assert "not done after" in fails_with("import time; time.sleep(30)").finding


def test_without_a_temporary_folder_it_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    finding = fails_with("")
    assert finding.state == "failure"
    assert "TMPDIR" in finding.remedy


def test_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    finding = fails_with("import sys, pathlib; pathlib.Path(sys.argv[1], 'x').write_text('x'); exit(1)")
    assert finding.state == "failure"
    assert os.listdir(tmp_path) == []
