"""Reading, work and writing of different items at the same time, in order and with bounded memory."""

from threading import Event, Lock

import pytest

from equireg.disk import DiskError
from equireg.errors import EquiregError
from equireg.prediction.overlap import overlapping


def plus_one(item: int, source: int) -> int:
    assert item == source
    return source + 1


def test_items_come_in_order() -> None:
    written: list[tuple[int, int]] = []
    outcomes = list(overlapping(range(5), lambda item: item, plus_one, lambda *made: written.append(made)))
    assert outcomes == [(item, None) for item in range(5)]
    assert written == [(item, item + 1) for item in range(5)]
    assert list(overlapping([], plus_one, plus_one, plus_one)) == []  # pyright: ignore[reportArgumentType]


def test_the_stages_work_at_the_same_time() -> None:
    """The work on 1 waits until 2 is being read and 0 is being written: without overlap it would wait for ever."""
    reads, writes = {item: Event() for item in range(4)}, {item: Event() for item in range(4)}
    together: list[int] = []

    def work(item: int, _: None) -> None:
        if item == 1 and reads[2].wait(30) and writes[0].wait(30):
            together.append(item)

    list(overlapping(range(4), lambda item: reads[item].set(), work, lambda item, _: writes[item].set()))
    assert together == [1]


def test_no_more_than_one_item_is_at_each_stage() -> None:
    lock, inside, most = Lock(), set[int](), [0]

    def read(item: int) -> int:
        with lock:
            inside.add(item)
            most[0] = max(most[0], len(inside))
        return item

    def write(item: int, _: int) -> None:
        with lock:
            inside.remove(item)

    list(overlapping(range(20), read, plus_one, write))
    assert not inside
    assert 1 <= most[0] <= 3


@pytest.mark.parametrize("stage", ["read", "work", "write"])
@pytest.mark.parametrize("kind", [EquiregError, RuntimeError, MemoryError, OSError, KeyError])
def test_an_error_stops_its_item_alone(stage: str, kind: type[Exception]) -> None:
    def fail(name: str, item: int) -> int:
        if name == stage and item == 1:
            raise kind(name)
        return item

    done: list[int] = []

    def write(item: int, _: int) -> None:
        done.append(fail("write", item))

    found = overlapping(range(3), lambda item: fail("read", item), lambda item, _: fail("work", item), write)
    outcomes = [(item, None if failure is None else failure.reason) for item, failure in found]
    assert [item for item, reason in outcomes if reason is None] == [0, 2]
    assert stage in str(outcomes[1][1])
    assert done == [0, 2]


def test_what_is_written_is_kept_when_work_is_interrupted() -> None:
    written = []

    def work(item: int, _: int) -> int:
        if item == 2:
            raise KeyboardInterrupt
        return item

    with pytest.raises(KeyboardInterrupt):
        list(overlapping(range(4), lambda item: item, work, lambda item, _: written.append(item)))
    assert written == [0, 1]


def test_a_full_disk_stops_all() -> None:
    def write(item: int, _: int) -> None:
        raise DiskError(f"full at {item}")

    with pytest.raises(DiskError, match="full at 0"):
        list(overlapping(range(9), lambda item: item, plus_one, write))
