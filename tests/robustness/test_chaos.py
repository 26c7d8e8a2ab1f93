"""A short form of the chaos: verbs that are killed, raced and starved, and then go on to the same result."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import chaos

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="verbs are killed in forks of this process")
QUICK = ("prepare", "train", "predict", "evaluate")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chaos.Ground]:
    old = [signal.getsignal(number) for number in chaos.SIGNALS[1:]]
    yield chaos.prepare_ground(tmp_path_factory.mktemp("chaos") / "ground", QUICK)
    assert [signal.getsignal(number) for number in chaos.SIGNALS[1:]] == old


@pytest.mark.parametrize("name", QUICK)
def test_a_killed_verb_goes_on_to_the_same_result(ground: chaos.Ground, name: str) -> None:
    assert chaos.kill(ground, name, 0) is None


@pytest.mark.parametrize("name", ["prepare", "predict"])
def test_of_two_processes_on_one_folder_one_works(ground: chaos.Ground, name: str) -> None:
    assert chaos.race(ground, name) is None


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def full_disk() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


@pytest.mark.parametrize("name", QUICK)
def test_a_disk_that_takes_nothing_is_told(ground: chaos.Ground, name: str) -> None:
    code, told = chaos.starve(ground, name, full_disk)
    assert code == 1, told
    assert told.splitlines()[-1].startswith("error: "), told
    assert "Traceback" not in told
    assert "(unexpected" not in told
    assert "Choose another --out" in told or "choose another --out" in told


@pytest.mark.parametrize("name", ["prepare", "train"])
def test_few_open_files_are_enough_or_told(ground: chaos.Ground, name: str) -> None:
    code, told = chaos.starve(ground, name, few_files)
    assert "Traceback" not in told
    assert "(unexpected" not in told
    assert code == 0 or "too many files open" in told


def test_weights_that_differ_are_seen(ground: chaos.Ground, tmp_path: Path) -> None:
    verb = chaos.VERBS["evaluate"]
    assert verb.result(ground.root / "evaluate") == ground.results["evaluate"]
    (ground.root / "evaluate" / "extra").touch()
    assert verb.result(ground.root / "evaluate") != ground.results["evaluate"]
