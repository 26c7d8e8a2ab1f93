"""What `evaluate` returns: the summary, and the same numbers as tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from typing import TYPE_CHECKING, Any

from equireg.folders.evaluation import COLUMNS, Scores
from equireg.metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd

_STATISTICS = ("mean", "std", "median", "q25", "q75", "min", "max", "missing")


@dataclass(frozen=True, eq=False)
class EvaluationResult(Mapping[str, Any]):
    """The outcome of an evaluation.

    It can be used as the dictionary that ``summary.json`` holds: ``result["mean"]["dice"]``.
    """

    summary: Mapping[str, Any]
    """as ``summary.json`` holds it"""
    scores: Scores = field(repr=False)
    """(case, region, metric) to value; NaN where missing"""

    @cached_property
    def cases(self) -> "pd.DataFrame":
        """Every score: columns case, region, metric, value; NaN where missing."""
        import pandas as pd

        return pd.DataFrame([(*key, value) for key, value in self.scores.items()], columns=list(COLUMNS))

    @cached_property
    def regions(self) -> "pd.DataFrame":
        """Each region over the cases: columns region, metric, mean, std, median, quartiles, min, max, missing."""
        import pandas as pd

        rows = [
            (name, metric, *(numbers[key] for key in _STATISTICS))
            for name, metrics in self.summary["regions"].items()
            for metric, numbers in metrics.items()
        ]
        table = pd.DataFrame(rows, columns=["region", "metric", *_STATISTICS])
        return table.astype(dict.fromkeys(_STATISTICS[:-1], float))

    def __getitem__(self, key: str) -> Any:
        return self.summary[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.summary)

    def __len__(self) -> int:
        return len(self.summary)

    def __str__(self) -> str:
        """Lines for people: Dice of each region, their mean, and what is missing from it."""
        lines = []
        ignored = f"{self['judged']} of " if 0 < self["judged"] < self["cases"] else ""
        over = f" over {ignored}{self['cases']} case{'s' * (self['cases'] != 1)}"
        for metric in ("dice", "equivariance_dice"):
            if self["mean"].get(metric) is None:
                continue
            short = METRICS[metric].short
            title = short if metric == "dice" else short[0].lower() + short[1:]
            lines += [line for name in self["regions"] if (line := self._line(name, metric, title))]
            lines.append(f"{'mean':24} {title} {self['mean'][metric]:.3f}{over}")
            over = ""  # of cases without a mask there may be more
        return "\n".join(lines)

    def _line(self, region: str, metric: str, title: str) -> str | None:
        numbers = self["regions"][region][metric]
        if region in self["left_out_of_mean"]:
            return f"{region:24} nowhere: neither predictions nor references show it; not in the mean"
        if numbers["mean"] is None:
            return None
        several = sum(key[1:] == (region, metric) and not isnan(value) for key, value in self.scores.items()) > 1
        spread = f" +- {numbers['std']:.3f}" if several else ""
        line = f"{region:24} {title} {numbers['mean']:.3f}{spread}"
        hd95 = self["regions"][region].get("hd95_mm", numbers) if metric == "dice" else numbers
        missing = hd95["missing"] - numbers["missing"]  # the others have no Dice either
        return f"{line}   ({missing} without HD95: one side empty)" if missing else line
