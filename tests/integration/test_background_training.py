"""A training that a server has started ends with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_SERVER = """
import sys, time
from pathlib import Path
from equireg.serving.background import Training

training = Training([])
prepared, out = sys.argv[1:]
training.start("m", [prepared, "--max_steps", "1000000", "--device", "cpu", "--logger", "none"], Path(out))
print(training._task.process.pid, flush=True)
time.sleep(600)
"""


def is_alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_training_ends_with_a_server_that_is_killed(phantom_prepared: Path, tmp_path: Path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    arguments = [sys.executable, "-c", _SERVER, str(phantom_prepared), str(tmp_path / "run")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        process = int(server.stdout.readline())
        log, late = tmp_path / "run.log", time.monotonic() + 120
        while "slices of" not in (log.read_text() if log.exists() else ""):  # it trains, and is no process that failed
            assert is_alive(process), log.read_text()
            assert time.monotonic() < late
            time.sleep(0.2)
        server.kill()
    late = time.monotonic() + 20
    while is_alive(process):
        if time.monotonic() > late:
            os.kill(process, signal.SIGKILL)
            pytest.fail("the training goes on without its server")
        time.sleep(0.2)
