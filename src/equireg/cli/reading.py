"""From the words of a command line and the files that it names to what a verb's function is called with."""

import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from equireg.cli.tokens import given_names, places_first, spelled_out, take, with_lists
from equireg.cli.verbs import Verb
from equireg.config.choosing import CHOSEN, is_switch
from equireg.config.describe import Option, options_in
from equireg.config.earlier import in_todays_words, is_of_earlier
from equireg.config.option_parser import OptionParser
from equireg.config.parsing import (
    add_options,
    check_groups,
    chosen_options,
    from_plain,
    merged,
    nested,
    parser_of,
    to_plain,
)
from equireg.config.yaml_files import read_yaml
from equireg.errors import EquiregError, UsageError

_NAMES = ("method", "network")


@dataclass(frozen=True)
class OptionFile:
    """A YAML file of options."""

    path: str
    values: dict[str, Any]


def read(name: str, verb: Verb, arguments: Sequence[str]) -> dict[str, Any]:
    """Return what a verb's function is called with, by keyword: arguments, ``out`` and the options that were given.

    Raises:
        UsageError: if the command line or a file does not fit; names the file that a value came from.
    """
    paths, words = take(spelled_out(arguments), "--config") if verb.config else ([], spelled_out(arguments))
    files = [_read_file(path) for path in paths]
    options = verb.options()
    if options is None:
        return _places(_parser(name, verb).read(words), verb)
    named = {group: name for file in files for group, name in _names_in(file).items()} | given_names(words)
    if verb.names is not None:
        named = _names_by_itself(name, verb, words, files, named) | named
    chosen = _chosen(options, named, files)
    for file in files:
        try:
            check_groups(options, file.values)
            parser_of(options, chosen).read(file.values)
        except UsageError as error:
            raise UsageError(f"{file.path}: {error}") from error
    parser = _parser(name, verb)
    add_options(parser, options, chosen)
    if len(verb.arguments) > 1 and verb.arguments[0].several:
        words = places_first(words, _alone(verb, options, chosen))
    parsed = parser.read(with_lists(words, _lists(options, chosen)), defaults=False)
    places = _places(parsed, verb)
    given = {key: value for key, value in to_plain(parsed.as_dict()).items() if key not in places}
    values: dict[str, Any] = {}
    for file in files:
        values = merged(values, file.values)
    values = merged(values, given)
    _check(options, merged(values, {group: {"name": name} for group, name in named.items()}), files, given)
    missing = [option for option in verb.required if option not in values]
    if missing:
        shown = " and ".join(f"--{option}" for option in missing)
        raise UsageError(f"the command line lacks {shown}; `equireg {name} --help` shows what is needed.")
    return {**places, **values}


def _chosen(options: type, named: Mapping[str, str], files: Sequence[OptionFile]) -> dict[str, type]:
    """Return the options of the method and the network that are named.

    Raises:
        UsageError: if a name is unknown; names the file that it came from.
    """
    try:
        return chosen_options(options, {group: {"name": name} for group, name in named.items()})
    except UsageError as error:
        raise _with_file(error, files, {}) from error


def _names_by_itself(
    name: str, verb: Verb, words: Sequence[str], files: Sequence[OptionFile], named: Mapping[str, str]
) -> dict[str, str]:
    """Return the method and the network that are meant where options of theirs are given without their name."""
    open_ = [group for group in _NAMES if group not in named]
    loose = {word.partition("=")[0] for word in words if word.startswith(tuple(f"--{group}." for group in open_))}
    if not loose and not any(isinstance(file.values.get(group), Mapping) for file in files for group in open_):
        return {}
    options: Any = verb.options()
    chosen = _chosen(options, named, files) | {group: CHOSEN[group] for group in open_}
    parser = _parser(name, verb)
    add_options(parser, options, chosen)
    common = {f"--{group}.{field.name}" for group in open_ for field in fields(CHOSEN[group])}
    for option in loose - common:
        if re.fullmatch(r"--\w+\.\w+", option):
            parser.add_argument(option, type=bool if is_switch(option[2:]) else str)
    parsed = parser.read(with_lists(words, _lists(options, chosen)), defaults=False)
    values: dict[str, Any] = {}
    for given in (*(file.values for file in files), to_plain(parsed.as_dict())):
        values = merged(values, given)
    places = _places(parsed, verb)
    try:
        return verb.load(str(verb.names))(places, {key: value for key, value in values.items() if key not in places})
    except UsageError as error:
        raise _with_file(error, files, to_plain(parsed.as_dict())) from error


