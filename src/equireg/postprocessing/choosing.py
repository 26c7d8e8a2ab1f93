"""Which steps are taken: those that raised the Dice of the validation cases beyond what chance would.

For each region the candidates are: the largest component alone, and components from a smallest volume on, a fraction
of the region's median volume in the masks. A candidate is taken if

1. there are five patients or more,
2. the mean gain in the region's Dice is at least 0.001, and more than its standard error over the patients, so that a
   single patient can never decide,
3. no other region's mean Dice falls by more than the standard error of its change.

Of several the one with the highest gain is taken, of equal ones the one that removes least. Regions that overlap get
one step in all, that of the highest gain, because two would act on each other.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from equireg.imaging.labels import LabelTable
from equireg.postprocessing.components import Region, regions_in
from equireg.postprocessing.counting import CaseCounts, Overlap
from equireg.postprocessing.patients import LEAST_PATIENTS, mean_and_error, patient_means
from equireg.postprocessing.steps import PostProcessing, Step, removed

LEAST_GAIN = 0.001
_FRACTIONS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Smallest volumes that are tried, as fractions of the region's median volume."""


def choose(cases: Sequence[CaseCounts], labels: LabelTable) -> PostProcessing:
    """Choose the post-processing on validation cases.

    Args:
        cases: what each prediction's components hold.
        labels: regions of the data set.
    """
    patients = {case.patient for case in cases}
    if len(patients) < LEAST_PATIENTS:
        return PostProcessing((), len(patients), len(cases))
    regions = regions_in(labels)
    best = [step for place, region in enumerate(regions) if (step := _best(cases, regions, place)) is not None]
    taken: list[Step] = []
    touched: set[int] = set()
    by_name = {region.name: region for region in regions}
    for step in sorted(best, key=lambda step: -(step.gain or 0.0)):
        own = set(by_name[step.region].touched)
        if not own & touched:
            taken.append(step)
            touched |= own
    order = list(by_name)
    return PostProcessing(tuple(sorted(taken, key=lambda step: order.index(step.region))), len(patients), len(cases))


def _best(cases: Sequence[CaseCounts], regions: Sequence[Region], place: int) -> Step | None:
    """Return the best step of one region that passes the rule."""
    if any(case.components[place] is None for case in cases):
        return None
    before = np.array([[total.dice() for total in case.totals] for case in cases])  # [cases, regions]
    best: Step | None = None
    for step in _candidates(cases, regions[place], place):
        after = [_after(case, step, regions[place], place, row) for case, row in zip(cases, before, strict=True)]
        change = np.array(after) - before
        mean, error = mean_and_error(patient_means([case.patient for case in cases], change))
        others = np.delete(mean + error, place)
        gain = float(mean[place])
        # Beyond rounding: where one patient alone gains, mean and standard error are equal.
        sure = gain >= LEAST_GAIN and gain > float(error[place]) * (1 + 1e-9)
        if sure and (others >= -1e-12).all() and (best is None or gain > (best.gain or 0.0)):
            best = Step(step.region, step.smallest_mm3, float(before[:, place].mean()), gain, float(error[place]))
    return best


def _candidates(cases: Sequence[CaseCounts], region: Region, place: int) -> Iterator[Step]:
    """Yield the steps to try, those first that remove least."""
    volumes = [case.references_mm3[place] for case in cases if case.references_mm3[place] > 0]
    for fraction in _FRACTIONS if volumes else ():
        yield Step(region.name, float(f"{fraction * float(np.median(volumes)):.4g}"))
    yield Step(region.name)


def _after(case: CaseCounts, step: Step, region: Region, place: int, before: np.ndarray) -> np.ndarray:
    """Return the Dice of every region after a step, [R], from that before it."""
    components, after = case.components[place], before.copy()
    if components is None:
        return after
    gone = removed(step, components.volumes_mm3)
    for other, inside in components.inside.items():
        # Removed voxels are all of one class: it belongs to the other region, or it does not.
        gains = other in region.gaining
        predicted = components.voxels[gone].sum() if gains else 0
        common = inside.reference[gone].sum() if gains else 0
        total = case.totals[other]
        after[other] = Overlap(
            total.predicted - inside.predicted[gone].sum() + predicted,
            total.reference,
            total.common - inside.common[gone].sum() + common,
        ).dice()
    return after
