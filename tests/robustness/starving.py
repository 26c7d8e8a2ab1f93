"""What is taken from a process before it runs a verb; each function is called in a fork, ahead of the command."""

import ctypes
import os
import resource
import signal
import subprocess
from pathlib import Path

_NEW_MOUNTS = 0x20000
_PRIVATE = (1 << 14) | (1 << 18)
_READ_ONLY = 1


def few_files() -> None:
    """Take all but 64 open files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def full_disk() -> None:
    """Let no file grow beyond 3 kB, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


def two_gibibytes() -> None:
    """Take all memory but 2 GiB."""
    resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))


def no_memory() -> None:
    """Take all memory but 2 MiB more than this process has; what it has freed before counts as had."""
    status = Path("/proc/self/status").read_text()
    used = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData"))
    limit = used * 1024 + 2 * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def no_shared_memory() -> None:
    """Cover /dev/shm with a folder that takes nothing, for this process and its children."""
    _own_mounts()
    _mount("/dev/shm")


def read_only(path: Path) -> None:
    """Cover a folder with one that can only be read, for this process and its children."""
    _own_mounts()
    _mount(str(path))


def may_mount() -> bool:
    """Return whether this user may give a process mounts of its own."""
    try:
        done = subprocess.run(["unshare", "-m", "true"], capture_output=True, timeout=20, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _own_mounts() -> None:
    _call("unshare", _NEW_MOUNTS)
    _call("mount", None, b"/", None, _PRIVATE, None)


def _mount(place: str) -> None:
    _call("mount", b"tmpfs", place.encode(), b"tmpfs", _READ_ONLY, b"size=4k")


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
