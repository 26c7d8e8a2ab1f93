"""Why a scan could not be predicted: one line for the user, and the traceback of what nobody expected."""

import errno
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from equireg.errors import EquiregError, memory_ran_out

_SMALLER = "Predict again with --test_time none, with a smaller --overlap, or"


@dataclass(frozen=True)
class Failure:
    """What stopped one scan."""

    reason: str
    """One line, with the remedy where one is known."""
    trace: str | None = None
    """The traceback of an error that is not the user's, for --debug."""

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """Put an error into words, and let go of the arrays that its traceback holds."""
        if isinstance(error, EquiregError) and error.__cause__ is None:
            return cls(str(error), "\n".join(getattr(error, "__notes__", [])) or None)
        reason = str(error) if isinstance(error, EquiregError) else _words(error)
        return cls(reason, "".join(traceback.format_exception(error)))


class UnexpectedErrors(Exception):
    """The tracebacks behind failures, which --debug shows; the cause of the error that names the scans."""


def error_of(failed: Mapping[str, Failure], rest: str = "") -> EquiregError:
    """Return the error that names every scan that failed, and its reason."""
    reasons = " ".join(f"{name}: {failure.reason}" for name, failure in failed.items())
    error = EquiregError(f"{len(failed)} of the scans could not be predicted. {reasons}{rest}")
    traces = [f"{name}: {failure.trace}" for name, failure in failed.items() if failure.trace]
    if traces:
        error.__cause__ = UnexpectedErrors("\n" + "\n".join(traces))
    return error


def _words(error: Exception) -> str:
    """Say what an error of a library or of ours means to the user."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, torch.OutOfMemoryError):
        return f"the GPU's memory ran out ({first}). {_SMALLER} with --device cpu."
    if memory_ran_out(error):
        return f"memory ran out ({first}). {_SMALLER} with fewer --jobs, or on a machine with more memory."
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return "its name is too long for a file of this disk. Rename the scan."
    return f"stopped by an unexpected {type(error).__name__}: {first} (--debug shows where)."
