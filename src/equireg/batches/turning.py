"""The planes in which a run's samples may be turned by quarters."""

import itertools
from collections.abc import Sequence

from equireg.config import TrainConfig
from equireg.errors import UsageError
from equireg.folders.prepared import CaseRecord, Manifest
from equireg.networks import divisors
from equireg.transforms.group import Planes

_ALIKE = 0.01
"""Part by which two spacings may differ and still be alike."""


def turn_planes(manifest: Manifest, config: TrainConfig, patch_size: Sequence[int], flip_axes: Sequence[int]) -> Planes:
    """Return the planes of quarter turns, each as two spatial axes of a sample.

    Args:
        manifest: of the prepared folder.
        config: of the run.
        patch_size: voxels of a sample, [n].
        flip_axes: its axes of mirroring.

    Raises:
        UsageError: if a plane is unknown or not one of the samples, its voxels are not square, or the network does not
            take samples whose sides are exchanged.
    """
    option, axes = config.turns, manifest.axes[-config.spatial_dims :]
    if option == "none":
        return ()
    pairs = list(itertools.combinations(range(len(axes)), 2))
    if option == "data":
        mirrored = [pair for pair in pairs if set(pair) <= set(flip_axes)]
        square = [pair for pair in mirrored if _oblong(manifest, config, pair) is None]
        return tuple(pair for pair in square if _exchanges(divisors(config.network, patch_size), patch_size, pair))
    names = {"".join(sorted(axes[axis] for axis in pair)): pair for pair in pairs}
    planes = [names[name] for name in _named(option, list(names))]
    for pair in planes:
        _check_square(manifest, config, axes, pair)
        _check_exchanged(config, patch_size, pair)
    return tuple(planes)


def _named(option: str, known: Sequence[str]) -> list[str]:
    """Return the planes that an option names, each once.

    Raises:
        UsageError: if one is unknown, or not of the samples.
    """
    named = sorted({name.strip() for name in option.split(",")})
    if not set(named) <= {"xy", "xz", "yz"}:
        raise UsageError(f"--turns is {option}; expected data, none or some of xy,xz,yz.")
    for name in named:
        if name not in known:
            raise UsageError(f"--turns is {option}, and the slices have no plane {name}; expected {', '.join(known)}.")
    return named


def _oblong(manifest: Manifest, config: TrainConfig, pair: tuple[int, int]) -> CaseRecord | None:
    """Return a case that may be trained on and whose voxels are not square in a plane, if there is one."""
    for case in manifest.cases:
        one, other = (case.spacing_mm[-config.spatial_dims :][axis] for axis in pair)
        if case.split == "test" and config.unlabelled_from != "test":
            continue
        if abs(one - other) > _ALIKE * max(one, other):
            return case
    return None


def _check_square(manifest: Manifest, config: TrainConfig, axes: str, pair: tuple[int, int]) -> None:
    """Refuse a plane in which a quarter turn would stretch a scan."""
    case = _oblong(manifest, config, pair)
    if case is not None:
        one, other = (case.spacing_mm[-len(axes) :][axis] for axis in pair)
        raise UsageError(
            f"--turns is {config.turns}, and the voxels of {case.name} are {one:g} mm along {axes[pair[0]]} and "
            f"{other:g} mm along {axes[pair[1]]}; expected the same. Prepare with one --spacing along both, or give "
            "--turns none."
        )


def _exchanges(by: Sequence[int], patch_size: Sequence[int], pair: tuple[int, int]) -> bool:
    """Return whether sides that divide ``by`` some numbers still do when two of them are exchanged."""
    one, other = pair
    return patch_size[one] % by[other] == 0 and patch_size[other] % by[one] == 0


def _check_exchanged(config: TrainConfig, patch_size: Sequence[int], pair: tuple[int, int]) -> None:
    """Refuse samples whose sides the network does not take the other way round."""
    by = divisors(config.network, patch_size)
    if not _exchanges(by, patch_size, pair):
        (one, divides_one), (other, divides_other) = ((patch_size[axis], by[axis]) for axis in pair)
        raise UsageError(
            f"--turns is {config.turns}, and the sides {one} and {other} of --patch_size {list(patch_size)} cannot be "
            f"exchanged, because the network divides them by {divides_one} and {divides_other}; expected sides that "
            "divide by both, such as equal ones."
        )
