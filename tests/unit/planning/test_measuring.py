"""A few real steps: what they report, what they leave alone, and what happens where memory does not suffice."""

import mmap
from pathlib import Path
from typing import Any

import pytest
import torch

from equireg.config import TrainConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.inference.validation import validate_case
from equireg.methods import Method
from equireg.methods.equireg import EquiReg
from equireg.model import config_from
from equireg.planning import measuring
from equireg.planning.measuring import Stand, TooLargeError, measure_step, measure_validation
from prepared_sets import record, write_set


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Stand:
    cases = [record("a"), record("b", labelled=False), record("v", "val")]
    data = PreparedSet(write_set(tmp_path_factory.mktemp("measure") / "P", cases))
    return Stand(data, ["a"], ["a", "b"], torch.device("cpu"))


def options(**more: Any) -> TrainConfig:
    return config_from(
        {
            "method": {"name": "equireg"},
            "network": {"features": 2, "max_features": 4},
            "patch_size": [8, 8],
            "batch_size": 2,
            "unsup_ratio": 1,
            "max_steps": 40,
            "precision": "32",
            **more,
        }
    )


def test_the_steps_are_those_of_the_run(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches and steps of the middle of the run, where the unlabelled loss has its full weight."""
    seen: list[int] = []
    losses = EquiReg.losses
    monkeypatch.setattr(measuring, "_ENOUGH_S", 1e9)  # however slow this machine is now

    def watched(self: EquiReg, batch: Any, step: int) -> Any:
        seen.append(step)
        assert batch.unlabelled is not None
        assert len(batch.labelled.image) == 2
        return losses(self, batch, step)

    monkeypatch.setattr(EquiReg, "losses", watched)
    state = torch.random.get_rng_state()
    found = measure_step(options(), stand)
    assert seen == list(range(20, 20 + measuring.WARM_UP + measuring.STEPS))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert 0 < found.seconds_per_step < 60
    assert found.start_seconds > 0
    assert 0 < found.peak_bytes <= found.room_bytes
    assert 0 <= found.step_bytes <= found.peak_bytes


def test_weights_and_checkpoints_are_counted(stand: Stand) -> None:
    supervised = measure_step(options(method={"name": "supervised"}), stand)
    assert supervised.checkpoint_bytes == 12 * supervised.weights  # the weights and Adam's two moments
    assert measure_step(options(), stand).checkpoint_bytes == 16 * supervised.weights  # and the teacher
    plain = measure_step(options(method={"name": "supervised"}, optimizer={"name": "sgd"}), stand)
    assert plain.checkpoint_bytes == 8 * supervised.weights


def test_slow_steps_are_few(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 30))
    monkeypatch.setattr(measuring, "_now", lambda device: float(next(clock)))
    steps: list[int] = []
    monkeypatch.setattr(Method, "after_step", lambda self, step: steps.append(step))
    monkeypatch.setattr(EquiReg, "after_step", lambda self, step: steps.append(step))
    assert measure_step(options(), stand).seconds_per_step == 30
    assert len(steps) == 2


def test_of_long_steps_two_are_timed(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = (0.25 * count for count in range(10_000))
    monkeypatch.setattr(measuring, "_now", lambda device: next(clock))
    steps: list[int] = []
    monkeypatch.setattr(EquiReg, "after_step", lambda self, step: steps.append(step))
    assert measure_step(options(), stand).seconds_per_step == 0.25
    assert len(steps) == measuring.WARM_UP + 2


def test_memory_that_runs_out_is_told(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: EquiReg, batch: Any, step: int) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(EquiReg, "losses", failing)
    with pytest.raises(TooLargeError, match="memory ran out"):
        measure_step(options(), stand)


def test_other_errors_are_not_taken_for_it(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: EquiReg, batch: Any, step: int) -> Any:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(EquiReg, "losses", failing)
    with pytest.raises(RuntimeError, match="shapes differ"):
        measure_step(options(), stand)


def test_a_step_may_take_a_part_of_the_free_memory_alone(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "free_memory", lambda: -(2.0**40))
    with pytest.raises(TooLargeError, match=r"a step takes \d+\.\d GiB of the -"):
        measure_step(options(), stand)


def test_a_validation_case_is_predicted(stand: Stand) -> None:
    found = measure_validation(options(), stand.data, ["v"], torch.device("cpu"))
    assert found.case_s > 0
    assert found.peak_bytes > 0


def test_the_largest_validation_case_tells_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {"s": (2, 10, 12), "m": (4, 10, 12), "l": (3, 20, 24)}
    cases = [record("a"), *(record(name, "val", shape=shape) for name, shape in shapes.items())]
    data = PreparedSet(write_set(tmp_path / "P", cases))
    seen: list[str] = []

    def validated(case: str, *others: Any) -> Any:
        seen.append(case)
        if case == "l":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return validate_case(case, *others)

    monkeypatch.setattr(measuring, "validate_case", validated)
    assert measure_validation(options(), data, ["s", "m"], torch.device("cpu")).case_s > 0
    assert seen == ["m", "m"]
    with pytest.raises(EquiregError, match=r"memory ran out .* It was l, the largest validation case"):
        measure_validation(options(), data, list(shapes), torch.device("cpu"))


def test_the_account_of_the_process_is_read(tmp_path: Path) -> None:
    if not Path("/proc/self/status").is_file():
        pytest.skip("this system has no /proc")
    before = measuring._forget_peak(torch.device("cpu"))
    with mmap.mmap(-1, 64 * 2**20) as block:  # not from memory that was freed before
        block.write(bytes([1]) * len(block))
        assert measuring._peak(torch.device("cpu")) >= before + 0.9 * len(block)
