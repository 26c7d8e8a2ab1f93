"""The one check that all options share."""

from typing import Any

from equireg.errors import UsageError


def require(holds: bool, option: str, got: Any, expected: str) -> None:
    """Refuse an option's value in the words that every option uses.

    Raises:
        UsageError: if the check does not hold.
    """
    if not holds:
        raise UsageError(f"--{option} is {got}; expected {expected}.")
