"""Which scan a client is given next."""

import threading
from collections.abc import Callable, Sequence

from equireg.annotation.ranking import rank_scans
from equireg.folders.prepared import PreparedSet

STRATEGIES = {
    "typical": "scans that stand for most others, and unlike those that have a mask",
    "doubt": "the same, but scans that the model doubts count more; it predicts all of them first",
    "in_order": "by their names",
}
"""Name of a way to choose to what it does, the default first."""

Doubts = Callable[[Sequence[str]], dict[str, float]]


class Order:
    """The order of annotation: made once for each way and model, so that a client need not wait again.

    Each choice takes account of all before it, so the order stays right while masks come in in its order. Many clients
    may ask at once: while one waits for an order to be made, those who ask for another way do not.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], list[str]] = {}
        self._given: list[str] = []
        self._making = {strategy: threading.Lock() for strategy in STRATEGIES}
        self._giving = threading.Lock()

    def next_of(
        self, folder: Callable[[], PreparedSet], strategy: str, model: str, doubts: Doubts | None
    ) -> str | None:
        """Return the next scan without a mask, not one given before while others are left; None where all have one.

        Args:
            folder: returns the prepared folder as it is now; masks may come in while an order is made.
            strategy: a name in ``STRATEGIES``.
            model: name of the model that doubts.
            doubts: what it says of some scans; None where there is no model.
        """
        with self._making[strategy]:
            made = self._order(folder(), strategy, model, doubts)
        with self._giving:
            open_ = _open(folder())
            left = [name for name in made if name in set(open_)] or open_
            fresh = [name for name in left if name not in self._given]
            if not fresh:
                self._given = [name for name in self._given if name not in set(left)]
            chosen = next(iter(fresh or left), None)
            self._given += [] if chosen is None else [chosen]
            return chosen

    def _order(self, data: PreparedSet, strategy: str, model: str, doubts: Doubts | None) -> list[str]:
        """Return all scans without a mask, those that should have one first before others."""
        open_, key = _open(data), (strategy, model if strategy == "doubt" else "")
        if not set(open_) <= set(self._made.get(key, ())):
            known = [case.name for case in data.manifest.cases if case.split == "train" and case.labelled]
            self._made[key] = self._rank(data, strategy, open_, known, doubts)
        return self._made.get(key, [])

    @staticmethod
    def _rank(
        data: PreparedSet, strategy: str, candidates: list[str], known: list[str], doubts: Doubts | None
    ) -> list[str]:
        if strategy == "in_order":
            return sorted(candidates)
        doubted = doubts(candidates) if strategy == "doubt" and doubts is not None else None
        return [one.case for one in rank_scans(data, candidates, known, len(candidates), doubted)]


def _open(data: PreparedSet) -> list[str]:
    return [case.name for case in data.manifest.cases if case.split == "train" and not case.labelled]
