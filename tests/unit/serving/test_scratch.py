"""The temporary folder of a server."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from equireg.serving.scratch import temporary_folder


def test_what_killed_servers_left_is_removed_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with temporary_folder() as own:
        left = Path(own.replace(f"-{os.getpid()}-", f"-{ended.pid}-"))
        (left / "sent").mkdir(parents=True)
        running = Path(own.replace(f"-{os.getpid()}-", f"-{os.getppid()}-"))
        elsewhere = tmp_path / f"equireg-serve-other.host-{ended.pid}-abcdefgh"
        link = tmp_path / f"{left.name}x"
        running.mkdir()
        elsewhere.mkdir()
        link.symlink_to(elsewhere)
        with temporary_folder():
            assert not left.exists()
            assert all(folder.exists() for folder in (Path(own), running, elsewhere, link))
