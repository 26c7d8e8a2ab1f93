"""The words of a command line, before they are parsed: letters, hyphens and bare names are spelled out."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from equireg.config.choosing import NAMED
from equireg.disk.home import at_home

LETTERS = {"-o": "--out", "-c": "--config", "-j": "--jobs"}


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """Return the words with every option under its full name: ``-o``, ``--max-steps=3`` and ``--method`` are such.

    A path that begins with ``~/`` lies in the home folder, behind ``--out=`` too.
    """
    return [word for argument in arguments for word in _spelled(argument)]


def _spelled(argument: str) -> Iterator[str]:
    letter, rest = argument[:2], argument[2:]
    if letter in LETTERS:
        yield LETTERS[letter] + (f"={at_home(rest.removeprefix('='))}" if rest else "")
        return
    if not argument.startswith("--") or argument == "--":
        yield at_home(argument)
        return
    option, equals, value = argument.partition("=")
    name, value = option[2:].replace("-", "_"), at_home(value)
    yield f"--{name}.name{equals}{value}" if name in NAMED else f"--{name}{equals}{value}"


def places_first(arguments: Sequence[str], alone: Collection[str]) -> list[str]:
    """Return the words with those that are no options in front, so that some of them may stand behind an option.

    Args:
        arguments: the words, with every option under its full name.
        alone: options that need no value; ``true`` or ``false`` behind one is its value all the same.
    """
    places: list[str] = []
    options: list[str] = []
    before = ""  # an option that may have its value in the next word
    for argument in arguments:
        must = before != "" and before not in alone
        if must or (before and argument.lower() in ("true", "false")):
            options.append(argument)
            before = ""
        elif argument.startswith("--"):
            options.append(argument)
            before = "" if "=" in argument else argument
        else:
            places.append(argument)
            before = ""
    return [*places, *options]


def take(arguments: Sequence[str], option: str) -> tuple[list[str], list[str]]:
    """Split an option's values from the other words."""
    values, rest = [], []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == option:
            values.extend(value for value in [next(remaining, None)] if value is not None)
        elif argument.startswith(f"{option}="):
            values.append(argument.removeprefix(f"{option}="))
        else:
            rest.append(argument)
    return values, rest


def given_names(arguments: Sequence[str]) -> dict[str, str]:
    """Return the method and the network that words name, the last where there are several."""
    found = {group: take(arguments, f"--{group}.name")[0] for group in ("method", "network")}
    return {group: names[-1] for group, names in found.items() if names}


def with_lists(arguments: Sequence[str], lists: Mapping[str, Any]) -> list[str]:
    """Write the values of options that are lists as such: ``--patch_size 64,64`` and ``--pictures case1,case2``.

    A list of texts may be given in parts: ``--channel t1=mprage --channel flair=flair``.

    Args:
        arguments: the words.
        lists: name of an option to whether its values are text.
    """
    result: list[str] = []
    before = ""
    for argument in _joined(arguments, [f"--{name}" for name, text in lists.items() if text]):
        option, equals, value = argument.partition("=")
        if equals and option[2:] in lists and option.startswith("--"):
            result.append(f"{option}={_listed(value, lists[option[2:]])}")
        elif before.startswith("--") and before[2:] in lists:
            result.append(_listed(argument, lists[before[2:]]))
        else:
            result.append(argument)
        before = argument
    return result


def _joined(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return the words with each of these options once, its values with commas between, at the end."""
    rest = list(arguments)
    for option in options:
        values, others = take(rest, option)
        if len(values) > 1:
            rest = [*others, f"{option}={','.join(values)}"]
    return rest


def _listed(value: str, text: bool) -> str:
    if value.startswith("[") or value in ("null", ""):
        return value or "[]"
    if value.lower() == "none" and not text:
        return "null"
    parts = [part.strip() for part in value.split(",") if part.strip()]
    parts = [part.replace(r"\x2c", ",") for part in parts] if text else parts  # a regular expression means the same
    return json.dumps(parts) if text else f"[{','.join(parts)}]"
