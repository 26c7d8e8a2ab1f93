"""Where batches come from: up to the next validation, and from any step that a run resumes at."""

from dataclasses import replace
from pathlib import Path

import pytest

from equireg.batches.loading import PatchPlan
from equireg.batches.reading import CaseReader
from equireg.config import TrainConfig
from equireg.config.methods import EquiRegConfig, SupervisedConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.processes.ranks import Rank
from equireg.training.budget import Budget, Pace
from equireg.training.data import DataSource, TrainingCases, cases_of_run, choose_training_cases
from equireg.training.schedule import Plan, Schedule
from prepared_sets import LABELS, manifest, record, write_set


def source(root: Path, rank: Rank) -> DataSource:
    data = PreparedSet(write_set(root / "set", [record("a"), record("b")]))
    config = TrainConfig(batch_size=2, unsup_ratio=0, val_every=4, max_steps=10, workers=0)
    cases = TrainingCases(("a",), (), ("v", "w", "x"))
    return DataSource(CaseReader(data, ["a", "b"]), cases, config, PatchPlan(2, (8, 8), ()), False, rank)


def test_the_batches_end_with_the_validation_and_with_the_run(tmp_path: Path) -> None:
    data = source(tmp_path, Rank())
    pace = Pace(Schedule.of(data.config))
    assert [len(list(data.training(step, pace))) for step in (0, 4, 8, 10)] == [4, 4, 2, 0]
    assert [len(list(data.training(step, pace))) for step in (5, 9)] == [3, 1], "a resumed run"
    data.close()


def test_with_a_budget_the_end_is_asked_for_on_the_way(tmp_path: Path) -> None:
    data = source(tmp_path, Rank())
    pace = Pace(Schedule.of(replace(data.config, val_every=None)), Budget(60.0, 0.0))
    batches = iter(data.training(0, pace))
    for _ in range(3):
        next(batches)
    pace.schedule = pace.schedule.replanned(Plan(4, 6, 1))
    assert len(list(batches)) == 3, "the run ends after six steps"
    data.close()


def test_validation_cases_are_divided_evenly(tmp_path: Path) -> None:
    names = [list(source(tmp_path / str(rank), Rank(rank, 2)).validation()) for rank in range(2)]
    assert names == [["v", "x"], ["w", ""]]


EMPTY = [record("a"), record("v", "val", class_voxels=(480, 0, 0)), record("w", "val", class_voxels=(480, 0, 0))]


def test_validation_masks_that_are_all_empty_are_told(caplog: pytest.LogCaptureFixture) -> None:
    config = TrainConfig(method=SupervisedConfig())
    assert choose_training_cases(EMPTY, config).validation == ("v", "w")
    assert "the masks of all 2 validation cases are empty, such as v's" in caplog.text
    assert "Give --monitor loss" in caplog.text
    caplog.clear()
    assert choose_training_cases([*EMPTY, record("x", "val")], config).validation == ("v", "w", "x")
    assert not caplog.text


def test_masks_of_which_none_validates_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Those of one patient, and of test cases, cannot be set aside."""
    masks = [record(name) for name in "abcd"]
    few = [*masks, record("scan", labelled=False), record("e", "test"), replace(record("f"), patient="a")]
    config = TrainConfig(method=SupervisedConfig())
    cases_of_run(manifest(few), config)
    cases_of_run(manifest([*masks, record("v", "val")]), config)
    assert not caplog.text
    cases_of_run(manifest([*few, record("g")]), config)
    assert "no case validates, so the last checkpoint is the model. --fold 0/5 sets a fifth of the 5 pat" in caplog.text


def test_labels_that_the_run_cannot_learn_are_told(caplog: pytest.LogCaptureFixture) -> None:
    seen, unseen = record("a"), record("b", class_voxels=(470, 10, 0))
    config = TrainConfig(method=SupervisedConfig())
    cases_of_run(manifest([seen, unseen]), config)
    assert not caplog.text
    cases_of_run(manifest([record("a", "val"), unseen]), config)
    assert "no mask of the 1 labelled cases shows 'rim'" in caplog.text
    caplog.clear()
    nobody = record("b", class_voxels=(0, 40, 20))
    cases_of_run(manifest([nobody], labels=replace(LABELS, ignore=0)), config)
    assert not caplog.text, "background is what nobody annotated"


def test_a_test_folder_that_adds_no_unlabelled_case_is_told(caplog: pytest.LogCaptureFixture) -> None:
    held = [record("h", "test", held_out=True), record("g", "test", held_out=True, labelled=False)]
    config = TrainConfig(method=EquiRegConfig(), unlabelled_from="test")
    assert "g" in choose_training_cases([record("a"), *held], config).unlabelled
    assert not caplog.text
    choose_training_cases([record("a"), held[0]], config)
    assert "--unlabelled_from test adds no case: none of the 1 test cases" in caplog.text


@pytest.mark.parametrize(("cases", "finding"), [(EMPTY[:1], "no case validates"), (EMPTY, "cases are empty")])
def test_nothing_to_stop_early_by_is_refused(cases: list, finding: str) -> None:
    config = TrainConfig(method=SupervisedConfig(), early_stopping_steps=100)
    with pytest.raises(EquiregError, match=finding):
        choose_training_cases(cases, config)


def test_empty_validation_masks_have_a_loss_to_stop_by() -> None:
    config = TrainConfig(method=SupervisedConfig(), early_stopping_steps=100, monitor="loss")
    assert choose_training_cases(EMPTY, config).validation == ("v", "w")
