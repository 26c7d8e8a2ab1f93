"""Which cases a run uses, and where its batches come from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from torch.utils.data import DataLoader

from equireg.batches.batch import Batch
from equireg.batches.loading import BatchSource, PatchPlan
from equireg.batches.reading import CaseReader
from equireg.batches.workers import StepLoader, check_workers, default_workers
from equireg.config import TrainConfig
from equireg.processes.ranks import Rank


@dataclass(frozen=True)
class TrainingCases:
    """Which cases a run uses, and for what."""

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    validation: tuple[str, ...]

    def digest(self) -> str:
        """Return a digest of the cases and their uses, by which a resumed run knows its data."""
        return sha256(repr((self.labelled, self.unlabelled, self.validation)).encode()).hexdigest()


@dataclass(frozen=True)
class DataSource:
    """Where the batches and the validation cases of a run come from."""

    reader: CaseReader
    cases: TrainingCases
    config: TrainConfig
    plan: PatchPlan
    pinned: bool
    """Whether batches are put in page-locked memory, from which they go to a GPU."""
    rank: Rank
    """Whose slice of batches and validation cases this is."""
    _loaders: list[StepLoader] = field(default_factory=list)
    """The one that is in use, if any."""

    def training(self, step: int) -> Iterable[Batch]:
        """Return the batches from a step to the next validation.

        Raises:
            EquiregError: if the machine cannot carry as many workers as are asked for.
        """
        config = self.config
        if not self._loaders or self._loaders[0].step != step:
            self.close()
            self._loaders.append(self._loader(step))
        return self._loaders[0].until(min((step // config.val_every + 1) * config.val_every, config.max_steps))

    def _loader(self, step: int) -> StepLoader:
        config = self.config
        source = BatchSource(self.reader, self.cases.labelled, self.cases.unlabelled, config, self.plan, self.rank)
        workers = config.workers
        if workers is None:
            workers = 0 if self.reader.in_memory else default_workers(source.batch_bytes())
        check_workers(workers, source.batch_bytes())
        return StepLoader(source, step, config.max_steps, workers=workers, pinned=self.pinned)

    def validation(self) -> DataLoader[str]:
        """Return the names of this process' validation cases; of equally many on each, so some may be empty."""
        names = list(self.cases.validation)
        names += [""] * (-len(names) % self.rank.count)
        mine = names[self.rank.index :: self.rank.count]
        return DataLoader(mine, batch_size=None)  # pyright: ignore[reportArgumentType]

    def close(self) -> None:
        """End the processes that make batches."""
        while self._loaders:
            self._loaders.pop().close()
