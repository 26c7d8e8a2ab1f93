"""Progress: a bar where somebody looks, lines where a log is kept."""

import io
import logging
import re
import sys
import types
from pathlib import Path

import pytest

from equireg.processes import progress
from equireg.processes.progress import Progress, duration, track
from equireg.training.monitoring import log_to_file


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    monkeypatch.setattr(progress, "time_of_day", lambda seconds: "14:05")
    return found


def test_without_a_terminal_a_line_is_due_every_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "equireg"), Progress(100, "train", "step", done=40) as shown:
        clock.now += 20
        assert not shown.update(10)
        clock.now += 40
        assert shown.update(5)
        shown.log_line("total 0.5")
        clock.now += 40
        assert not shown.update(5)
    assert caplog.messages == ["train: step 55 of 100; total 0.5; 4 s a step; 3 min left, until 14:05"]


def test_the_time_left_may_be_known_better(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "equireg"), Progress(100, "train", "step", left=lambda: 600.0) as shown:
        clock.now += 60
        shown.total = 80
        assert shown.update(20)
        shown.log_line()
    assert caplog.messages == ["train: step 20 of 80; 3 s a step; 10 min left, until 14:05"]


def test_the_time_of_day_has_a_date_on_another_day() -> None:
    assert re.fullmatch(r"\d\d:\d\d|\d+ \w+ \d\d:\d\d", progress.time_of_day(0))
    assert re.fullmatch(r"\d+ \w+ \d\d:\d\d", progress.time_of_day(86_400))


def test_items_are_tracked(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "equireg"):
        for item in track("abc", 3, "predict"):
            clock.now += 45
            assert item in "abc"
    assert caplog.messages == ["predict: case 2 of 3; 45 s a case; 45 s left, until 14:05"]


def test_on_a_terminal_a_bar_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(2, "prepare") as shown:
        assert not shown.update(2)
        shown.show({"dice": 0.5})
        shown.log_line("done")
    assert "prepare: 100%" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()


def test_a_notebook_is_a_place_where_people_look(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not progress.is_watched()
    kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: kernel))  # pyright: ignore
    assert progress.is_watched()


@pytest.mark.parametrize("kind", ["none", "poor", "closed"])
def test_a_host_may_have_any_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    closed = io.StringIO()
    closed.close()
    streams = {"none": None, "poor": types.SimpleNamespace(write=print, flush=lambda: None), "closed": closed}
    logger = logging.getLogger("equireg")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", streams[kind])
        patched.setattr(logger, "propagate", False)  # else pytest listens
        patched.setattr(logger, "handlers", [])
        with log_to_file(tmp_path / "log.txt"), Progress(2, "prepare") as shown:
            shown.update()
            shown.log_line("half")
    assert "prepare: case 1 of 2; half" in (tmp_path / "log.txt").read_text()
    assert ("half" in capsys.readouterr().out) == (kind == "poor")


def test_what_has_no_name_is_not_reported(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "equireg"), Progress(3, None) as shown:
        clock.now += 500
        assert not shown.update()
        shown.log_line()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.2, "3 s"), (600, "10 min"), (11_100, "3 h 5 min"), (187_200, "2 d 4 h")]
)
def test_times_are_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words
