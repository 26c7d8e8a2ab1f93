"""Which cases a run uses, and where its batches come from."""

import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from torch.utils.data import DataLoader

from equireg.batches.batch import Batch
from equireg.batches.choice import choose_cases, drafted_cases, further_cases, validation_cases
from equireg.batches.loading import BatchSource, PatchPlan
from equireg.batches.reading import CaseReader
from equireg.batches.workers import StepLoader, check_workers, default_workers
from equireg.config import TrainConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import CaseRecord, Manifest
from equireg.methods import find
from equireg.processes.ranks import Rank
from equireg.training.budget import Pace

log = logging.getLogger("equireg")
_NAMED = 10
"""Labels that one warning names."""
_FOLDS = 5
"""Folds that are proposed, and patients with a mask from which on."""


@dataclass(frozen=True)
class TrainingCases:
    """Which cases a run uses, and for what."""

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    validation: tuple[str, ...]
    drafted: tuple[str, ...] = ()
    """Learnt from as a model drafted them; they may be among the unlabelled ones too."""

    def digest(self) -> str:
        """Return a digest of the cases and their uses, by which a resumed run knows its data."""
        uses = (self.labelled, self.unlabelled, self.validation)
        return sha256(repr((*uses, self.drafted) if self.drafted else uses).encode()).hexdigest()


def choose_training_cases(records: Sequence[CaseRecord], config: TrainConfig) -> TrainingCases:
    """Choose the cases of a run among those of a prepared folder.

    Raises:
        EquiregError: if no labelled case remains, or validation cannot tell when to stop early.
    """
    labelled, unlabelled = choose_cases(records, config)
    validation = validation_cases(records, config.val_cases)
    _check_validation(validation, config)
    uses = find(config.method.name).uses_unlabelled
    if uses and config.unsup_ratio and not unlabelled:
        log.warning("no unlabelled case is used; %s then trains on labelled cases alone", config.method.name)
    if uses and config.unlabelled_from == "test" and not further_cases(records):
        log.warning(
            "--unlabelled_from test adds no case: none of the %d test cases lies in a test folder and lacks a mask. "
            "Leave it out, or prepare the data set without the masks of its test folder.",
            sum(case.split == "test" for case in records),
        )
    names = tuple(case.name for case in validation)
    return TrainingCases(tuple(labelled), tuple(unlabelled if uses else ()), names, drafted_cases(records))


def cases_of_run(manifest: Manifest, config: TrainConfig) -> TrainingCases:
    """Choose the cases of a run, and tell which labels it cannot learn from them.

    Raises:
        EquiregError: as ``choose_training_cases``.
    """
    cases = choose_training_cases(manifest.cases, config)
    _warn_of_unseen_labels(cases, manifest)
    _warn_of_no_validation(manifest.cases)
    return cases


def _warn_of_no_validation(records: Sequence[CaseRecord]) -> None:
    """Tell where no case with a mask validates, as where all masks were adopted, though there are some to spare."""
    masked = [case for case in records if case.labelled and case.split != "test"]
    patients = {case.patient for case in masked}
    if len(patients) >= _FOLDS and not any(case.split == "val" for case in masked):
        log.warning(
            "no case validates, so the last checkpoint is the model. --fold 0/%d sets a fifth of the %d patients with "
            "a mask aside to validate.",
            _FOLDS,
            len(patients),
        )


def _warn_of_unseen_labels(cases: TrainingCases, manifest: Manifest) -> None:
    """Tell which labels no mask shows that the run learns from; they would be missing in every prediction."""
    learnt = {*cases.labelled, *cases.drafted}
    counts = [case.class_voxels for case in manifest.cases if case.name in learnt and case.class_voxels]
    shown = [sum(column) > 0 for column in zip(*counts, strict=True)]
    labels = manifest.labels
    seen = zip(labels.values, labels.names, shown, strict=False)
    unseen = [name for value, name, found in seen if not found and value != labels.ignore][:_NAMED]
    if unseen:
        log.warning(
            "no mask of the %d labelled cases shows %s, so the model cannot learn it. Give it a case that does: a "
            "higher --sup_cases or --sup_cut, another --seed, or masks by `equireg adopt`.",
            len(learnt),
            ", ".join(map(repr, unseen)),
        )


def _check_validation(validation: Sequence[CaseRecord], config: TrainConfig) -> None:
    """Tell where validation has no Dice, because no mask shows a label; refuse to stop early by it.

    Raises:
        EquiregError: if training is to stop early, and there is nothing to stop by.
    """
    stops = config.early_stopping_steps is not None
    if not validation:
        if stops:
            raise EquiregError(
                "--early_stopping_steps is given, but no case validates. Prepare with --val_fraction, give --fold 0/5, "
                "or leave it out."
            )
        return
    if config.monitor != "dice" or any(sum(case.class_voxels[1:]) for case in validation):
        return
    finding = (
        f"the masks of all {len(validation)} validation cases are empty, such as {validation[0].name}'s, so there is "
        "no validation Dice"
    )
    remedy = "Give --monitor loss, or prepare with another --split_seed or a higher --val_fraction"
    if stops:
        raise EquiregError(f"--early_stopping_steps is given, but {finding}. {remedy}.")
    log.warning("%s, and the last checkpoint is the model. %s.", finding, remedy)


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

    def training(self, step: int, pace: Pace) -> Iterable[Batch]:
        """Return the batches from a step to the next validation.

        Raises:
            EquiregError: if the machine cannot carry as many workers as are asked for.
        """
        if not self._loaders or self._loaders[0].step != step:
            self.close()
            self._loaders.append(self._loader(step))
        if pace.budget is not None:  # the next validation may be planned anew while the batches are used
            return self._loaders[0].until_told(pace.pauses_after)
        return self._loaders[0].until(pace.schedule.next_pause(step))

    def _loader(self, step: int) -> StepLoader:
        config = self.config
        source = BatchSource(self.reader, self.cases.labelled, self.cases.unlabelled, config, self.plan, self.rank)
        workers = config.workers
        if workers is None:
            workers = 0 if self.reader.in_memory else default_workers(source.batch_bytes())
        check_workers(workers, source.batch_bytes())
        last = sys.maxsize if config.max_steps is None else config.max_steps
        return StepLoader(source, step, last, workers=workers, pinned=self.pinned)

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
