"""The options of a method or network by its name, without importing torch where the name is one of ours."""

from collections.abc import Mapping
from dataclasses import fields
from types import ModuleType

from equireg import registry
from equireg.config import methods, networks
from equireg.config.model import MethodConfig, NetworkConfig

CHOSEN = {"method": MethodConfig, "network": NetworkConfig}
"""Group of options to the options that all of its choices have."""
NAMED = ("method", "network", "optimizer")
"""Groups of options that a bare name stands for: ``--method equireg`` is ``--method.name equireg``."""
NAMES: dict[str, tuple[str, ...]] = {"method": ("auto",), "network": (), "layout": ("auto",), "logger": ("none",)}
"""Option whose values are names of the registry's table of that kind, to the words that it takes beside them."""


def _by_name(module: ModuleType, base: type) -> dict[str, type]:
    """Return the dataclasses of a module that have a name of their own, by that name."""
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, base)]
    return {vars(kind)["name"]: kind for kind in kinds if "name" in vars(kind)}


_LIGHT: dict[str, Mapping[str, type]] = {
    "method": _by_name(methods, MethodConfig),
    "network": {
        **_by_name(networks, NetworkConfig),
        **dict.fromkeys(("fc-densenet56", "fc-densenet67", "fc-densenet103"), networks.FCDenseNetConfig),
    },
}
"""Group and name to the options that are known without the method or network itself."""


def names(option: str) -> list[str]:
    """Return the names that an option of ``NAMES`` can have, such as those of all methods."""
    return [*NAMES[option], *registry.table(option)]


def options_of(group: str, name: str) -> type:
    """Return the dataclass of a method's or network's options.

    Raises:
        UsageError: if the name is unknown.
    """
    light = _LIGHT[group]
    if name in light and (name == "auto" or registry.table(group).is_own(name)):
        return light[name]
    return registry.table(group).find(name, "--method" if group == "method" else f"--{group}.name").Options


def default_name(options: type, group: str) -> str:
    """Return the name that a group of a dataclass of options has unless another is given."""
    field = next(field for field in fields(options) if field.name == group)
    return field.default_factory().name  # pyright: ignore[reportCallIssue]


def idle_in(option: str) -> str:
    """Return a sentence that says which methods or networks have an option; nothing where none of ours does."""
    group, _, name = option.partition(".")
    if group not in CHOSEN:
        return ""
    have = [key for key, kind in _LIGHT[group].items() if key != "auto" and name in {f.name for f in fields(kind)}]
    if not have:
        return ""
    return f" It is an option of --{group} {', '.join(have)}; elsewhere it does nothing, so it is refused."


def is_switch(option: str) -> bool:
    """Whether an option of one of our methods or networks, such as ``network.checkpointing``, is true or false."""
    group, _, name = option.partition(".")
    return any(field.name == name and field.type is bool for kind in _LIGHT[group].values() for field in fields(kind))
