"""Single elements of a DICOM header as numbers; what nothing depends on may be unreadable."""

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Found = TypeVar("Found")


def numbers(value: Any, count: int) -> tuple[float, ...]:
    """Return so many finite numbers, or none."""
    found = tuple(float(item) for item in entries(value) if item is not None and str(item).strip())
    return found if len(found) == count and all(math.isfinite(item) for item in found) else ()


def number(value: Any, otherwise: float) -> float:
    """Return a finite number, or another one where there is none."""
    return next(iter(numbers([value], 1)), otherwise)


def whole(value: Any) -> int | None:
    """Return a whole number; None where it is empty."""
    return None if value is None or not str(value).strip() else int(float(str(value)))  # some write 1.0


def entries(value: Any) -> list[Any]:
    """Return the values of an element that may have one, several or none."""
    single = [] if value is None else [value]
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else single


def optional(content: Any, name: str, read: Callable[[Any], Found]) -> Found | None:
    """Return what an element says; None where it is missing or cannot be read, and no voxel depends on it."""
    try:
        value = content.get(name)
        return None if value is None else read(value)
    except Exception:  # an element is foreign, and pydicom raises whatever its value does
        return None


def thickness_of(content: Any) -> float | None:
    """Return the distance between slices that a header or a group of it says, in mm; a stack shows it better."""
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        found = optional(content, name, lambda value: numbers([value], 1))
        if found and found[0]:
            return found[0]
    return None
