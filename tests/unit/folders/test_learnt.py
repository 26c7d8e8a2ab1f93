"""The cases that a run learnt from: known again by data set, name and shape, and named nowhere."""

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
    learnt = learnt_from(MADE, {"case_001"})
    assert learnt_among(["case_001", "case_002"], dataset, lambda _: shape, learnt) == found
    assert learnt_among(["case_001"], dataset, lambda _: shape, {}) == []
    assert "case" not in repr(learnt)
