"""The tables that stand beside the page as CSV: everything that the page rounds or leaves out."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from equireg.reporting.bridging import bridging
from equireg.reporting.comparison import Arms, Cohort, by_arm
from equireg.reporting.differences import differences
from equireg.reporting.sources import Facts
from equireg.reporting.statistics import spread_over_seeds, summarise


def exports(cohorts: Sequence[Cohort], arms: Arms) -> dict[str, str]:
    """Return file name to CSV text; a table without rows is left out.

    `results.csv` has a row an evaluation, region and metric; `cases.csv` one a case besides; `seeds.csv` and
    `differences.csv` one an arm, region and metric, where arms have several runs or another to be compared with;
    `bridging.csv` one a method, amount of labels and region, where a supervised run is known to have used all
    labels.
    """
    tables = {
        "results.csv": _results(cohorts),
        "cases.csv": _cases(cohorts),
        "seeds.csv": _seeds(cohorts, arms),
        "differences.csv": _differences(cohorts, arms),
        "bridging.csv": _bridging(cohorts, arms),
    }
    # Objects, so that a count that is unknown in one row does not turn the others into fractions.
    return {name: pd.DataFrame(rows, dtype=object).to_csv(index=False) for name, rows in tables.items() if rows}


def _trained_on(facts: Facts) -> dict[str, object]:
    return {
        "method": facts.method,
        "dataset": facts.dataset,
        "labelled_cases": facts.labelled_cases,
        "masked_cases": facts.masked_cases,
        "label_fraction": facts.fraction,
        "unlabelled_cases": facts.unlabelled_cases,
    }


def _results(cohorts: Sequence[Cohort]) -> list[dict[str, object]]:
    return [
        {
            "evaluation": evaluation.title,
            **_trained_on(evaluation.facts),
            "seed": evaluation.facts.seed,
            "repeat": evaluation.facts.repeat,
            "split": evaluation.split,
            "cases": len(evaluation.cases_with(metric)),
            "region": region,
            "metric": metric,
            **asdict(summary),
        }
        for cohort in cohorts
        for evaluation in cohort.evaluations
        for (metric, region), summary in summarise(evaluation, cohort.regions).items()
    ]


def _cases(cohorts: Sequence[Cohort]) -> list[dict[str, object]]:
    return [
        {"evaluation": evaluation.title, "case": case, "region": region, "metric": metric, "value": value}
        for cohort in cohorts
        for evaluation in cohort.evaluations
        for (case, region, metric), value in evaluation.scores.items()
    ]


def _seeds(cohorts: Sequence[Cohort], arms: Arms) -> list[dict[str, object]]:
    rows = []
    for cohort in cohorts:
        groups = by_arm(cohort, arms)
        for label, spreads in spread_over_seeds(cohort, arms).items():
            known = {"arm": label, **_trained_on(groups[label][0].facts), "runs": len(groups[label])}
            for (metric, region), spread in spreads.items():
                rows.append({**known, "region": region, "metric": metric, **asdict(spread)})
    return rows


def _differences(cohorts: Sequence[Cohort], arms: Arms) -> list[dict[str, object]]:
    return [
        {
            "dataset": cohort.title,
            "arm": arm,
            "baseline": baseline,
            "region": region,
            "metric": "dice",
            **asdict(found),
        }
        for cohort in cohorts
        for (arm, baseline), by_region in differences(cohort, arms).items()
        for region, found in by_region.items()
    ]


def _bridging(cohorts: Sequence[Cohort], arms: Arms) -> list[dict[str, object]]:
    return [
        {
            "dataset": cohort.title,
            "method": one.series,
            "labelled_cases": one.amount.cases,
            "label_fraction": one.amount.fraction,
            "region": one.region,
            "gain": one.gain,
            "gap": one.gap,
            "coefficient": one.coefficient,
            "pairs": len(one.pairs),
            "lowest_pair": min(one.pairs, default=None),
            "highest_pair": max(one.pairs, default=None),
            "pairs_without_gap": one.pairs_without,
        }
        for cohort in cohorts
        for one in bridging(cohort, arms)
    ]
