"""All that is known of one predicted case, on one grid."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from equireg import folders
from equireg.config import DicomOptions
from equireg.disk import existing_folder
from equireg.drawing.scans import shown_channels
from equireg.errors import EquiregError, UsageError
from equireg.folders import predictions as predicted
from equireg.folders.predictions import Files
from equireg.folders.prepared import PreparedSet
from equireg.folders.quality import disagreement_file
from equireg.imaging.formats import read_voxels
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import LIMITS, Limits
from equireg.imaging.masks import MaskFiles
from equireg.imaging.pictures import is_picture
from equireg.imaging.placing import SAME_MM
from equireg.imaging.volume import Geometry, read_geometry
from equireg.layouts import RawDataset, rediscover, relabelled, with_limits
from equireg.metrics import dice
from equireg.preparation.plan import canonical_shape, canonical_spacing, choose_slice_axis
from equireg.preparation.raw_states import is_other, prepared_scans, raw_scans

_logger = logging.getLogger("equireg")
SCAN, PREDICTION, REFERENCE, DISAGREEMENT = "scan", "prediction", "reference", "disagreement"
MOVED_SCAN, OF_MOVED, MOVED = "transformed_scan", "predicted_transform", "transformed_prediction"
"""T x, f(T x) and T f(x)."""
SCANS = (SCAN, MOVED_SCAN)
"""Volumes of intensities, float32; all others but the disagreement, 0 to 1, hold label values."""


class RegionScore(NamedTuple):
    """One region of a case, counted in the scan's own voxels."""

    region: str
    volume_ml: float
    reference_ml: float | None
    dice: float | None
    """both None where there is no reference, or all of it is ignored"""


@dataclass(frozen=True)
class CaseVolumes:
    """A case on one grid, whose axes run to the right, to anterior and to superior, the slice axis first."""

    case: str
    labels: LabelTable
    affine: np.ndarray
    """index (d, h, w) to world mm, [4, 4]"""
    axes: str
    """canonical axes in that order, such as "zyx" """
    volumes: Mapping[str, np.ndarray]
    """what there is of the above, [D, H, W] each; the prediction always"""
    channel: str | None
    """name of the scan's channel"""
    scores: tuple[RegionScore, ...]
    picture: bool = False
    """whether the prediction is a picture, which says nothing of left and right"""


@dataclass(frozen=True)
class _Origin:
    """Where the scan of a case still lies."""

    grid: WorkingGrid
    channels: tuple[str, ...]
    read: Callable[[int], np.ndarray]
    """place of a channel to [D, H, W] float32 on the grid"""
    mask: MaskFiles | None
    digest: str | None
    """of the scan as it is now, or as it was prepared; None where it is not known"""


@dataclass(frozen=True, eq=False)
class CaseReader:
    """Reads predictions, and all that belongs to them and is still there; looks through their folders once."""

    predictions: Path
    """output of `equireg predict`"""
    channel: str | None = None
    """name of the channel to show; by default FLAIR where there is one"""
    scans: Path | None = None
    """raw or prepared folder of the scans; None for that which the predictions lead to"""
    limits: Limits = LIMITS
    """what the headers of all files may claim"""

    def read(self, case: str) -> CaseVolumes:
        """Read a case.

        Raises:
            EquiregError: if the folder is not the output of `equireg predict` or has no such case, or the scans were
                given and cannot be read.
            UsageError: if the scan is there and has no such channel.
        """
        path = predicted.prediction_file(self.predictions, case)
        if not path.is_file():
            known = ", ".join(sorted(self._signature["cases"])[:12])
            raise EquiregError(f"{path}: no such prediction; expected one of the cases {known}.")
        labels = self._labels
        limits = replace(self.limits, colours=labels.colour_table())
        geometry, _ = read_geometry(path, limits)
        origin = self._find(case, geometry, limits)
        grid = origin.grid if origin else _own_grid(geometry)
        index, name = _choose(origin.channels if origin else (), self.channel)
        masks = _masks(self.predictions, case, geometry, origin, limits)
        volumes = {kind: grid.label_to_working(mask) for kind, mask in masks.items()}
        if origin:
            volumes[SCAN] = origin.read(index)
        for kind, file in (
            (MOVED_SCAN, Files.of(self.predictions, case).transformed_scan),
            (DISAGREEMENT, disagreement_file(self.predictions, case)),
        ):
            if file.is_file():
                image, header, _ = read_voxels(file, limits=limits)  # a map may be 0 everywhere
                whole = 255 if is_picture(file) else 1
                volumes[kind] = grid.label_to_working(image[min(index, header.channels - 1)] / np.float32(whole))
        scores = _scores(masks[PREDICTION], masks.get(REFERENCE), labels, geometry)
        return CaseVolumes(case, labels, grid.affine, grid.axes, volumes, name, scores, is_picture(path))

    @cached_property
    def _signature(self) -> dict[str, Any]:
        return predicted.read_facts(self.predictions)

    @cached_property
    def _labels(self) -> LabelTable:
        labels = predicted.read_labels(self.predictions)
        if labels is None:
            raise EquiregError(f"{self.predictions}: has no {predicted.LABELS}; run `equireg predict` again.")
        return labels

    @cached_property
    def _source(self) -> "PreparedSet | RawDataset | None":
        """The folder of the scans, as far as it is known and there."""
        given = None if self.scans is None else existing_folder(self.scans, "scans")
        source = given or folders.source_of(self.predictions, self._signature)
        if source is None:
            return None
        if folders.made_by(source) == "prepare":
            return PreparedSet(source)
        origins = [*reversed([*folders.lineage(self.predictions)])]
        return relabelled(rediscover(source, origins, DicomOptions.recorded(origins)), self._labels)

    def _find(self, case: str, geometry: Geometry, limits: Limits) -> _Origin | None:
        """Find the scan in its folder; None where that is gone, or the scan is another by now."""
        asked = self.scans is not None
        try:
            source = self._source
            if source is None:
                _logger.info("%s is shown without its scan; give --scans FOLDER, the folder that was predicted", case)
                return None
            prepared = isinstance(source, PreparedSet)
            predicted_as = self._signature.get("channels", ())
            origin = _prepared(source, case, limits) if prepared else _raw(source, case, predicted_as, limits)
        except EquiregError as error:
            if asked:
                raise
            _logger.warning("%s is shown without its scan: %s", case, error)
            return None
        if origin is None:
            if asked:
                raise EquiregError(
                    f"{self.scans}: holds no case {case}. Give the folder that was predicted as --scans."
                )
            return None
        native = origin.grid.native
        if native.shape != geometry.shape or native.corner_distance_mm(geometry) > SAME_MM:
            _logger.warning("%s is shown without its scan, which lies elsewhere than the prediction by now.", case)
            return None
        kept = self._signature.get(folders.SCANS, {}).get(case, origin.digest)
        if origin.digest is not None and is_other(kept, origin.digest, some_channels=True):
            shown = "with another scan" if asked else "without its scan: another one lies there"
            _logger.warning("%s is shown %s than was predicted. Predict it again if it was replaced.", case, shown)
            return origin if asked else None
        return origin


