"""Steps are chosen where they raise the Dice of enough patients, and as their application would raise it."""

import numpy as np
import pytest

from equireg.imaging.labels import IGNORED, LabelTable
from equireg.metrics import region_dice
from equireg.postprocessing import CaseCounts, PostProcessing, Step, applied, choose, choosing, count_case
from equireg.postprocessing.components import regions_in

torch = pytest.importorskip("torch")
LABELS = LabelTable((0, 1, 2), ("background", "left", "right"))
BRATS = LabelTable(
    (0, 1, 2, 4),
    ("background", "necrosis", "oedema", "enhancing"),
    {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)},
)


def case(index: int, specks: int = 0, *, second: bool = False, patient: str | None = None) -> CaseCounts:
    """A right prediction with wrong specks, and where asked for a second true component."""
    reference = np.zeros((8, 8, 12), dtype=np.uint8)
    reference[1:5, 1:5, 1:5] = 1
    if second:
        reference[1:4, 1:4, 8:11] = 1
    predicted = reference.copy()
    predicted[7, 7, 0 : 2 * specks : 2] = 1
    name = f"c{index}"
    return count_case(name, patient or name, predicted, reference, LABELS, 2.0)


def test_specks_in_most_cases_are_removed() -> None:
    post = choose([case(index, specks=index % 4) for index in range(8)], LABELS)
    assert [step.region for step in post.steps] == ["left"]
    (step,) = post.steps
    assert step.smallest_mm3 == pytest.approx(0.02 * 128.0, rel=1e-3), "the mildest of those that remove all specks"
    assert step.gain is not None
    assert step.gain > 0.001
    assert (post.patients, post.cases) == (8, 8)


def test_a_single_patient_never_decides() -> None:
    others = [case(index) for index in range(8)]
    assert choose([*others, case(8, specks=4)], LABELS).steps == ()
    assert choose([*others, *(case(index, 4, patient="one") for index in (8, 9, 10))], LABELS).steps == ()
    assert choose([*others, case(8, specks=4), case(9, specks=4)], LABELS).steps != ()


def test_few_patients_decide_nothing() -> None:
    assert choose([case(index, specks=3) for index in range(4)], LABELS) == PostProcessing((), 4, 4)
    assert choose([case(index, 3, patient=str(index % 4)) for index in range(12)], LABELS) == PostProcessing((), 4, 12)


def test_a_second_true_component_keeps_the_step_small() -> None:
    (step,) = choose([case(index, specks=2, second=True) for index in range(6)], LABELS).steps
    assert step.smallest_mm3 is not None
    assert step.smallest_mm3 < 27 * 2.0


def test_right_predictions_are_left_alone() -> None:
    assert choose([case(index, second=index % 2 == 0) for index in range(8)], LABELS).steps == ()


@pytest.mark.parametrize("labels", [LABELS, BRATS])
@pytest.mark.parametrize("seed", range(4))
def test_the_dice_after_a_step_is_that_of_its_application(labels: LabelTable, seed: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, labels.classes, (2, 4, 5, 3)) * (rng.random((2, 4, 5, 3)) < 0.4)
    predicted, reference = np.kron(coarse, np.ones((1, 2, 2, 2))).astype(np.uint8)
    reference[rng.random(reference.shape) < 0.1] = IGNORED
    counts = count_case("c", "p", predicted, reference, labels, 1.5)
    regions = regions_in(labels)
    before = np.array([total.dice() for total in counts.totals])
    members = {region.name: region.classes for region in regions}
    np.testing.assert_allclose(before, dice(predicted, reference, members))
    for place, region in enumerate(regions):
        for step in (Step(region.name), Step(region.name, 13.0), Step(region.name, 1e6)):
            after = choosing._after(counts, step, region, place, before)
            cleaned = applied(PostProcessing((step,)), predicted, labels, 1.5)
            np.testing.assert_allclose(after, dice(cleaned, reference, members), err_msg=f"{step}")


def dice(predicted: np.ndarray, reference: np.ndarray, members: dict[str, tuple[int, ...]]) -> list[float]:
    return list(region_dice(torch.from_numpy(predicted), torch.from_numpy(reference), members).values())


def test_a_step_that_ruins_another_region_is_not_taken() -> None:
    def made(index: int) -> CaseCounts:
        reference = np.zeros((6, 6, 20), dtype=np.uint8)
        reference[1:4, 1:4, 1:6] = 2
        reference[1:4, 1:4, 10:12] = 3  # a second tumour, all of it enhancing
        predicted = reference.copy()
        predicted[5, 5, 18] = 3
        return count_case(f"c{index}", f"p{index}", predicted, reference, BRATS, 1.0)

    steps = choose([made(index) for index in range(6)], BRATS).steps
    assert len(steps) == 1, "regions that overlap get one step"
    assert steps[0].smallest_mm3 is not None
    assert steps[0].smallest_mm3 <= 18


def test_a_prediction_in_very_many_pieces_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("equireg.postprocessing.counting._MOST", 3)
    assert choose([case(index, specks=3) for index in range(8)], LABELS).steps == ()


def test_empty_predictions_and_masks_count_as_nothing() -> None:
    empty = np.zeros((4, 4, 4), dtype=np.uint8)
    unknown = np.full_like(empty, IGNORED)
    for reference in (empty, unknown):
        counts = count_case("c", "p", empty, reference, LABELS, 1.0)
        assert [total.dice() for total in counts.totals] == [1.0, 1.0]
    assert (
        choose([count_case(str(index), str(index), empty, empty, LABELS, 1.0) for index in range(6)], LABELS).steps
        == ()
    )
