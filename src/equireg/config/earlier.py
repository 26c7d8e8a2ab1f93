"""Options as earlier versions stored them, in the words of this one."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from equireg.config.choosing import options_of

_ONCE_SHARED = ("features", "max_features", "stages", "norm", "dropout", "checkpointing")
"""Options that runs of 0.1 list for every network, whether they act on it or not."""
_ADDED = {"equireg": {"ema_span": 1.0, "balanced": 0.0, "exchange": 0.0, "ramp_least": 0}}
"""Method to options that came later and whose default is not what was done before, with what was."""
_ADDED_TO_ALL = {"class_prior": False, "foreground_bias": "none"}
"""The same of options of all methods."""


def in_todays_words(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a stored run as this version reads them, so that they mean what they meant.

    Options that did nothing in the run's network are left out; options that the run's version did not have get the
    value that repeats it.
    """
    whole = isinstance(stored.get("method"), Mapping) and "unsup_ratio" in stored  # a stored run lists all options
    added = _ADDED_TO_ALL if whole else {}
    return {**added, **stored, **_network(stored.get("network")), **_method(stored.get("method"))}


def is_of_earlier(content: Mapping[str, Any]) -> bool:
    """Whether options are the whole of those that 0.1 stored, and not some that a person wrote."""
    network = content.get("network")
    return isinstance(network, Mapping) and set(_ONCE_SHARED) < set(network)


def _network(stored: Any) -> dict[str, Any]:
    if not isinstance(stored, Mapping):
        return {}
    acting = {field.name for field in fields(options_of("network", str(stored.get("name", "unet"))))}
    return {"network": {key: value for key, value in stored.items() if key in acting or key not in _ONCE_SHARED}}


def _method(stored: Any) -> dict[str, Any]:
    if not isinstance(stored, Mapping) or "ema_decay" not in stored:  # a stored run lists all options of its method
        return {}
    return {"method": {**_ADDED.get(str(stored.get("name")), {}), **stored}}
