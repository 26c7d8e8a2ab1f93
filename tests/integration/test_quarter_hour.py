"""The quarter of an hour on a GPU: its parts cannot stop each other, and all of them run on a CPU in a tiny form."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quarter_hour(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks/gpu"))
    yield import_module("quarter_hour")
    sys.modules.pop("quarter_hour", None)


def part(module: ModuleType, name: str, code: str, limit_s: float = 30.0, beside: bool = False) -> object:
    def command(out: Path, seconds: float) -> Sequence[str]:
        return ["-c", code, str(out)]

    return module.Part(name, command, limit_s, beside)


GOOD = 'import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(\'{"table": "fine"}\')'


@pytest.mark.slow
def test_parts_do_not_stop_each_other(
    quarter_hour: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = quarter_hour.Call(tmp_path, "first", 60)
    sleeping = tmp_path / "child"
    child = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    child += f"open({str(sleeping)!r}, 'w').write(str(p.pid)); p.wait()"
    call.run(
        [
            part(quarter_hour, "crash", "import os; os.kill(os.getpid(), 11)", beside=True),
            part(quarter_hour, "error", "raise ValueError('no such kernel')", beside=True),
            part(quarter_hour, "silent", "pass"),
            part(quarter_hour, "slow", child, limit_s=5.1),
            part(quarter_hour, "good", GOOD),
        ],
        at_once=2,
    )
    found = json.loads((tmp_path / "first.json").read_text())
    states = {name: result["state"] for name, result in found.items()}
    assert states == {"crash": "failed", "error": "failed", "silent": "failed", "slow": "too long", "good": "ok"}
    assert found["crash"]["exit code"] == -11
    assert found["error"]["error"][-1] == "ValueError: no such kernel"
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == list(states)
    assert shown[-1].endswith("fine")
    time.sleep(0.1)
    stat = Path("/proc", sleeping.read_text(), "stat")  # what a part has started ends with it
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_a_call_ends_in_time(quarter_hour: ModuleType, tmp_path: Path) -> None:
    call = quarter_hour.Call(tmp_path, "first", 12)
    begin = time.monotonic()
    call.run([part(quarter_hour, "late", "import time; time.sleep(60)", float("inf"))], at_once=1)
    assert call.results["late"]["state"] == "not begun"
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_limits_fit_into_the_calls(quarter_hour: ModuleType, device: str) -> None:
    assert quarter_hour.SECONDS == {"first": 9 * 60, "second": 5 * 60}
    for call, seconds in quarter_hour.SECONDS.items():
        options = argparse.Namespace(call=call, device=device, tiny=False, acdc=None)
        parts = quarter_hour.parts_of(options)
        finite = [one for one in parts if one.limit_s < float("inf")]
        # Smoke tests run four at once; what is left at the worst is a training worth its name.
        beside = [one.limit_s for one in finite if one.beside]
        rest = [one.limit_s for one in finite if not one.beside]
        assert parts[-1].limit_s == float("inf")
        assert sum(rest) + 60.0 * -(-len(beside) // 4) <= seconds - 60


@pytest.mark.slow
@pytest.mark.parametrize("call", ["first", "second"])
def test_every_part_runs_in_a_tiny_form(tmp_path: Path, call: str) -> None:
    command = [ROOT / "benchmarks/gpu/quarter_hour.sh", call, tmp_path, "--device", "cpu", "--tiny", "--at_once", "1"]
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*map(str, command), "--seconds", "2000"], capture_output=True, text=True, check=False, env=environment
    )
    found = json.loads((tmp_path / f"{call}.json").read_text())
    assert {name: result.get("error") for name, result in found.items() if result["state"] != "ok"} == {}
    assert done.returncode == 0, done.stderr
    assert "parts are ok" in done.stdout
    assert "Dice" in done.stdout
