"""How far a prediction is to be trusted, from what its views say of each other."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from equireg import disk
from equireg.folders.quality import CaseQuality, RegionQuality, disagreement_file, write_record
from equireg.imaging import volume
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.inference import Agreement

_POOR = 0.7
"""Agreement of a region below which it is named as a reason."""


def write(
    folder: Path, case: str, agreement: Agreement, values: np.ndarray, grid: WorkingGrid, labels: LabelTable
) -> None:
    """Write the quality of a case and, where it was kept, the map of the contradictions in the scan's own voxels."""
    voxel_mm3 = float(abs(np.linalg.det(grid.native.affine_array[:3, :3])))
    write_record(folder, quality_of(case, agreement, values, voxel_mm3, labels))
    if agreement.map is not None:
        path = disagreement_file(folder, case)
        with disk.disk_errors(path):
            path.parent.mkdir(exist_ok=True)
        against = grid.probs_to_native(torch.cat(agreement.map)[None].numpy())
        volume.write_channels(path, against.astype(np.float32), grid.native)


def quality_of(
    case: str, agreement: Agreement, values: np.ndarray, voxel_mm3: float, labels: LabelTable
) -> CaseQuality:
    """Put together what is known of a prediction without its reference.

    Args:
        case: its name.
        agreement: counts over its views.
        values: label values of the prediction in the scan's own voxels, [X, Y, Z].
        voxel_mm3: volume of such a voxel, mm3.
        labels: the data set's labels.
    """
    voxels: Counter[int] = Counter()
    for part in np.moveaxis(values, -1, 0):  # slice by slice, so that a large scan needs no copy
        present, counts = np.unique(part, return_counts=True)
        voxels.update(dict(zip(present.tolist(), counts.tolist(), strict=True)))
    place = {value: index for index, value in enumerate(labels.values)}
    regions, reasons = {}, []
    for name, members in labels.judged_regions().items():
        classes = [place[value] for value in members if value in place]
        mm3 = voxel_mm3 * sum(voxels[value] for value in members)
        found = RegionQuality(agreement.dice_of(classes), mm3, agreement.spread_of(classes))
        regions[name] = found
        if found.agreement is not None and found.agreement < _POOR:
            reasons.append(f"views disagree on {name} ({found.agreement:.2f})")
    if agreement.views > 1 and not any(value in voxels for value in labels.values[1:]):
        reasons.append("nothing was found")
    return CaseQuality(case, agreement.dice(), regions, tuple(reasons))
