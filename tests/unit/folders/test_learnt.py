"""The cases that a run learnt from: known again by their scans, else by data set and name, and named nowhere."""

import pytest

from equireg.folders.learnt import Shape, learnt_among, learnt_from
from prepared_sets import manifest, record

MADE = manifest([record("case_001"), record("case_002"), record("case_003", labelled=False)])
SHAPE = (12, 10, 4)


@pytest.mark.parametrize(
    ("dataset", "shape", "found"),
    [
        ("made up", SHAPE, ["case_001"]),
        ("another", SHAPE, []),
        ("made up", (12, 10, 5), []),
        ("made up", None, []),
    ],
)
def test_a_name_alone_is_not_enough(dataset: str, shape: Shape | None, found: list[str]) -> None:
    learnt = learnt_from(MADE, {"case_001"}, {})
    assert learnt_among(["case_001", "case_002"], dataset, lambda _: shape, learnt, {}) == found
    assert learnt_among(["case_001", "case_002"], dataset, lambda _: shape, learnt, {"case_001": "1"}) == found
    assert learnt_among(["case_001"], dataset, lambda _: shape, {}, {}) == []
    assert "case" not in repr(learnt)


@pytest.mark.parametrize("dataset", ["made up", "renamed"])
def test_a_scan_is_known_whatever_its_name(dataset: str) -> None:
    learnt = learnt_from(MADE, {"case_001"}, {"case_001": "1", "case_002": "2"})
    scans = {"case_001": "3", "case_002": "1"}
    assert learnt_among([*scans, "case_003"], dataset, lambda _: SHAPE, learnt, scans) == ["case_002"]
    assert learnt_among([*scans], dataset, lambda _: (12, 10, 5), learnt, scans) == []
    assert learnt_among([*scans], dataset, lambda _: SHAPE, learnt, {}) == []
