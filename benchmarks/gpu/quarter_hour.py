"""The parts of a quarter of an hour on a GPU, one after the other, each with its own time limit; a table and JSON.

    benchmarks/gpu/quarter_hour.sh first|second OUT [--acdc PREPARED] [--device cuda] [--seconds 540] [--tiny]

Each part is a process of its own that writes JSON. A part that fails, crashes or takes too long is noted, and the next
one begins. OUT/CALL.json is written anew after every part, so that nothing is lost when the machine goes away.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SPEED = HERE.parent / "speed"
SECONDS = {"first": 540.0, "second": 300.0}
"""Time of each call, s."""
_RESERVE_S = 10.0
"""Kept free at the end of a call, s."""
_LEAST_S = 5.0
"""A part is not begun with less than this, s."""
_TINY_PATIENCE = 15.0
"""Factor of the limits of parts with --tiny: a busy laptop is no GPU."""
_LINES = 12
"""Last lines of a part's output that are kept where it fails."""


@dataclass(frozen=True)
class Part:
    """One measurement or smoke test."""

    name: str
    command: Callable[[Path, float], Sequence[str]]
    """its command line, from the JSON file to write and the seconds that it has"""
    limit_s: float
    """its time limit, s; infinite for all that is left"""
    beside: bool = False
    """whether it runs at the same time as others of the kind: its time does not matter"""


def smoke(name: str, options: argparse.Namespace) -> Part:
    """Return a smoke test, see smoke.py."""

    def command(out: Path, _: float) -> list[str]:
        return [str(HERE / "smoke.py"), name, "--out", str(out), "--device", options.device]

    return Part(name, command, 60.0, beside=True)


def bench(name: str, script: str, limit_s: float, *arguments: str) -> Part:
    """Return a benchmark of benchmarks/speed."""
    return Part(name, lambda out, _: [str(SPEED / script), "--out", str(out), *arguments], limit_s)


def acdc(name: str, method: str, options: argparse.Namespace) -> Part:
    """Return a training on the prepared scans for as long as is left, with its evaluation."""

    def command(out: Path, seconds: float) -> list[str]:
        arguments = ["--out", str(out), "--device", options.device, "--method", method, "--seconds", f"{seconds:.0f}"]
        data = ["--prepared", str(options.acdc)] if options.acdc else []
        return [str(HERE / "acdc.py"), *arguments, *data, *(["--tiny"] if options.tiny else [])]

    return Part(name, command, float("inf"))


def parts_of(options: argparse.Namespace) -> list[Part]:
    """Return the parts of a call, in order."""
    if options.call == "second":
        return [acdc("acdc supervised", "supervised", options)]
    device = ("--device", options.device)
    kinds = ("bf16", "32") if options.device == "cpu" else ("bf16", "16", "32")
    names = [f"train {dims}D {kind}" for dims in (2, 3) for kind in kinds]
    small = ("--features", "4", "--batch_size", "1", "--ratio", "1", "--steps", "1") if options.tiny else ()
    precision = ("--precision", "32" if options.tiny else "bf16")
    flat = ("--shape", "8,32,32") if options.tiny else ("--shape", "16,256,224", "--batch_size", "24")
    solid = ("--shape", "16,32,32") if options.tiny else ("--shape", "96,96,96", "--batch_size", "4")
    size = ("--slices", "16", "--side", "32", "--cases", "1") if options.tiny else ("--cases", "2")
    networks = ("--networks", "default, slices", *(() if options.tiny else ("default, volumes",)))
    return [
        *(smoke(name, options) for name in ("machine", *names, "resume", "predict", "out of memory")),
        bench("step 2D", "step.py", 60.0, *device, *precision, *flat, *small),
        bench("step 3D", "step.py", 60.0, "--dims", "3", *device, *precision, *solid, *small),
        bench("transforms", "transforms.py", 60.0, "--quick", *device, *(("--tiny",) if options.tiny else ())),
        bench("BraTS predict", "predict.py", 120.0, "--plain", "--rounds", "1", *device, *size, *networks),
        acdc("acdc equireg", "equireg", options),
    ]