def _check(options: type, values: dict[str, Any], files: Sequence[OptionFile], given: Mapping[str, Any]) -> None:
    """Refuse values that do not fit each other, or are out of range, before anything heavy is imported."""
    try:
        from_plain(options, values)
    except UsageError as error:
        raise _with_file(error, files, given) from error


def _with_file(error: UsageError, files: Sequence[OptionFile], given: Mapping[str, Any]) -> UsageError:
    """Name the file that the option of an error came from; a key that is no option can only come from a file."""
    found = re.search(r"--([\w.]+)", str(error))
    if found and _holds(given, found[1]):
        return error
    last = next((file for file in reversed(files) if not found or _holds(file.values, found[1])), None)
    return error if last is None else UsageError(f"{last.path}: {error}")


def _holds(values: Any, option: str) -> bool:
    """Whether nested options hold one, which may lack the names of its outer groups."""
    if not isinstance(values, Mapping):
        return False
    first, _, rest = option.partition(".")
    if first in values and (not rest or _holds(values[first], rest)):
        return True
    return any(_holds(inner, option) for inner in values.values())


def _read_file(path: str) -> OptionFile:
    try:
        content = read_yaml(path)
    except EquiregError as error:
        if not Path(path).exists():  # as for every other file that is missing
            raise
        raise UsageError(str(error)) from error
    try:
        values = nested(content)
        return OptionFile(path, in_todays_words(values) if is_of_earlier(values) else values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _names_in(file: OptionFile) -> dict[str, str]:
    groups = {group: file.values[group] for group in _NAMES if isinstance(file.values.get(group), Mapping)}
    return {group: str(values["name"]) for group, values in groups.items() if values.get("name") is not None}


def _parser(name: str, verb: Verb) -> OptionParser:
    """Return a parser of a verb's arguments, ``--out`` and its switches."""
    parser = OptionParser(prog=f"equireg {name}", add_help=False)
    for argument in verb.arguments:
        extra: dict[str, Any] = {"choices": argument.choices} if argument.choices else {}
        if argument.several or argument.optional:
            extra["nargs"] = "+" if argument.several else "?"
        parser.add_argument(argument.name, **extra)
    if verb.out is not None:
        parser.add_argument("--out", required=not verb.out_may_lack)
    for flag in verb.flags:
        parser.add_argument(f"--{flag}", action="store_true")
    return parser


def _places(parsed: Any, verb: Verb) -> dict[str, Any]:
    names = [*(argument.name for argument in verb.arguments), *(["out"] if verb.out is not None else []), *verb.flags]
    return {name: parsed[name] for name in names if name in parsed}


def _lists(options: type, chosen: Mapping[str, type]) -> dict[str, bool]:
    """Return the options that are lists, and whether of text."""
    return {option.name: _of(option) is str for option in options_in(options, chosen) if _of(option) is not None}


def _alone(verb: Verb, options: type, chosen: Mapping[str, type]) -> set[str]:
    """Return the options that need no value."""
    return {f"--{option.name}" for option in options_in(options, chosen) if option.is_switch} | {
        f"--{flag}" for flag in verb.flags
    }


def _of(option: Option) -> Any:
    """Return the type of the values of an option that is a list; None for another."""
    for kind in (option.type, *typing.get_args(option.type)):
        if typing.get_origin(kind) in (tuple, list):
            return typing.get_args(kind)[0]
    return None
