"""The one check of all options."""

import math
from typing import Any

from equireg.errors import UsageError


def require(holds: bool, option: str, got: Any, expected: str) -> None:
    """Refuse an option's value in the words that every option uses; infinity and NaN are never a value.

    Raises:
        UsageError: if the check does not hold.
    """
    if not holds or (isinstance(got, float) and not math.isfinite(got)):
        raise UsageError(f"--{option} is {got}; expected {expected}.")
