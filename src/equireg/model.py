"""A checkpoint is enough to rebuild its model: options, facts of the data set, and weights; no path, no case."""

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import nn

from equireg import disk, folders
from equireg.batches.loading import PatchPlan
from equireg.config import NetworkConfig, TrainConfig
from equireg.config.earlier import in_todays_words
from equireg.config.parsing import from_plain, to_plain
from equireg.devices import single_precision
from equireg.errors import EquiregError
from equireg.folders.digests import digest_of
from equireg.folders.packed import PackedMember, member_of, read_packed, read_weights
from equireg.folders.prepared import Manifest
from equireg.folders.schema import SchemaError, strict
from equireg.imaging.labels import LabelTable
from equireg.methods import Method, find
from equireg.networks import build
from equireg.networks.heads import add_to_foreground, class_axes
from equireg.postprocessing import ForegroundBias, PostProcessing
from equireg.preparation.case import CasePlan
from equireg.preparation.plan import slice_axis
from equireg.registry import UnknownNameError

ENTRY = "equireg"
"""Key of a Lightning checkpoint under which ours are."""
POST_PROCESS = "post_process"
"""Key of the entry: what is done to predictions, chosen at the validation before the checkpoint."""
FOREGROUND_BIAS = "foreground_bias"
"""Key of the entry: what is added to the logits of all classes but the background, chosen there too."""
_DIGEST = "digest"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""Of a terminal, in errors of torch."""


@dataclass(frozen=True)
class ModelFacts:
    """What a model needs to know of the data set that it was trained on."""

    dataset: str
    channels: tuple[str, ...]
    labels: LabelTable
    axes: str
    spacing_mm: tuple[float, float, float] | None
    normalisation: Mapping[str, Any]
    patch_size: tuple[int, ...]
    flip_axes: tuple[int, ...]
    intensities: Mapping[str, Any] | None = None
    """Ranges of raw percentiles over the training cases, from the manifest; None in older runs."""
    volumes_mm3: Mapping[str, tuple[float, ...]] | None = None
    """Least and greatest volume of each judged region over the labelled training cases; None in older runs."""
    least_foreground_mm3: float | None = None
    """Least volume of all labels together over these cases, mm3; None in older runs."""
    pictures: Mapping[str, Any] | None = None
    """What the manifest says of pictures; None where the scans are volumes."""

    @classmethod
    def of(cls, manifest: Manifest, plan: PatchPlan, labelled: Sequence[str] = ()) -> "ModelFacts":
        """Take the facts from a prepared folder's manifest and the patch of the run.

        Args:
            manifest: of the prepared folder.
            plan: of the run's patches.
            labelled: names of the training cases whose masks the run uses; none where nobody asks for volumes.
        """
        return cls(
            dataset=manifest.dataset,
            channels=manifest.channels,
            labels=manifest.labels,
            axes=manifest.axes,
            spacing_mm=manifest.spacing_mm,
            normalisation=manifest.normalisation,
            patch_size=plan.patch_size,
            flip_axes=plan.flip_axes,
            intensities=manifest.fingerprint.get("intensities"),
            volumes_mm3=manifest.volumes_mm3(labelled),
            least_foreground_mm3=manifest.least_foreground_mm3(labelled),
            pictures=manifest.pictures,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; ``from_dict`` reads them back."""
        content = {**vars(self), "labels": self.labels.as_dict()}
        if self.pictures is None:
            del content["pictures"]
        return to_plain(content)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ModelFacts":
        """Read what ``as_dict`` wrote.

        Raises:
            SchemaError: if a fact is missing, unknown or of another kind.
        """
        labels = LabelTable.from_dict(content["labels"])
        facts: ModelFacts = strict(cls, {**content, "labels": labels}, "facts")
        if sorted(facts.axes) != ["x", "y", "z"]:
            raise SchemaError(f"facts.axes is {facts.axes[:40]!r}; expected x, y and z")
        return facts

    def case_plan(self) -> CasePlan:
        """Return how a new scan is turned into what the network was trained on."""
        return CasePlan(self.spacing_mm, slice_axis(self.axes[0]), self.normalisation, self.labels, len(self.channels))


