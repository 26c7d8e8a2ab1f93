"""A trained model in Python: arrays in, arrays out, no file."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equireg.config import PredictConfig
from equireg.config.parsing import options_from
from equireg.devices import single_precision
from equireg.errors import EquiregError, shortened
from equireg.folders.packed import is_packed
from equireg.imaging.labels import LabelTable
from equireg.imaging.pictures import CHANNELS
from equireg.imaging.volume import Geometry
from equireg.model import Model, load_model
from equireg.postprocessing import PostProcessing
from equireg.prediction.intensities import far_channels, warn_of
from equireg.prediction.quality import quality_of
from equireg.prediction.segment import Predictor
from equireg.prediction.trained import paths_of, read_trained
from equireg.preparation.case import working_scan

log = logging.getLogger("equireg")


@dataclass(frozen=True)
class Segmentation:
    """What a model says of one scan, in the scan's own voxels."""

    labels: np.ndarray
    """Label values of the training set, [X, Y, Z], the smallest unsigned integers that hold them."""
    probabilities: np.ndarray | None
    """Probabilities of each class, background first, [K, X, Y, Z] float32; None where they were not asked for."""
    quality: float | None = None
    """How far the views of the scan agree, 0 to 1: the mean Dice of all pairs of views, over the foreground classes
    that any shows. Models of an ensemble count as views. Where none shows any it is 1, or 0 if every training case
    shows some. None where there is one view (``test_time="none"`` and ``quality_views=0``). Low values mark scans to
    look at; it is no estimate of the Dice."""
    reasons: tuple[str, ...] = ()
    """Why a person should look at it, in words."""


