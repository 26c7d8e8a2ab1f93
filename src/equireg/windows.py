"""What Windows says of memory and processes, where the calls of POSIX are missing; None on every other system.

Written from Microsoft's documentation of kernel32.
"""

import ctypes
from typing import Any

_STILL_ACTIVE = 259
_ACCESS_DENIED = 5
_QUERY_LIMITED_INFORMATION = 0x1000
_THIS_PROCESS = -1


class MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX: the machine's memory, bytes."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load_percent", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("available", ctypes.c_uint64),
        ("total_page_file", ctypes.c_uint64),
        ("available_page_file", ctypes.c_uint64),
        ("total_virtual", ctypes.c_uint64),
        ("available_virtual", ctypes.c_uint64),
        ("available_extended", ctypes.c_uint64),
    )


class ProcessMemory(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS: a process' memory, bytes."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("page_faults", ctypes.c_uint32),
        ("peak", ctypes.c_size_t),
        ("now", ctypes.c_size_t),
        ("peak_paged_pool", ctypes.c_size_t),
        ("paged_pool", ctypes.c_size_t),
        ("peak_nonpaged_pool", ctypes.c_size_t),
        ("nonpaged_pool", ctypes.c_size_t),
        ("page_file", ctypes.c_size_t),
        ("peak_page_file", ctypes.c_size_t),
    )


def kernel32() -> Any:
    """Return the system's library of these calls; None elsewhere."""
    libraries = getattr(ctypes, "windll", None)
    return None if libraries is None else libraries.kernel32


def available_memory() -> int | None:
    """Return the bytes of the machine's memory that programs may still take."""
    library, status = kernel32(), MemoryStatus()
    status.length = ctypes.sizeof(status)
    if library is None or not library.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.available)


def peak_memory() -> int | None:
    """Return the most bytes that this process has held so far."""
    library, counters = kernel32(), ProcessMemory()
    counters.length = ctypes.sizeof(counters)
    if library is None:
        return None
    process = ctypes.c_void_p(_THIS_PROCESS)
    found = library.K32GetProcessMemoryInfo(process, ctypes.byref(counters), ctypes.c_uint32(counters.length))
    return int(counters.peak) if found else None


def process_runs(pid: int) -> bool | None:
    """Return whether a process has this number. There ``os.kill(pid, 0)`` sends Ctrl-C, or ends the process."""
    library = kernel32()
    if library is None:
        return None
    library.OpenProcess.restype = ctypes.c_void_p
    handle = library.OpenProcess(_QUERY_LIMITED_INFORMATION, 0, ctypes.c_uint32(pid))
    if not handle:
        return bool(library.GetLastError() == _ACCESS_DENIED)
    code = ctypes.c_uint32()
    try:
        found = library.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code))
        return bool(not found or code.value == _STILL_ACTIVE)
    finally:
        library.CloseHandle(ctypes.c_void_p(handle))
