"""What a task is to those that run it: how its errors cross from a worker, and what a place for tasks offers."""

import traceback
from collections.abc import Callable, Collection
from typing import Any, Protocol, TypeVar

from equireg.errors import EquiregError, UnexpectedError, memory_ran_out

Result = TypeVar("Result")


class WorkerDiedError(EquiregError):
    """The process that worked on a task died; no case or option is known to be to blame."""


class Place(Protocol):
    """Where tasks run: begun one by one, and waited for."""

    def room(self) -> int:
        """Return how many tasks may run at once, now."""
        ...

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Begin a task and return what it is known by."""
        ...

    def wait(self, begun: Collection[Any]) -> Any:
        """Return one of the begun tasks that has ended."""
        ...

    def result(self, ended: Any) -> Any:
        """Return what a task that has ended returned, or the error that the user must see.

        Raises:
            WorkerDiedError: if its worker died.
        """
        ...

    def close(self, *, cut: bool) -> None:
        """End all workers: after the tasks that they work on, or at once."""
        ...


def guarded(function: Callable[..., Result], *arguments: Any) -> Result | EquiregError:
    """Return a task's error as a value, which crosses from a worker with its words and notes intact.

    An unexpected error is reported as such, with its traceback as a note; it is never taken for a fault of the
    data.
    """
    try:
        return function(*arguments)
    except EquiregError as error:
        found = type(error)(str(error))
        found.__notes__ = [*getattr(error, "__notes__", [])]
        return found
    except Exception as error:
        if memory_ran_out(error):
            return EquiregError("needs more memory than there is; try fewer --jobs or a coarser --spacing.")
        if isinstance(error, OSError):  # of the disk or the network share, not ours
            return EquiregError(f"cannot be read or written ({type(error).__name__}: {error}).")
        unexpected = UnexpectedError(f"{type(error).__name__}: {error} (unexpected; --debug shows where)")
        unexpected.add_note(traceback.format_exc())
        return unexpected
