"""Checkpoints of nnU-Net (version 2), read without running code from them."""

import math
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equireg import disk
from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.model import file_digest, read_saved
from equireg.networks.nnunet_names import Found, translate
from equireg.warm_start.source import Source

NNUNET_SUFFIX = ".pth"
_FILES = ("checkpoint_final.pth", "checkpoint_best.pth", "checkpoint_latest.pth")
_NETWORKS = {"unet": "PlainConvUNet", "resenc": "ResidualEncoderUNet"}
_KINDS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
"""numpy's numbers, which stand in the log that nnU-Net keeps in its checkpoints."""


def find_nnunet(folder: Path) -> Path | None:
    """Return the checkpoint in a folder of one fold, or of a trained model that has one fold.

    Raises:
        EquiregError: if there are several folds.
    """
    places = [folder, *sorted(folder.glob("fold_*"))]
    found = [next((place / name for name in _FILES if (place / name).is_file()), None) for place in places]
    known = [path for path in found if path is not None]
    if len(known) > 1:
        raise EquiregError(
            f"{folder}: holds the checkpoints of {len(known)} folds of nnU-Net; a run starts from one. Give one of "
            f"them, such as {known[0]}."
        )
    return known[0] if known else None


def read_nnunet(path: Path) -> Source:
    """Read a checkpoint of nnU-Net's.

    Raises:
        EquiregError: if it is damaged, not nnU-Net's, or of a network that has no place here.
    """
    content = _load(path)
    weights = _weights(path, content)
    try:
        found = translate(weights)
        plans = _Plans(path, content)
        plans.check(found)
        return Source(
            path=path,
            name=path.stem,
            digest=file_digest(path)[:16],
            network=found.network,
            spatial_dims=found.spatial_dims,
            channels=plans.channels(found.channels),
            labels=plans.labels(found.classes),
            weights=found.weights,
            spacing_mm=plans.spacing_mm(),
        )
    except EquiregError as error:
        raise EquiregError(f"{path}: {str(error).rstrip('.')}.") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EquiregError(
            f"{path}: its plans, or those beside it, hold values of other kinds than nnU-Net writes ({error}). Restore "
            "plans.json and dataset.json, or give another checkpoint."
        ) from error


