"""Whether `equireg serve` answers, for the health check of a container: ``python -m equireg.serving.health``."""

import http.client
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

PATH = "/health"
"""Answered without a token, and holds nothing of the data."""
_MAIN = Path("/proc/1/cmdline")
_SECONDS = 4


def main(command: Sequence[str] | None = None) -> int:
    """Ask the server that the container's first process is; any other verb is taken to be well.

    Args:
        command: words of that process; None to read them.

    Returns:
        0 where all is well, else 1.
    """
    words = _MAIN.read_bytes().decode(errors="replace").split("\0") if command is None else list(command)
    if "serve" not in words:
        return 0
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", _port(words), timeout=_SECONDS)) as connection:
            connection.request("GET", PATH)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"the server does not answer ({error}).")
        return 1
    return 0 if status == http.client.OK else 1


def _port(words: Sequence[str]) -> int:
    from equireg.config.serving import ServeConfig

    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word == "--port":
            return int(after)
        if word.startswith("--port="):
            return int(word.partition("=")[2])
    return ServeConfig.port


if __name__ == "__main__":
    sys.exit(main())
