"""A short attack: every kind of file under seeded damage is refused with its name, or read; nothing else."""

from pathlib import Path

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.imaging import itk_readers
from fuzz import MEMORY, Subject, Target, attack, counts
from targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    target = TARGETS[name]
    number = max(3, 10 // target.cost)
    found, failures = counts(attack(target, name, tmp_path, range(number)))
    assert failures == []
    assert found["refused"] > 0 or name == "prepared: case.json"  # whose case is made anew


def test_the_readers_of_foreign_formats_need_little_memory() -> None:
    if not Path("/proc/self/status").is_file():
        pytest.skip("this system has no /proc")
    peaks = [_peak_bytes(one) for one in itk_readers._idle]
    assert peaks, "the attack before has left a reader that waits"
    assert max(peaks) < MEMORY


def _peak_bytes(reader: itk_readers.Reader) -> int:
    lines = Path(f"/proc/{reader._process.pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(line.split()[1])


def _made(read: object, sealed: bool = False) -> Target:
    def make(folder: Path) -> Subject:
        path = folder / "file"
        path.write_bytes(b"healthy")
        return Subject(path, lambda content, rng: b"damaged %d" % rng.integers(100), lambda: read(path))  # type: ignore[operator]

    return Target(make, sealed)


def _refuse(path: Path, words: str) -> object:
    if path.read_bytes() != b"healthy":
        raise EquiregError(words)
    return 1


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        (_made(lambda path: 1), "right"),
        (_made(lambda path: np.frombuffer(path.read_bytes(), np.uint8)), "other"),
        (_made(lambda path: path.read_bytes(), sealed=True), "failed"),
        (_made(lambda path: _refuse(path, f"{path}: is damaged. Mend it.")), "refused"),
        (_made(lambda path: _refuse(path, "is damaged")), "failed"),
        (_made(lambda path: int(path.read_bytes() == b"healthy") or 1 / 0), "failed"),
    ],
)
def test_the_engine_tells_outcomes_apart(tmp_path: Path, target: Target, outcome: str) -> None:
    assert [result.outcome for _, result in attack(target, "made", tmp_path, range(2))] == [outcome, outcome]


def test_the_same_seed_damages_in_the_same_way(tmp_path: Path) -> None:
    seen: list[bytes] = []
    target = _made(lambda path: seen.append(path.read_bytes()))
    list(attack(target, "made", tmp_path, range(3), seed=1))
    list(attack(target, "made", tmp_path, range(2, 3), seed=1))
    assert seen[3] == seen[5]
