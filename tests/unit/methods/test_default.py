"""Which method trains where none is named."""

import logging
from typing import Any

import pytest

from equireg.errors import UsageError
from equireg.methods.default import default_method, named_method
from prepared_sets import record

MASKED = [record("a"), record("b")]
MIXED = [*MASKED, record("c", labelled=False)]


@pytest.mark.parametrize(
    ("cases", "options", "expected"),
    [
        (MIXED, {}, "equireg"),
        (MASKED, {}, "supervised"),
        (MASKED, {"sup_cases": 1}, "equireg"),
        (MIXED, {"unsup_cut": 0.0}, "supervised"),
        (MIXED, {"unsup_ratio": 0}, "supervised"),
    ],
)
def test_equireg_needs_a_scan_that_is_used_without_its_mask(
    cases: list[Any], options: dict[str, Any], expected: str
) -> None:
    assert default_method(options, cases)[0] == expected


def test_runs_of_several_splits_have_one_method(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("equireg").propagate = True
    with caplog.at_level(logging.INFO, "equireg"):
        assert named_method({}, MASKED, MIXED) == named_method({}, MIXED) == {"method": {"name": "equireg"}}
        assert named_method({}, MASKED, MASKED)["method"]["name"] == "supervised"
    assert len(caplog.records) == 3


def test_the_choice_is_logged_and_a_name_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("equireg").propagate = True
    with caplog.at_level(logging.INFO, "equireg"):
        assert named_method({"method": {"teacher": "self"}}, MIXED)["method"] == {"teacher": "self", "name": "equireg"}
        assert named_method({"method": {"name": "bcp"}}, MIXED) == {"method": {"name": "bcp"}}
    assert [entry.getMessage() for entry in caplog.records] == [
        "method: equireg, because 1 training scan is used without a mask (--method chooses another)"
    ]
    with pytest.raises(UsageError, match="--max_steps"):
        named_method({"max_steps": 0}, MIXED)