class Call:
    """A call: its parts, what became of them, and the file that tells it.

    Args:
        out: the folder of the file.
        name: of the call.
        seconds: time of all parts together, s.
        patience: factor of the limits of parts.
    """

    def __init__(self, out: Path, name: str, seconds: float, patience: float = 1.0) -> None:
        self.patience = patience
        self.file, self.end = out / f"{name}.json", time.monotonic() + seconds - _RESERVE_S
        self.results: dict[str, dict[str, Any]] = {}
        self.running: set[subprocess.Popen[bytes]] = set()
        out.mkdir(parents=True, exist_ok=True)

    def run(self, parts: Sequence[Part], at_once: int) -> None:
        """Run parts that may share the machine at once, the others one after the other."""
        with ThreadPoolExecutor(at_once) as pool:
            for part, result in zip(
                [part for part in parts if part.beside],
                pool.map(self._run, [part for part in parts if part.beside]),
                strict=True,
            ):
                self._note(part, result)
        for part in parts:
            if not part.beside:
                self._note(part, self._run(part))

    def _note(self, part: Part, result: dict[str, Any]) -> None:
        self.results[part.name] = result
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps(self.results, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.file)
        print(row(part.name, result))

    def _run(self, part: Part) -> dict[str, Any]:
        """Run one part within its time and that of the call; return what it measured, or why it did not."""
        limit = min(self.patience * part.limit_s, self.end - time.monotonic())
        if limit < _LEAST_S:
            return {"state": "not begun", "error": "no time was left"}
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            out, log = Path(folder, "result.json"), Path(folder, "log")
            code = self._run_process([sys.executable, *part.command(out, limit)], log, limit)
            seconds = round(time.monotonic() - begin, 1)
            if code == 0 and out.exists():
                return {"state": "ok", "seconds": seconds, "result": json.loads(out.read_text(encoding="utf-8"))}
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:]
        state = "too long" if code is None else "failed"
        return {"state": state, "seconds": seconds, "limit": round(limit), "exit code": code, "error": lines}

    def _run_process(self, command: Sequence[str], log: Path, limit_s: float) -> int | None:
        """Run a process with all that it starts; return its exit code, or None where it was ended for its time."""
        with log.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
            self.running.add(process)
            try:
                return process.wait(limit_s)
            except subprocess.TimeoutExpired:
                return None
            finally:
                _end(process)
                self.running.discard(process)

    def stop(self, *_: object) -> None:
        """End this program and all that it has started, as a signal asks for; what was finished lies in the file."""
        for process in list(self.running):
            _end(process)
        os._exit(143)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def row(name: str, result: Mapping[str, Any]) -> str:
    """Return a part's line of the table."""
    if result["state"] != "ok":
        error = result["error"] if isinstance(result["error"], str) else (result["error"] or [""])[-1]
        return f"{name:18} {result['state']:10} {result.get('seconds', 0):6.1f} s  {error}"
    return f"{name:18} ok         {result['seconds']:6.1f} s  {told(result['result'])}"


def told(result: Mapping[str, Any]) -> str:
    """Return the numbers of a result that belong in the table: a part may say them itself, as ``table``."""
    if "table" in result:
        return str(result["table"])
    if "in_supervised_steps" in result:
        step = result["equireg"]
        return f"{step['step_ms']} ms a step, {step['step_over_floor']} of the networks alone"
    speeds = {key: value for key, value in result.items() if key.startswith("unlabelled slices a second")}
    if speeds:
        return "; ".join(f"{key}: {value}" for key, value in speeds.items())
    scans = {key: value["seconds_a_case"]["at_once"] for key, value in result.items() if _is_scan(value)}
    return "; ".join(f"{key}: {value} s a scan" for key, value in scans.items())


def _is_scan(value: object) -> bool:
    return isinstance(value, dict) and "seconds_a_case" in value


def main(arguments: Sequence[str]) -> int:
    """Run a call; return 0 where every part is ok."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("call", choices=tuple(SECONDS))
    parser.add_argument("out", type=Path)
    parser.add_argument("--acdc", type=Path, help="prepared folder of data.py; without it phantoms")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, help="time of the call, s")
    parser.add_argument("--at_once", type=int, default=4, help="smoke tests that run at the same time")
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", help="some parts, by their names")
    parser.add_argument("--tiny", action="store_true", help="everything small, to try the script itself")
    options = parser.parse_args(arguments)
    parts = parts_of(options)
    unknown = set(options.only) - {part.name for part in parts}
    if unknown:
        parser.error(f"--only: {', '.join(unknown)}; expected some of {', '.join(part.name for part in parts)}")
    patience = _TINY_PATIENCE if options.tiny else 1.0
    call = Call(options.out, options.call, options.seconds or SECONDS[options.call], patience)
    signal.signal(signal.SIGTERM, call.stop)
    call.run([part for part in parts if part.name in (options.only or [part.name])], options.at_once)
    states = [result["state"] for result in call.results.values()]
    print(f"{states.count('ok')} of {len(states)} parts are ok; {call.file}")
    return int(set(states) != {"ok"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
