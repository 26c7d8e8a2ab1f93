"""Reading YAML files of options, whoever wrote them: bounded, without exploding aliases, one error a file."""

from pathlib import Path
from typing import Any

import yaml

from equireg.errors import EquiregError

_MOST_BYTES = 2**20
_MOST_VALUES = 100_000
"""Values that a file may hold once its aliases are written out."""
_DEEPEST = 50
"""Levels of values within values."""
# What PyYAML raises for values such as `!!int ""`, `2020-13-45` or `!!bool x`, beside its own kind of error.
_BROKEN = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML file of options.

    Raises:
        EquiregError: if the file is missing, is not YAML or not a mapping with text as keys, gives an option twice,
            or is larger or deeper than options can be; names the file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise EquiregError(f"{path}: no such file; expected a YAML file of options.") from error
    except (OSError, ValueError) as error:
        raise EquiregError(f"{path}: cannot be read ({error}).") from error
    if len(content) > _MOST_BYTES:
        raise EquiregError(f"{path}: is larger than 1 MiB; expected a YAML file of options.")
    try:
        return parse_yaml(content.decode("utf-8-sig"))
    except EquiregError as error:
        raise EquiregError(f"{path}: {error}") from error
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EquiregError(f"{path}: is not valid YAML ({reason}).") from error


def parse_yaml(text: str) -> dict[str, Any]:
    """Return what YAML text holds.

    Raises:
        EquiregError: if it is not a mapping, or holds what options never hold.
        yaml.YAMLError: if it is not YAML; PyYAML lets other errors through too.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        _check_size(node)
        content = loader.construct_document(node)
    finally:
        loader.dispose()
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise EquiregError(f"holds a {type(content).__name__}; expected options as `name: value`.")
    return content


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, without a key that is given twice or is no text."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise EquiregError(f"holds values within values, more than {_DEEPEST} levels deep; expected options.")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if not isinstance(key, yaml.ScalarNode):
                    raise EquiregError(f"line {line}: a key is no text; expected an option's name.")
                if key.value in seen:
                    raise EquiregError(f"line {line}: {key.value} is given twice; expected each option once.")
                seen.add(key.value)
            self.flatten_mapping(node)
            result = super().construct_mapping(node, deep=deep)
            for key in result:
                if not isinstance(key, str):
                    raise EquiregError(f"{key!r} ({type(key).__name__}) stands where an option's name was expected.")
            return result
        return super().construct_mapping(node, deep=deep)


def _check_size(root: yaml.Node) -> None:
    """Refuse aliases that lead back to themselves, or that grow without bound when they are written out.

    Raises:
        EquiregError: if they do.
    """
    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        key = id(node)
        if key in open_:
            raise EquiregError("holds an alias that leads back to itself; expected options.")
        if key not in sizes:
            open_.add(key)
            values = (part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,)))
            sizes[key] = 1 + sum(size(part) for part in values)
            open_.discard(key)
        if sizes[key] > _MOST_VALUES:
            raise EquiregError(f"holds more than {_MOST_VALUES:,} values once its aliases are written out.")
        return sizes[key]

    size(root)
