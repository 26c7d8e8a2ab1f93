"""The parser of options, for command lines and plain values alike: its errors are one line."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from equireg.config.choosing import idle_in
from equireg.config.describe import example_of, takes_null, with_list, with_none, with_whole, words_of
from equireg.errors import EquiregError, UsageError, shortened

_UNKNOWN = (
    re.compile(r"unrecognized arguments: (?P<key>\S+)"),
    re.compile(r"Group '(?P<group>[^']+)' does not accept option '(?P<key>[^']+)'"),
    re.compile(r"Option '(?P<key>[^']+)' is not accepted"),
    re.compile(r"[Kk]ey '(?P<key>[^']+)' is not expected"),
)

_GIVEN = (
    re.compile(r"Given value type: \S+ \S+ Given value: (?P<value>.*)"),  # of several types: the value as a whole
    re.compile(r"(?:Got|Given) value: (?P<value>.*)"),
    re.compile(r"Unable to load config '(?P<value>.*?)'"),  # a group of options
)
"""Where the parser's message has the value that does not fit, the best place first."""

_OWN = {
    "prepare": "PrepareConfig",
    "train": "TrainOptions",
    "selftrain": "RoundsConfig",
    "predict": "PredictConfig",
    "evaluate": "EvaluateConfig",
    "view": "ViewConfig",
    "suggest": "SuggestConfig",
    "adopt": "AdoptConfig",
    "export": "ExportConfig",
    "pack": "PackConfig",
    "serve": "ServeConfig",
}
"""Verb to the class of its own options; those of `equireg train` are those of `selftrain` and `plan` too."""


class OptionParser(ArgumentParser):
    """A parser whose errors are one line and name the nearest known option."""

    def __init__(self, **kwargs: Any) -> None:
        # jsonargparse makes parsers of this class automatically, for options within options, with arguments of its own.
        super().__init__(**{"exit_on_error": False, "allow_abbrev": False, **kwargs})

    def read(self, arguments: Sequence[str] | Mapping[str, Any], *, defaults: bool = True) -> Namespace:
        """Parse a command line or plain values; without ``defaults``, only what is given is in the result.

        Raises:
            UsageError: if an option is unknown or its value is of another kind.
        """
        try:
            if isinstance(arguments, Mapping):
                return self.parse_object(self._as_declared(arguments), defaults=defaults)
            return self.parse_args(self._spelled_out(arguments), defaults=defaults)
        except EquiregError:
            raise
        except Exception as error:  # jsonargparse lets many kinds of exception through
            raise UsageError(self._explain(str(error))) from error

    def _spelled_out(self, arguments: Sequence[str]) -> list[str]:
        """Give a bare switch its value (``--probabilities`` stands for ``--probabilities=true``); make others plain."""
        switches = {f"--{action.dest}" for action in self._actions if getattr(action, "_typehint", None) is bool}
        arguments = [self._plain(*pair) for pair in zip(["", *arguments], arguments, strict=False)]
        following = [*arguments, ""][1:]
        return [
            f"{argument}=true" if argument in switches and after.lower() not in ("true", "false") else argument
            for argument, after in zip(arguments, following, strict=True)
        ]

    def _lacking(self, message: str) -> str | None:
        """Say what a command line lacks, where that is the parser's message."""
        if found := re.search(r"the following arguments are required: (?P<names>.+)", message):
            given = {action.dest: action for action in self._actions}
            shown = [self._shown(given.get(name), name) for name in found["names"].split(", ")]
            return f"the command line lacks {' and '.join(shown)}; `{self.prog} --help` shows what is needed."
        if found := re.search(r"argument (?P<name>--\S+): expected one argument", message):
            return f"{found['name']} is given without a value; expected one after it."
        return None

    @staticmethod
    def _shown(action: Any, name: str) -> str:
        return f"--{name}" if action is not None and action.option_strings else name.upper()

    def _plain(self, before: str, argument: str) -> str:
        """Return a word with ``null`` for ``none`` and 1000 for ``1e3`` where its type has it so."""
        option, equals, value = argument.partition("=") if argument.startswith("--") else (before, "", argument)
        kind = self._kinds().get(option.removeprefix("--"))
        if kind is None:
            return argument
        if isinstance(whole := with_whole(kind, value), int):
            return f"{option}={whole}" if equals else str(whole)
        if value.lower() not in ("none", "null"):
            return argument
        plain = with_none(kind, with_none(kind, None if value.lower() == "null" else value))
        return (f"{option}=" if equals else "") + ("null" if plain is None else plain)

    def _as_declared(self, values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """Return nested values with ``none``, ``null``, whole numbers and lists as the options' types have them.

        Raises:
            UsageError: if a value is null where the option cannot be; the parser lets it through.
        """
        kinds, result = self._kinds(), dict(values)
        for key, value in values.items():
            name = f"{prefix}{key}"
            if isinstance(value, Mapping):
                result[key] = self._as_declared(value, f"{name}.")
            elif kinds.get(name) is not None:
                result[key] = with_list(kinds[name], with_none(kinds[name], with_whole(kinds[name], value)))
                if result[key] is None and not takes_null(kinds[name]):
                    raise UsageError(f"--{name} is null; expected {words_of(kinds[name])}.")
        return result

    def _kinds(self) -> dict[str, Any]:
        return {action.dest: getattr(action, "_typehint", None) for action in self._actions}

    def _explain(self, message: str) -> str:
        """Turn the parser's message into one line, with the nearest known option where one is unknown."""
        for pattern in _UNKNOWN:
            if found := pattern.search(message):
                groups = found.groupdict()
                if pattern is _UNKNOWN[0] and not groups["key"].startswith("-"):
                    return f"one argument too many: {groups['key']!r}; options begin with --."
                key = ".".join(filter(None, [groups.get("group"), groups["key"].lstrip("-").split("=")[0]]))
                known = [action.dest for action in self._actions if action.dest not in ("help", "==SUPPRESS==")]
                return f"unknown option {shortened(key)!r}{_meant(key, known)}{idle_in(key)}"
        if lacking := self._lacking(message):
            return lacking
        found = re.search(r'Parser key "(?P<key>[^"]+)":\s*(?P<rest>.*)', message, re.DOTALL)
        if found:
            rest = " ".join(found["rest"].replace("typing.", "").split())
            value = next(filter(None, (pattern.search(rest) for pattern in _GIVEN)), None)
            kind = self._kinds().get(found["key"])
            if value:
                such = f", such as {example}" if (example := example_of(kind)) else ""
                return f"--{found['key']} is {shortened(value['value'])}; expected {words_of(kind, null=False)}{such}."
            return f"--{shortened(found['key'])}: {shortened(rest)}"
        return shortened(" ".join(message.split()))


def _meant(key: str, known: Sequence[str]) -> str:
    """Return the end of a sentence: the option that was probably meant, or the verbs that have what was given."""
    if key in known:  # an argument by its place
        return "; give it without its name, as --help shows."
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.55)
    verbs = _verbs_with(key)
    if verbs and not difflib.get_close_matches(key, near, cutoff=0.8):
        return f"; it is an option of {' and '.join(f'`equireg {verb}`' for verb in verbs)}."
    return f"; did you mean {near[0]!r}?" if near else "."


def _verbs_with(option: str) -> list[str]:
    """Return the verbs that have an option of exactly this name; nested options are not looked for."""
    from equireg import config  # the classes import the parser

    return [verb for verb, name in _OWN.items() if option in {one.name for one in fields(getattr(config, name))}]
