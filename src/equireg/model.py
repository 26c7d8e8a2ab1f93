"""A checkpoint rebuilds its model by itself: options, facts of the data set, and weights; no path, no case."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from equireg import folders
from equireg.batches.loading import PatchPlan
from equireg.config import TrainConfig
from equireg.config.parsing import from_plain, to_plain
from equireg.errors import EquiregError
from equireg.folders.prepared import Manifest
from equireg.folders.run import RunFolder
from equireg.imaging.labels import LabelTable
from equireg.methods import Method, find
from equireg.networks import build
from equireg.preparation.case import CasePlan
from equireg.preparation.plan import slice_axis

ENTRY = "equireg"
"""Key of a Lightning checkpoint under which ours are."""


@dataclass(frozen=True)
class Facts:
    """What a model needs to know of the data set that it was trained on."""

    dataset: str
    channels: tuple[str, ...]
    labels: LabelTable
    axes: str
    spacing_mm: tuple[float, float, float] | None
    normalisation: Mapping[str, Any]
    patch_size: tuple[int, ...]
    flip_axes: tuple[int, ...]

    @classmethod
    def of(cls, manifest: Manifest, plan: PatchPlan) -> "Facts":
        """Take the facts from a prepared folder's manifest and the patch of the run."""
        return cls(
            dataset=manifest.dataset,
            channels=manifest.channels,
            labels=manifest.labels,
            axes=manifest.axes,
            spacing_mm=manifest.spacing_mm,
            normalisation=manifest.normalisation,
            patch_size=plan.patch_size,
            flip_axes=plan.flip_axes,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; ``from_dict`` reads them back."""
        return to_plain({**vars(self), "labels": self.labels.as_dict()})

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Facts":
        """Read what ``as_dict`` wrote."""
        spacing = content["spacing_mm"]
        sequences = {name: tuple(content[name]) for name in ("channels", "patch_size", "flip_axes")}
        return cls(
            **{
                **content,
                **sequences,
                "labels": LabelTable.from_dict(content["labels"]),
                "spacing_mm": None if spacing is None else tuple(spacing),
            }
        )

    def case_plan(self) -> CasePlan:
        """Return how a new scan is turned into what the network was trained on."""
        return CasePlan(self.spacing_mm, slice_axis(self.axes[0]), self.normalisation, self.labels, len(self.channels))


@dataclass(frozen=True)
class Model:
    """A trained method with its options and facts."""

    method: Method
    config: TrainConfig
    facts: Facts
    step: int

    @property
    def predictor(self) -> nn.Module:
        """The network that inference uses, in evaluation mode."""
        return self.method.predictor.eval()


def config_from(content: Mapping[str, Any]) -> TrainConfig:
    """Build a run's options from plain values, with those of the method that they name."""
    name = content.get("method", {}).get("name", "supervised")
    return from_plain(TrainConfig, content, find(name).Options)


def new_method(config: TrainConfig, facts: Facts) -> Method:
    """Make a method with new weights, drawn from the seed alone."""

    def network_factory() -> nn.Module:
        return build(
            config.network,
            in_channels=len(facts.channels),
            out_channels=facts.labels.classes,
            spatial_dims=config.spatial_dims,
            patch_size=facts.patch_size,
        )

    with torch.random.fork_rng():
        torch.manual_seed(config.chance_seed)
        return find(config.method.name)(config, network_factory, config.max_steps)


def entry(config: TrainConfig, facts: Facts) -> dict[str, Any]:
    """Return what a checkpoint holds beside the weights."""
    return {"format_version": folders.FORMAT_VERSION, "config": to_plain(config), "facts": facts.as_dict()}


def find_checkpoint(run: Path, which: Literal["auto", "best", "last"]) -> Path:
    """Return a run's checkpoint file; ``auto`` is the best where training validated, else the last.

    Raises:
        EquiregError: if there is none.
    """
    return RunFolder(run).checkpoint(which)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint file, running no code from it.

    Raises:
        EquiregError: if the file is damaged, not equireg's, or of another format version.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EquiregError(f"{path}: cannot be read as a checkpoint ({reason}).") from error
    if not isinstance(content, dict) or ENTRY not in content:
        raise EquiregError(f"{path}: is not a checkpoint of equireg; expected one that `equireg train` wrote.")
    folders.check_format(path, content[ENTRY].get("format_version"))
    return content


def load_model(path: Path) -> Model:
    """Rebuild a trained method from a checkpoint.

    Raises:
        EquiregError: if the file cannot be read, or its weights are of another network than its options say.
    """
    content = read_checkpoint(path)
    config = config_from(content[ENTRY]["config"])
    facts = Facts.from_dict(content[ENTRY]["facts"])
    method = new_method(config, facts)
    weights = {name.removeprefix("method."): value for name, value in content["state_dict"].items()}
    load_weights(method, weights, path)
    return Model(method, config, facts, int(content["global_step"]))


def load_weights(method: nn.Module, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load weights, all of them or none.

    Raises:
        EquiregError: if they are of another network.
    """
    own = method.state_dict()
    differ = [name for name in (*own, *weights) if name not in own or name not in weights]
    differ += [name for name in own if name in weights and own[name].shape != weights[name].shape]
    if differ:
        raise EquiregError(
            f"{path}: holds weights of another network ({len(set(differ))} of {len(own)} tensors differ, such as "
            f"{differ[0]}). Give the options of the run that wrote it."
        )
    method.load_state_dict(dict(weights))
