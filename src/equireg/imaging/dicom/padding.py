"""Stored numbers that stand for no measurement, such as those outside the field of view (PixelPaddingValue)."""

from typing import Any

import numpy as np

from equireg.imaging.formats import Channel


def padding_of(content: Any) -> tuple[int, int] | None:
    """Return the range of stored numbers that stand for no measurement."""
    first, last = (_word(content, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if first is None:
        return None
    return (first, first) if last is None else (min(first, last), max(first, last))


def _word(content: Any, name: str) -> int | None:
    """Return a number of 16 bits with the sign of the pixels; writers often declare the other one."""
    try:
        value = content.get(name)
        number = int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)
    except Exception:  # nothing depends on it but the padding
        return None
    number %= 2**16
    return number - 2**16 if content.get("PixelRepresentation") == 1 and number >= 2**15 else number


def unpad(image: np.ndarray, found: Channel, padded: Channel) -> bool:
    """Give padding the least value of the others, in place; return whether that was done.

    Padding of 0, or amid the other values, stays: it does no harm there, and it may have been measured.
    """
    amid = padded.low <= found.high and padded.high >= found.low
    if amid or padded.low == padded.high == 0 or not found.low < found.high:
        return False
    for place in range(image.shape[2]):
        part = image[:, :, place]
        part[(part >= padded.low) & (part <= padded.high)] = found.low
    return True
