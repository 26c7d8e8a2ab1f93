"""Arrays by name in one block of bytes, in the layout of safetensors: nothing in it can run.

8 bytes, the length of the header; the header, JSON of each name's type, shape and place; the arrays one after another.
The layout is public, so that other programs read the weights too.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from equireg.folders.schema import SchemaError, strict

_TYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "|b1"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1"},
}
"""Names of types in the layout, and numpy's."""
_NAMES = {np.dtype(kind): name for name, kind in _TYPES.items()}
_LENGTH = 8
_ALIGNED = 8
"""The arrays begin at a multiple of so many bytes."""


def to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as bytes, the same for the same arrays: in the order of their names.

    Raises:
        ValueError: if an array has a type that the layout does not know.
    """
    header, parts, place = {}, [], 0
    for name, array in sorted(arrays.items()):
        kind = array.dtype.newbyteorder("<") if array.dtype.itemsize > 1 else array.dtype
        if kind not in _NAMES:
            raise ValueError(f"{name} has the type {array.dtype}; expected one of {', '.join(_NAMES.values())}")
        part = np.ascontiguousarray(array, dtype=kind).tobytes()
        header[name] = {"dtype": _NAMES[kind], "shape": list(array.shape), "data_offsets": [place, place + len(part)]}
        parts.append(part)
        place += len(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return b"".join([len(text).to_bytes(_LENGTH, "little"), text, *parts])


def from_bytes(content: bytes) -> dict[str, np.ndarray]:
    """Read what ``to_bytes`` wrote; the arrays are views of the bytes, not to be written to.

    Raises:
        SchemaError: if the bytes are not in this layout.
    """
    length = int.from_bytes(content[:_LENGTH], "little")
    data = _LENGTH + length
    if len(content) < _LENGTH or data > len(content):
        raise SchemaError(f"its header claims {length} bytes of {len(content)}")
    try:
        header: Any = json.loads(content[_LENGTH:data])
    except (ValueError, RecursionError) as error:
        raise SchemaError("its header is not JSON") from error
    listed = strict(Mapping[str, Any], header, "its header")
    return {name: _array(content, data, name, entry) for name, entry in listed.items() if name != "__metadata__"}


def _array(content: bytes, data: int, name: str, entry: Any) -> np.ndarray:
    found = strict(Mapping[str, Any], entry, name[:80])
    kind = _TYPES.get(str(found.get("dtype")))
    shape = strict(tuple[int, ...], found.get("shape"), f"the shape of {name[:80]}")
    start, stop = strict(tuple[int, int], found.get("data_offsets"), f"the place of {name[:80]}")
    if kind is None or min(shape, default=0) < 0 or not 0 <= start <= stop <= len(content) - data:
        raise SchemaError(f"{name[:80]!r} has no sound type, shape or place")
    if math.prod(shape) * np.dtype(kind).itemsize != stop - start:
        raise SchemaError(f"{name[:80]!r} has {stop - start} bytes for the shape {shape}")
    return np.frombuffer(content, kind, math.prod(shape), data + start).reshape(shape)
