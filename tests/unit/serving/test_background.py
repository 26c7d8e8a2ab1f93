"""The training in the background: a process of its own, followed by its log."""

import time
from pathlib import Path

import pytest

from equireg.serving.background import Training
from equireg.serving.errors import RequestError


def test_a_training_that_cannot_start_says_why(tmp_path: Path):
    training = Training([tmp_path])
    with pytest.raises(RequestError, match="nothing was trained so far"):
        training.status()
    assert training.silence() == "nothing was trained so far."
    begun = training.start("model", [str(tmp_path / "nowhere")], tmp_path / "run_1")
    assert begun["model"] == "model"
    assert training.silence() == "the training has written nothing yet."
    deadline = time.monotonic() + 120
    while training.status()["status"] == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)
    ended = training.status()
    assert ended["status"] == "ERROR"
    assert ended["result"].startswith("error: ")
    assert "nowhere: no such folder" in ended["result"]
    assert str(tmp_path) not in ended["result"]
    with pytest.raises(RequestError, match="no training runs"):
        training.stop()


def test_one_training_at_a_time_and_it_can_be_stopped(tmp_path: Path):
    training = Training([])
    training.start("model", [str(tmp_path / "nowhere")], tmp_path / "run_1")
    with pytest.raises(RequestError, match="runs already") as refused:
        training.start("model", [], tmp_path / "run_2")
    assert refused.value.status == 429
    assert training.stop()["status"] == "STOPPED"
    training.end()  # nothing is left to end