@dataclass(frozen=True)
class Model:
    """A trained method with its options and facts."""

    method: Method
    config: TrainConfig
    facts: ModelFacts
    step: int
    post_process: PostProcessing = field(default_factory=PostProcessing)
    foreground_bias: ForegroundBias = field(default_factory=ForegroundBias)
    """What was added to the heads of the network that predicts, where a checkpoint said so."""

    @property
    def predictor(self) -> nn.Module:
        """The network that inference uses, in evaluation mode."""
        return self.method.predictor.eval()


def config_from(content: Mapping[str, Any]) -> TrainConfig:
    """Build a run's options from plain values, with those of the method and the network that they name."""
    return from_plain(TrainConfig, content)


Filling = Callable[[nn.Module, NetworkConfig, int], None]
"""Puts trained weights into a new network, given its options and how many the method has made before."""


def new_method(config: TrainConfig, facts: ModelFacts, fill: Filling | None = None) -> Method:
    """Make a method with new weights, drawn from the seed alone; ``fill`` then puts trained ones into its networks."""
    made: list[nn.Module] = []

    def network_factory() -> nn.Module:
        network = build(
            config.network,
            in_channels=len(facts.channels),
            out_channels=facts.labels.classes,
            spatial_dims=config.spatial_dims,
            patch_size=facts.patch_size,
        )
        if fill is not None:
            fill(network, config.network, len(made))
        made.append(network)
        return network

    with torch.random.fork_rng():
        torch.manual_seed(config.random_seed)
        return find(config.method.name)(config, network_factory, config.total_steps)


def entry(config: TrainConfig, facts: ModelFacts) -> dict[str, Any]:
    """Return what a checkpoint holds beside the weights."""
    return {"format_version": folders.FORMAT_VERSION, "config": to_plain(config), "facts": facts.as_dict()}


def seal(checkpoint: dict[str, Any]) -> None:
    """Add to a checkpoint the digest of all that rebuilds its model: options, facts, step and weights."""
    checkpoint[ENTRY] = {**checkpoint[ENTRY], _DIGEST: _digest(checkpoint)}


def _digest(checkpoint: Mapping[str, Any]) -> str:
    """Return a digest that is the same after saving and loading."""
    plain = {name: value for name, value in checkpoint[ENTRY].items() if name != _DIGEST}
    found = blake2b(json.dumps([plain, int(checkpoint["global_step"])], sort_keys=True).encode(), digest_size=16)
    for name, weight in sorted(checkpoint["state_dict"].items()):
        found.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        found.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def file_digest(path: Path) -> str:
    """Return the digest of a file's content."""
    with disk.read_errors(path):
        return digest_of(path)


