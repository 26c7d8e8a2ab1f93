"""The page of findings."""

import json

import pytest

from equireg.diagnosis.findings import Diagnosis, Finding, failure, ok, warning

BAD = failure("disk", "full " * 30, "Free some space.")


def test_every_finding_is_a_line_with_its_remedy_under_it() -> None:
    page = str(Diagnosis([ok("GPU", "H100"), warning("cores", "1", "Unset it."), BAD]))
    assert page.splitlines()[1] == "ok             GPU              H100"
    assert "\nwarning        cores            1\n" + " " * 32 + "-> Unset it.\n" in page
    assert "will not work  disk" in page
    assert page.endswith("\n\n1 check fails, 1 warning.")
    assert max(map(len, page.splitlines())) <= 110


def test_a_page_without_faults_says_so() -> None:
    healthy = Diagnosis([ok("GPU", "none")])
    assert healthy.passed
    assert str(healthy).endswith("Everything works.")
    assert Diagnosis([warning("a", "b", "c")]).passed
    assert not Diagnosis([BAD]).passed


def test_as_json() -> None:
    content = json.loads(str(Diagnosis([ok("a", "b"), BAD], as_json=True)))
    assert content["passed"] is False
    assert content["findings"][0] == {"check": "a", "state": "ok", "finding": "b", "remedy": ""}
    assert content["findings"][1]["state"] == "failure"


def test_a_fault_needs_a_remedy_and_only_a_fault() -> None:
    with pytest.raises(ValueError, match="expected one unless it is ok"):
        Finding("a", "warning", "b")
    with pytest.raises(ValueError, match="expected one unless it is ok"):
        Finding("a", "ok", "b", "c")


def test_control_characters_are_spelled_out() -> None:
    assert "\x1b" not in str(Diagnosis([ok("a", "evil\x1b[2J")]))
