"""How far a prediction is to be trusted, from what its views say of each other, and from the training cases."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from equireg import disk
from equireg.folders.quality import CaseQuality, RegionQuality, disagreement_file
from equireg.imaging import volume
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.picture_writing import write_fractions
from equireg.inference import Agreement
from equireg.model import ModelFacts

_POOR = 0.7
"""Agreement of a region below which it is named as a reason."""
_MUCH = 3.0
"""Factor by which a region is smaller than the least, or larger than the greatest, of the training cases."""


def common_facts(facts: Sequence[ModelFacts]) -> ModelFacts:
    """Return the facts of models that predict together: those of the first, and the widest ranges of volumes."""
    known = [one.volumes_mm3 for one in facts if one.volumes_mm3]
    if not known:
        return facts[0]
    names = dict.fromkeys(name for one in known for name in one)
    ranges = {name: [one[name] for one in known if name in one] for name in names}
    widest = {name: (min(low for low, _ in each), max(high for _, high in each)) for name, each in ranges.items()}
    least = [one.least_foreground_mm3 for one in facts if one.least_foreground_mm3 is not None]
    return replace(facts[0], volumes_mm3=widest, least_foreground_mm3=min(least) if len(least) == len(known) else None)


def write_disagreement(folder: Path, case: str, agreement: Agreement, grid: WorkingGrid, *, picture: bool) -> None:
    """Write the map of the contradictions in the scan's own voxels, where it was kept; of a picture as a PNG."""
    if agreement.map is not None:
        path = disagreement_file(folder, case, ".png" if picture else ".nii.gz")
        with disk.disk_errors(path):
            path.parent.mkdir(exist_ok=True)
        against = torch.cat(agreement.map).numpy()  # [D, H, W]
        # With its rest it sums to 1, as probabilities do; beyond the crop all views agree on the background.
        native = grid.probs_to_native(np.stack([1 - against, against]))[1:]
        if picture:
            write_fractions(path, native[0])
        else:
            volume.write_channels(path, native, grid.native)


def quality_of(
    case: str,
    agreement: Agreement,
    values: np.ndarray,
    affine: np.ndarray,
    facts: ModelFacts,
    far: Sequence[str] = (),
) -> CaseQuality:
    """Put together what is known of a prediction without its reference.

    Args:
        case: its name.
        agreement: counts over its views.
        values: label values of the prediction in the scan's own voxels, [X, Y, Z].
        affine: such a voxel's index to mm, [4, 4].
        facts: of the model: its labels, and how large the regions of its training cases are.
        far: channels whose intensities lie far from those of the training cases.
    """
    labels, voxel_mm3 = facts.labels, float(abs(np.linalg.det(affine[:3, :3])))
    voxels: Counter[int] = Counter()
    for part in np.moveaxis(values, -1, 0):  # slice by slice, so that a large scan needs no copy
        present, counts = np.unique(part, return_counts=True)
        voxels.update(dict(zip(present.tolist(), counts.tolist(), strict=True)))
    place = {value: index for index, value in enumerate(labels.values)}
    regions = {}
    for name, members in labels.judged_regions().items():
        classes = [place[value] for value in members if value in place]
        mm3 = voxel_mm3 * sum(voxels[value] for value in members)
        regions[name] = RegionQuality(agreement.dice_of(classes), mm3, agreement.spread_of(classes))
    reasons = [
        f"views disagree on {name} ({found.agreement:.2f})"
        for name, found in regions.items()
        if found.agreement is not None and found.agreement < _POOR
    ]
    known = facts.volumes_mm3 or {}
    quality = agreement.dice()
    if agreement.views > 1 and not any(value in voxels for value in labels.values[1:]):
        reasons.append("nothing was found")
        least = facts.least_foreground_mm3
        if least is None:  # a run of an earlier version knows of its regions alone
            least = max((low for low, _ in known.values()), default=0.0)
        if least > 0:
            quality = 0.0  # the views agree on nothing, and every training case shows something
    reasons += sizes_of_another_kind(regions, known)
    if far:
        reasons.append(f"intensities are far from those of the training scans ({', '.join(far)})")
    return CaseQuality(case, quality, regions, tuple(reasons))


def sizes_of_another_kind(regions: Mapping[str, RegionQuality], known: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Say which regions are much smaller or larger than in any labelled training case.

    Args:
        regions: of a prediction.
        known: least and greatest volume of each region over the training cases, mm3; none in older runs.
    """
    for name, found in regions.items():
        least, greatest = known.get(name, (0.0, np.inf))
        if found.volume_mm3 * _MUCH < least:
            size = f"{_digits(found.volume_mm3)} mm3; least {_digits(least)}"
            yield f"{name} is much smaller than in any training case ({size})"
        elif found.volume_mm3 > _MUCH * greatest > 0:
            size = f"{_digits(found.volume_mm3)} mm3; most {_digits(greatest)}"
            yield f"{name} is much larger than in any training case ({size})"


def _digits(volume_mm3: float) -> str:
    """Write a volume with three digits, and in full: 1,340,000."""
    return f"{float(f'{volume_mm3:.3g}'):,.9g}"