def read_saved(path: Path, what: str, remedy: str) -> Any:
    """Read what torch has saved, running no code from it.

    Args:
        path: the file.
        what: what it should be, for the error.
        remedy: how to mend it.

    Raises:
        EquiregError: if it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the checksums
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = _COLOURS.sub("", str(error).splitlines()[0]) if str(error) else type(error).__name__
        raise EquiregError(f"{path}: cannot be read as {what} ({reason}). {remedy}") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint file, running no code from it.

    Raises:
        EquiregError: if the file is damaged, not equireg's, or of another format version.
    """
    content = read_saved(path, "a checkpoint", "Copy it again, or train again.")
    if not isinstance(content, dict) or not isinstance(content.get(ENTRY), dict):
        raise EquiregError(f"{path}: is not a checkpoint of equireg; expected one that `equireg train` wrote.")
    folders.check_format(path, content[ENTRY].get("format_version"), "train")
    with _damage(path):
        if content[ENTRY].get(_DIGEST) not in (None, _digest(content)):
            raise EquiregError(
                f"{path}: was changed after training: its digest is not that of its options, facts and weights. "
                "Copy the file again from where it was trained."
            )
    return content


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Name the file where a part of it is missing, of another kind, or no option that there is."""
    try:
        yield
    except UnknownNameError as error:
        raise error.stored_in(path) from error
    except EquiregError as error:
        if str(path) in str(error):
            raise
        raise EquiregError(
            f"{path}: is damaged, or another version of equireg made it ({str(error).rstrip('.')}). Copy it again, or "
            "train again."
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EquiregError(
            f"{path}: is damaged ({type(error).__name__}: {error}). Copy it again, or train again."
        ) from error


@single_precision()
def load_model(path: Path) -> Model:
    """Rebuild a trained method from a checkpoint, or from the weights of a member of a packed model.

    Raises:
        EquiregError: if the file cannot be read, or its weights are of another network than its options say.
    """
    packed = member_of(path)
    if packed is not None:
        return _packed_model(*packed)
    content = read_checkpoint(path)
    with _damage(path):
        config = config_from(in_todays_words(content[ENTRY]["config"]))
        facts = ModelFacts.from_dict(content[ENTRY]["facts"])
        method = new_method(config, facts)
        weights = {name.removeprefix("method."): value for name, value in content["state_dict"].items()}
        load_weights(method, weights, path)
        post_process = PostProcessing.from_dict(content[ENTRY].get(POST_PROCESS), facts.labels)
        bias = ForegroundBias.from_dict(content[ENTRY].get(FOREGROUND_BIAS))
        model = Model(method, config, facts, int(content["global_step"]), post_process, bias)
    _check_finite(model.predictor, path)
    if bias.bias:
        network, labels = model.predictor, facts.labels
        axes = class_axes(network, config.network, len(facts.channels), labels.classes, facts.patch_size)
        add_to_foreground(network, axes, bias.bias)
    return model


def _packed_model(archive: Path, name: str) -> Model:
    """Rebuild a member of a packed model; of a method with two networks, the one that predicts is the trained one."""
    found = read_packed(archive)
    with _damage(archive):
        member: PackedMember = next(one for one in found.members if one.weights == name)
        config = config_from(in_todays_words(member.config))
        facts = ModelFacts.from_dict(member.facts)
        method = new_method(config, facts)
        weights = {key: torch.from_numpy(array.copy()) for key, array in read_weights(archive, name).items()}
        load_weights(method.predictor, weights, archive)
        post_process = PostProcessing.from_dict(found.post_process, facts.labels)
        bias = ForegroundBias.from_dict(member.foreground_bias)  # which its weights hold already
    _check_finite(method.predictor, archive)
    return Model(method, config, facts, member.step, post_process, bias)


def chosen_of(path: Path) -> tuple[ForegroundBias, PostProcessing]:
    """Return what a checkpoint says was chosen on validation cases, without rebuilding its model.

    Raises:
        EquiregError: if the file cannot be read.
    """
    content = read_checkpoint(path)
    with _damage(path):
        found = content[ENTRY]
        labels = ModelFacts.from_dict(found["facts"]).labels
        post_process = PostProcessing.from_dict(found.get(POST_PROCESS), labels)
        return ForegroundBias.from_dict(found.get(FOREGROUND_BIAS)), post_process


def _check_finite(network: nn.Module, path: Path) -> None:
    """Refuse weights that make no prediction: a network of NaN gives every voxel the background."""
    state = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    bad = [name for name, value in state.items() if not value.isfinite().all()]
    if bad:
        raise EquiregError(
            f"{path}: holds weights that are NaN or infinite ({len(bad)} of {len(state)} tensors, such as {bad[0]}); "
            "expected numbers only. Training went astray: give another checkpoint, or train again."
        )


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
