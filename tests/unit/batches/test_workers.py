"""Batches made by other processes: the same ones, for the whole run; what the machine cannot carry is refused."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from equireg.batches import workers
from equireg.batches.batch import Batch
from equireg.batches.loading import BatchSource, PatchPlan
from equireg.batches.reading import CaseReader
from equireg.batches.workers import StepLoader, check_workers, default_workers
from equireg.config import TrainConfig
from equireg.errors import EquiregError, UnexpectedError
from equireg.folders.prepared import PreparedSet
from equireg.processes import jobs
from equireg.processes.ranks import Rank, rank_of
from prepared_sets import record, write_set


class Numbers(Dataset[Any]):
    """In place of batches: the step, the process that made it, and faults at some steps."""

    def __getitem__(self, step: int) -> tuple[int, int]:
        if step == 5:
            raise EquiregError("case a: is damaged.")
        if step == 7:
            raise KeyError("ours")
        if step == 15:  # further off than workers read ahead
            os._exit(1)
        return step, os.getpid()


@pytest.fixture(scope="module")
def loader() -> Iterator[StepLoader]:
    found = StepLoader(Numbers(), 2, 20, workers=1, pinned=False)
    yield found
    found.close()


@pytest.mark.slow
def test_workers_stay_from_one_validation_to_the_next_and_report_their_errors(loader: StepLoader) -> None:
    first, second = (list[Any](loader.until(step)) for step in (4, 5))
    assert [item[0] for item in (*first, *second)] == [2, 3, 4]
    assert len(loader.until(8)) == 3
    makers = {item[1] for item in (*first, *second)}
    assert len(makers) == 1
    assert os.getpid() not in makers
    with pytest.raises(EquiregError, match="case a: is damaged") as damaged:
        loader.next()
    assert type(damaged.value) is EquiregError
    assert loader.next()[0] == 6  # pyright: ignore[reportIndexIssue]
    with pytest.raises(UnexpectedError, match="KeyError: 'ours'"):
        loader.next()
    with pytest.raises(EquiregError, match="was killed, usually because memory ran out"):
        list(loader.until(20))


@pytest.mark.slow
def test_spawned_workers_give_the_batches_of_this_process(tmp_path: Path) -> None:
    data = PreparedSet(write_set(tmp_path / "set", [record("a", shape=(5, 20, 24)), record("b", labelled=False)]))
    reader = CaseReader(data, ["a", "b"], True)
    reader.read("a", "image", (slice(None),) * 3)
    config = TrainConfig(batch_size=2, unsup_ratio=1, max_steps=6)
    source = BatchSource(reader, ("a",), ("a", "b"), config, PatchPlan(2, (16, 16), ()), Rank(1, 2))
    loader = StepLoader(source, 0, 4, workers=2, pinned=False)
    for step, batch in enumerate(loader.until(4)):
        here = source[step]
        assert torch.equal(batch.labelled.image, here.labelled.image)
        assert torch.equal(batch.generator.get_state(), here.generator.get_state())
        assert rank_of(batch.generator) == Rank(1, 2)
    loader.close()
    with pytest.raises(RuntimeError, match="closed"):
        loader.next()


def test_this_process_makes_the_batches_where_no_worker_is_asked_for() -> None:
    loader = StepLoader(Numbers(), 2, 12, workers=0, pinned=False)
    state = torch.get_rng_state()
    assert [list(item) for item in loader.until(4)] == [[2, os.getpid()], [3, os.getpid()]]  # pyright: ignore
    assert torch.equal(torch.get_rng_state(), state)


def test_the_bytes_of_a_batch_are_known(tmp_path: Path) -> None:
    data = PreparedSet(write_set(tmp_path / "set", [record("a", shape=(5, 20, 24))]))
    config = TrainConfig(batch_size=4, unsup_ratio=2)
    for dims, patch in ((2, (16, 16)), (3, (4, 16, 16))):
        source = BatchSource(CaseReader(data, ["a"]), ("a",), ("a",), config, PatchPlan(dims, patch, ()), Rank(0, 2))
        batch: Batch = source[0]
        assert batch.unlabelled is not None
        large = [batch.labelled.image, batch.labelled.valid, batch.labelled.label]
        large += [batch.unlabelled.image, batch.unlabelled.valid]
        assert source.batch_bytes() == sum(part.nbytes for part in large if part is not None)


@pytest.mark.parametrize(
    ("files", "shared", "count", "message"),
    [
        (96, 1e12, 4, r"--workers is 4, but only 96 files may be open.*`ulimit -n \d+`"),
        (4096, 64 * 2**20, 4, r"/dev/shm has 64 MB free; they need about 1.66 GB.*--shm-size"),
        (4096, 0.0, 1, "/dev/shm has 0 bytes free; they need about 500 MB"),
    ],
)
def test_too_little_for_workers_is_an_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, files: int, shared: float, count: int, message: str
) -> None:
    monkeypatch.setattr(workers, "_open_files", lambda: files)
    monkeypatch.setattr(workers, "_free_shared_memory", lambda: shared)
    with pytest.raises(EquiregError, match=message):
        check_workers(count, 100 * 2**20)
    check_workers(0, 100 * 2**20)


def test_workers_without_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_open_files", lambda: 10**6)
    monkeypatch.setattr(workers, "free_memory", lambda: 2.0**33)
    with pytest.raises(EquiregError, match="--workers is 100, but 8 GB of memory are free; they need about 25 GB"):
        check_workers(100, 10)
    check_workers(30, 10)


def test_by_default_there_are_as_many_workers_as_the_machine_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_open_files", lambda: 4096)
    monkeypatch.setattr(workers, "_free_shared_memory", lambda: 1000.0)
    monkeypatch.setattr(workers, "usable_cores", lambda: 16)
    assert [default_workers(size) for size in (10, 100, 200, 300)] == [4, 2, 1, 0]
    monkeypatch.setattr(workers, "usable_cores", lambda: 1)
    assert default_workers(10) == 1
    monkeypatch.setattr(jobs, "current_process", lambda: SimpleNamespace(daemon=True))
    assert default_workers(10) == 0
    check_workers(0, 10)
    with pytest.raises(EquiregError, match=r"--workers is 1, but this is a daemonic process.*Or give --workers 0"):
        check_workers(1, 10)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            RuntimeError("DataLoader worker (pid 3) is killed by signal: Bus error."),
            "shared memory",
        ),
        (RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed."), "memory ran out"),
        (RuntimeError("DataLoader timed out after 900 seconds"), "no batch came for 900 s"),
        (OSError(24, "Too many open files"), "ulimit -n"),
    ],
)
def test_errors_of_workers_are_explained(error: Exception, expected: str) -> None:
    found = workers._explained(error)
    assert isinstance(found, EquiregError)
    assert expected in str(found)
    assert "--workers" in str(found)


def test_other_errors_stay_what_they_are() -> None:
    error = RuntimeError("shapes differ")
    assert workers._explained(error) is error
