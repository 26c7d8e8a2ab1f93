"""How far a run is at each step, also when it is planned anew on the way."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equireg.config import TrainConfig
from equireg.training.schedule import Plan, Schedule, repeating

PLANNED = Schedule((Plan(0, 5000), Plan(10, 60, 3), Plan(31, 91, 3), Plan(70, 75, 1)))


def pauses(schedule: Schedule) -> list[int]:
    return [step for step in range(1, schedule.total + 1) if schedule.pauses_after(step)]


def test_one_plan_is_paced_evenly_to_the_last_bit() -> None:
    schedule = Schedule.of(TrainConfig(max_steps=7, val_every=3))
    assert [schedule.progress(step) for step in range(8)] == [step / 7 for step in range(8)]
    steps = [schedule.even_step(step) for step in range(8)]
    assert steps == list(range(8))
    assert all(isinstance(step, int) for step in steps)
    assert pauses(schedule) == [3, 6, 7]
    assert [schedule.next_pause(step) for step in (0, 2, 3, 6, 7)] == [3, 3, 6, 7, 7]


def test_another_plan_goes_on_from_where_the_run_is() -> None:
    at = PLANNED.progress
    assert at(10) == 10 / 5000
    assert at(20) == pytest.approx(at(10) + (1 - at(10)) * 10 / 50)
    assert at(31) == pytest.approx(at(10) + (1 - at(10)) * 21 / 50)
    assert at(61) == pytest.approx(at(31) + (1 - at(31)) * 30 / 60)
    assert at(75) == 1
    assert PLANNED.even_step(61) == pytest.approx(at(61) * 91), "in steps of the plan at that step"


def test_validations_are_spread_over_the_progress() -> None:
    """The first plan has none; the second has three thirds, of which the last two come later, and the last one is 1."""
    found = pauses(PLANNED)
    assert found[-1] == 75
    assert len(found) == 3
    for step in found[:-1]:
        assert int(PLANNED.progress(step) * 3) > int(PLANNED.progress(step - 1) * 3)


def test_a_run_without_validations_still_has_checkpoints() -> None:
    assert pauses(Schedule((Plan(0, 5000), Plan(5, 104, 0)))) != [104]
    assert not Schedule((Plan(0, 5000), Plan(5, 104, 0))).is_validated
    assert Schedule((Plan(0, 5000), Plan(5, 104, 0)), val_every=20).is_validated


@given(st.data())
def test_progress_never_falls_and_ends_at_one_however_it_is_planned(data: st.DataObject) -> None:
    schedule = Schedule((Plan(0, data.draw(st.integers(2, 300))),))
    for _ in range(data.draw(st.integers(0, 6))):
        last = schedule.plans[-1]
        if last.total - last.first < 2:
            break
        first = data.draw(st.integers(last.first + 1, last.total - 1))
        total = data.draw(st.integers(first, first + 300))
        known = [schedule.progress(step) for step in range(first + 1)]
        held = [schedule.pauses_after(step) for step in range(1, first)]
        schedule = schedule.replanned(Plan(first, total, data.draw(st.integers(0, 10))))
        assert [schedule.progress(step) for step in range(first + 1)][:-1] == known[:-1], "the past has changed"
        assert [schedule.pauses_after(step) for step in range(1, first)] == held
        if total == first:
            break
    found = [schedule.progress(step) for step in range(schedule.total + 1)]
    assert found[0] == 0
    assert found[-1] == 1
    assert all(one <= other for one, other in pairwise(found))
    assert schedule.pauses_after(schedule.total)


@pytest.mark.parametrize("plan", [Plan(70, 90), Plan(75, 90), Plan(71, 70)])
def test_plans_come_in_their_order(plan: Plan) -> None:
    with pytest.raises(ValueError, match="expected a first step within that"):
        PLANNED.replanned(plan)


def test_the_plans_of_a_run_repeat_it() -> None:
    config = TrainConfig(max_minutes=3, seed=7)
    again = repeating(config, PLANNED)
    assert again == replace(config, max_minutes=None, max_steps=75, replanned=tuple(map(tuple, PLANNED.plans)))
    assert Schedule.of(again.settled()) == PLANNED
