"""Which rung is taken: the costliest that leaves steps enough and fits the memory, by what is measured."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from equireg.errors import EquiregError
from equireg.planning import climbing
from equireg.planning.climbing import climb, shown, steps_within
from equireg.planning.measuring import Speed, TooLargeError
from equireg.planning.rules import Rung

RUNGS = [Rung(32, 8, 3, (64, 64), 1000), Rung(32, 8, 1, (64, 64), 800), Rung(16, 8, 1, (64, 64), 500)]
RUNGS.append(Rung(8, 4, 1, (64, 64), 50))


def machine(
    seconds_a_cost: float, room: float = 1e12, extra: float = 0.0
) -> tuple[Callable[[Rung], Speed], list[Rung]]:
    """Return a machine on which a step costs so much, with a fixed part, and the rungs that were measured on it."""
    asked: list[Rung] = []

    def measure(rung: Rung) -> Speed:
        asked.append(rung)
        memory = int(1000 * rung.memory)
        if memory > room:
            raise TooLargeError("a step takes too much")
        return Speed(extra + seconds_a_cost * rung.cost, 1.0, memory, memory, int(room), 1, 4)

    return measure, asked


def test_a_fast_machine_takes_the_costliest_rung() -> None:
    measure, asked = machine(1e-12)
    found = climb(RUNGS, measure, 600)
    assert found.rung == RUNGS[0]
    assert found.refused == ""
    assert asked[0] == RUNGS[-1]  # the cheapest is measured first: it surely fits the memory
    assert len(asked) == 2


def test_the_rung_that_leaves_steps_enough_is_taken() -> None:
    seconds = 600.0
    a_cost = seconds / 600 / RUNGS[2].cost  # 600 steps of the third rung, which needs 500
    measure, _ = machine(a_cost)
    found = climb(RUNGS, measure, seconds)
    assert found.rung == RUNGS[2]
    assert "would leave about" in found.refused or "leaves" in found.refused
    assert shown(RUNGS[1]) in found.refused


def test_steps_that_are_dear_for_their_work_do_not_hide_a_larger_rung() -> None:
    """A fixed part of each step makes small rungs look slower than they are for their work."""
    a_cost = 600 / 2000 / RUNGS[1].cost
    measure, asked = machine(a_cost, extra=0.1)
    found = climb(RUNGS, measure, 600)
    assert found.rung == RUNGS[1]
    assert len(asked) > 2


def test_memory_bounds_the_rung() -> None:
    room = 1000 * RUNGS[1].memory
    measure, asked = machine(1e-12, room)
    found = climb(RUNGS, measure, 600)
    assert found.rung == RUNGS[1]
    assert RUNGS[0] not in asked  # what surely does not fit is not tried: a machine would kill the process


def test_what_ran_out_of_memory_is_not_tried_again() -> None:
    measure, asked = machine(1e-12)

    def failing(rung: Rung) -> Speed:
        if rung == RUNGS[0]:
            asked.append(rung)
            raise TooLargeError("memory ran out")
        return measure(rung)

    found = climb(RUNGS, failing, 600)
    assert found.rung == RUNGS[1]
    assert found.refused.endswith("memory ran out")
    assert asked.count(RUNGS[0]) == 1


def test_a_time_of_fewer_than_fifty_steps_is_refused() -> None:
    measure, _ = machine(1.0 / RUNGS[-1].cost)
    with pytest.raises(EquiregError, match=r"--max_minutes 0.5 leaves about 29 steps at 1 s a step; expected .* 50"):
        climb(RUNGS, measure, 30)
    assert steps_within(climb(RUNGS, measure, 60).speed, 60) == 59


def test_the_advised_time_counts_what_has_passed_and_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climbing.time, "monotonic", lambda: 120.0)
    measure, _ = machine(1.0 / RUNGS[-1].cost)
    with pytest.raises(EquiregError, match=r"Give --max_minutes 1\.5 or more"):
        climb(RUNGS, measure, 30, began=100.0)
    assert 1.5 * 60 * 0.95 >= 1.2 * (20 + 1 + 50) > 1.4 * 60 * 0.95


def test_fewer_steps_that_were_asked_for_are_enough() -> None:
    measure, _ = machine(1.0 / RUNGS[-1].cost)
    few = [replace(rung, steps=5) for rung in RUNGS]
    assert steps_within(climb(few, measure, 30).speed, 30) >= 5
    with pytest.raises(EquiregError, match=r"leaves about 3 steps .* expected time for 5 or more"):
        climb(few, measure, 4)


def test_nothing_that_fits_the_memory_is_an_error() -> None:
    measure, _ = machine(1e-12, room=1)
    with pytest.raises(EquiregError, match=r"a step takes too much, with 8 features with 4 \+ 4 samples of 64 x 64"):
        climb(RUNGS, measure, 600)
