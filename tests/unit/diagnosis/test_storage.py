"""Folders that are read-only, full, slow, or whose locks do not hold."""

import errno
import itertools
import os
import tempfile
from pathlib import Path
from typing import Any

import filelock
import pytest

from equireg.diagnosis import storage
from equireg.diagnosis.findings import GIB


def failing(number: int) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_healthy_folder_is_left_as_it_was(tmp_path: Path) -> None:
    found = list(storage.check_storage(tmp_path))
    assert [finding.check for finding in found] == [
        "given folder",
        "free space",
        "disk speed",
        "locks",
        "temporary folder",
    ]
    assert {finding.state for finding in found if finding.check not in ("disk speed", "free space")} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_the_current_folder_need_not_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert next(storage.check_storage(None)).check == "current folder"
    monkeypatch.setattr(tempfile, "mkdtemp", failing(errno.EROFS))
    first, second = list(storage.check_storage(None))
    assert (first.state, second.state) == ("warning", "failure")
    assert "read-only" in first.finding
    assert "TMPDIR" in second.remedy
    given, _ = list(storage.check_storage(tmp_path))
    assert given.state == "failure"


def test_no_temporary_folder_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", failing(errno.ENOENT))
    *_, last = storage.check_storage(tmp_path)
    assert (last.check, last.state) == ("temporary folder", "failure")
    assert "TMPDIR" in last.remedy


def test_room(tmp_path: Path) -> None:
    for free, state in ((0.5, "failure"), (5, "warning"), (50, "ok")):
        finding = storage.check_room(tmp_path, lambda _, free=free: (100 * GIB, 0, int(free * GIB)))
        assert finding.state == state
        assert f"{free:.1f} GiB free" in finding.finding


def test_a_slow_disk(tmp_path: Path) -> None:
    seconds = itertools.count()  # a second passes between any two looks at the clock
    slow = storage.check_speed(tmp_path, lambda: float(next(seconds)))
    assert slow.state == "warning"
    assert "local disk" in slow.remedy
    fast = storage.check_speed(tmp_path, itertools.count(step=1e-6).__next__)
    assert fast.state == "ok"
    assert "(64 MiB" in fast.finding


def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    assert storage.check_speed(tmp_path).state == "failure"


def test_locks_that_hold_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage.check_locks(tmp_path).state == "ok"
    with monkeypatch.context() as patch:
        patch.setattr(filelock.FileLock, "_acquire", lambda self: setattr(self._context, "lock_file_fd", 0))
        patch.setattr(filelock.FileLock, "_release", lambda self: setattr(self._context, "lock_file_fd", None))
        assert "grants the same one twice" in storage.check_locks(tmp_path).finding
    monkeypatch.setattr(filelock.FileLock, "_acquire", failing(errno.ENOLCK))
    finding = storage.check_locks(tmp_path)
    assert finding.state == "warning"
    assert "knows none" in finding.finding
