"""The folder that a run writes: made once all is checked, signed at the start and at the end."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from equireg import disk, folders
from equireg.config import TrainConfig
from equireg.config.parsing import to_plain
from equireg.folders.folds import FoldCases, write_folds
from equireg.folders.learnt import Shape, learnt_among, learnt_from, some_learnt
from equireg.folders.prepared import CaseRecord, PreparedSet
from equireg.folders.run import CHECKPOINTS, RunFolder
from equireg.folders.run_facts import run_facts
from equireg.model import chosen_of
from equireg.preparation.raw_states import prepared_scans
from equireg.training.data import TrainingCases
from equireg.training.open_options import Options
from equireg.training.resuming import data_digest
from equireg.warm_start import Source, WarmStart

log = logging.getLogger("equireg")


@dataclass(frozen=True)
class OwnFolder:
    """A run's folder and what it is signed with."""

    out: Path
    data: PreparedSet
    options: Options
    cases: TrainingCases
    folds: Sequence[FoldCases] = ()
    """Those of the cross-validation that the run is one of."""
    source: Source | None = None
    """Weights that it starts from."""

    @property
    def config(self) -> TrainConfig:
        """The options."""
        return self.options.config

    @property
    def labelled(self) -> list[CaseRecord]:
        """The cases that are trained on with their masks."""
        return [self.data.by_name[name] for name in self.cases.labelled]

    def begin(self, precision: str) -> None:
        """Make the folder; nothing is written before all that can be checked has been."""
        with disk.disk_errors(self.out):
            (self.out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        if self.folds:
            write_folds(RunFolder(self.out).folds, self.folds)
        self.sign(precision)
        # Last: a run that has it can be resumed.
        run = RunFolder(self.out)
        if not run.has_config():
            run.write_config(self.config)

    def sign(self, precision: str, seconds: float | None = None) -> None:
        """Sign the folder; ``seconds``, those since the run was begun or last resumed, mark it as finished."""
        masked = sum(case.labelled and case.split == "train" for case in self.data.manifest.cases)
        facts = run_facts(
            self.out.resolve().name,
            to_plain(self.config),
            self.data.manifest.dataset,
            labelled_cases=len(self.cases.labelled),
            unlabelled_cases=len(self.cases.unlabelled),
            masked_cases=masked,
        )
        if seconds is not None:
            bias, post_process = chosen_of(RunFolder(self.out).checkpoint())
            facts = replace(facts, foreground_bias=bias.words(), post_process=post_process.words())
        facts = replace(facts, learnt=self._learnt())
        RunFolder(self.out).sign(
            self.config,
            facts,
            self.data.root,
            validation_cases=len(self.cases.validation),
            data=self.cases.digest(),
            prepared=data_digest(self.data),
            precision=precision,
            planned=list(self.options.planned),
            finished=seconds is not None,
            seconds=seconds,
        )

    def _learnt(self) -> dict[str, Shape]:
        """Return what is kept of the cases that the run learns from, and of those before: of its weights' source."""
        earlier = RunFolder(self.out).facts().learnt if folders.is_signed(self.out) else None
        source = {} if self.source is None else self.source.learnt
        scans = prepared_scans(self.data.root)
        return {**source, **(earlier or {}), **learnt_from(self.data.manifest, {*self.cases.labelled}, scans)}

    def tell_of(self, start: WarmStart) -> None:
        """Log what the run starts from; warn where that has learnt from cases that are held out here."""
        start.tell()
        cases, manifest = self.data.by_name, self.data.manifest
        held = [name for name, case in cases.items() if case.labelled and case.split == "test"]
        held += self.cases.validation
        found = learnt_among(
            held,
            manifest.dataset,
            lambda name: cases[name].working_grid().native.shape,
            start.source.learnt,
            prepared_scans(self.data.root),
        )
        if found:
            log.warning(
                "%d cases validate or test here, and the weights of %s have %s. Their scores say nothing of new scans.",
                len(held),
                start.source.name,
                some_learnt(found, len(held)),
            )
