"""Putting trained weights into the networks of a new run: all but the rows of the head whose class is new."""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equireg.batches.patches import plan_patches
from equireg.config import NetworkConfig, TrainConfig
from equireg.errors import EquiregError, UsageError
from equireg.folders.prepared import Manifest
from equireg.imaging.labels import LabelTable
from equireg.layouts.channels import meaning, pair_names
from equireg.methods import evaluating
from equireg.model import ModelFacts, new_method
from equireg.networks import bare, encoder_stages
from equireg.networks.heads import class_axes, tensors_of
from equireg.warm_start.source import Source

log = logging.getLogger("equireg")

_UNNAMED_CHANNEL = re.compile(r"image|channel_\d+|nonorm|zscore|rescale_to_0_1|rgb_to_0_1")
"""Names that say nothing of what a channel shows; the last ones are nnU-Net's words for a normalisation."""
_UNNAMED_LABEL = re.compile(r"label_-?\d+|-?\d+")
_LOWER = "lower_heads."


@dataclass(frozen=True)
class WarmStart:
    """The weights that a run starts from, fitted to its data set."""

    source: Source
    facts: ModelFacts
    rows: Mapping[int, int]
    """class here to the class there whose row of the head it takes over"""
    remarks: tuple[str, ...] = ()

    @classmethod
    def onto(cls, source: Source, facts: ModelFacts) -> "WarmStart":
        """Fit weights to a data set.

        Raises:
            EquiregError: if they are of other channels.
        """
        remarks = [*_check_channels(source, facts.channels), *_differences(source, facts)]
        rows = {} if source.labels is None else agreeing(facts.labels, source.labels)
        return cls(source, facts, rows, tuple(remarks))

    def tell(self) -> None:
        """Log where the weights come from and what differs."""
        log.info("%s", self.summary())
        for remark in self.remarks:
            log.warning("the weights of %s: %s", self.source.name, remark)

    def summary(self) -> str:
        """Say where the weights come from, and which rows of the head are kept."""
        source, names = self.source, self.facts.labels.names
        kept = [name for index, name in enumerate(names) if index in self.rows]
        new = [name for index, name in enumerate(names) if index not in self.rows]
        steps = "" if source.step is None else f" of step {source.step}"
        parts = [f"head kept for {', '.join(kept)}"] if kept else []
        parts += [f"new for {', '.join(new)}" if kept else f"head new for {', '.join(new)}"] if new else []
        return f"starting from the weights{steps} of {source.record}; {'; '.join(parts)}"

    @torch.no_grad()
    def fill(self, network: nn.Module, config: NetworkConfig, index: int) -> None:
        """Put the weights into a network that was built from a run's options.

        Args:
            network: with new weights.
            config: its options.
            index: 0 for the first network of a method. A further one gets the encoder alone: a method of two networks
                needs them to differ.

        Raises:
            EquiregError: if the network is another one.
        """
        network = bare(network)
        own = tensors_of(network)
        facts = self.facts
        head = class_axes(network, config, len(facts.channels), facts.labels.classes, facts.patch_size)
        self._check(own, head, network.state_dict().keys())
        wanted = own.keys() if index == 0 else _encoder(network, self._image())
        for name in wanted:
            theirs = self.source.weights.get(name)
            if theirs is None:
                continue  # a lower head that the source has not
            if name not in head:
                own[name].copy_(theirs)
            for here, there in self.rows.items() if name in head else ():
                own[name].select(head[name], here).copy_(theirs.select(head[name], there))

    def _check(self, own: Mapping[str, Tensor], head: Mapping[str, int], known: Collection[str]) -> None:
        """Refuse weights of another network; only lower heads may be on one side alone."""
        weights = self.source.weights
        differ = [name for name in own if name not in weights and not name.startswith(_LOWER)]
        differ += [name for name in weights if name not in known and not name.startswith(_LOWER)]
        differ += [
            name
            for name, value in own.items()
            if name in weights and _but(value.shape, head.get(name)) != _but(weights[name].shape, head.get(name))
        ]
        if differ:
            name = differ[0]
            here, there = (tuple(side[name].shape) if name in side else "not there" for side in (own, weights))
            raise EquiregError(
                f"{self.source.path}: holds weights of another network ({len(differ)} of {len(own)} tensors differ: "
                f"{name} is {there}, here {here}). Leave the options of the network out to take them from there, or "
                "give another --init."
            )

    def _image(self) -> Tensor:
        return torch.zeros(1, len(self.facts.channels), *self.facts.patch_size)


