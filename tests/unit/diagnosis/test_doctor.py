"""The verb: which checks it makes, its exit code, and JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import equireg as package
from equireg.diagnosis import doctor as verb
from equireg.diagnosis import machine, packages, storage
from equireg.diagnosis.findings import failure, ok

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def _steady_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what depends on the machine that runs the tests."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(packages, "_SHOWN", ("torch",))
    monkeypatch.setattr(storage, "check_room", lambda _: ok("free space", "enough"))


def test_all_parts_are_looked_at(equireg: Command, tmp_path: Path) -> None:
    outcome = equireg("doctor", tmp_path, "--self_test", "false", "--json", "--device", "cpu")
    content = json.loads(outcome.out)
    checks = [finding["check"] for finding in content["findings"]]
    for check in ("Python", "torch", "GPU", "precision", "cores", "memory", "given folder", "free space", "locks"):
        assert check in checks
    assert "self-test" not in checks
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_exit_code_1(equireg: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verb, "_findings", lambda *_: iter([ok("GPU", "fine"), failure("memory", "none", "Buy some.")]))
    outcome = equireg("doctor", tmp_path)
    assert outcome.code == 1
    assert outcome.error == (
        "error: this machine is not ready: memory will not work. The lines above say how to mend it."
    )
    assert "-> Buy some." in outcome.out
    monkeypatch.setattr(verb, "_findings", lambda *_: iter([ok("GPU", "fine")]))
    assert equireg("doctor").code == 0


def test_a_machine_without_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verb, "check_packages", lambda: iter([failure("torch", "is not installed", "pip install it")]))
    diagnosis = package.doctor(tmp_path)
    assert not diagnosis.passed
    assert {"GPU", "self-test"}.isdisjoint(finding.check for finding in diagnosis.findings)


def test_a_check_that_fails_by_itself_is_a_line_of_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_: object) -> None:
        raise ValueError("bad\nnumber")

    monkeypatch.setattr(machine, "check_cores", fails)
    findings = {finding.check: finding for finding in package.doctor(tmp_path, device="cpu", self_test=False).findings}
    assert findings["cores"].state == "failure"
    assert "ValueError: bad number" in findings["cores"].finding
    assert "temporary folder" in findings, "the page goes on"


def test_a_folder_that_is_not_there(equireg: Command, tmp_path: Path) -> None:
    assert "no such folder" in equireg("doctor", tmp_path / "missing").error


@pytest.mark.slow
def test_the_self_test_runs_in_its_process(tmp_path: Path) -> None:
    findings = package.doctor(tmp_path, device="cpu").findings
    assert findings[-1].check == "self-test"
    assert findings[-1].state == "ok"
