"""Who trained, validated and tested when a folder was prepared before: patients that are known stay where they are.

splits.json    the options of the draw, and patient and split of each case that had a mask, also where it is gone now
"""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config import PrepareConfig
from equireg.errors import EquiregError, some_of
from equireg.folders.prepared import CaseRecord, PreparedSet, Split
from equireg.folders.schema import strict
from equireg.layouts import RawCase
from equireg.preparation import recipes

log = logging.getLogger("equireg")

_SPLITS = "splits.json"
_OPTIONS = ("recipe", "val_fraction", "test_fraction", "split_seed")
"""Options that a draw depends on, beside the file ``split`` that stands in its place."""
_NAMES = "keep_names"


@dataclass(frozen=True)
class _Known:
    patient: str
    split: Split


@dataclass(frozen=True)
class KnownSplits:
    """What a prepared folder says of the splits so far; nothing of a new folder."""

    options: Mapping[str, Any]
    cases: Mapping[str, _Known]

    @classmethod
    def read(cls, out: Path) -> "KnownSplits":
        """Read what the folder keeps, and its manifest, which alone knows of adopted masks and is all that is there of
        earlier versions; what is damaged counts as not there, because `prepare` makes it again.
        """
        kept = cls({}, {})
        with suppress(EquiregError, OSError):
            kept = strict(cls, disk.read_json(out / _SPLITS), _SPLITS)
        with suppress(EquiregError, OSError):
            data = PreparedSet(out, verify=False)
            draw = _draw_of(folders.read_signature(out, "prepare")["config"])
            gone = kept.cases if kept.options == draw else {}
            kept = cls(draw, {**gone, **_known(data.manifest.cases)})
        return kept

    def keep(self, out: Path) -> None:
        """Keep the splits in the prepared folder, also where a stopped `prepare` has taken the manifest away."""
        if self.cases:
            disk.write_json(out / _SPLITS, asdict(self))

    def now(self, config: PrepareConfig, cases: Sequence[CaseRecord]) -> "KnownSplits":
        """Return what is known once the folder is prepared; of cases that are gone only where the draw went on."""
        hidden = self.options.get(_NAMES) and not config.keep_names  # names that are hidden from now on are forgotten
        earlier = self.cases if self._goes_on(config) and not hidden else {}
        return KnownSplits(_draw_of(vars(config)), dict(sorted({**earlier, **_known(cases)}.items())))

    def of_patients(self, config: PrepareConfig, cases: Sequence[RawCase]) -> dict[str, Split]:
        """Return patient to split of those who are known; none where the options of the draw changed, all are drawn or
        listed in any case, or nobody is left who trains.

        A patient of whom several splits are known, as where ``patients`` was corrected, is drawn again.
        """
        draws_all = config.split is not None or not recipes.find(config.recipe).keeps_splits
        if draws_all or not self._goes_on(config):
            return {}
        by_patient: dict[str, set[Split]] = {}
        for one in self.cases.values():
            by_patient.setdefault(one.patient, set()).add(one.split)
        found: dict[str, set[Split]] = {}
        for case in cases:
            named = self.cases.get(case.name)
            found.setdefault(case.patient, set()).update([named.split] if named else by_patient.get(case.patient, ()))
        kept: dict[str, Split] = {patient: next(iter(splits)) for patient, splits in found.items() if len(splits) == 1}
        return kept if "train" in kept.values() else {}

    def tell(
        self,
        config: PrepareConfig,
        cases: Sequence[RawCase],
        splits: Mapping[str, Split],
        kept: Mapping[str, Split],
    ) -> None:
        """Say where new patients went, and warn of cases that changed their split.

        Args:
            config: the options of the draw.
            cases: with the patients who were drawn.
            splits: case to its split from now on.
            kept: patient to split of those who stayed, as ``of_patients`` returns it.
        """
        masked = [case for case in cases if case.label is not None and not case.held_out]
        new = {case.patient: splits[case.name] for case in masked if case.patient not in kept}
        if new and kept:
            log.info(
                "%d new patient%s with a mask: %s; all others stay in their split (another --split_seed draws anew)",
                len(new),
                "s" * (len(new) != 1),
                ", ".join(f"{count} to {name}" for name, count in sorted(Counter(new.values()).items())),
            )
        earlier = {name: one.split for name, one in self.cases.items()}
        if kept:
            self._tell_empty(config, {*earlier.values()} - {*splits.values()})
        moved = {name: split for name, split in splits.items() if earlier.get(name, split) != split}
        if not moved:
            return
        learnt = sorted(name for name, split in moved.items() if split != "train" and earlier[name] == "train")
        log.warning(
            "%d case%s with a mask changed the split since the folder was prepared before%s",
            len(moved),
            "s" * (len(moved) != 1),
            f"; {len(learnt)} trained until now and are held out from now on: {some_of(learnt)}. Runs that were "
            "trained before have learnt from them, and are not to be judged by this split."
            if learnt
            else ".",
        )

    def _tell_empty(self, config: PrepareConfig, empty: Collection[str]) -> None:
        """Warn of parts that lost all their cases, and get none because those that are left stay where they are."""
        wanted = {"val": config.val_fraction, "test": config.test_fraction}
        lost = [part for part, fraction in wanted.items() if fraction and part in empty]
        if lost:
            log.warning(
                "no case is left in %s: those that were there are gone or refused, and all others stay in their split. "
                "Put them back, add patients with a mask, or draw anew with another --split_seed; runs that were "
                "trained before are then not to be judged by the new split.",
                " and ".join(lost),
            )

    def _goes_on(self, config: PrepareConfig) -> bool:
        now = _draw_of(vars(config))
        return all(self.options.get(name, value) == value for name, value in now.items() if name != _NAMES)


def _draw_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return of the options those that a draw depends on, as far as they are known."""
    told = {name: config[name] for name in (*_OPTIONS, _NAMES) if name in config}
    return {**told, "listed": config.get("split") is not None}


def _known(cases: Sequence[CaseRecord]) -> dict[str, _Known]:
    """Return the cases with a mask whose split was drawn or learnt from, not those that only their layout holds out."""
    return {
        case.name: _Known(case.patient, case.split)
        for case in cases
        if case.labelled and not (case.held_out and case.split == "test")
    }
