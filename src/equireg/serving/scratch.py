"""The temporary folder of a server, with the scans that it was sent, and what killed servers left of theirs."""

import os
import re
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from equireg.disk.leftovers import process_runs

_NAME = re.compile(r"equireg-serve-(?P<host>.+)-(?P<pid>\d{1,10})-[^-]+")


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Make the folder of this server; those of killed servers of this user and machine are removed first."""
    host = re.sub(r"[^\w.]", "_", socket.gethostname())
    for folder in Path(tempfile.gettempdir()).glob("equireg-serve-*"):
        made = _NAME.fullmatch(folder.name)
        if made and made["host"] == host and not process_runs(int(made["pid"])):
            _remove(folder)
    return tempfile.TemporaryDirectory(prefix=f"equireg-serve-{host}-{os.getpid()}-", ignore_cleanup_errors=True)


def _remove(folder: Path) -> None:
    """Remove a folder, unless it is a link or another user's."""
    with suppress(OSError):
        found = folder.lstat()
        own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        if own and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
