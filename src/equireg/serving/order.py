"""Which scan a client is given next."""

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

    Each choice takes account of all before it, so the order stays right while masks come in in its order.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], list[str]] = {}
        self._given: list[str] = []

    def next_of(self, data: PreparedSet, strategy: str, model: str, doubts: Doubts | None) -> str | None:
        """Return the next scan without a mask, not one given before while others are left; None where all have one.

        Args:
            data: the prepared folder as it is now.
            strategy: a name in ``STRATEGIES``.
            model: name of the model that doubts.
            doubts: what it says of some scans; None where there is no model.
        """
        training = [case for case in data.manifest.cases if case.split == "train"]
        open_ = [case.name for case in training if not case.labelled]
        if not open_:
            return None
        key = (strategy, model if strategy == "doubt" else "")
        if not set(open_) <= set(self._made.get(key, ())):
            known = [case.name for case in training if case.labelled]
            self._made[key] = self._rank(data, strategy, open_, known, doubts)
        left = [name for name in self._made[key] if name in set(open_)]
        fresh = [name for name in left if name not in self._given]
        if not fresh:
            self._given = [name for name in self._given if name not in set(left)]
        chosen = (fresh or left)[0]
        self._given.append(chosen)
        return chosen

    @staticmethod
    def _rank(
        data: PreparedSet, strategy: str, candidates: list[str], known: list[str], doubts: Doubts | None
    ) -> list[str]:
        if strategy == "in_order":
            return sorted(candidates)
        doubted = doubts(candidates) if strategy == "doubt" and doubts is not None else None
        return [one.case for one in rank_scans(data, candidates, known, len(candidates), doubted)]
