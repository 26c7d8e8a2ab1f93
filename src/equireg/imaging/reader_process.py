"""What the processes have in common that read files for equireg: requests in, answers and voxels out.

Such a process reads a JSON object a line from standard input and answers with a JSON object a line on standard output;
after it come as many bytes of voxels as the answer says. It imports nothing but the library that it reads with.
"""

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

_ROOM = 2**29
"""Memory for the library itself, bytes."""

Answer = tuple[dict[str, Any], Iterable[bytes]]
"""What is answered to a request, and the voxels that follow."""


def serve(read: Callable[[dict[str, Any]], Answer], errors: tuple[type[Exception], ...] = ()) -> None:
    """Serve requests until the input ends.

    Args:
        read: answers one request, whose ``memory`` says by how many bytes this process may grow for it.
        errors: what ``read`` raises for a file that cannot be read, beside what Python itself does.
    """
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    for line in requests:
        try:
            request = json.loads(line)
            _limit_memory(int(request["memory"]))
            answer, voxels = read(request)
        except (RuntimeError, MemoryError, ValueError, OSError, *errors) as error:
            answer, voxels = {"error": last_line(error)}, ()
        answers.write(json.dumps(answer).encode() + b"\n")
        for part in voxels:
            answers.write(part)
        answers.flush()


def last_line(error: BaseException) -> str:
    """Return the last line that an error says, or its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _limit_memory(more: int) -> None:
    """Let this process grow by ``more`` bytes and some room, where the system can hold it to that."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = now + more + _ROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    except (ImportError, OSError, ValueError):  # not Linux
        return
