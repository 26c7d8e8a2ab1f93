"""The verbs go without the modules and calls that only POSIX has, as far as another system can be imitated here."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from equireg.phantom import PhantomConfig, write_dataset

HIDING = """
import os, sys
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("sched_getaffinity", "getloadavg", "geteuid"):
    delattr(os, name)
asked = os.sysconf
def sysconf(name):
    if name in ("SC_PHYS_PAGES", "SC_PAGE_SIZE"):
        raise AttributeError("module 'os' has no attribute 'sysconf'")
    return asked(name)
os.sysconf = sysconf
"""
"""Run by every process of Python before anything else, those of workers and readers too. Python's asyncio asks another
number of ``os.sysconf`` on this system."""


@pytest.fixture
def without_posix(tmp_path: Path) -> Any:
    """Return the command line in such a process."""
    (tmp_path / "hiding").mkdir()
    (tmp_path / "hiding/sitecustomize.py").write_text(HIDING)
    source = Path(__file__).parents[2] / "src"
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "hiding"), str(source)]), "USERNAME": "somebody"}

    def run(*words: Any) -> str:
        command = [sys.executable, "-m", "equireg.cli", *map(str, words)]
        done = subprocess.run(command, env={**os.environ, **paths}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_prepare_plan_train_and_predict(without_posix: Any, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    raw = write_dataset(tmp_path / "raw", PhantomConfig(cases=4, shape=(32, 32, 16), spacing_mm=(6.0, 6.0, 8.0)))
    prepared, run, cpu = tmp_path / "prepared", tmp_path / "run", ("--device", "cpu", "--precision", "32")
    without_posix("prepare", raw, "--out", prepared)
    assert "memory" in without_posix("plan", prepared, "--method", "supervised", "--max_steps", 2, *cpu)
    without_posix("train", prepared, "--out", run, "--method", "supervised", *tiny[:-2], "--workers", 1)
    without_posix("predict", run, prepared, "--split", "val", "--out", tmp_path / "predictions", *cpu)
    assert list((tmp_path / "predictions").glob("*.nii.gz"))
