"""The help of a verb: the options that people need, or all of them."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from equireg.cli.verbs import Verb

_WIDTH = 110
_COLUMN = 28
"""Where the explanations begin."""
SHORT = {"out": "-o", "config": "-c", "jobs": "-j"}
"""Options with a letter of their own."""


def help_text(name: str, verb: Verb, arguments: Sequence[str]) -> str:
    """Return the help of a verb, for the method and network that the arguments name."""
    everything = any(argument in ("--help-all", "--help_all") for argument in arguments)
    lines = [_usage(name, verb), "", verb.help[0].upper() + verb.help[1:] + ".", *([""] if verb.arguments else [])]
    for argument in verb.arguments:
        choices = f" ({', '.join(argument.choices)})" if argument.choices else ""
        lines += _entry(_shown(argument.name, argument.several), argument.help + choices)
    lines += ["", "options:"]
    if verb.out is not None:
        lines += _entry(f"-o, --out {verb.out_kind}", verb.out)
    count = 0
    for option in _options(verb, arguments):
        count += 1
        if everything or option.name in (*verb.common, *verb.required):
            lines += _entry(_option_as_given(option), _explained(option, verb))
    for flag, text in verb.flags.items():
        lines += _entry(f"--{flag}", text)
    if verb.config is not None:
        lines += _entry("-c, --config FILE", "YAML file with options; those on the command line win")
    lines += _entry("--debug", "show the traceback of an error")
    lines += _entry("-h, --help", "the options that most people need")
    lines += _entry("--help-all", f"all {count} options" if count > 1 else "all options")
    if verb.names is not None:
        lines += [
            "",
            f"`equireg {name} --method NAME --help-all` lists the options of a method too, `--network NAME` "
            "those of a network.",
        ]
    return "\n".join(lines)


def _usage(name: str, verb: Verb) -> str:
    shown = [(_shown(argument.name, argument.several), argument.optional) for argument in verb.arguments]
    parts = [f"[{name}]" if optional else name for name, optional in shown]
    out = f"--out {verb.out_kind}"
    parts += [f"[{out}]" if verb.out_may_lack else out] if verb.out is not None else []
    parts += [f"--{option} {option.upper()}" for option in verb.required]
    parts += ["[options]"] if verb.config is not None else []
    return " ".join(["usage: equireg", name, *parts])


def _shown(name: str, several: bool) -> str:
    return f"{name.upper()}..." if several else name.upper()


def _options(verb: Verb, arguments: Sequence[str]) -> list[Any]:
    """Return the options of a verb, with those of the method and the network that the arguments name."""
    config = verb.options()
    if config is None:
        return []
    from equireg.cli.tokens import given_names, spelled_out
    from equireg.config.choosing import options_of
    from equireg.config.describe import options_in

    named = given_names(spelled_out(arguments))
    return options_in(config, {group: options_of(group, name) for group, name in named.items()})


def _option_as_given(option: Any) -> str:
    """Return an option as the command line has it, such as ``-j, --jobs N``."""
    from equireg.config.choosing import NAMED

    name = next((group for group in NAMED if option.name == f"{group}.name"), option.name)
    short = f"{SHORT[name]}, " if name in SHORT else ""
    if option.is_switch and option.default is False:
        return f"{short}--{name}"
    return f"{short}--{name} {'NAME' if name != option.name else _metavar(option)}"


def _metavar(option: Any) -> str:
    if option.choices:
        return "|".join(option.choices) if _are_few(option) else "NAME"
    kinds = {int: "N", float: "X", str: "TEXT"}
    return next(
        (word for kind, word in kinds.items() if kind in (option.type, *getattr(option.type, "__args__", ()))), "VALUE"
    )


def _are_few(option: Any) -> bool:
    """Whether an option's choices are short enough to stand beside it."""
    return len("|".join(option.choices)) < 30 and not option.name.endswith(".name")


def _explained(option: Any, verb: Verb) -> str:
    told = _are_few(option) or all(re.search(rf"\b{re.escape(name)}\b", option.text) for name in option.choices)
    listed = "" if told else f" ({', '.join(option.choices)})"
    if option.name in verb.required:
        return f"{option.text}{listed}"
    shown = option.default is not False and option.default not in (None, "", ())
    return f"{option.text}{listed}" + (f" [{_value(option.default)}]" if shown else "")


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _entry(left: str, text: str) -> Iterator[str]:
    """Yield the lines of one entry: what is given, and beside or under it what it is."""
    lines = textwrap.wrap(text, _WIDTH - _COLUMN, break_on_hyphens=False) or [""]
    if len(left) + 4 > _COLUMN:
        yield f"  {left}"
    else:
        yield f"  {left:{_COLUMN - 2}}{lines.pop(0)}"
    yield from (" " * _COLUMN + line for line in lines)
