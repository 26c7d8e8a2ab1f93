"""The folds of what is trained: those of what is resumed, and no others than the options name."""

import re
from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.folders.folds import SPLITS, FoldCases, folds_digest, write_folds
from equireg.folders.prepared import PreparedSet
from equireg.training.folds import agreed_folds, folds_record
from prepared_sets import record, write_set

OURS = [FoldCases(("a", "b"), ("c", "d")), FoldCases(("c", "d"), ("a", "b"))]
OTHERS = OURS[::-1]


@pytest.fixture
def data(tmp_path: Path) -> PreparedSet:
    """Return a prepared folder of four cases."""
    return PreparedSet(write_set(tmp_path / "prepared", [record(name) for name in "abcd"]))


def file_of(path: Path, folds: list[FoldCases]) -> str:
    path.parent.mkdir(exist_ok=True)
    write_folds(path, folds)
    return str(path)


def test_what_is_resumed_keeps_its_folds(data: PreparedSet, tmp_path: Path) -> None:
    file_of(tmp_path / "run" / SPLITS, OURS)
    same = file_of(tmp_path / "same.json", [FoldCases(fold.train[::-1], fold.val) for fold in OURS])
    for file in (None, same, folds_record(same, OURS, data)):
        assert agreed_folds(tmp_path / "run", data, 2, file) == OURS
    other = file_of(tmp_path / "others.json", OTHERS)
    with pytest.raises(EquiregError, match=r"others\.json: holds other folds than those of .*run.*Leave out"):
        agreed_folds(tmp_path / "run", data, 2, other)


def test_options_of_a_run_ask_for_its_folds_again(data: PreparedSet, tmp_path: Path) -> None:
    kept = folds_record(file_of(tmp_path / "splits.json", OURS), OURS, data)
    assert kept == f"splits.json@{folds_digest(OURS)}"
    assert folds_record(kept, OURS, data) == kept
    with pytest.raises(EquiregError, match=re.escape(f"--folds_file is {kept}") + r".*Give --folds_file"):
        agreed_folds(None, data, 2, kept)
    file_of(data.root / SPLITS, OURS)
    assert agreed_folds(None, data, 2, kept) == OURS


def test_folds_that_are_drawn_anyhow_need_no_file(data: PreparedSet, tmp_path: Path) -> None:
    drawn = agreed_folds(None, data, 2, None)
    assert folds_record(file_of(tmp_path / "splits.json", drawn), drawn, data) is None
