"""The long form of the attack: many damaged files and killed processes, counted into docs/reliability.md.

``make attack MUTATIONS=300 KILLS=20 SEED=0``. Each kind of file is attacked in a process of its own; a crash counts
as a failure of the file that caused it, and the attack goes on behind it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- attack: begin -->", "<!-- attack: end -->"
_SILENT_S = 150
"""Time without a result after which a process counts as hung, s."""


@dataclass
class Row:
    """A line of the table."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    commit: str = ""
    """of the code that was attacked"""


def attack_files(name: str, count: int, seed: int) -> Row:
    """Attack one kind of file; a process that dies is counted and begun again behind the mutation that ended it."""
    row, first, begin = Row(name, commit=commit()), 0, time.monotonic()
    while first < count:
        reached = first
        for number, outcome, words in _results(name, first, count - first, seed):
            row.counts[outcome] += 1
            if outcome == "failed":
                row.failures.append(f"{number}: {words}")
            reached = number + 1
        if reached < count:  # the process ended before its time
            row.counts["failed"] += 1
            row.failures.append(f"{reached}: the process crashed or hung")
            reached += 1
        first = reached
    row.seconds = time.monotonic() - begin
    return row


def _results(name: str, first: int, count: int, seed: int) -> Iterator[tuple[int, str, str]]:
    command = [sys.executable, str(HERE / "fuzz.py"), name]
    numbers = ["--first", str(first), "--count", str(count), "--seed", str(seed)]
    paths = os.pathsep.join([str(HERE), str(HERE.parent / "made_up"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, *numbers], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    )
    assert process.stdout is not None
    watch = threading.Timer(_SILENT_S, process.kill)  # what hangs in a library hears no alarm
    watch.start()
    try:
        for line in process.stdout:
            watch.cancel()
            number, outcome, words = json.loads(line)
            yield number, outcome, words
            watch = threading.Timer(_SILENT_S, process.kill)
            watch.start()
        process.wait(timeout=60)
    finally:
        watch.cancel()
        process.kill()
        process.wait()


def attack_processes(verbs: Sequence[str], kills: int, seed: int, kept: "Kept") -> list[Row]:
    """Kill verbs at random moments, in turn, those that cost little more often."""
    import chaos

    rows = {name: kept.rows.get(f"{name}, killed", Row(f"{name}, killed", commit=commit())) for name in verbs}
    done = sum(sum(row.counts.values()) for row in rows.values())
    if done >= kills:
        return list(rows.values())
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        ground = chaos.prepare_ground(Path(folder) / "ground", verbs)
        turn = one_turn(verbs)
        for number in range(done, kills):
            name = turn[number % len(turn)]
            begin = time.monotonic()
            problem = chaos.kill(ground, name, number, seed)
            rows[name].counts["failed" if problem else "right"] += 1
            rows[name].seconds += time.monotonic() - begin
            if problem:
                rows[name].failures.append(f"{number}: {problem}")
            kept.add(rows[name])
    return list(rows.values())


def one_turn(verbs: Sequence[str]) -> list[str]:
    """Return the verbs in the order in which they are killed, each as often as its entry says and evenly spread."""
    from chaos import VERBS

    places = [((kill + 0.5) / VERBS[name].often, name) for name in verbs for kill in range(VERBS[name].often)]
    return [name for _, name in sorted(places)]


class Kept:
    """Rows that are finished, in a file, so that a long attack can be stopped and continued.

    Args:
        path: the file, a line of JSON each; of a row that stands there twice the last counts. None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                content = json.loads(line)
                self.rows[content["name"]] = Row(**{**content, "counts": Counter(content["counts"])})

    def add(self, row: Row) -> None:
        """Keep a row."""
        self.rows[row.name] = row
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(vars(row)) + "\n")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table for people, with their sum."""
    lines = [
        "| what | tried | refused well | accepted and right | another valid value | failed |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    total = Row("**together**")
    for row in rows:
        total.counts += row.counts
    for row in (*rows, total):
        counts = row.counts
        cells = [row.name, sum(counts.values()), counts["refused"], counts["right"], counts["other"], counts["failed"]]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def commit() -> str:
    """Return the commit of the code that is attacked."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, cwd=HERE, check=False
    )
    return done.stdout.strip() or "unknown"


def facts(command: str, rows: Sequence[Row], seed: int) -> str:
    """Say where and how the attack ran."""
    of_commit: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        of_commit[row.commit].append(row.name)
    *others, most = sorted(of_commit, key=lambda one: len(of_commit[one]))
    commits = f"commit {most}" + "".join(f"; {', '.join(of_commit[one])}: commit {one}" for one in others)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "nibabel", "SimpleITK", "blosc2"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    seconds = sum(row.seconds for row in rows)
    return (
        f"`{command}`, seed {seed}, {commits}, {seconds / 60:.0f} minutes on "
        f"{cores} cores of {platform.machine()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {libraries}."
    )


def write_page(text: str) -> None:
    """Put the table between the marks of docs/reliability.md."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else f"# Reliability\n\n{BEGIN}\n{END}\n"
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run the attack, print every failure, and write the page."""
    from chaos import VERBS
    from targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=300, help="of each kind of file; dear kinds get fewer")
    parser.add_argument("--kills", type=int, default=20, help="of all verbs together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="kinds of files to attack; all where none is given")
    parser.add_argument("--keep", type=Path, help="file of finished rows; an attack that was stopped continues there")
    parser.add_argument("--print", action="store_true", help="print the table and leave docs/reliability.md as it is")
    given = parser.parse_args()
    rows, kept = [], Kept(given.keep)
    for name, target in TARGETS.items():
        if given.only is not None and name not in given.only:
            continue
        count = max(1, given.mutations // target.cost)
        row = kept.rows.get(name) or attack_files(name, count, given.seed)
        if name not in kept.rows:
            kept.add(row)
        print(f"{name}: {dict(row.counts)} in {row.seconds:.0f} s", *row.failures, sep="\n  ", flush=True)
        rows.append(row)
    if given.kills:
        killed = attack_processes(list(VERBS), given.kills, given.seed, kept)
        for row in killed:
            print(f"{row.name}: {dict(row.counts)} in {row.seconds:.0f} s", *row.failures, sep="\n  ", flush=True)
        rows += killed
    command = f"make attack MUTATIONS={given.mutations} KILLS={given.kills} SEED={given.seed}"
    missing = [*TARGETS, *(f"{verb}, killed" for verb in VERBS if given.kills)]
    missing = [name for name in missing if name not in {row.name for row in rows}]
    text = f"{table(rows)}\n\n{facts(command, rows, given.seed)}"
    text += f"\n\nNot in this run: {', '.join(missing)}." if missing else ""
    print(text)
    if not given.print:
        write_page(text)
    if any(row.counts["failed"] for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