def _masks(
    predictions: Path, case: str, geometry: Geometry, origin: "_Origin | None", limits: Limits
) -> dict[str, np.ndarray]:
    """Read the masks that are there, in the scan's own voxels [X, Y, Z]."""
    moved = Files.of(predictions, case)
    found = {
        PREDICTION: MaskFiles(predicted.prediction_file(predictions, case), limits=limits),
        REFERENCE: origin.mask if origin else None,
        OF_MOVED: MaskFiles(moved.predicted_transform, limits=limits),
        MOVED: MaskFiles(moved.transformed_prediction, limits=limits),
    }
    return {
        kind: mask.read(geometry)
        for kind, mask in found.items()
        if mask is not None and all(file.is_file() for file in mask.files)
    }


def _scores(
    prediction: np.ndarray, reference: np.ndarray | None, labels: LabelTable, geometry: Geometry
) -> tuple[RegionScore, ...]:
    found, voxel_ml = [], geometry.voxel_mm3 / 1000
    # Where the reference says nothing, nothing is compared.
    known = None if reference is None or labels.ignore is None else reference != labels.ignore
    reference = None if known is not None and not known.any() else reference
    for region, members in labels.judged_regions().items():
        mine = np.isin(prediction, members)
        if reference is None:
            found.append(RegionScore(region, np.count_nonzero(mine) * voxel_ml, None, None))
            continue
        mine = mine if known is None else mine & known
        truth = np.isin(reference, members)
        volume, true_volume = (np.count_nonzero(mask) * voxel_ml for mask in (mine, truth))
        found.append(RegionScore(region, volume, true_volume, dice(mine, truth)))
    return tuple(found)


def _own_grid(geometry: Geometry) -> WorkingGrid:
    """Return the grid of the file's own voxels, cut across its flat axis, or else that of widest spacing."""
    axis = choose_slice_axis("auto", canonical_spacing(geometry), canonical_shape(geometry))
    return WorkingGrid.plan(geometry, None, axis)


def _choose(channels: Sequence[str], wanted: str | None) -> tuple[int, str | None]:
    """Return place and name of the channel to show."""
    if not channels:
        return (0, wanted)
    if wanted is None:
        index = shown_channels(channels, len(channels))[0]
        return index, channels[index]
    lowered = [name.lower() for name in channels]
    if wanted.lower() not in lowered:
        raise UsageError(f"--channel {wanted}: expected one of {', '.join(channels)}.")
    index = lowered.index(wanted.lower())
    return index, channels[index]


def _prepared(data: PreparedSet, case: str, limits: Limits) -> _Origin | None:
    record = data.by_name.get(case)
    if record is None:
        return None

    def read(index: int) -> np.ndarray:
        return np.asarray(data.image(case)[index], dtype=np.float32)

    mask = data.reference(case)
    found = None if mask is None else MaskFiles(mask, limits=limits)
    digest = prepared_scans(data.root).get(case)
    return _Origin(record.working_grid(), data.manifest.channels, read, found, digest)


def _raw(raw: RawDataset, case: str, predicted_as: Sequence[str], limits: Limits) -> _Origin | None:
    """Return the scan in a raw folder; channels that are only numbered there are called as the model does."""
    found = next((one for one in with_limits(raw.cases, limits) if one.name == case), None)
    if found is None:
        return None
    image, geometry = found.read_image()
    grid = _own_grid(geometry)
    digest = raw_scans([found]).get(case)
    numbered = tuple(f"channel_{place}" for place in range(len(image)))
    names = raw.channels if len(raw.channels) == len(image) else numbered
    if names == numbered and len(predicted_as) == len(image):
        names = predicted_as

    def read(index: int) -> np.ndarray:
        return grid.image_to_working(image[index : index + 1])[0]

    return _Origin(grid, tuple(names), read, found.mask, digest)
