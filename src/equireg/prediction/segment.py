"""The network over one case, and what is written of it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from equireg.config import PredictConfig
from equireg.devices import autocast, choose_device, choose_precision, single_precision
from equireg.engines import Work, accelerated, check_option
from equireg.errors import EquiregError
from equireg.folders import predictions
from equireg.folders.digests import digest_of
from equireg.folders.quality import write_record
from equireg.imaging import volume
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.inference import Agreement, InferencePlan, middle_window, predict_slabs
from equireg.inference.ensemble import as_one, members_of
from equireg.model import Model
from equireg.postprocessing import PostProcessing, applied
from equireg.prediction import equivariance, quality
from equireg.prediction.intensities import far_channels
from equireg.prediction.parts import Part, compared_views, parts_of
from equireg.prediction.scans import InputCase
from equireg.prediction.slabs import SlabStream, mean_slabs
from equireg.prediction.writing import Looks, write_mask
from equireg.preparation.case import WorkingScan

_WHOLE_BYTES = 2**30
"""Bytes of a case's probabilities, in 32 bits, from which on its classes are chosen some slices at a time."""


class Predictor:
    """The networks with all that stays the same from case to case.

    Args:
        models: one, or several whose probabilities are averaged.
        config: the options.
        post_process: what is done to the classes of each scan.
        scans: how many scans are expected, which decides whether an engine is worth its start.

    Raises:
        UsageError: if the device or the engine that the options ask for cannot be had.
    """

    _engine: str | None = None
    """What is to compute the networks, until the first scan has decided it."""

    def __init__(
        self,
        models: Sequence[Model],
        config: PredictConfig,
        post_process: PostProcessing | None = None,
        scans: int = 1,
    ) -> None:
        self.post_process = PostProcessing() if post_process is None else post_process
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        check_option(config.engine, self.precision, self.device)
        self._engine = config.engine
        self._scans = scans
        self.facts = quality.common_facts([model.facts for model in models])
        self.looks = Looks.of(self.facts, config, models[0].config.method.name)
        self.parts = parts_of(models, config, self.device)
        self.mapped = config.disagreement

    @property
    def labels(self) -> LabelTable:
        """What the label values mean."""
        return self.facts.labels

    @property
    def plan(self) -> InferencePlan:
        """How scans are cut; where parts of an ensemble differ, by the first."""
        return self.parts[0].plan

    def __call__(
        self, scan: WorkingScan, image: torch.Tensor | None = None, agreement: Agreement | None = None
    ) -> torch.Tensor:
        """Return probabilities of a scan, or of an image [C, d, H, W] in its place: [K, D, H, W], float32."""
        depth = scan.image.shape[1] if image is None else image.shape[1]
        probs, done = torch.empty((self.labels.classes, depth, *scan.image.shape[2:])), 0
        for slab in self.slabs(scan, image, agreement):
            probs[:, done : done + slab.shape[1]] = slab
            done += slab.shape[1]
        return probs

    def slabs(
        self, scan: WorkingScan, image: torch.Tensor | None = None, agreement: Agreement | None = None
    ) -> Iterator[torch.Tensor]:
        """Yield the same some slices at a time, [K, d, H, W]; of an ensemble, ``agreement`` is that of its first part.

        Raises:
            EquiregError: if a network's output is not finite; its argmax would be the background.
        """
        if image is None:
            image = torch.from_numpy(scan.image)
        self.choose_engine(scan, image)
        counts = [agreement, *[None] * (len(self.parts) - 1)]
        streams = [self._slabs(part, scan, image, count) for part, count in zip(self.parts, counts, strict=True)]
        return mean_slabs(streams, [part.members for part in self.parts])

    def choose_engine(self, scan: WorkingScan, image: torch.Tensor | None = None) -> None:
        """Choose the library that computes the networks, at the first scan, which shows how much there is to do."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if image is None:
            image = torch.from_numpy(scan.image)
        for index, part in enumerate(self.parts):
            work = Work(self.precision, self.device, self._scans * part.plan.windows_of(image.shape[1:]))
            example = middle_window(image, scan.background, part.plan)
            # Each member by itself, because quality asks what each of them says.
            members = [accelerated(member, engine, example, work) for member in members_of(part.network)]
            self.parts[index] = replace(part, network=as_one(members))

    def _slabs(
        self, part: Part, scan: WorkingScan, image: torch.Tensor, agreement: Agreement | None
    ) -> Iterator[torch.Tensor]:
        """Yield the probabilities of the models that are cut alike."""
        slabs = predict_slabs(part.network, image, scan.background, scan.grid.spacing_mm, part.plan, agreement)
        while True:
            with autocast(self.precision, self.device):
                slab = next(slabs, None)
            if slab is None:
                return
            if not torch.isfinite(slab.sum()):
                raise EquiregError(
                    f"the network's output holds values that are NaN or infinite (--precision is {self.precision}); "
                    "expected numbers only. Predict with --precision 32, or give another checkpoint."
                )
            yield slab

    def agreement(self) -> Agreement:
        """Return the counts, still empty, of how far the views of a scan, and the models, agree."""
        views = compared_views(self.plan, self.parts[0].members)
        return Agreement(views, self.labels.classes, others=self.plan.quality_views, mapped=self.mapped)

    def classes(self, scan: WorkingScan, agreement: Agreement | None = None) -> np.ndarray:
        """Return the class indices of a scan in its own grid, [X, Y, Z]; classes are chosen some slices at a time."""
        return scan.grid.argmax_to_native(SlabStream(self.slabs(scan, agreement=agreement)), self.labels.classes)

    def values(self, classes: np.ndarray, geometry: Geometry) -> np.ndarray:
        """Return the label values of a scan's classes [X, Y, Z], post-processed."""
        return self.labels.to_values(applied(self.post_process, classes, self.labels, geometry.voxel_mm3))

    def under_transform(self, scan: WorkingScan, probs: torch.Tensor, seeds: Sequence[int]) -> equivariance.Transformed:
        """Return what becomes of a scan and of its probabilities [K, D, H, W] under the fixed transforms."""
        return equivariance.transform_scan(scan, probs, seeds, self.plan, lambda image: self(scan, image))


