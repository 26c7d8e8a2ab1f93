"""Which method and network a command line of `equireg train` means where it does not name them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equireg.config.parsing import nested
from equireg.config.yaml_files import read_yaml


def names_for_training(places: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the method and the network that options without a name belong to.

    Those of the run that is resumed, if there is one; else the method that the data lead to.

    Args:
        places: the arguments, ``out`` and ``resume``.
        values: the options that were given, nested.
    """
    if places.get("resume"):
        path = Path(places["out"]) / "config.yaml"
        stored = nested(read_yaml(path)) if path.is_file() else {}
        groups = {group: stored.get(group) for group in ("method", "network")}
        return {group: str(own["name"]) for group, own in groups.items() if isinstance(own, Mapping) and "name" in own}
    method = values.get("method")
    if not isinstance(method, Mapping) or not method or "name" in method:
        return {}
    from equireg.folders.prepared import PreparedSet
    from equireg.methods.default import default_method

    prepared = PreparedSet(places["prepared"], verify=values.get("verify", True) is not False)
    return {"method": default_method(values, prepared.manifest.cases)[0]}
