"""The case that a prepared folder shows its steps on, one slice a step.

examples/CASE.npz    ``steps``, their names; ``scan_0``, ``label_0`` and so on, one of each a step; ``spacing_mm`` of
                     rows and columns; ``channel_names``
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.folders.archives import NPZ_ERRORS
from equireg.folders.prepared import PreparedSet
from equireg.imaging.labels import LabelTable


@dataclass(frozen=True)
class Step:
    """The slice after one step of preparation, in the frame that it has then."""

    name: str
    scan: np.ndarray
    """float32 [C, h, w], rows from anterior to posterior, the patient's right on the left"""
    label: np.ndarray
    """label values [h, w]"""


@dataclass(frozen=True)
class Example:
    """A case on its way from the raw scan to what a network sees."""

    case: str
    dataset: str
    steps: tuple[Step, ...]
    """the raw scan first"""
    spacing_mm: tuple[float, float]
    """distance between rows and between columns"""
    channels: tuple[str, ...]
    labels: LabelTable


def read_examples(prepared: Path) -> tuple[Example, ...]:
    """Read what `equireg prepare` kept to show its steps; nothing where no case has a mask.

    Raises:
        EquiregError: if the folder is not the finished output of `equireg prepare`, or a file is broken.
    """
    data = PreparedSet(prepared)
    return tuple(_read(path, data) for path in data.examples())


def _read(path: Path, data: PreparedSet) -> Example:
    remedy = "Run `equireg prepare` again, or remove the file."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            names = np.atleast_1d(content["steps"]).astype(str)
            steps = tuple(
                Step(str(name), content[f"scan_{place}"].astype(np.float32), content[f"label_{place}"])
                for place, name in enumerate(names)
            )
            rows_mm, columns_mm = (float(value) for value in content["spacing_mm"])
            channels = tuple(np.atleast_1d(content["channel_names"]).astype(str).tolist())
    except NPZ_ERRORS as error:
        raise EquiregError(f"{path}: is not the example of a case ({str(error)[:200]}). {remedy}") from error
    for step in steps:
        if step.scan.ndim != 3 or step.scan.shape[1:] != step.label.shape or len(step.scan) != len(channels):
            raise EquiregError(
                f"{path}: the step {step.name} has a scan of shape {step.scan.shape} and a label of shape "
                f"{step.label.shape}; expected [{len(channels)}, h, w] and [h, w]. {remedy}"
            )
    if not steps:
        raise EquiregError(f"{path}: has no step; expected the raw scan and more. {remedy}")
    return Example(path.stem, data.manifest.dataset, steps, (rows_mm, columns_mm), channels, data.manifest.labels)
