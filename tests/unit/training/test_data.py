"""Where batches come from: up to the next validation, and from any step that a run resumes at."""

from pathlib import Path

from equireg.batches.loading import PatchPlan
from equireg.batches.reading import CaseReader
from equireg.config import TrainConfig
from equireg.folders.prepared import PreparedSet
from equireg.processes.ranks import Rank
from equireg.training.data import DataSource, TrainingCases
from prepared_sets import record, write_set


def source(root: Path, rank: Rank) -> DataSource:
    data = PreparedSet(write_set(root / "set", [record("a"), record("b")]))
    config = TrainConfig(batch_size=2, unsup_ratio=0, val_every=4, max_steps=10, workers=0)
    cases = TrainingCases(("a",), (), ("v", "w", "x"))
    return DataSource(CaseReader(data, ["a", "b"]), cases, config, PatchPlan(2, (8, 8), ()), False, rank)


def test_the_batches_end_with_the_validation_and_with_the_run(tmp_path: Path) -> None:
    data = source(tmp_path, Rank())
    assert [len(list(data.training(step))) for step in (0, 4, 8, 10)] == [4, 4, 2, 0]
    assert [len(list(data.training(step))) for step in (5, 9)] == [3, 1], "a resumed run"
    data.close()


def test_validation_cases_are_divided_evenly(tmp_path: Path) -> None:
    names = [list(source(tmp_path / str(rank), Rank(rank, 2)).validation()) for rank in range(2)]
    assert names == [["v", "x"], ["w", ""]]
