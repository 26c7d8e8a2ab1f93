"""A short form of the chaos: verbs that are killed, raced and starved, and then go on to the same result."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import chaos
import starving

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="verbs are killed in forks of this process")
QUICK = ("prepare", "train", "predict", "evaluate")
KILLED = (*QUICK, "adopt", "pack")


def fast(*names: str) -> pytest.MarkDecorator:
    """Return a parametrisation over all verbs of which some are fast enough for every run of the tests."""
    return pytest.mark.parametrize(
        "name", [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in QUICK]
    )


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chaos.Ground]:
    old = [signal.getsignal(number) for number in chaos.SIGNALS[1:]]
    yield chaos.prepare_ground(tmp_path_factory.mktemp("chaos") / "ground", KILLED)
    assert [signal.getsignal(number) for number in chaos.SIGNALS[1:]] == old


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "predict")) for name in KILLED]
)
def test_a_killed_verb_goes_on_to_the_same_result(ground: chaos.Ground, name: str) -> None:
    assert chaos.kill(ground, name, 0) is None


@pytest.mark.parametrize("name", ["prepare", pytest.param("predict", marks=pytest.mark.slow)])
def test_of_two_processes_on_one_folder_one_works(ground: chaos.Ground, name: str) -> None:
    assert chaos.race(ground, name) is None


@pytest.mark.parametrize("name", QUICK)
def test_a_disk_that_takes_nothing_is_told(ground: chaos.Ground, name: str) -> None:
    code, told = chaos.starve(ground, name, starving.full_disk)
    assert code == 1, told
    assert told.splitlines()[-1].startswith("error: "), told
    assert "Traceback" not in told
    assert "(unexpected" not in told
    assert "Choose another --out" in told or "choose another --out" in told


def good(told: str) -> bool:
    """Whether what is told is for a user."""
    return "Traceback" not in told and "(unexpected" not in told


@fast("predict")
def test_few_open_files_are_enough_or_told(ground: chaos.Ground, name: str) -> None:
    code, told = chaos.starve(ground, name, starving.few_files)
    assert good(told), told
    assert code == 0 or "too many files open" in told, told


@fast("evaluate")
def test_two_gibibytes_are_enough_for_small_scans(ground: chaos.Ground, name: str) -> None:
    assert chaos.starve(ground, name, starving.two_gibibytes)[0] == 0


@pytest.mark.parametrize("name", ["prepare", "evaluate"])  # torch's own threads can crash where no memory is left
def test_memory_that_runs_out_is_told(ground: chaos.Ground, name: str) -> None:
    code, told = chaos.starve(ground, name, starving.no_memory)
    assert good(told), told
    assert code == 0 or "memory ran out" in told, told


@pytest.mark.skipif(not starving.may_mount(), reason="mounts need rights")
@pytest.mark.parametrize(
    ("name", "more"),
    [
        pytest.param("prepare", "--jobs=2", marks=pytest.mark.slow),
        ("train", "--workers=1"),
        pytest.param("predict", "--jobs=2", marks=pytest.mark.slow),
    ],
)
def test_no_shared_memory_is_no_need_or_told(ground: chaos.Ground, name: str, more: str) -> None:
    code, told = chaos.starve(ground, name, starving.no_shared_memory, more)
    assert good(told), told
    assert code == 0 or name == "train", told  # verbs with --jobs work alone
    assert "/dev/shm" in told, told


@pytest.mark.skipif(not starving.may_mount(), reason="mounts need rights")
@pytest.mark.parametrize("name", QUICK)
def test_a_place_that_cannot_be_written_is_told(ground: chaos.Ground, tmp_path: Path, name: str) -> None:
    code, told = chaos.starve(ground, name, lambda: starving.read_only(tmp_path), "--out", str(tmp_path / "out"))
    assert code == 1, told
    assert "the disk is read-only. Choose another --out" in told.splitlines()[-1]
    assert good(told), told


def test_weights_that_differ_are_seen(ground: chaos.Ground, tmp_path: Path) -> None:
    verb = chaos.VERBS["evaluate"]
    out = ground.root / "evaluation"
    assert verb.result(out) == ground.results["evaluate"]
    (out / "extra").touch()
    assert verb.result(out) != ground.results["evaluate"]