@dataclass(frozen=True)
class Segmented:
    """What the network says of one case: all probabilities, or of a large case the classes alone."""

    grid: WorkingGrid
    probs: np.ndarray | None = None
    """Probabilities of each class in the working frame, float32 [K, D, H, W]."""
    classes: np.ndarray | None = None
    """Class indices in the scan's own grid, [X, Y, Z]."""
    transformed: equivariance.Transformed | None = None
    """The case under its fixed transforms, where that is asked for."""
    agreement: Agreement | None = None
    """How far its views agree, where that was counted."""
    far: tuple[str, ...] = ()
    """Channels whose intensities lie far from those of the training set."""

    def native_classes(self) -> np.ndarray:
        """Return the class indices in the scan's own grid, [X, Y, Z]."""
        if self.classes is not None:
            return self.classes
        if self.probs is None:
            raise ValueError("got neither probabilities nor classes; expected one of them")
        return self.grid.argmax_to_native(self.probs)


@single_precision()
def segment(predictor: Predictor, case: InputCase, scan: WorkingScan, config: PredictConfig) -> Segmented:
    """Run the network over one case, and over the case under its fixed transforms where it has seeds."""
    grid, count = scan.grid, predictor.labels.classes
    voxels = max(math.prod(grid.shape), math.prod(grid.native.shape))
    whole = config.probabilities or case.seeds is not None
    agreement, far = predictor.agreement(), tuple(far_channels(scan, predictor.facts))
    if not whole and 4 * count * voxels > _WHOLE_BYTES:
        return Segmented(grid, classes=predictor.classes(scan, agreement), agreement=agreement, far=far)
    probs = predictor(scan, agreement=agreement)
    transformed = None if case.seeds is None else predictor.under_transform(scan, probs, case.seeds)
    return Segmented(grid, probs.numpy(), transformed=transformed, agreement=agreement, far=far)


def write(
    predictor: Predictor, case: InputCase, segmented: Segmented, folder: Path, config: PredictConfig
) -> np.ndarray:
    """Write all that is asked for of one case, in its scan's own geometry.

    Returns:
        The label values of the prediction, [X, Y, Z].
    """
    grid = segmented.grid
    if segmented.transformed is not None:
        equivariance.write(segmented.transformed, grid, predictor.labels, predictions.Files.of(folder, case.name))
    classes = _write_probabilities(case, segmented, folder) if config.probabilities else segmented.native_classes()
    values = predictor.values(classes, grid.native)
    mask = write_mask(folder, case, values, grid.native, predictor.looks, config)
    if segmented.agreement is not None:
        counts = segmented.agreement
        affine = grid.native.affine_array
        found = quality.quality_of(case.name, counts, values, affine, predictor.facts, segmented.far)
        write_record(folder, replace(found, mask_digest=digest_of(mask)))
        quality.write_disagreement(folder, case.name, counts, grid, picture=predictor.looks.pictures)
    return values


def _write_probabilities(case: InputCase, segmented: Segmented, folder: Path) -> np.ndarray:
    """Write the probabilities in the scan's own grid; return the classes there, [X, Y, Z]."""
    if segmented.probs is None:
        raise ValueError("got no probabilities; expected them where they are asked for")
    probs = segmented.grid.probs_to_native(segmented.probs)
    volume.write_probabilities(predictions.probabilities_file(folder, case.name), probs, segmented.grid.native)
    return probs.argmax(axis=0)
