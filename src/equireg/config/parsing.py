"""Options from the command line, from YAML and from Python, all by one parser."""

import dataclasses
import marshal
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from equireg.config.choosing import CHOSEN, NAMED, default_name, options_of
from equireg.config.describe import default_of, options_in, with_whole
from equireg.config.option_parser import OptionParser
from equireg.disk.home import at_home
from equireg.errors import UsageError

Options = TypeVar("Options")


def add_options(parser: OptionParser, options: type, chosen: Mapping[str, type]) -> None:
    """Add a dataclass' options to a parser, those of ``chosen`` (``chosen_options``) under their group's name."""
    parser.add_class_arguments(options, skip=set(chosen))
    for group, own in chosen.items():
        parser.add_class_arguments(own, group)


def parser_of(options: type, chosen: Mapping[str, type]) -> OptionParser:
    """Return a parser of a dataclass' options alone; one is made for each choice, because that takes longest."""
    return _parser_of(options, tuple(sorted(chosen.items())))


@lru_cache(maxsize=64)
def _parser_of(options: type, chosen: tuple[tuple[str, type], ...]) -> OptionParser:
    parser = OptionParser(add_help=False)
    add_options(parser, options, dict(chosen))
    return parser


def chosen_options(options: type, values: Mapping[str, Any]) -> dict[str, type]:
    """Return the options of the method and the network that values name, of those that the dataclass has.

    Raises:
        UsageError: if a name is unknown.
    """
    chosen: dict[str, type] = {}
    for group in CHOSEN.keys() & {field.name for field in dataclasses.fields(options)}:
        given = values.get(group)
        name = given.get("name") if isinstance(given, Mapping) else None
        chosen[group] = options_of(group, default_name(options, group) if name is None else str(name))
    return chosen


def from_plain(options: type[Options], values: Mapping[str, Any]) -> Options:
    """Build a dataclass of options from plain nested values, such as a YAML file's.

    Raises:
        UsageError: if a key is unknown (the nearest known one is named) or a value is of another kind.
    """
    values = nested(values)
    chosen = chosen_options(options, values)
    check_groups(options, values)
    try:
        key = marshal.dumps(values, 2)  # of the same plain values the same bytes
    except ValueError:  # a value that is not plain, which the parser tells
        return _build(options, chosen, values)
    return _built(options, tuple(sorted(chosen.items())), _Known(key, values))


@dataclasses.dataclass(frozen=True)
class _Known:
    """Plain values that are compared by their bytes: 1, 1.0 and True are three."""

    key: bytes
    values: Mapping[str, Any] = dataclasses.field(compare=False)


@lru_cache(maxsize=256)
def _built(options: type[Options], chosen: tuple[tuple[str, type], ...], known: _Known) -> Options:
    """Return what ``_build`` made of the same values before; options are never changed in place."""
    return _build(options, dict(chosen), known.values)


def _build(options: type[Options], chosen: Mapping[str, type], values: Mapping[str, Any]) -> Options:
    parser = parser_of(options, chosen)
    try:
        made = parser.instantiate(parser.read(values))
    except UsageError as error:
        raise UsageError(_in_full(str(error), values)) from error
    return options(**{field.name: made[field.name] for field in dataclasses.fields(options)})  # pyright: ignore[reportArgumentType]


def _in_full(message: str, values: Mapping[str, Any]) -> str:
    """Return a message that begins with an option of a group, such as ``scale``, with its name: ``views.strong.scale``.

    The dataclass that refuses a value does not know under which name it stands.
    """
    found = re.match(r"--(?P<name>\w+) is (?P<value>[^;]*);", message)
    if found is None or found["name"] in values:
        return message
    places = {place: value for place, value in _flat(values).items() if place.endswith(f".{found['name']}")}
    shown = [place for place, value in places.items() if found["value"] in (str(value), f"{value}.0")] or [*places]
    return message.replace(found["name"], shown[0], 1) if shown else message


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options by their names with dots."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return result


