"""A prepared folder opened to look at: its cases as arrays, and the batches that a run would train on."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equireg.config import TrainConfig
from equireg.config.parsing import from_plain, with_config
from equireg.errors import UsageError
from equireg.folders.prepared import CaseRecord, Manifest, PreparedSet

if TYPE_CHECKING:
    from equireg.batches.batch import Batch


@dataclass(frozen=True)
class PreparedCase:
    """One case of a prepared folder."""

    record: CaseRecord
    """what the manifest says of it: split, patient, spacing, shape"""
    image: np.ndarray
    """normalised intensities, float16 [C, D, H, W]"""
    label: np.ndarray | None
    """class indices, uint8 [D, H, W], 255 where nobody annotated; None for a case without a mask"""


class Prepared:
    """A prepared folder: a mapping from the name of a case to its arrays.

    Args:
        root: output of `equireg prepare`.

    Raises:
        EquiregError: if it is none.
    """

    def __init__(self, root: Path | str) -> None:
        self.data = PreparedSet(root)

    @property
    def manifest(self) -> Manifest:
        """The facts of the data set: channels, labels, splits, spacing."""
        return self.data.manifest

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all cases."""
        return tuple(case.name for case in self.manifest.cases)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> PreparedCase:
        """Read a case.

        Raises:
            UsageError: if there is no such case.
        """
        if name not in self.names:
            raise UsageError(f"there is no case {name!r} in {self.data.root}; expected one of its {len(self)} cases.")
        record = self.data.by_name[name]
        label = np.asarray(self.data.label(name)[:]) if record.labelled else None
        return PreparedCase(record, np.asarray(self.data.image(name)[:]), label)

    def batches(self, config: TrainConfig | None = None, **options: Any) -> "Batches":
        """Return the batches of a run on this folder, by step; torch is imported for them.

        Args:
            config: the options; or give them by name.
            options: those of ``TrainConfig``, laid over ``config``.

        Raises:
            EquiregError: if an option does not fit the data.
        """
        return Batches(self.data, from_plain(TrainConfig, with_config(TrainConfig, config, options)))


class Batches(Sequence["Batch"]):
    """The batches of a run on one device; the batch of a step is the same each time that it is asked for.

    They hold unlabelled samples whether or not the run's method uses them; ``unsup_ratio=0`` leaves them out.
    """

    def __init__(self, data: PreparedSet, config: TrainConfig) -> None:
        from equireg.batches.choice import choose_cases
        from equireg.batches.loading import BatchSource, CaseReader
        from equireg.batches.patches import plan_patches

        labelled, unlabelled = choose_cases(data.manifest.cases, config)
        reader = CaseReader(data, [*labelled, *unlabelled])
        plan = plan_patches(data.manifest, config)
        self.config = config
        self._source = BatchSource(reader, labelled, unlabelled, config, plan)

    def __len__(self) -> int:
        return self.config.total_steps

    def __getitem__(self, step: Any) -> Any:
        """Return the batch of a step, counted from 0, or from the last one as -1; a list of them for a slice."""
        if isinstance(step, slice):
            return [self._source[one] for one in range(*step.indices(len(self)))]
        index = operator.index(step)
        if not -len(self) <= index < len(self):
            raise IndexError(f"step {index} is not one of the {len(self)} steps of the run.")
        return self._source[index % len(self)]
