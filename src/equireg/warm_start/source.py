"""Trained weights that a run can start from, and what is known of the data that they were trained on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from equireg.config import NetworkConfig
from equireg.config.parsing import merged, to_plain
from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable

_RECORD = re.compile(r"(?P<name>.+)@(?P<digest>[0-9a-f]{16})")
_FREE = ("dropout", "deep_supervision", "checkpointing", "downsample")
"""Options of a network that leave the tensors of its prediction as they are."""


@dataclass(frozen=True)
class Source:
    """Weights of a network, and what they were trained on."""

    path: Path
    """the file; for messages alone, it is stored nowhere"""
    name: str
    """of the run or the file"""
    digest: str
    """of the file's bytes, 16 hexadecimal digits"""
    network: NetworkConfig
    """options that build the network, whatever the patch"""
    spatial_dims: int
    channels: tuple[str, ...]
    labels: LabelTable | None
    """what the rows of the head stand for; None where that is not known"""
    weights: Mapping[str, Tensor]
    """those of the network that predicts, by our names"""
    step: int | None = None
    """optimiser steps that trained them, where known"""
    spacing_mm: tuple[float, ...] | None = None
    """of the scans x, y, z, where all had the same"""
    normalisation: str | None = None
    learnt: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """the cases that trained them with their masks (``folders/learnt.py``), where known"""

    @property
    def record(self) -> str:
        """What a run keeps of its source: no path."""
        return f"{self.name}@{self.digest}"

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a run's given options with those that its weights fix.

        Raises:
            EquiregError: if an option that is given contradicts the weights.
        """
        wanted = dict(given.get("network") or {})
        own = to_plain(self.network)
        if wanted.get("name", own["name"]) != own["name"]:
            raise EquiregError(
                f"{self.path}: holds weights of a {own['name']}, and --network is {wanted['name']}. Leave --network "
                "out to take it from there, or give another --init."
            )
        network = merged(own, {key: value for key, value in wanted.items() if value is not None})
        differ = [key for key in own if key not in _FREE and to_plain(network[key]) != own[key]]
        if differ:
            pairs = ", ".join(f"--network.{key} is {network[key]}, there it is {own[key]}" for key in differ)
            raise EquiregError(
                f"{self.path}: holds weights of another network: {pairs}. Leave these options out to take them from "
                "there, or give another --init."
            )
        dims = given.get("spatial_dims", self.spatial_dims)
        if dims != self.spatial_dims:
            kinds = {2: "slices", 3: "volumes"}
            raise EquiregError(
                f"{self.path}: holds weights of a network for {kinds[self.spatial_dims]}, and --spatial_dims is "
                f"{dims} ({kinds.get(dims, 'unknown')}). Leave it out, or give another --init."
            )
        return {**given, "network": network, "spatial_dims": dims, "init": self.record}


def record_digest(record: str | None) -> str | None:
    """Return the digest in what a run keeps of its source; None where it has none."""
    found = None if record is None else _RECORD.fullmatch(record)
    return None if found is None else found["digest"]
