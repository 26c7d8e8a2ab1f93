"""How far a long work has come: a bar for a person who watches, lines now and then for a log that is read later."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

Item = TypeVar("Item")

log = logging.getLogger("equireg")

_EVERY_S = 60.0
"""Longest time between two lines where no bar is shown, s."""


class Progress:
    """The progress of one work; a context manager.

    On a terminal and in a notebook a bar moves. Elsewhere a line is logged at least every minute, with the part that
    is done, the speed and the time that is left.

    Args:
        total: items of the whole work.
        what: what the bar and the lines are called; None for neither.
        unit: name of one item.
        done: items that were done before.
        left: returns the seconds that are left, where that is known better than by the pace so far.
    """

    def __init__(
        self,
        total: int,
        what: str | None,
        unit: str = "case",
        done: int = 0,
        left: Callable[[], float] | None = None,
    ) -> None:
        self.total, self.what, self.unit, self.done, self.left = total, what, unit, done, left
        self._first, self._begin = done, time.monotonic()
        self._logged_at = self._begin
        self._bar: Any = _bar(total, what, unit, done) if what is not None and is_watched() else None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, count: int = 1) -> bool:
        """Move on; return whether a line is due (``log_line`` writes it), which it never is beside a bar.

        ``total`` may be changed at any time; the bar follows.
        """
        self.done += count
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.update(count)
            return False
        return self.what is not None and time.monotonic() - self._logged_at >= _EVERY_S

    def show(self, values: Mapping[str, Any]) -> None:
        """Show numbers beside the bar."""
        if self._bar is not None:
            self._bar.set_postfix(values, refresh=False)

    def log_line(self, *facts: str) -> None:
        """Log a line with the part that is done, the facts given, the speed and the time that is left."""
        if self.what is None:
            return
        self._logged_at = time.monotonic()
        if self._bar is not None:
            self._bar.clear()
        log.info("%s", "; ".join([f"{self.what}: {self.unit} {self.done} of {self.total}", *facts, *self._pace()]))
        if self._bar is not None:
            self._bar.refresh()

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _pace(self) -> list[str]:
        """Return the speed since the beginning and the time that is left, as words."""
        seconds, count = time.monotonic() - self._begin, self.done - self._first
        if not count or not seconds:
            return []
        speed = count / seconds
        pace = f"{speed:.3g} {self.unit}s/s" if speed >= 1 else f"{1 / speed:.3g} s a {self.unit}"
        if self.done >= self.total:
            return [pace]
        left = (self.total - self.done) / speed if self.left is None else self.left()
        return [pace, f"{duration(left)} left, until {time_of_day(left)}"]


def track(items: Iterable[Item], total: int, what: str, unit: str = "case") -> Iterator[Item]:
    """Yield items and show the progress over them; an item is done when the next one is asked for."""
    with Progress(total, what, unit) as progress:
        for item in items:
            yield item
            if progress.update():
                progress.log_line()


def duration(seconds: float) -> str:
    """Return a time for people: 40 s, 12 min, 3 h 5 min, 2 d 4 h."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def time_of_day(seconds: float) -> str:
    """Return when so many seconds will have passed, as people write it: 14:05, or 30 Nov 02:10 on another day."""
    now = datetime.now()
    then = now + timedelta(seconds=seconds)
    return f"{then:%H:%M}" if then.date() == now.date() else f"{then.day} {then:%b %H:%M}"


def is_watched() -> bool:
    """Whether a bar would be seen: on a terminal, or in a notebook."""
    if not can_be_shown():
        return False
    is_terminal = getattr(sys.stderr, "isatty", None)  # which an object that a host program logs to may lack
    return (is_terminal is not None and is_terminal()) or _in_notebook()


def can_be_shown() -> bool:
    """Whether standard error takes text: there is none in some programs with windows, and others close it."""
    return sys.stderr is not None and not getattr(sys.stderr, "closed", False)


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    kernel = shell.get_ipython() if shell is not None else None
    return kernel is not None and "IPKernelApp" in getattr(kernel, "config", {})


def _bar(total: int, what: str | None, unit: str, done: int) -> Any:
    if _in_notebook():
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm(total=total, desc=what, unit=unit, initial=done, disable=False)
