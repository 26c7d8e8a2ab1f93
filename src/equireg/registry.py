"""Tables of what has a name (methods, networks, layouts, metrics, loggers), open to packages outside this one.

A name is known by one of four ways: a line in our own table, ``equireg.register``, an entry point of an installed
package (group ``equireg.methods``, ``equireg.networks``, ``equireg.layouts``, ``equireg.metrics`` or
``equireg.loggers``), or a module that the environment variable ``EQUIREG_PLUGINS`` names, which calls
``equireg.register`` when it is imported.
"""

import difflib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from equireg.errors import EquiregError, UsageError

log = logging.getLogger("equireg")

Kind = Literal["method", "network", "layout", "metric", "logger"]
"""What can be added from outside."""
PLUGINS = "EQUIREG_PLUGINS"
"""Environment variable: modules that register something, with commas between them."""
TABLES: dict[str, str] = {
    "method": "equireg.methods:METHODS",
    "network": "equireg.networks:NETWORKS",
    "layout": "equireg.layouts:LAYOUTS",
    "metric": "equireg.metrics:METRICS",
    "logger": "equireg.training.loggers:LOGGERS",
}
"""Kind to our own table of it."""

_registered: dict[str, dict[str, Any]] = {kind: {} for kind in TABLES}
Thing = TypeVar("Thing")


class UnknownNameError(UsageError):
    """A name that no table has, though something could be registered under it."""

    def __init__(self, message: str, kind: str = "", name: str = "") -> None:
        super().__init__(message)
        self.kind, self.name = kind, name

    def stored_in(self, path: Path) -> EquiregError:
        """Return the error for a file of a run that holds the name: what has it may only be missing here."""
        return EquiregError(
            f"{path}: names the {self.kind} {self.name!r}, which nothing registers here. Set {PLUGINS} to the module "
            "that registers it, or install the package that has it: your own, or a newer equireg."
        )


class Table(MutableMapping[str, Thing], Generic[Thing]):
    """Name to thing. One given as ``"module:name"`` is imported when it is first asked for.

    Args:
        kind: what the table holds.
        own: our own entries, in the order in which they are listed; those from outside follow.
    """

    def __init__(self, kind: Kind, own: Mapping[str, Thing | str]) -> None:
        self.kind = kind
        self._own: dict[str, Thing | str] = dict(own)

    def __getitem__(self, name: str) -> Thing:
        if name not in self._own:
            return cast(Thing, _load(_from_outside(self.kind)[name]))
        self._own[name] = thing = _load(self._own[name])
        return cast(Thing, thing)

    def __setitem__(self, name: str, thing: Thing) -> None:
        self._own[name] = thing

    def __delitem__(self, name: str) -> None:
        del self._own[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in _from_outside(self.kind) if name not in self._own)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in _from_outside(self.kind)

    def is_own(self, name: str) -> bool:
        """Whether a name is in our own table."""
        return name in self._own

    def find(self, name: str, option: str | None = None) -> Thing:
        """Return the thing of a name that a user gave, with ``option``.

        Raises:
            UsageError: names the nearest.
        """
        if name not in self:
            near = difflib.get_close_matches(str(name), self, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            message = f"{option or f'--{self.kind}'} is {name}; expected one of {', '.join(self)}.{hint}"
            raise UnknownNameError(message, self.kind, name) if _fits(name) else UsageError(message)
        return self[name]


def table(kind: str) -> Table[Any]:
    """Return the table of a kind."""
    return _load(TABLES[kind])


def register(kind: Kind, name: str, thing: Any = None) -> Any:
    """Add a method, network, layout, metric or logger under a name of its own.

    What is registered is known in this process. Processes that this one starts (the ranks of ``--devices``, workers
    of ``equireg sweep`` and ``predict``) know it too if a module that registers it is named by the environment variable
    ``EQUIREG_PLUGINS`` (``EQUIREG_PLUGINS=my_package.plugins``), or if an installed package has an entry point for it.

    Args:
        kind: method (a class as ``equireg.methods.Method``), network (an ``equireg.networks.Network``), layout (a
            function from a folder to an ``equireg.layouts.base.FoundSet``), metric (an ``equireg.metrics.Metric``) or
            logger (a function from a run's folder to one of Lightning's loggers).
        name: how options and files name it.
        thing: what is added, or ``"module:name"`` of it, imported when it is first used; left out,
            ``register`` is a decorator.

    Returns:
        The thing, or the decorator.

    Raises:
        EquiregError: if the kind is unknown, or the name is taken.
    """
    if kind not in TABLES:
        raise EquiregError(f"nothing of the kind {kind!r} can be registered; expected one of {', '.join(TABLES)}.")
    if not _fits(name):
        raise EquiregError(f"a {kind} is registered as {name!r}; expected a word of letters, digits, _ and -.")
    if thing is None:
        return _decorator(kind, name)
    known = _registered[kind].get(name)
    if known is not None and known is not thing and _address(known) != _address(thing):
        raise EquiregError(f"a {kind} {name!r} is registered already; choose another name.")
    if table(kind).is_own(name):
        raise EquiregError(f"{name!r} is a {kind} of equireg itself; choose another name.")
    _registered[kind][name] = thing
    return thing


def _fits(name: object) -> bool:
    """Whether something can be registered under a name."""
    return isinstance(name, str) and name.replace("-", "_").isidentifier() and name not in ("auto", "none")


def has_registered() -> bool:
    """Return whether anything was registered in this process, beside entry points."""
    return any(_registered.values())


def _decorator(kind: Kind, name: str) -> Callable[[Thing], Thing]:
    def add(thing: Thing) -> Thing:
        register(kind, name, thing)
        return thing

    return add


def _address(thing: Any) -> str:
    """Return where a thing is defined: a module that is imported again registers the same things."""
    if isinstance(thing, str):
        return thing
    name = getattr(thing, "__qualname__", None)
    return f"{thing.__module__}:{name}" if name else repr(thing)


def _load(thing: Any) -> Any:
    """Import what is given as ``"module:name"`` or as an entry point."""
    if hasattr(thing, "load") and hasattr(thing, "group"):
        try:
            return thing.load()
        except Exception as error:
            where = f"the entry point {thing.name} = {thing.value} of {thing.group}"
            raise EquiregError(f"{where} cannot be imported ({type(error).__name__}: {error}).") from error
    if isinstance(thing, str):
        module, name = thing.split(":")
        return getattr(import_module(module), name)
    return thing


def _from_outside(kind: str) -> Mapping[str, Any]:
    """Return what others have added of a kind, by name."""
    _import_plugins(os.environ.get(PLUGINS, ""))
    return {**_entry_points(kind), **_registered[kind]}


@cache
def _entry_points(kind: str) -> Mapping[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=f"equireg.{kind}s")}


_imported: set[str] = set()


def _import_plugins(modules: str) -> None:
    """Import the modules of ``EQUIREG_PLUGINS``, each once."""
    for module in filter(None, (part.strip() for part in modules.split(","))):
        if module in _imported:
            continue
        _imported.add(module)  # first, because a module that registers comes back here
        try:
            import_module(module)
        except Exception as error:
            _imported.discard(module)
            raise EquiregError(
                f"{PLUGINS} names the module {module}, which cannot be imported ({type(error).__name__}: {error}). "
                "Put its folder on PYTHONPATH, or unset the variable."
            ) from error
