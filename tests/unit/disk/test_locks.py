"""One process an output folder; locks and leftovers of dead processes count for nothing."""

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from equireg import disk
from equireg.disk import locks
from equireg.errors import EquiregError

HOLD = """
import sys
from equireg.disk import locked_folder
with locked_folder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


NO_FLOCK = """
import errno, fcntl, os
def refuse(*arguments, **options):
    raise OSError({number}, os.strerror({number}))
fcntl.flock = fcntl.lockf = os.link = refuse
"""
"""A share that knows neither locks nor hard links."""


@contextmanager
def another_process(out: Path, before: str = "") -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", before + HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(20)
    return process.pid


def lock(out: Path) -> None:
    with disk.locked_folder(out):
        pass


def test_the_second_process_is_refused_with_pid_and_host_of_the_first(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with another_process(out) as first, pytest.raises(EquiregError) as caught:
        lock(out)
    assert str(caught.value).startswith(f"{out}: is in use by process {first.pid} on {socket.gethostname()}. ")
    assert list(tmp_path.iterdir()) == []
    lock(out)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with another_process(out) as first:
        first.kill()
        first.wait(20)
        assert (tmp_path / ".out.lock").exists()
        lock(out)
    assert list(tmp_path.iterdir()) == []


def test_nested_blocks_of_one_process_are_one_lock(tmp_path: Path) -> None:
    with disk.locked_folder(tmp_path / "out"):
        with disk.staged_folder(tmp_path / "out") as staging:
            (staging / "a").write_text("1")
        assert (tmp_path / ".out.lock").exists()
        with pytest.raises(EquiregError, match="in use"):
            subprocess_lock(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_second_thread_is_refused_as_another_process_is(tmp_path: Path) -> None:
    found: list[EquiregError | None] = []

    def attempt() -> None:
        try:
            lock(tmp_path / "out")
            found.append(None)
        except EquiregError as error:
            found.append(error)

    for _ in range(2):
        with disk.locked_folder(tmp_path / "out"):
            thread = threading.Thread(target=attempt)
            thread.start()
            thread.join(20)
            lock(tmp_path / "out")
            assert (tmp_path / ".out.lock").exists()
    attempt()
    assert [f"in use by process {os.getpid()} " in str(error) for error in found] == [True, True, False]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(EquiregError, match="the disk is full"):
            lock(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    lock(tmp_path / "out")


def subprocess_lock(out: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HOLD, str(out)], input="", capture_output=True, text=True, check=False)
    if done.returncode:
        raise EquiregError(done.stderr.splitlines()[-1])


def test_a_link_to_the_folder_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    with disk.locked_folder(tmp_path / "out"), pytest.raises(EquiregError, match="in use"):
        subprocess_lock(tmp_path / "link")


@pytest.mark.parametrize("silent", [False, True])
def test_another_machine_counts_while_it_gives_signs_of_life(tmp_path: Path, silent: bool) -> None:
    file = tmp_path / ".out.lock"
    file.write_text("77\nfaraway\n")
    if silent:
        os.utime(file, (1, 1))
        lock(tmp_path / "out")
        assert not file.exists()
    else:
        with pytest.raises(EquiregError, match=r"process 77 on faraway.*remove .*\.out\.lock"):
            lock(tmp_path / "out")
        assert file.exists()


@pytest.mark.parametrize(("host", "taken"), [("here", True), ("faraway", False)])
def test_a_disk_without_locks_uses_the_file_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, taken: bool
) -> None:
    import filelock

    monkeypatch.setattr(filelock, "FileLock", filelock.SoftFileLock)
    file = tmp_path / ".out.lock"
    pid = dead_pid()
    file.write_text(f"{pid}\n{socket.gethostname() if host == 'here' else host}\n")
    if taken:
        lock(tmp_path / "out")
        assert list(tmp_path.iterdir()) == []
    else:
        with pytest.raises(EquiregError, match=f"process {pid} on faraway"):
            lock(tmp_path / "out")
        os.utime(file, (1, 1))
        lock(tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_share_without_locks_and_hard_links(tmp_path: Path, number: int) -> None:
    out, share = tmp_path / "out", NO_FLOCK.format(number=number)
    attempt = [sys.executable, "-c", f"{share}{HOLD}", str(out)]

    def second() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(attempt, input="", capture_output=True, text=True, timeout=60, check=False)

    with another_process(out, share) as first:
        refused = second()
        assert f"is in use by process {first.pid} on {socket.gethostname()}" in refused.stderr
        assert refused.stdout == ""
        first.kill()
        first.wait(20)
        assert (tmp_path / ".out.lock").exists()
        assert second().stdout == "held\n"
    assert list(tmp_path.iterdir()) == []


def test_the_holder_touches_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "SIGN_OF_LIFE_S", 0.01)
    touched = threading.Event()
    monkeypatch.setattr(locks.os, "utime", lambda file: touched.set())
    with disk.locked_folder(tmp_path / "out"):
        assert touched.wait(20)


def test_the_lock_lies_in_the_folder_where_the_one_above_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(locks.os, "access", lambda path, mode: Path(path) == out)
    with disk.locked_folder(out):
        assert [path.name for path in out.iterdir()] == [locks.IN_FOLDER]
        assert disk.refuse_existing(out) == out  # the lock alone is no content
    assert list(out.iterdir()) == []


def test_leftovers_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    out, dead = tmp_path / "out", dead_pid()
    for folder in (tmp_path / f".out.partial-{dead}", tmp_path / f".other.partial-{dead}", out / "cases" / "a"):
        folder.mkdir(parents=True)
    living = out / f".b.json.partial-{os.getppid()}"
    gone = [out / f".b.json.partial-{dead}", out / "cases" / "a" / f".m.partial-{dead}.nii.gz"]
    for file in (*gone, living, out / ".hidden", out / "made.partial-1"):
        file.write_text("")
    lock(out)
    assert not any(path.exists() for path in gone)
    assert living.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".other.partial-{dead}", "out"]
    assert {".hidden", "made.partial-1"} <= {path.name for path in out.iterdir()}


def test_leftovers_that_are_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("1")
    link = tmp_path / f".out.partial-{dead_pid()}"
    link.symlink_to(tmp_path / "mine")
    lock(tmp_path / "out")
    assert (tmp_path / "mine" / "a").exists()
