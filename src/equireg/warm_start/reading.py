"""Reading the weights that a run is to start from, whoever trained them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from equireg import folders
from equireg.config import NetworkConfig
from equireg.errors import EquiregError, UsageError
from equireg.folders import ensemble
from equireg.folders.packed import is_packed, read_packed
from equireg.folders.run import CHECKPOINTS, RunFolder
from equireg.model import file_digest, load_model
from equireg.networks import bare, coarse_sides, strides_for
from equireg.warm_start.nnunet import NNUNET_SUFFIX, find_nnunet, read_nnunet
from equireg.warm_start.source import Source, record_digest

_EXPECTED = "expected a run, a checkpoint of equireg (.ckpt), a packed model (.zip) or a checkpoint of nnU-Net (.pth)"


def source_of(given: Mapping[str, Any], resume: bool) -> Source | None:
    """Return the weights that a run's options name; None where they name none, or a resumed run's own by its record.

    Raises:
        EquiregError: if they cannot be read.
    """
    init = given.get("init")
    if init is None or (resume and record_digest(str(init)) is not None and not Path(init).exists()):
        return None
    return read_source(init)


def read_source(given: Path | str) -> Source:
    """Read the weights that a run is to start from.

    Args:
        given: a run's folder, a checkpoint of equireg, or a checkpoint or trained folder of nnU-Net's.

    Raises:
        EquiregError: if it is none of these, or is damaged.
    """
    path = Path(given)
    if record_digest(str(given)) is not None and not path.exists():
        raise UsageError(
            f"--init is {given}, the name and digest by which a run keeps its weights; expected the path of a run or a "
            "checkpoint. Give --init with that of those weights."
        )
    if path.is_dir():
        maker = folders.made_by(path)
        if maker == ensemble.VERB:
            raise EquiregError(
                f"{path}: is an ensemble; a run starts from the weights of one network. Give one of its members, such "
                f"as {ensemble.read_ensemble(path).members[0].path(path)}."
            )
        if maker == "train":
            return _read_own(RunFolder(path).checkpoint(), path)
        if maker is not None:
            raise EquiregError(f"{path}: was made by `equireg {maker}`; {_EXPECTED}.")
        found = find_nnunet(path)
        if found is None:
            raise EquiregError(f"{path}: is no run and holds no checkpoint of nnU-Net; {_EXPECTED}.")
        return read_nnunet(found)
    if is_packed(path):
        return _read_packed(path)
    if not path.is_file():
        raise EquiregError(f"{path}: does not exist; {_EXPECTED}.")
    if path.suffix == NNUNET_SUFFIX:
        return read_nnunet(path)
    if path.suffix != ".ckpt":
        raise EquiregError(f"{path}: is a file of another kind; {_EXPECTED}.")
    return _read_own(path, path.parent.parent if path.parent.name == CHECKPOINTS else path)


def _read_packed(path: Path) -> Source:
    """Read a packed model of one network; its digest is that of the checkpoint that it was packed from.

    Raises:
        EquiregError: if it has several.
    """
    members = list(read_packed(path).members)
    if len(members) > 1:
        raise EquiregError(
            f"{path}: holds {len(members)} networks; a run starts from the weights of one. Give one of their runs."
        )
    return _read_own(path / members[0].weights, path, members[0].digest)


def _read_own(path: Path, named: Path, digest: str | None = None) -> Source:
    """Read one of our checkpoints, which is named by its run where it lies in one."""
    model = load_model(path)
    facts = model.facts
    return Source(
        path=path,
        name=named.resolve().stem if named == path or is_packed(named) else named.resolve().name,
        digest=(digest or file_digest(path))[:16],
        network=whatever_the_patch(model.config.network, facts.patch_size),
        spatial_dims=model.config.spatial_dims,
        channels=facts.channels,
        labels=facts.labels,
        weights=bare(model.predictor).state_dict(),
        step=model.step,
        spacing_mm=facts.spacing_mm,
        normalisation=str(facts.normalisation.get("name")),
        learnt=_learnt(named),
    )


def _learnt(run: Path) -> Mapping[str, tuple[int, int, int]]:
    """Return the cases that a run learnt from, where it has a folder that says so."""
    with suppress(EquiregError):
        if run.is_dir() and folders.made_by(run) == "train":
            return RunFolder(run).facts().learnt or {}
    return {}


def whatever_the_patch(network: NetworkConfig, patch_size: tuple[int, ...]) -> NetworkConfig:
    """Return the options of a network with the strides that its patch gave it, so that another patch builds it too."""
    names = {field.name for field in fields(network)}
    known: dict[str, Any] = vars(network)
    strides = strides_for(coarse_sides(patch_size, network.downsample))[: known.get("stages") or None]
    if "strides" in names:
        if known["strides"] is not None or len(strides) < 2:
            return network
        return replace(network, **{"strides": tuple(strides)})
    return replace(network, **{"stages": max(len(strides), 2)}) if "stages" in names else network
