"""A model on its way to other programs: what all kinds of export need to know of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from equireg._version import __version__
from equireg.config import ExportConfig
from equireg.disk import write_atomic, write_json
from equireg.errors import EquiregError
from equireg.exporting.card import card
from equireg.exporting.scores import read_evaluations, validation_scores
from equireg.model import Model
from equireg.postprocessing import PostProcessing
from equireg.postprocessing.components import regions_in
from equireg.prediction.trained import Trained

MODEL_JSON = "model.json"
FORMAT_VERSION = 2
"""Version of ``model.json`` in an exported folder. Up to 1 the networks gave logits of one view."""
_OVERLAP = 0.5
"""Of windows, as `equireg predict` has it by default."""
_KNOWN = ("zscore", "ct", "mixed", "none")
"""Normalisations that ``standalone/working.py`` does."""
STANDALONE = "standalone"
"""Folder of the files that are copied into an exported model: numpy alone, no equireg."""


@dataclass(frozen=True)
class Leaving:
    """A trained model with the options of `equireg export`."""

    trained: Trained
    config: ExportConfig

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.config.name or self.trained.name

    @property
    def first(self) -> Model:
        """The model whose facts all members share."""
        return self.trained.models[0]

    @property
    def post_process(self) -> PostProcessing:
        """What is done to predictions."""
        return self.trained.post_process if self.config.post_process == "auto" else PostProcessing()

    def flip_axes(self, model: Model) -> tuple[int, ...]:
        """Return the spatial axes of mirroring over which predictions are averaged."""
        return model.facts.flip_axes if self.config.test_time == "flips" else ()

    def write_card(self, folder: Path, use: str) -> None:
        """Write ``README.md``, the model card."""
        evaluations = read_evaluations(self.config.evaluations, self.trained)
        known = (validation_scores(self.trained), evaluations)
        write_atomic(folder / "README.md", card(self.trained, self.name, self.config.licence, known, use))

    def check_normalisation(self) -> None:
        """Refuse preprocessing that the files beside the model cannot do.

        Raises:
            EquiregError: if the normalisation is none of those.
        """
        name = self.first.facts.normalisation["name"]
        if name not in _KNOWN:
            raise EquiregError(
                f"{self.trained.root}: its scans were prepared by the recipe {name}, which --to {self.config.to} "
                "cannot do (the thesis' recipe corrects bias fields by N4). Give it to others by `equireg pack`, "
                "which keeps all that `equireg predict` does."
            )


def write_facts(folder: Path, leaving: Leaving, networks: tuple[str, ...]) -> None:
    """Write ``model.json``: all that a program needs to prepare a scan and to read the networks' output.

    Args:
        folder: where to.
        leaving: the model.
        networks: the file of each member.
    """
    facts = leaving.first.facts
    spacing = facts.spacing_mm
    write_json(
        folder / MODEL_JSON,
        {
            "format_version": FORMAT_VERSION,
            "equireg": __version__,
            "name": leaving.name,
            "licence": leaving.config.licence,
            "networks": [
                {
                    "file": file,
                    "input": "image: normalised scan, float32 [images, channels, *patch_size]",
                    "output": "probabilities: float32 [images, labels, *patch_size], the mean over mirrored images",
                    "spatial_dims": model.config.spatial_dims,
                    "patch_size": list(model.facts.patch_size),
                    "flip_axes": list(leaving.flip_axes(model)),
                }
                for file, model in zip(networks, leaving.trained.models, strict=True)
            ],
            "channels": list(facts.channels),
            "labels": [
                {"name": name, "value": value}
                for name, value in zip(facts.labels.names, facts.labels.values, strict=True)
            ],
            "regions": {name: list(values) for name, values in facts.labels.judged_regions().items()},
            "axes": facts.axes,
            "orientation": "RAS+: along each of the axes, voxels run to right (x), anterior (y), superior (z)",
            "spacing_mm": None if spacing is None else dict(zip("xyz", spacing, strict=True)),
            **({"pixel_mm": facts.pictures["pixel_mm"]} if facts.pictures else {}),
            "normalisation": dict(facts.normalisation),
            "padding": "scans smaller than the patch lie in its middle, in their background's value",
            "overlap": _OVERLAP,
            "window_weights": "Gaussian, standard deviation 0.125 of the window, at least 0.001",
            "views": "the networks average over all images that are mirrored along some of flip_axes",
            "post_process": list(_steps(leaving)),
        },
    )


def _steps(leaving: Leaving) -> Iterator[dict[str, Any]]:
    regions = {region.name: region for region in regions_in(leaving.first.facts.labels)}
    for step in leaving.post_process.steps:
        region = regions[step.region]
        yield {
            "region": step.region,
            "classes": list(region.classes),
            "rest": region.rest,
            "smallest_mm3": step.smallest_mm3,
            "kept": "the largest component" if step.smallest_mm3 is None else "components from smallest_mm3 on",
        }


def copy_standalone(folder: Path, *names: str, changes: Sequence[tuple[str, str]] = ()) -> None:
    """Copy files that come with equireg into an exported folder.

    Args:
        folder: where to.
        names: of the files.
        changes: texts and what stands in their place in the copies.
    """
    for name in names:
        text = files("equireg.exporting").joinpath(STANDALONE, name).read_text(encoding="utf-8")
        for old, new in changes:
            if old not in text:
                raise ValueError(f"{name}: lacks the text {old!r}; expected it once.")
            text = text.replace(old, new)
        write_atomic(folder / name, text)


def example_image(model: Model) -> Tensor:
    """Return an image [1, C, *patch] to trace a network with, and to compare its copies on; the same each time."""
    shape = (1, len(model.facts.channels), *model.facts.patch_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def network_files(leaving: Leaving, ending: str) -> tuple[str, ...]:
    """Return the name of each member's file."""
    count = len(leaving.trained.models)
    return ("model" + ending,) if count == 1 else tuple(f"model_{index}{ending}" for index in range(1, count + 1))