def check_groups(options: type, values: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse a single value where a group of options, such as ``views.strong``, was expected.

    Raises:
        UsageError: names the group.
    """
    for field in dataclasses.fields(options):
        group = default_of(field)
        if field.name not in values or not dataclasses.is_dataclass(group):
            continue
        given = values[field.name]
        if not isinstance(given, Mapping):
            name, expected = prefix + field.name, "options as `name: value`"
            raise UsageError(f"--{name} is {given!r}; expected {expected}.")
        check_groups(type(group), given, f"{prefix}{field.name}.")


def options_from(options: type[Options], config: Options | None, given: Mapping[str, Any]) -> Options:
    """Return a verb's options from a config, from keywords, or from both; the keywords win.

    Raises:
        UsageError: if the config is another verb's, or a keyword does not fit.
    """
    return from_plain(options, given if config is None else with_config(options, config, given))


def with_config(options: type[Options], config: Options | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords as nested options, laid over those of a config where there is one.

    A config's method gives way, with all its options, to another that the keywords name; its network likewise.

    Raises:
        UsageError: if the config is another verb's.
    """
    over = nested(given)
    result = over if config is None else laid_over(to_plain(_checked(options, config)), over)
    kinds = {option.name: option.type for option in options_in(options, chosen_options(options, result))}
    return _with_whole_numbers(result, kinds)


def _with_whole_numbers(values: Mapping[str, Any], kinds: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options in which 1e3 is 1000 where the option is a whole number; ``kinds`` are their types."""
    return {
        name: _with_whole_numbers(value, kinds, f"{prefix}{name}.")
        if isinstance(value, Mapping)
        else with_whole(kinds.get(prefix + name), value)
        for name, value in values.items()
    }


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested options of a run with others laid over.

    The method gives way, with all its options, to another that ``over`` names; the network likewise.
    """
    kept = dict(base)
    for group in CHOSEN.keys() & base.keys() & over.keys():
        if isinstance(over[group], Mapping) and over[group].get("name", base[group]["name"]) != base[group]["name"]:
            del kept[group]
    return merged(kept, over)


def _checked(options: type[Options], config: Any) -> Options:
    if not isinstance(config, options):
        raise UsageError(f"the options are a {type(config).__name__}; expected a {options.__name__}, or keywords.")
    return config


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``{"method.teacher": "ema"}`` into nested mappings, and a bare method name into its mapping.

    Raises:
        UsageError: if a key is no text, or an option with a dot stands beside a value that holds no options.
    """
    result: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise UsageError(f"{key!r} ({type(key).__name__}) stands where an option's name was expected.")
        plain = at_home(to_plain(value))
        if key in NAMED and isinstance(plain, str):
            plain = {"name": plain}
        if key in NAMED and not isinstance(plain, dict):
            raise UsageError(f"--{key} is {plain!r}; expected a name, or options as `name: value`.")
        if key == "precision":
            plain = str(plain)  # YAML reads 32 as a number
        _put(result, key, plain)
    return result


def _put(result: dict[str, Any], key: str, plain: Any) -> None:
    """Set an option of nested mappings; options with a dot join their group, and win over it."""
    *groups, name = key.split(".")
    place = result
    for depth, group in enumerate(groups):
        place = place.setdefault(group, {})
        if not isinstance(place, dict):
            outer = ".".join(groups[: depth + 1])
            raise UsageError(f"--{outer} is {place!r} and --{key} is given too; expected one of the two.")
    if isinstance(place.get(name), dict):
        if not isinstance(plain, dict):
            raise UsageError(f"--{key} is {plain!r}, and options of --{key} are given too; expected one of the two.")
        place[name] = merged(plain, place[name])
    else:
        place[name] = plain


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested options with some replaced."""
    result = dict(base)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
        result[name] = merged(base[name], value) if both else value
    return result


def without(values: Mapping[str, Any], options: Iterable[str]) -> dict[str, Any]:
    """Return nested options without some, which are named with dots."""
    result = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    for option in options:
        group, _, name = option.rpartition(".")
        (result.get(group, {}) if group else result).pop(name, None)
    return result


def to_plain(value: Any) -> Any:
    """Turn dataclasses, tuples, paths, and numpy's numbers and arrays, into what YAML and JSON hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if type(value).__module__ == "numpy" and (listed := getattr(value, "tolist", None)) is not None:
        return to_plain(listed())
    return str(value) if isinstance(value, Path) else value


def to_yaml(options: Any) -> str:
    """Write options as YAML that ``read_yaml`` and ``from_plain`` read back."""
    return yaml.safe_dump(to_plain(options), sort_keys=False, allow_unicode=True)
