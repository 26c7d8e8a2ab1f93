"""Options from the command line, from YAML and from Python, all by one parser and with one kind of error."""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonargparse import ArgumentParser, Namespace

from equireg.errors import EquiregError, UsageError

Options = TypeVar("Options")

_UNKNOWN = (
    re.compile(r"unrecognized arguments: (?P<key>\S+)"),
    re.compile(r"Group '(?P<group>[^']+)' does not accept option '(?P<key>[^']+)'"),
    re.compile(r"Option '(?P<key>[^']+)' is not accepted"),
    re.compile(r"[Kk]ey '(?P<key>[^']+)' is not expected"),
)


class OptionParser(ArgumentParser):
    """A parser whose errors are one line and name the nearest known option."""

    def __init__(self, **kwargs: Any) -> None:
        # jsonargparse makes parsers of this class by itself, for options within options, with arguments of its own.
        super().__init__(**{"exit_on_error": False, "allow_abbrev": False, **kwargs})

    def read(self, arguments: Sequence[str] | Mapping[str, Any]) -> Namespace:
        """Parse a command line or plain values.

        Raises:
            UsageError: if an option is unknown or its value is of another kind.
        """
        try:
            if isinstance(arguments, Mapping):
                return self.parse_object(dict(arguments))
            return self.parse_args(self._spelled_out(arguments))
        except EquiregError:
            raise
        except Exception as error:  # jsonargparse lets many kinds of exception through
            raise UsageError(self._explain(str(error))) from error

    def _spelled_out(self, arguments: Sequence[str]) -> list[str]:
        """Give a bare switch its value: ``--probabilities`` stands for ``--probabilities=true``."""
        switches = {f"--{action.dest}" for action in self._actions if getattr(action, "_typehint", None) is bool}
        following = [*arguments, ""][1:]
        return [
            f"{argument}=true" if argument in switches and after.lower() not in ("true", "false") else argument
            for argument, after in zip(arguments, following, strict=True)
        ]

    def _explain(self, message: str) -> str:
        """Turn the parser's message into one line, with the nearest known option where one is unknown."""
        for pattern in _UNKNOWN:
            if found := pattern.search(message):
                groups = found.groupdict()
                key = ".".join(filter(None, [groups.get("group"), groups["key"].lstrip("-").split("=")[0]]))
                known = [action.dest for action in self._actions if action.dest not in ("help", "==SUPPRESS==")]
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
                return f"unknown option {key!r}" + (f"; did you mean {near[0]!r}?" if near else ".")
        found = re.search(r'Parser key "(?P<key>[^"]+)":\s*(?P<rest>.*)', message, re.DOTALL)
        if found:
            rest = " ".join(found["rest"].replace("typing.", "").split())
            return f"--{found['key']}: {rest}"
        return " ".join(message.split())


def add_options(parser: OptionParser, options: type, method_options: type | None = None) -> None:
    """Add a dataclass' options, and those of a method under ``method.``, to a parser."""
    if method_options is None:
        parser.add_class_arguments(options)
    else:
        parser.add_class_arguments(options, skip={"method"})
        parser.add_class_arguments(method_options, "method")


def take_options(
    parser: OptionParser, parsed: Namespace, options: type[Options], *others: str
) -> tuple[Options, dict[str, Any]]:
    """Split what was parsed into the dataclass and the other named arguments."""
    made = parser.instantiate(parsed)
    names = {field.name for field in dataclasses.fields(options)}  # pyright: ignore[reportArgumentType]
    values = {name: made[name] for name in names if name in made}
    return options(**values), {name: made[name] for name in others if name in made}


def from_plain(options: type[Options], values: Mapping[str, Any], method_options: type | None = None) -> Options:
    """Build a dataclass of options from plain nested values, such as a YAML file's.

    Raises:
        UsageError: if a key is unknown (the nearest known one is named) or a value is of another kind.
    """
    parser = OptionParser()
    add_options(parser, options, method_options)
    return take_options(parser, parser.read(nested(values)), options)[0]


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``{"method.teacher": "ema"}`` into nested mappings, and a bare method name into its mapping."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        plain = to_plain(value)
        if key in ("method", "network", "optimizer") and isinstance(plain, str):
            plain = {"name": plain}
        if key == "precision":
            plain = str(plain)  # YAML reads 32 as a number
        *groups, name = key.split(".")
        place = result
        for group in groups:
            place = place.setdefault(group, {})
        if isinstance(plain, dict) and isinstance(place.get(name), dict):
            place[name] = {**plain, **place[name]}
        else:
            place[name] = plain
    return result


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested options with some replaced."""
    result = dict(base)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
        result[name] = merged(base[name], value) if both else value
    return result


def to_plain(value: Any) -> Any:
    """Turn dataclasses, tuples and paths into what YAML and JSON hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML file of options.

    Raises:
        EquiregError: if the file is missing or is not a mapping.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise EquiregError(f"{path}: no such file; expected a YAML file of options.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise EquiregError(f"{path}: is not valid YAML ({' '.join(str(error).split())}).") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise EquiregError(f"{path}: holds a {type(content).__name__}; expected options as `name: value`.")
    return content


def to_yaml(options: Any) -> str:
    """Write options as YAML that ``read_yaml`` and ``from_plain`` read back."""
    return yaml.safe_dump(to_plain(options), sort_keys=False, allow_unicode=True)
