"""The one kind of error that a user is meant to see."""


class EquiregError(Exception):
    """Something that the user can mend: says what was got, what was expected, and how to mend it.

    The command line prints it as one line that begins with ``error:`` and exits with 1.
    """


class UsageError(EquiregError):
    """A command line, a configuration or an option's value that does not fit: exit code 2."""


class UnexpectedError(EquiregError):
    """A fault of equireg itself, met by one task of many; the traceback is a note of the error.

    The other tasks go on, and the verb ends with exit code 1.
    """
