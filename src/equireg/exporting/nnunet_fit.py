"""Whether nnU-Net's preprocessing is ours: for a model by its options, for training scans by their prepared arrays.

nnU-Net crops what is 0 in all channels, takes mean and deviation over all that is left, and pads with 0. Here a scan's
background has the value that its border shows, mean and deviation are those of what is not background, and scans are
padded with their background. Both are the same for crops of tissue, for CT scales and for intensities as they are.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from nibabel.orientations import io_orientation

from equireg.errors import EquiregError
from equireg.exporting.leaving import Leaving
from equireg.folders import SIGNATURE, made_by, read_content, source_of
from equireg.folders.prepared import CaseRecord, PreparedSet
from equireg.model import ModelFacts
from equireg.preparation.normalise import scheme_of

_READ = 40
"""Training scans that are compared, at most."""
_FEW = 0.05
"""Part of them that may differ."""
_MEAN, _DEVIATION = 0.1, (0.8, 1.2)
"""How far the mean of a whole normalised scan may lie from 0, and its deviation from 1."""
_PADDING = 0.5
"""Farthest that a normalised background may lie from 0, with which nnU-Net pads."""
_BLUR_FROM = 1.2
"""Shrinkage from which on resampling blurs here, and not in nnU-Net."""


def check_fit(leaving: Leaving) -> str:
    """Refuse a model whose scans nnU-Net would show its network otherwise than we do.

    Returns:
        What was compared, in a sentence.

    Raises:
        EquiregError: says what differs.
    """
    _check_options(leaving)
    data = _prepared(leaving)
    facts = leaving.first.facts
    cases = [case for case in data.manifest.cases if case.split == "train"] or list(data.manifest.cases)
    chosen = cases[:: max(1, -(-len(cases) // _READ))]
    found = [list(_differences(data, case, facts)) for case in chosen]
    differ = [reasons for reasons in found if reasons]
    if len(differ) > _FEW * len(chosen):
        common = Counter(kind for reasons in differ for kind, _ in reasons).most_common(1)[0][0]
        shown = next(text for reasons in differ for kind, text in reasons if kind == common)
        raise EquiregError(
            f"{leaving.trained.root}: nnU-Net would prepare {len(differ)} of {len(chosen)} training scans otherwise, "
            f"so its masks would differ: {shown}. Export with --to onnx or monai, or pack the model."
        )
    return f"{len(chosen) - len(differ)} of {len(chosen)} training scans that were compared are prepared alike."


def _check_options(leaving: Leaving) -> None:
    root, facts, models = leaving.trained.root, leaving.first.facts, leaving.trained.models
    leaving.check_normalisation()
    if facts.labels.values != tuple(range(facts.labels.classes)):
        raise EquiregError(
            f"{root}: its label values are {', '.join(map(str, facts.labels.values))}; nnU-Net writes 0, 1, 2 and so "
            "on, so its masks would differ. Export with --to onnx or monai."
        )
    if leaving.post_process.steps:
        raise EquiregError(
            f"{root}: its predictions are post-processed ({leaving.post_process.words()}), which nnU-Net does in a "
            "command of its own. Export with --post_process none, which is `equireg predict --post_process none`."
        )
    first = models[0]
    for name, model in zip(leaving.trained.names, models, strict=True):
        ours, theirs = (
            (one.config.network, one.config.spatial_dims, one.facts.patch_size, one.facts.flip_axes)
            for one in (first, model)
        )
        if ours != theirs:
            raise EquiregError(
                f"{root}: its member {name} has another network, patch or mirroring than {leaving.trained.names[0]}; "
                "the folds of nnU-Net share them. Export the members one by one, or with --to onnx."
            )


def _prepared(leaving: Leaving) -> PreparedSet:
    """Open the folder that the run was trained on.

    Raises:
        EquiregError: if it is not there, or another one.
    """
    root, given = leaving.trained.root, leaving.config.prepared
    way = None if not (root / SIGNATURE).is_file() else source_of(root, read_content(root))
    folder = way if given is None else Path(given)
    if folder is None or made_by(folder) != "prepare":
        where = "its prepared folder is not where it was" if given is None else f"{given} is no prepared folder"
        raise EquiregError(
            f"{root}: {where}; nnU-Net's preprocessing is compared with ours on its scans. Give it by --prepared."
        )
    data, facts = PreparedSet(folder), leaving.first.facts
    ours = (facts.channels, facts.axes, facts.spacing_mm, dict(facts.normalisation), facts.labels)
    manifest = data.manifest
    theirs = (manifest.channels, manifest.axes, manifest.spacing_mm, dict(manifest.normalisation), manifest.labels)
    if ours != theirs:
        raise EquiregError(f"{folder}: is not the folder that {root} was trained on. Give that one by --prepared.")
    return data


def _differences(data: PreparedSet, case: CaseRecord, facts: ModelFacts) -> Iterator[tuple[str, str]]:
    """Yield the kind of each difference in one scan, and a sentence with its numbers."""
    grid = case.working_grid()
    axis_of = {"xyz"[int(to)]: axis for axis, (to, _) in enumerate(io_orientation(grid.native.affine_array))}
    own = [grid.native.shape[axis_of[name]] for name in grid.axes]
    shrinkage = max(size / new for size, new in zip(own, grid.full_shape, strict=True))
    if shrinkage > _BLUR_FROM:
        yield (
            "blur",
            f"scans shrink by {shrinkage:.3g} along an axis, and are blurred before, which nnU-Net does not do",
        )
    zeros = facts.normalisation["name"] == "none" and not any(case.background)
    if case.shape != grid.full_shape and not zeros:
        yield "crop", "scans are cropped to what is not background, and nnU-Net crops to what is not 0"
    image = np.asarray(data.image(case.name)[:], dtype=np.float32)
    for index, (name, channel) in enumerate(zip(facts.channels, image, strict=True)):
        if scheme_of(facts.normalisation, index) == "zscore":
            mean, deviation = float(channel.mean()), float(channel.std())
            if abs(mean) > _MEAN or not _DEVIATION[0] <= deviation <= _DEVIATION[1]:
                yield (
                    "mean",
                    f"channel {name} has a background, so that its whole mean is {mean:.2g} and its deviation "
                    f"{deviation:.2g}, where nnU-Net makes them 0 and 1",
                )
    sides = case.shape[3 - len(facts.patch_size) :]
    smaller = any(size < length for size, length in zip(sides, facts.patch_size, strict=True))
    worst = max(case.background, key=abs)
    if smaller and abs(worst) > _PADDING:
        yield (
            "padding",
            f"scans smaller than the patch are padded with {worst:.2g} (normalised), and nnU-Net pads with 0",
        )
