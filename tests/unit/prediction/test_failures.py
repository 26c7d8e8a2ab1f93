"""What stopped a scan, in one line; the traceback only where nobody expected it."""

import errno
import os

import pytest
import torch

from equireg.errors import EquiregError
from equireg.prediction.failures import Failure, error_of


def caught(error: Exception) -> Failure:
    try:
        raise error
    except Exception as raised:
        return Failure.of(raised)


def test_a_users_error_is_reported_as_it_is() -> None:
    assert caught(EquiregError("a.nii: is empty.")) == Failure("a.nii: is empty.")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB.\nmore"), ("GPU", "--test_time none", "--device cpu")),
        (MemoryError(), ("memory ran out", "--jobs", "--overlap")),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), ("memory ran out",)),
        (OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)), ("too long", "Rename")),
        (ZeroDivisionError("division by zero"), ("ZeroDivisionError", "division by zero", "--debug")),
    ],
    ids=str,
)
def test_other_errors_have_a_remedy_and_a_traceback(error: Exception, words: tuple[str, ...]) -> None:
    failure = caught(error)
    assert all(word in failure.reason for word in words), failure.reason
    assert "\n" not in failure.reason
    assert "in caught" in str(failure.trace)


def test_all_that_failed_are_named() -> None:
    error = error_of({"a": Failure("bad."), "b": caught(KeyError("x"))}, " The rest.")
    assert str(error).startswith("2 of the scans could not be predicted. a: bad. b: stopped by")
    assert str(error).endswith(" The rest.")
    assert "b: Traceback" in str(error.__cause__)
    assert error_of({"a": Failure("bad.")}).__cause__ is None