def agreeing(here: LabelTable, there: LabelTable) -> dict[int, int]:
    """Return the classes that two data sets share, by their index here and there.

    Classes agree by name, whatever their values: an enhancing tumour is 4 in one BraTS and 3 in the next. Where either
    side has no name for a value, the value decides. The background agrees with the background.
    """
    found = {0: 0}
    names = pair_names(here.names[1:], there.names[1:])
    values = {value: index for index, value in enumerate(there.values)}
    for index, (name, value) in enumerate(zip(here.names, here.values, strict=True)):
        if index == 0:
            continue
        same = names[index - 1] + 1 if index - 1 in names else None
        if same is None and value in values:
            other = there.names[values[value]]
            same = values[value] if _UNNAMED_LABEL.fullmatch(name) or _UNNAMED_LABEL.fullmatch(other) else None
        if same and same not in found.values():
            found[index] = same
    return found


def _check_channels(source: Source, channels: Sequence[str]) -> list[str]:
    """Refuse weights of other channels; return a remark where their names are not known.

    Raises:
        EquiregError: names both.
    """
    there = source.channels
    unnamed = [any(_UNNAMED_CHANNEL.fullmatch(name.lower()) for name in side) for side in (channels, there)]
    same = pair_names(channels, there, meaning) == {index: index for index in range(len(there))}
    if len(channels) != len(there) or not (same or any(unnamed)):
        raise EquiregError(
            f"{source.path}: was trained on other channels ({', '.join(there)}) than the prepared folder has "
            f"({', '.join(channels)}); weights fit the same channels in the same order. Give another --init, or "
            "prepare scans with those channels."
        )
    if same:
        return []
    return [
        f"channels without a name are taken for the same, in their order: {', '.join(there)} there, "
        f"{', '.join(channels)} here"
    ]


def _differences(source: Source, facts: ModelFacts) -> list[str]:
    """Return remarks on how the scans differ that the weights were trained on; they slow the start, no more."""
    remarks = []
    if source.normalisation is not None and source.normalisation != facts.normalisation.get("name"):
        remarks.append(f"intensities were normalised by {source.normalisation}, here {facts.normalisation['name']}")
    if source.spacing_mm is not None and facts.spacing_mm is not None:
        factors = [max(a / b, b / a) for a, b in zip(source.spacing_mm, facts.spacing_mm, strict=True)]
        if max(factors) > 1.5:
            there, here = (" x ".join(f"{size:g}" for size in side) for side in (source.spacing_mm, facts.spacing_mm))
            remarks.append(f"voxels had {there} mm, here {here} mm")
    return remarks


def _encoder(network: nn.Module, image: Tensor) -> list[str]:
    """Return the names of the tensors of a network's encoder: those that its coarsest feature maps depend on.

    Where the encoder of another package's network is not known, nothing is the encoder.
    """
    maps: list[Tensor] = []
    try:
        coarsest = encoder_stages(network)[-1].module
    except UsageError:
        return []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        maps.append(output)

    hook = coarsest.register_forward_hook(keep)
    weights = dict(network.named_parameters())
    with torch.enable_grad(), evaluating(network):
        network(image)
        found = torch.autograd.grad(maps[0].sum(), list(weights.values()), allow_unused=True)
    hook.remove()
    used = {name for name, gradient in zip(weights, found, strict=True) if gradient is not None}
    layers = {name.rpartition(".")[0] for name in used}
    return [*used, *(name for name, _ in network.named_buffers() if name.rpartition(".")[0] in layers)]


def _but(shape: Sequence[int], axis: int | None) -> tuple[int, ...]:
    """Return a shape without one axis."""
    return tuple(size for index, size in enumerate(shape) if index != axis)


def check_source(source: Source, manifest: Manifest, config: TrainConfig) -> None:
    """Refuse weights that do not fit a data set, ahead of the run.

    Raises:
        EquiregError: if their channels or their network are others.
    """
    facts = ModelFacts.of(manifest, plan_patches(manifest, config))
    new_method(config, facts, WarmStart.onto(source, facts).fill)
