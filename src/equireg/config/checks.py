"""The one check of all options."""

import math
import re
from typing import Any

from equireg.errors import UsageError


def require(holds: bool, option: str, got: Any, expected: str) -> None:
    """Refuse an option's value in the words that every option uses; infinity and NaN are never a value.

    Raises:
        UsageError: if the check does not hold.
    """
    if not holds or (isinstance(got, float) and not math.isfinite(got)):
        raise UsageError(f"--{option} is {got}; expected {expected}.")


def parse_fold(text: str | None) -> tuple[int, int] | None:
    """Return the index and the count that ``0/5`` stands for; None for None.

    Raises:
        UsageError: if it is no such text, or the index is not below the count.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    index, count = (int(found[1]), int(found[2])) if found else (0, 0)
    require(count >= 1, "fold", text, "INDEX/COUNT, such as 0/5")
    require(index < count, "fold", text, f"an index from 0 to {count - 1}, such as {count - 1}/{count}")
    return index, count
