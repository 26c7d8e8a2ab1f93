"""Dice case by case, as points and as a table."""

import numpy as np
from matplotlib.axes import Axes

from equireg.comparing.cohorts import Cohort
from equireg.drawing.svg import INK, MUTED, series_colour
from equireg.reporting.drawing.figures import Drawing, by_region, cloud
from equireg.reporting.section import Section, number


def section(cohort: Cohort) -> Section:
    """Return the Dice of every case where there are masks, with `cases.csv`."""
    rows = [
        {"evaluation": evaluation.title, "case": case, "region": region, "metric": metric, "value": value}
        for evaluation in cohort.evaluations
        for (case, region, metric), value in evaluation.scores.items()
    ]
    if not cohort.has("dice"):
        return Section("cases", tables={"cases.csv": rows})
    arms = [cohort.arms.of(evaluation) for evaluation in cohort.evaluations]
    content = {
        "arms": list(dict.fromkeys(arms)),
        "drawings": dice_by_case(cohort),
        "runs": len(cohort.evaluations),
        "judged": len(cohort.judged),
        "columns": cohort.columns,
        "groups": [(arm, evaluation.title) for arm, evaluation in zip(arms, cohort.evaluations, strict=True)],
        "rows": [(case, _cells(cohort, place)) for place, case in enumerate(cohort.cases)],
    }
    return Section("cases", content, {"cases.csv": rows})


def dice_by_case(cohort: Cohort) -> list[Drawing]:
    """Draw the Dice of each case, a drawing a region, a row an evaluation."""
    rows = len(cohort.evaluations)

    def plot(axes: Axes, region: str) -> None:
        for place, evaluation in enumerate(cohort.evaluations):
            values = evaluation.values["dice"][region]
            _strip(axes, rows - 1 - place, values, cohort.arms.of(evaluation).index)
            axes.text(0.0, rows - 1 - place + 0.36, evaluation.title, fontsize=7.5, color=MUTED, va="center")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.5, rows - 0.4), yticks=[], xlabel="Dice")
        axes.spines["left"].set_visible(False)

    return by_region(cohort.columns, plot, (4.2, 0.55 + 0.62 * rows), "Dice of each case")


def _cells(cohort: Cohort, place: int) -> list[str]:
    return [
        number(evaluation.values["dice"][column][place], "dice")
        for evaluation in cohort.evaluations
        for column in cohort.columns
    ]


def _strip(axes: Axes, row: float, values: np.ndarray, index: int) -> None:
    """Draw the points of one row, its quartiles as a box, its median as a bar and its mean as a cross."""
    values = values[~np.isnan(values)]
    if not len(values):
        return
    colour = series_colour(index)
    low, middle, high = np.percentile(values, [25, 50, 75])
    axes.barh(row, high - low, left=low, height=0.36, color=colour, alpha=0.18, linewidth=0)
    axes.plot([middle, middle], [row - 0.18, row + 0.18], color=colour, linewidth=1.8, solid_capstyle="butt")
    # The golden ratio spreads neighbours in rank apart without any randomness.
    places = row + (np.arange(len(values)) * 0.618 % 1 - 0.5) * 0.26
    axes.scatter(np.sort(values), places, **cloud(index, 13))
    axes.plot(values.mean(), row, "x", color=INK, markersize=5, markeredgewidth=1.2)
