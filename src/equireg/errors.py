"""The one kind of error that a user is meant to see, and text that is safe to show."""

import errno
import logging
from collections.abc import Sequence


class EquiregError(Exception):
    """Something that the user can mend: says what was got, what was expected, and how to mend it.

    The command line prints it as one line that begins with ``error:`` and exits with 1.
    """


class UsageError(EquiregError):
    """A command line, a configuration or an option's value that does not fit: exit code 2."""


class UnexpectedError(EquiregError):
    """A fault of equireg itself, met by one task of many; the traceback is a note of the error.

    The other tasks continue, and the verb ends with exit code 1.
    """


def some_of(names: Sequence[str], most: int = 5) -> str:
    """Name the first of many, and say how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


_NO_MEMORY = (
    *("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc"),
    *("could not create a primitive", "can't start new thread"),  # of oneDNN, and of Python
)


def memory_ran_out(error: BaseException) -> bool:
    """Whether an error of Python or of a library says that there is too little memory; many have no class for it."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError | OSError) and any(words in str(error).lower() for words in _NO_MEMORY)


_LONGEST_SHOWN = 400


def printable(text: str) -> str:
    r"""Return text whose control characters and terminal escapes are spelled out (``\x1b``); line breaks stay.

    File names and headers come from others; shown as they are, they could move the cursor, change colours or forge
    further lines of a log.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )


def shortened(text: str) -> str:
    """Return a text that others have written, cut where an error that shows it would fill the screen."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


class PrintableFormatter(logging.Formatter):
    """A log line whose message holds no control character; further lines of a message are indented.

    So a name in a message can neither steer the terminal nor pass for a line of the log.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        shown = logging.makeLogRecord(record.__dict__)
        shown.msg, shown.args = printable(record.getMessage()).replace("\n", "\n  "), None
        return super().format(shown)
