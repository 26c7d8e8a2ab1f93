"""The JSON schema of a verb's options, from the same dataclasses and docstrings as the command line."""

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin

from equireg.cli.verbs import VERBS
from equireg.config.choosing import CHOSEN, NAMED, NAMES, names, options_of
from equireg.config.describe import default_of, docs_of
from equireg.config.parsing import to_plain
from equireg.errors import UsageError

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(verb: str) -> dict[str, Any]:
    """Return the JSON schema of what a YAML file for a verb may hold; for ``sweep``, of a sweep file.

    Raises:
        UsageError: if the verb is unknown or has no options.
    """
    having = [name for name, entry in VERBS.items() if entry.config is not None and fields(_options(name))]
    if verb not in having:
        raise UsageError(f"there is no schema of {verb!r}; expected one of {', '.join(having)}.")
    content = _sweep_file() if verb == "sweep" else object_of(_options(verb))
    return {"$schema": _DIALECT, "title": f"equireg {verb}", **content}


def _options(verb: str) -> type:
    options = VERBS[verb].options()
    assert options is not None, verb
    return options


def _sweep_file() -> dict[str, Any]:
    """Return the schema of a sweep file, with the options of the verbs that it holds."""
    from equireg.pipeline.sweepfile import SweepConfig

    content = object_of(SweepConfig)
    content["properties"] |= object_of(_options("sweep"))["properties"]
    for key, verb in (("prepare", "prepare"), ("train", "train"), ("predict", "predict")):
        content["properties"][key] |= object_of(_options(verb))
    content["properties"]["train"]["properties"]["config"] = {
        "type": "string",
        "description": "YAML file of options that the others are laid over",
    }
    return content


def object_of(config: type, default: Any = None) -> dict[str, Any]:
    """Return the schema of a dataclass of options.

    Args:
        config: the dataclass.
        default: an instance whose values are the defaults, where they are not those of the dataclass.
    """
    texts, hints = docs_of(config), typing.get_type_hints(config)
    properties: dict[str, Any] = {}
    groups: list[str] = []
    for field in fields(config):
        value = default_of(field) if default is None else getattr(default, field.name)
        described = {"description": texts.get(field.name, "")}
        if field.name in CHOSEN and is_dataclass(value):
            properties[field.name] = {**described, **_one_of_many(field.name, value), "default": to_plain(value)}
        elif is_dataclass(value):
            properties[field.name] = {**described, **_group(field.name, value), "default": to_plain(value)}
        else:
            known = {"examples": names(field.name)} if field.name in NAMES else {}
            properties[field.name] = {**described, **type_of(hints[field.name]), **known, "default": to_plain(value)}
        groups += [field.name] if is_dataclass(value) else []
    result = {"type": "object", "properties": properties, "additionalProperties": False}
    if groups:  # `method.teacher: ema` stands for the nested form
        result["patternProperties"] = {rf"^({'|'.join(groups)})\.": {}}
    return result


def _group(name: str, value: Any) -> dict[str, Any]:
    """Return the schema of options within options; a bare name stands for some."""
    inner = object_of(type(value), value)
    if name not in NAMED:
        return inner
    return {"anyOf": [typing.cast(Mapping[str, Any], inner["properties"]["name"]), inner]}


def _one_of_many(group: str, value: Any) -> dict[str, Any]:
    """Return the schema of a method or network: its name, or its options with its name, each name with its own."""
    bare = {"type": "string", "enum": names(group)}
    default = getattr(value, "name", None)
    choices = []
    for name in names(group):
        own = object_of(options_of(group, name))
        own["properties"]["name"] = {
            "const": name,
            "type": "string",
            "description": docs_of(CHOSEN[group])["name"],
            "default": default,
        }
        own["required"] = ["name"] if name != default else []
        choices.append(own)
    return {"anyOf": [bare, *choices]}


def type_of(kind: Any) -> dict[str, Any]:
    """Return the schema of a type."""
    if is_dataclass(kind):
        return object_of(typing.cast(type, kind))
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        # YAML reads 32 as a number, where the option holds text.
        numbers = [int(part) for part in parts if isinstance(part, str) and part.isdigit()]
        return {"enum": [*parts, *numbers]} if numbers else {"type": _name(type(parts[0])), "enum": list(parts)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [type_of(part) for part in parts]}
    if origin in (tuple, list):
        return {"type": "array", "items": type_of(parts[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": {} if parts[1] is Any else type_of(parts[1])}
    return {} if kind is Any else {"type": _name(kind)}


def _name(kind: type) -> str:
    names_ = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null", dict: "object"}
    return names_.get(kind, "object")
