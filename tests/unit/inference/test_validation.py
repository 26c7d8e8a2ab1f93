"""What validation cases show: empty masks neither help nor hide."""

import pytest
import torch
from torch import Tensor

from equireg.imaging.labels import IGNORED
from equireg.inference import validation
from equireg.inference.validation import CaseScore, scalars

REGIONS = {"whole": (1, 2), "core": (2,)}


def probs(classes: list[int]) -> Tensor:
    """Return certain predictions of a row of voxels, [3, 1, 1, n]."""
    return torch.eye(3)[torch.tensor(classes)].T[:, None, None, :]


def label(classes: list[int]) -> Tensor:
    return torch.tensor(classes, dtype=torch.uint8)[None, None, :]


def score_case(case: str, predicted: Tensor, reference: Tensor, regions: dict[str, tuple[int, ...]]) -> CaseScore:
    score, _ = validation.score_case(case, predicted, reference, regions)
    return score


def test_a_region_that_is_shown_has_a_dice() -> None:
    score = score_case("a", probs([1, 2, 0, 0]), label([1, 2, 2, IGNORED]), REGIONS)
    assert score.dice == pytest.approx({"whole": 4 / 5, "core": 2 / 3})
    assert score.found == {}
    assert score.voxels == 3


@pytest.mark.parametrize(("predicted", "found"), [([0, 0, 0], False), ([0, 1, 0], True)])
def test_an_empty_mask_has_no_dice_but_false_positives(predicted: list[int], found: bool) -> None:
    score = score_case("a", probs(predicted), label([0, 0, 0]), REGIONS)
    assert score.dice == {}
    assert score.found == {"whole": found, "core": False}


def test_what_nobody_annotated_is_no_false_positive() -> None:
    assert not score_case("a", probs([1, 0]), label([IGNORED, 0]), REGIONS).found["whole"]
    nothing = score_case("a", probs([1, 0]), label([IGNORED, IGNORED]), REGIONS)
    assert nothing.dice == nothing.found == {}


def test_empty_masks_do_not_drown_the_others() -> None:
    shown = score_case("a", probs([1, 0]), label([1, 1]), REGIONS)
    empty = [score_case(name, probs([0, 0]), label([0, 0]), REGIONS) for name in "bcdefgh"]
    found = scalars([shown, *empty], list(REGIONS))
    assert found["val/dice/whole"] == found["val/dice"] == pytest.approx(2 / 3)
    assert "val/dice/core" not in found, "a region that no case shows"
    assert found["val/false_positives"] == 0
    wrong = scalars([shown, score_case("b", probs([1, 2]), label([0, 0]), REGIONS)], list(REGIONS))
    assert wrong["val/dice"] == found["val/dice"]
    # Empty are core in the first case and both regions in the second; the second's are found.
    assert wrong["val/false_positives"] == pytest.approx(2 / 3)


def test_where_every_case_shows_every_region_there_are_no_false_positives() -> None:
    score = score_case("a", probs([1, 2]), label([1, 2]), REGIONS)
    assert scalars([score], list(REGIONS)).keys() == {"val/dice/whole", "val/dice/core", "val/dice", "val/loss"}


def test_without_any_region_there_is_no_dice() -> None:
    score = score_case("a", probs([0, 0]), label([0, 0]), REGIONS)
    assert scalars([score], list(REGIONS)).keys() == {"val/false_positives", "val/loss"}