class LoadedModel:
    """A trained model that is ready to predict; ``equireg.load`` makes it."""

    def __init__(self, models: Sequence[Model], config: PredictConfig, post_process: PostProcessing) -> None:
        self.step = models[0].step
        self._facts = models[0].facts
        self._predictor = Predictor(models, config, post_process if config.post_process == "auto" else None)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that a scan must have, in this order."""
        return self._facts.channels

    @property
    def labels(self) -> LabelTable:
        """What the label values mean."""
        return self._facts.labels

    @single_precision()
    def predict(self, array: npt.ArrayLike, affine: npt.ArrayLike, *, probabilities: bool = True) -> Segmentation:
        """Segment one scan, as ``equireg predict`` does with a file.

        Args:
            array: intensities as they stand in a file, [X, Y, Z] of one channel or [C, X, Y, Z].
            affine: voxel index to RAS millimetres, [4, 4], as nibabel gives it.
            probabilities: whether to return them too; they need 8 bytes a voxel and class.

        Raises:
            EquiregError: if the array or the affine does not fit the model.
        """
        image, geometry = self._checked(_array(array), _array(affine, np.float64))
        scan = working_scan(image, geometry, self._facts.case_plan())
        warn_of(scan, self._facts, "the array")
        agreement = self._predictor.agreement()
        if not probabilities:
            probs, classes = None, self._predictor.classes(scan, agreement)
        else:
            probs = scan.grid.probs_to_native(self._predictor(scan, agreement=agreement).numpy())
            classes = probs.argmax(axis=0)
        values, facts = self._predictor.values(classes, geometry), self._predictor.facts
        far = far_channels(scan, facts)
        found = quality_of("array", agreement, values, geometry.affine_array, facts, far)
        return Segmentation(values, probs, found.quality, found.reasons)

    def predict_picture(self, pixels: npt.ArrayLike, *, probabilities: bool = True) -> Segmentation:
        """Segment one picture, as ``equireg predict`` does with a file.

        Args:
            pixels: [rows, columns] in grey, or [rows, columns, 3], as ``numpy.asarray`` makes it of Pillow's pictures.
            probabilities: whether to return them too.

        Returns:
            Labels [rows, columns] and probabilities [K, rows, columns].

        Raises:
            EquiregError: if the picture does not fit the model.
        """
        array = _array(pixels)
        if array.ndim not in (2, 3):
            raise EquiregError(
                f"got an array of shape {array.shape}; expected [rows, columns] or [rows, columns, channels]."
            )
        count = len(self.channels)
        channels = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
        if len(channels) == 1 and tuple(self.channels) == CHANNELS:
            channels = np.repeat(channels, count, axis=0)
        if len(channels) != count:
            shape = f"[rows, columns, {count}]" if count > 1 else "[rows, columns]"
            first = count > 1 and len(array) == count
            remedy = "Move the channels to the last axis." if first else "Keep these channels alone."
            raise EquiregError(
                f"got an array of shape {array.shape}; expected {shape} with the channels {', '.join(self.channels)}. "
                f"{remedy}"
            )
        told = self._facts.pictures
        size_mm = 1.0 if told is None else float(told["pixel_mm"])
        affine = np.diag([-size_mm, -size_mm, 1.0, 1.0])
        found = self.predict(channels.transpose(0, 2, 1)[..., None], affine, probabilities=probabilities)
        probs = None if found.probabilities is None else found.probabilities[..., 0].transpose(0, 2, 1)
        return replace(found, labels=found.labels[..., 0].T, probabilities=probs)

    def _checked(self, array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, Geometry]:
        """Return the scan as [C, X, Y, Z] float32 with its geometry."""
        image = array[None] if array.ndim == 3 else array
        if image.ndim != 4 or len(image) != len(self.channels) or image.size == 0:
            raise EquiregError(
                f"got an array of shape {array.shape}; expected [X, Y, Z] or [C, X, Y, Z] with the "
                f"{len(self.channels)} channels {', '.join(self.channels)}. Move the channels to the front."
            )
        if not np.issubdtype(image.dtype, np.number) or np.iscomplexobj(image):
            raise EquiregError(f"got an array of {image.dtype}; expected real numbers. Convert it.")
        image = image.astype(np.float32)
        for name, channel in zip(self.channels, image, strict=True):
            if not np.isfinite(channel).all():
                raise EquiregError(f"channel {name} holds values that are NaN or infinite. Replace them.")
        empty = [name for name, channel in zip(self.channels, image, strict=True) if channel.min() == channel.max()]
        if len(empty) == len(image):
            raise EquiregError(f"channel {empty[0]} is empty, every voxel is {image.flat[0]:g}; expected a scan.")
        if empty and self._facts.pictures is None:
            log.warning("channel %s is empty, every voxel is the same; it is used beside the others", ", ".join(empty))
        lengths = np.linalg.norm(affine[:3, :3], axis=0) if affine.shape == (4, 4) else np.zeros(3)
        sound = np.isfinite(affine).all() and lengths.min() > 0
        if not sound or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
            raise EquiregError(
                f"got the affine {affine.tolist()}; expected [4, 4] with three axes that span space, in mm. "
                "Give that of the scan's file."
            )
        return image, Geometry.from_array(image.shape[1:], affine)


def _array(given: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> np.ndarray:
    try:
        return np.asarray(given, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise EquiregError(f"got {shortened(repr(given))}; expected an array of numbers ({error}).") from error


@single_precision()
def load(run: Path | str | Sequence[Path | str], config: PredictConfig | None = None, **options: Any) -> LoadedModel:
    """Load a trained model to predict arrays with.

    Args:
        run: output of `equireg train`, `equireg ensemble` or `equireg pack`, several of them, or a checkpoint file.
        config: options of `equireg predict`; or give them by name.
        options: such as ``device`` and ``test_time``, laid over ``config``.

    Raises:
        EquiregError: if there is no checkpoint, it is damaged, or several runs do not fit each other.
    """
    config = options_from(PredictConfig, config, options)
    given = paths_of(run)
    if len(given) == 1 and not given[0].is_dir() and not is_packed(given[0]):
        if not given[0].is_file():
            raise EquiregError(f"{given[0]}: no such file or folder; expected a run or a checkpoint. Check the path.")
        model = load_model(given[0])
        return LoadedModel([model], config, model.post_process)
    trained = read_trained(given, config.checkpoint)
    return LoadedModel(trained.models, config, trained.post_process)
