"""Plain values, as JSON holds them, read strictly into typed ones: a damaged file is found when it is read."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, Union

from equireg.errors import EquiregError

_PLAIN: Mapping[Any, str] = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


class SchemaError(EquiregError):
    """A value of another kind than its place in a file demands."""


def strict(kind: Any, value: Any, where: str) -> Any:
    """Return a plain value as ``kind`` says, converting lists to tuples and mappings to dataclasses alone.

    Args:
        kind: str, bool, int, float, None, a ``Literal``, a union, ``tuple[T, ...]``, ``tuple[A, B]``,
            ``Mapping[str, T]``, a dataclass (one that is made already stays), or ``Any``.
        value: what JSON gave.
        where: name of the value's place, for the message.

    Raises:
        SchemaError: if the value is of another kind, a number is not finite, or a key is missing or unknown.
    """
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else _record(kind, value, where)  # pyright: ignore[reportArgumentType]
    origin = typing.get_origin(kind)
    if origin is None:
        return value if kind is Any else _plain(kind, value, where)
    arguments = typing.get_args(kind)
    if origin is Literal:
        return value if value in arguments else _refuse(value, f"one of {', '.join(map(str, arguments))}", where)
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, where)
    if origin is tuple:
        return _sequence(arguments, value, where)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        _refuse(value, "a mapping", where)
    return {key: strict(arguments[1], item, f"{where}.{key}") for key, item in value.items()}


@lru_cache
def _fields(kind: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the types of a dataclass' fields, and the names of those that may be left out."""
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    free = [f for f in fields if f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING]
    return {f.name: hints[f.name] for f in fields}, frozenset(f.name for f in free)


def _record(kind: Any, value: Any, where: str) -> Any:
    known, optional = _fields(kind)
    if not isinstance(value, Mapping):
        _refuse(value, "a mapping", where)
    missing, unknown = set(known) - set(value) - optional, set(value) - set(known)
    if missing or unknown:
        names = [name[:60] for name in sorted(map(str, unknown))[:3]]
        found = f"lacks {sorted(missing)}" if missing else f"has the unknown keys {names}"
        raise SchemaError(f"{where} {found}")
    return kind(**{name: strict(known[name], item, f"{where}.{name}") for name, item in value.items()})


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is None or kind is type(None):
        return None if value is None else _refuse(value, "nothing", where)
    if kind not in _PLAIN:  # a bare Mapping, say
        return value if isinstance(value, kind) else _refuse(value, kind.__name__, where)
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    # Whole numbers beyond 64 bits fit into no array, and not into a float either.
    if not fits or (kind in (int, float) and not abs(value) < 2**63 and not _large(kind, value)):
        _refuse(value, _PLAIN[kind], where)
    return float(value) if kind is float else value


def _large(kind: Any, value: Any) -> bool:
    return kind is float and isinstance(value, float) and math.isfinite(value)


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    problems = []
    for kind in kinds:
        try:
            return strict(kind, value, where)
        except SchemaError as error:
            problems.append(error)
    raise problems[0]


def _sequence(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        _refuse(value, "a list", where)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        _refuse(value, f"a list of {len(kinds)}", where)
    return tuple(strict(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _refuse(value: Any, expected: str, where: str) -> Any:
    shown = repr(value)
    raise SchemaError(f"{where} is {shown if len(shown) <= 60 else shown[:57] + '...'}; expected {expected}")
