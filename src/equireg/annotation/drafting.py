"""What a model says of scans without a mask: how far it is to be trusted there, and drafts to correct."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from equireg import disk
from equireg.config import PredictConfig, SuggestConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.folders.suggestions import DRAFTS, MASKS
from equireg.imaging.labels import LabelTable
from equireg.prediction.quality import quality_of
from equireg.prediction.scans import find_cases
from equireg.prediction.segment import Predictor, Segmented, segment
from equireg.prediction.trained import read_trained
from equireg.prediction.writing import write_mask
from equireg.processes.progress import track


class Drafter:
    """One or several models that look at the scans of a prepared folder.

    Args:
        data: the prepared folder.
        config: names the runs, and where to compute.

    Raises:
        EquiregError: if a run cannot be read, or is of other scans than those of the folder.
    """

    def __init__(self, data: PreparedSet, config: SuggestConfig) -> None:
        self._options = PredictConfig(device=config.device, precision=config.precision)
        trained = read_trained(config.run, "auto")
        self._predictor = Predictor(trained.models, self._options, trained.post_process)
        self._cases = {case.name: case for case in find_cases(data.root, trained.models[0].facts, self._options)}

    def doubts(self, names: Sequence[str]) -> dict[str, float]:
        """Return for each scan how little its prediction is to be trusted, 0 to 1: one less its quality."""
        found = {}
        for name in track(names, len(names), "doubt"):
            drawn = segment(self._predictor, self._cases[name], self._cases[name].read(), self._options)
            quality = None
            if drawn.agreement is not None:
                values, affine = self._values(drawn), drawn.grid.native.affine_array
                quality = quality_of(name, drawn.agreement, values, affine, self._predictor.facts).quality
            if quality is None:
                raise EquiregError(
                    f"{name}: is predicted in one view, so nothing says how far to trust it. Give several runs."
                )
            found[name] = 1 - quality
        return found

    @property
    def labels(self) -> LabelTable:
        """Those of the drafts."""
        return self._predictor.facts.labels

    def write(self, folder: Path, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Write a draft of each scan twice: to be corrected, and to be compared with the correction.

        Yields:
            Each scan's name and the draft's label values in its own grid, [X, Y, Z].
        """
        for part in (DRAFTS, MASKS):
            (folder / part).mkdir(exist_ok=True)
        for name in names:
            case = self._cases[name]
            drawn = segment(self._predictor, case, case.read(), self._options)
            values, looks = self._values(drawn), self._predictor.looks
            path = write_mask(folder / DRAFTS, case, values, drawn.grid.native, looks, self._options)
            with disk.disk_errors(path):
                shutil.copyfile(path, folder / MASKS / path.name)
            yield name, values

    def _values(self, drawn: Segmented) -> np.ndarray:
        """Return the label values of a prediction in the scan's own grid, [X, Y, Z]."""
        return self._predictor.values(drawn.native_classes(), drawn.grid.native)
