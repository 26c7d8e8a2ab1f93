"""The model behind the server: one scan at a time, with how far each prediction is to be trusted."""

import logging
import threading
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from equireg.config import PredictConfig, ServeConfig
from equireg.errors import EquiregError
from equireg.folders.predictions import dicom_file, prediction_file
from equireg.folders.prepared import PreparedSet
from equireg.folders.quality import CaseQuality, read_record
from equireg.imaging.limits import Limits
from equireg.layouts import discover_inputs, with_limits
from equireg.prediction.failures import Failure
from equireg.prediction.scans import InputCase, RawScan, find_cases
from equireg.prediction.segment import Predictor, segment, write
from equireg.prediction.trained import read_trained
from equireg.prediction.writing import format_of, series_of
from equireg.preparation.case import WorkingScan
from equireg.processes.progress import duration
from equireg.serving.errors import RequestError

log = logging.getLogger("equireg")


@dataclass(frozen=True)
class Drawn:
    """A predicted mask and what is known of it."""

    case: str
    """name of the scan"""
    mask: Path
    """in the scan's own geometry and the label values of the training set; a PNG of a picture, else NIfTI"""
    labels: np.ndarray
    """label values [X, Y, Z]"""
    values: tuple[int, ...]
    """label values that the mask shows, without the background"""
    quality: CaseQuality
    scan: WorkingScan
    archive: Path | None = None
    """the mask as DICOM-SEG, where that was asked for; it names the patient"""


def options_of(config: ServeConfig) -> PredictConfig:
    """Return the options of `equireg predict` by which the server predicts: all that both verbs have."""
    shared = {one.name for one in fields(ServeConfig)} & {one.name for one in fields(PredictConfig)}
    return PredictConfig(**{name: getattr(config, name) for name in shared})


class Segmenter:
    """One trained model, ready.

    Args:
        run: output of `equireg train` or `equireg ensemble`.
        config: options of the server.

    Raises:
        EquiregError: if the run cannot be read.
    """

    def __init__(self, run: Path, config: ServeConfig) -> None:
        self._options = options_of(config)
        trained = read_trained([run], config.checkpoint)
        self.run = run
        self.facts = trained.models[0].facts
        self.dims = trained.models[0].config.spatial_dims
        self._predictor = Predictor(trained.models, self._options, trained.post_process)
        self._turn = threading.Lock()

    def of_prepared(self, data: PreparedSet) -> dict[str, InputCase]:
        """Return the cases of a prepared folder by name.

        Raises:
            EquiregError: if the model is of other scans.
        """
        return {case.name: case for case in find_cases(data.root, self.facts, self._options)}

    def of_file(self, name: str, path: Path) -> InputCase:
        """Return an uploaded file, or a folder with a file a channel, as a scan.

        Raises:
            EquiregError: if the model takes other channels, or there are several scans.
        """
        found = discover_inputs(path, self.facts.channels, follow_links=False)
        cases = with_limits(found, Limits.of(self._options, {"config": self.facts.pictures}))
        if len(cases) != 1:
            raise EquiregError(f"{name}: holds {len(cases)} scans; expected one. Send them one by one.")
        return InputCase(name, RawScan(cases[0], self.facts))

    def draw(self, case: InputCase, folder: Path, *, archive: bool = False) -> Drawn:
        """Predict a scan into a folder; with ``archive`` as DICOM-SEG too.

        Raises:
            RequestError: if a mask for the archive is asked for of a scan that did not come as DICOM.
            EquiregError: if the scan cannot be read, does not fit, or is too large for the memory.
        """
        looks = self._predictor.looks
        picture = format_of(case, looks, self._options) == "png"
        if archive and series_of(case) is None:
            raise RequestError(
                409,
                "output=dicom_seg needs a scan that came as a DICOM series, to which the mask refers. Send the files "
                "of the series by PUT /session/, or ask for output=image.",
            )
        options = replace(self._options, format="dicom-seg" if archive else "png" if picture else "nifti")
        with self._turn:
            began = time.monotonic()
            try:
                scan = case.read()
                segmented = segment(self._predictor, case, scan, options)
                values = write(self._predictor, case, segmented, folder, options)
            except EquiregError:
                raise
            except (MemoryError, RuntimeError, OSError) as error:
                raise EquiregError(f"{case.name}: {Failure.of(error).reason}") from error
            size = " x ".join(map(str, values.shape))
            log.info("a scan of %s voxels is segmented, in %s", size, duration(time.monotonic() - began))
        mask = prediction_file(folder, case.name)
        present = tuple(value for value in np.unique(values).tolist() if value)
        found = dicom_file(folder, case.name) if archive else None
        return Drawn(case.name, mask, values, present, read_record(folder, case.name), scan, found)