def _weights(path: Path, content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a checkpoint, by nnU-Net's names.

    Raises:
        EquiregError: if it holds none, or some are no numbers.
    """
    weights = content.get("network_weights")
    if not isinstance(weights, Mapping) or not weights or not all(isinstance(w, Tensor) for w in weights.values()):
        raise EquiregError(f"{path}: holds no weights of nnU-Net ('network_weights'); expected its checkpoint_*.pth.")
    plain = {str(name).removeprefix("module."): value for name, value in weights.items()}
    bad = [name for name, value in plain.items() if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise EquiregError(
            f"{path}: holds weights that are NaN or infinite ({len(bad)} of {len(plain)} tensors, such as {bad[0]}); "
            "expected numbers only. Give another checkpoint."
        )
    return plain


class _Plans:
    """What the checkpoint, or the files beside it, say of the data and of the network."""

    def __init__(self, path: Path, content: Mapping[str, Any]) -> None:
        made = content.get("init_args")
        self.made: Mapping[str, Any] = made if isinstance(made, Mapping) else {}
        model = path.resolve().parent.parent
        self.dataset = self._mapping("dataset_json", model / "dataset.json")
        plans = self._mapping("plans", model / "plans.json")
        name = self.made.get("configuration", model.name.rpartition("__")[2])
        self.forward = plans.get("transpose_forward")
        self.configuration = _inherited(plans.get("configurations"), name)

    def _mapping(self, key: str, beside: Path) -> Mapping[str, Any]:
        value = self.made.get(key)
        if not isinstance(value, Mapping) and beside.is_file():
            value = disk.read_json(beside)
        return value if isinstance(value, Mapping) else {}

    def check(self, found: Found) -> None:
        """Refuse a network that the tensors alone cannot distinguish from ours.

        Raises:
            EquiregError: a sentence without the file's name.
        """
        architecture = self.configuration.get("architecture")
        if not isinstance(architecture, Mapping):
            return  # plans of before 2.3, which have no other network than these
        name = str(architecture.get("network_class_name", "")).rpartition(".")[2]
        expected = _NETWORKS[found.network.name]
        if name != expected:
            raise EquiregError(f"its plans are for a {name}; expected a {expected}, which its tensors look like")
        options = architecture.get("arch_kwargs", {})
        for key, wanted in (("nonlin", "LeakyReLU"), ("norm_op", f"InstanceNorm{found.spatial_dims}d")):
            given = str(options.get(key, wanted)).rpartition(".")[2]
            if given != wanted:
                raise EquiregError(f"its plans have {key} {given}; expected {wanted}")
        strides = options.get("strides")
        first = strides[0] if isinstance(strides, list) and strides else 1
        if math.prod(first if isinstance(first, list) else [first]) != 1:
            raise EquiregError(f"its plans begin with the stride {first}; expected a first stage of full resolution")

    def channels(self, count: int) -> tuple[str, ...]:
        """Return the channels' names; numbered where they are not known."""
        named = self.dataset.get("channel_names", self.dataset.get("modality"))
        if isinstance(named, Mapping) and sorted(map(str, named)) == sorted(map(str, range(count))):
            return tuple(str(named.get(str(index), named.get(index))) for index in range(count))
        return tuple(f"channel_{index}" for index in range(count))

    def labels(self, classes: int) -> LabelTable | None:
        """Return what the rows of the head stand for; None for regions, which overlap, and where it is not known."""
        named = self.dataset.get("labels")
        if not isinstance(named, Mapping):
            return None
        values = {str(name): value for name, value in named.items() if name != "ignore"}
        if len(values) != classes or not all(isinstance(value, int) for value in values.values()):
            return None
        ordered = sorted(values.items(), key=lambda pair: pair[1])
        return LabelTable(tuple(value for _, value in ordered), tuple(name for name, _ in ordered))

    def spacing_mm(self) -> tuple[float, ...] | None:
        """Return the spacing x, y, z of the plan, of volumes alone: that of slices has no third number."""
        spacing = self.configuration.get("spacing")
        if not isinstance(spacing, list) or len(spacing) != 3:
            return None
        if not all(isinstance(size, int | float) for size in spacing):
            return None
        forward = self.forward if self.forward in [[*order] for order in permutations(range(3))] else [0, 1, 2]
        return tuple(spacing[forward.index(axis)] for axis in (2, 1, 0))


def _inherited(configurations: Any, name: Any, depth: int = 8) -> dict[str, Any]:
    """Return a configuration of nnU-Net's plans with what it inherits from others."""
    own = configurations.get(name) if isinstance(configurations, Mapping) else None
    if not isinstance(own, Mapping) or not depth:
        return {}
    return {**_inherited(configurations, own.get("inherits_from"), depth - 1), **own}


def _load(path: Path) -> dict[str, Any]:
    """Read the file: tensors, plain values and numpy's numbers, and no code."""
    remedy = "Expected the checkpoint_*.pth of nnU-Net version 2, as it wrote it."
    with torch.serialization.safe_globals(_numbers()):
        content = read_saved(path, "a checkpoint of nnU-Net", remedy)
    return content if isinstance(content, dict) else {}


def _numbers() -> list[Any]:
    """Return what rebuilds numpy's numbers, under the names of numpy 1 and 2."""
    core: Any = getattr(np, "_core", None) or np.core
    scalar = core.multiarray.scalar

    def of_numpy_1(kind: Any, data: bytes) -> Any:
        return scalar(kind, data)

    of_numpy_1.__module__, of_numpy_1.__name__ = "numpy.core.multiarray", "scalar"
    of_numpy_1.__qualname__ = "scalar"
    return [scalar, of_numpy_1, np.dtype, *{type(np.dtype(kind)) for kind in _KINDS}]
