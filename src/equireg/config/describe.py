"""What each option is, from the dataclasses and their docstrings: help, completion and schemas are made from it."""

import ast
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from equireg.config.choosing import CHOSEN, NAMES, names

_FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_EXACT = 2**53
"""Below it a float holds every whole number."""


@dataclass(frozen=True)
class Option:
    """One option of a verb."""

    name: str
    """with dots where it belongs to a group"""
    type: Any
    """annotation of its field"""
    default: Any
    text: str
    """what it is, from the field's docstring"""
    choices: tuple[str, ...] = ()
    """all values that it can have, where they are few"""

    @property
    def is_switch(self) -> bool:
        """Whether it needs no value on the command line."""
        return self.type is bool


def options_in(config: type, chosen: Mapping[str, type] | None = None) -> list[Option]:
    """Return a dataclass' options; those of a group within it have the group's name and a dot before their own.

    Args:
        config: the dataclass.
        chosen: group, such as ``method``, to the dataclass of its options where it is not the field's own.
    """
    return list(_walk(config, None, chosen or {}, ""))


def _walk(config: type, default: Any, chosen: Mapping[str, type], prefix: str) -> Iterator[Option]:
    """Yield a dataclass' options, with the values of ``default``, an instance, as defaults where there is one."""
    texts, hints = docs_of(config), typing.get_type_hints(config)
    for field in fields(config):
        value = default_of(field) if default is None else getattr(default, field.name)
        name, group = prefix + field.name, prefix.rstrip(".")
        if is_dataclass(value):
            kind = chosen.get(name, type(value))
            yield from _walk(kind, value if type(value) is kind else kind(), {}, f"{name}.")
        elif group in CHOSEN and field.name == "name":
            yield Option(name, hints[field.name], value, docs_of(CHOSEN[group])["name"], tuple(names(group)))
        else:
            choices = tuple(names(name)) if name in NAMES else choices_of(hints[field.name])
            yield Option(name, hints[field.name], value, texts.get(field.name, ""), choices)


def default_of(field: Any) -> Any:
    """Return the default value of a field of a dataclass; None where it has none."""
    if field.default is not MISSING:
        return field.default
    return None if field.default_factory is MISSING else field.default_factory()


@cache
def docs_of(config: type) -> dict[str, str]:
    """Return the docstring of each field of a dataclass, on one line."""
    result: dict[str, str] = {}
    for base in reversed(config.__mro__):
        result |= _docs_in(base.__module__).get(base.__name__, {}) if is_dataclass(base) else {}
    return result


@cache
def _docs_in(module: str) -> dict[str, dict[str, str]]:
    """Return class name to field name to docstring of all classes of a module; nothing where it has no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, SyntaxError, KeyError):
        return {}
    result: dict[str, dict[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            result[node.name] = {
                before.target.id: " ".join(after.value.value.split())
                for before, after in zip(node.body, node.body[1:], strict=False)
                if isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            }
    return result


def choices_of(kind: Any) -> tuple[str, ...]:
    """Return the values of a type that has few, as they are written."""
    if kind is bool:
        return ("true", "false")
    if get_origin(kind) is Literal:
        return tuple(str(value) for value in get_args(kind))
    parts = _parts(kind)
    return tuple(choice for part in parts for choice in choices_of(part)) if len(parts) > 1 else ()


def with_none(kind: Any, value: Any) -> Any:
    """Return a value with ``null`` and ``none`` distinguished by its type: either may be written for the other."""
    parts = _parts(kind)
    has_none = any(part is str or (get_origin(part) is Literal and "none" in get_args(part)) for part in parts)
    if value is None and type(None) not in parts and has_none:
        return "none"
    if isinstance(value, str) and value.lower() == "none" and type(None) in parts and not has_none:
        return None
    return value


def with_whole(kind: Any, value: Any) -> Any:
    """Return a number such as 1e3 or 1000.0 as a whole one, where its type takes whole numbers alone.

    Text is taken too: YAML reads 1e3 as such. Numbers that a float does not hold exactly stay as they are.
    """
    if int not in _parts(kind) or not set(_parts(kind)) <= {int, type(None)}:
        return value
    number = float(value) if isinstance(value, str) and _FLOAT.fullmatch(value) else value
    if not isinstance(number, float) or not number.is_integer() or abs(number) >= _EXACT:
        return value
    return int(number)


def with_list(kind: Any, value: Any) -> Any:
    """Return a text as a list of one, where its type takes lists of texts; one written ``[a,b]`` stays as it is."""
    parts = _parts(kind)
    takes = str not in parts and any(
        get_origin(part) in (tuple, list, Sequence) and str in get_args(part) for part in parts
    )
    return [value] if takes and isinstance(value, str) and not value.lstrip().startswith("[") else value


def takes_null(kind: Any) -> bool:
    """Whether a value of a type may be null."""
    return kind is Any or type(None) in _parts(kind)


def words_of(kind: Any, *, null: bool = True) -> str:
    """Say what a value of a type looks like, such as ``a whole number or null``.

    Args:
        kind: annotation of a field.
        null: say too that it may be null, which in an error is no help.
    """
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    parts = _parts(kind)
    if len(parts) > 1:
        return " or ".join(words_of(part) for part in parts if null or part is not type(None))
    if get_origin(kind) in (tuple, list, Sequence):
        return _words_of_list(kind)
    known = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        type(None): "null",
    }
    return known.get(kind, "options as `name: value`")


def _words_of_list(kind: Any) -> str:
    """Say what is in a list, such as ``a list of lists of whole numbers``."""
    of = next((part for part in get_args(kind) if part is not ...), Any)
    if get_origin(of) in (tuple, list, Sequence):
        return f"a list of lists{_words_of_list(of).removeprefix('a list')}"
    words = {int: "whole numbers", float: "numbers", str: "texts"}
    return f"a list of {words[of]}" if of in words else f"a list, each {words_of(of)}"


def example_of(kind: Any) -> str:
    """Return how a value of a type may be written, such as ``[8,8]``; nothing where its words say it."""
    of = next((part for part in _parts(kind) if part is not type(None)), Any)
    if get_origin(of) not in (tuple, list, Sequence):
        return {int: "8", float: "0.5"}.get(of, "")
    parts = get_args(of)
    if parts and get_origin(parts[0]) in (tuple, list, Sequence):
        inner = get_args(parts[0])
        filled = ["[1,1]", "[1,1]"] if inner[-1] is ... else [f"[{','.join(map(str, range(len(inner))))}]"]
        return f"[{','.join(filled)}]" if set(inner) <= {int, ...} else ""
    return {int: "[8,8]", float: "[0.5,0.5]", str: "[a,b]"}.get(parts[0], "") if parts else ""


def _parts(kind: Any) -> tuple[Any, ...]:
    """Return the types that a union has, or the type itself."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
