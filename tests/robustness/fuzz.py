"""The engine of the attack on files: damage, read, and say what became of it.

``python tests/robustness/fuzz.py TARGET --first 0 --count 100 --seed 0 --folder D`` prints one JSON line a mutation;
``attack.py`` starts it as a process of its own for each target, so that a crash is counted and survived.
"""

import argparse
import dataclasses
import json
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np

from equireg.errors import EquiregError, UnexpectedError

Outcome = Literal["refused", "right", "other", "failed"]
"""Refused well; read with the values of the healthy file; read with other values; anything else."""

SECONDS = 30
MEMORY = 2**30
_KIBIBYTE = 1 if sys.platform == "darwin" else 1024


@dataclasses.dataclass(frozen=True)
class Subject:
    """A healthy file of one kind, and how it is damaged and read."""

    path: Path
    damage: Callable[[bytes, np.random.Generator], bytes]
    read: Callable[[], Any]
    """Reads all that a verb reads of the file; raises EquiregError to refuse it."""
    named: tuple[str, ...] = ()
    """Words of which a refusal holds one; none stand for the file's path."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A kind of file."""

    make: Callable[[Path], Subject]
    """Makes the healthy file and all around it in an empty folder."""
    sealed: bool = False
    """Whether the format has a checksum, so that damage may never be read as other values."""
    cost: int = 1
    """How many times dearer a mutation is than one of a small file; the attack makes fewer."""


class _Hang(BaseException):
    """Reading took too long; no handler of ours may take it for an error of the file."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of one damaged file."""

    outcome: Outcome
    words: str = ""


def attack(target: Target, name: str, folder: Path, numbers: range, seed: int = 0) -> Iterator[tuple[int, Result]]:
    """Damage a target's file and read it, once for each number; yield the number and what became of it.

    Every mutation depends on the seed, the target's name and its number alone.
    """
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        subject = target.make(folder)
        healthy = subject.path.read_bytes()
        expected = digest(subject.read())
        for number in numbers:
            rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
            content = subject.damage(healthy, rng)
            subject.path.write_bytes(content)
            yield number, _read(subject, expected, target.sealed and content != healthy)
            subject.path.write_bytes(healthy)


def counts(results: Iterator[tuple[int, Result]]) -> tuple[Counter[str], list[str]]:
    """Return how often each outcome came, and the words of the failures."""
    found: Counter[str] = Counter()
    failures = []
    for number, result in results:
        found[result.outcome] += 1
        if result.outcome == "failed":
            failures.append(f"{number}: {result.words}")
    return found, failures


def _read(subject: Subject, expected: str, sealed: bool) -> Result:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.monotonic()
    try:
        with _alarm():
            found = digest(subject.read())
        result = Result("right") if found == expected else Result("failed" if sealed else "other", "silent garbage")
    except UnexpectedError as error:
        result = Result("failed", f"unexpected: {error}")
    except EquiregError as error:
        result = _judged(str(error), subject)
    except _Hang:
        result = Result("failed", f"hang: over {SECONDS} s")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "equireg" in frame.filename]
        place = ours[-1] if ours else place
        result = Result("failed", f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"[:300])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * _KIBIBYTE
    if grown > MEMORY:
        return Result("failed", f"memory: {grown / 2**30:.1f} GiB in {time.monotonic() - begin:.0f} s")
    return result


def _judged(message: str, subject: Subject) -> Result:
    """Return whether a refusal is one: a line with the file, and no fault of ours."""
    names = subject.named or (str(subject.path),)
    if "(unexpected" in message or "an unexpected" in message:
        return Result("failed", f"unexpected: {message[:200]}")
    if not any(name in message for name in names):
        return Result("failed", f"names no file: {message[:200]}")
    if len(message) > 2000 + len(str(subject.path)):
        return Result("failed", f"a refusal of {len(message)} letters: {message[:200]}")
    return Result("refused", message)


def digest(value: Any) -> str:
    """Return a digest of arrays, plain values and dataclasses."""
    found = blake2b(digest_size=16)
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, np.ndarray):
            found.update(f"{item.dtype} {item.shape}".encode())
            found.update(np.ascontiguousarray(item).tobytes())
        elif isinstance(item, dict):
            waiting += [part for pair in item.items() for part in pair]
        elif isinstance(item, list | tuple):
            found.update(str(len(item)).encode())
            waiting += item
        else:
            found.update(repr(item).encode(errors="surrogatepass"))
    return found.hexdigest()


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise _Hang

    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@contextmanager
def _quiet() -> Iterator[None]:
    import logging

    logger = logging.getLogger("equireg")
    old = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(old)


def main() -> None:
    """Attack one target and print a JSON line a mutation."""
    from targets import TARGETS

    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--words", action="store_true", help="show the words of refusals too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        numbers = range(given.first, given.first + given.count)
        for number, result in attack(TARGETS[given.target], given.target, Path(folder), numbers, given.seed):
            shown = result.words if given.words or result.outcome == "failed" else ""
            print(json.dumps([number, result.outcome, shown]), flush=True)


if __name__ == "__main__":
    main()
