"""The tables that stand beside the page as CSV: everything that the page rounds or leaves out."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from equireg.reporting.comparison import Arms, Cohort, by_arm
from equireg.reporting.sources import Facts
from equireg.reporting.statistics import differences, spread_over_seeds, summarise


def exports(cohorts: Sequence[Cohort], arms: Arms) -> dict[str, str]:
    """Return file name to CSV text; a table without rows is left out.

    `results.csv` has a row an evaluation, region and metric; `cases.csv` one a case besides; `seeds.csv` and
    `differences.csv` one an arm, region and metric, where arms have several seeds or a baseline.
    """
    tables = {
        "results.csv": _results(cohorts),
        "cases.csv": _cases(cohorts),
        "seeds.csv": _seeds(cohorts, arms),
        "differences.csv": _differences(cohorts, arms),
    }
    # Objects, so that a count that is unknown in one row does not turn the others into fractions.
    return {name: pd.DataFrame(rows, dtype=object).to_csv(index=False) for name, rows in tables.items() if rows}


def _trained_on(facts: Facts) -> dict[str, object]:
    return {
        "method": facts.method,
        "dataset": facts.dataset,
        "labelled_cases": facts.labelled_cases,
        "unlabelled_cases": facts.unlabelled_cases,
    }


def _results(cohorts: Sequence[Cohort]) -> list[dict[str, object]]:
    return [
        {
            "evaluation": evaluation.title,
            **_trained_on(evaluation.facts),
            "seed": evaluation.facts.seed,
            "cases": len(cohort.cases),
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
            known = {"arm": label, **_trained_on(groups[label][0].facts), "seeds": len(groups[label])}
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
