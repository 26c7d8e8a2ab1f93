"""The bias of the foreground: what a prediction becomes under it, and when one is taken."""

import numpy as np
import pytest
import torch
from torch import Tensor

from equireg.folders.schema import SchemaError
from equireg.imaging.labels import IGNORED
from equireg.inference.validation import score_case
from equireg.metrics import region_dice
from equireg.postprocessing import BIASES, ForegroundBias, choose_bias

REGIONS = {"whole": (1, 2, 3), "core": (1, 3), "rim": (3,)}


def drawn(classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return probabilities [K, 4, 6, 5] and a mask with voxels that nobody annotated."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn((classes, 4, 6, 5), generator=generator)
    label = torch.randint(0, classes, (4, 6, 5), generator=generator).to(torch.uint8)
    label[0, 0] = IGNORED
    return logits.softmax(dim=0), label


@pytest.mark.parametrize("bias", BIASES)
def test_classes_are_those_of_logits_with_the_bias(bias: float) -> None:
    probs, label = drawn()
    _, under = score_case("a", probs, label, REGIONS)
    shifted = probs.log()
    shifted[1:] += bias
    wanted = shifted.argmax(dim=0)
    np.testing.assert_array_equal(under.classes(bias), wanted.numpy())
    dice = under.dice(label.numpy(), REGIONS)[BIASES.index(bias)]
    np.testing.assert_allclose(dice, list(region_dice(wanted, label, REGIONS).values()))


def test_without_a_bias_a_voxel_has_its_most_probable_class_also_where_probabilities_are_nearly_equal() -> None:
    probs = torch.tensor([[0.5, np.nextafter(np.float32(0.5), 0), 1.0, 1e-30], [0.5, 0.5, 0.0, 1e-29]])[
        :, None, None, :
    ]
    _, under = score_case("a", probs, torch.zeros((1, 1, 4), dtype=torch.uint8), {"all": (1,)})
    assert under.classes(0.0).ravel().tolist() == [0, 1, 0, 1]


def test_a_region_that_neither_shows_has_a_dice_of_one_until_the_bias_shows_it() -> None:
    probs = torch.tensor([0.7, 0.3]).view(2, 1, 1, 1)
    _, under = score_case("a", probs, torch.zeros((1, 1, 1), dtype=torch.uint8), {"all": (1,)})
    assert under.dice(np.zeros((1, 1, 1)), {"all": (1,)})[:, 0].tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def rows(*gains: float, place: int = 4) -> np.ndarray:
    """Return a case whose regions gain so much under one bias, and lose 0.1 under all others but none."""
    dice = np.full((len(BIASES), len(gains)), 0.5)
    dice[BIASES.index(0.0)] = 0.6
    dice[place] = 0.6 + np.array(gains)
    return dice


def test_the_best_bias_is_taken() -> None:
    cases = [rows(0.02), rows(0.04), rows(0.03), rows(0.01), rows(0.05)]
    cases[0][5] = 0.601
    found = choose_bias(cases, "abcde")
    assert (found.bias, found.patients) == (BIASES[4], 5)
    assert found.dice == pytest.approx(0.6)
    assert found.gain == pytest.approx(0.03)
    assert found.error == pytest.approx(np.std([0.02, 0.04, 0.03, 0.01, 0.05], ddof=1) / np.sqrt(5))
    assert ForegroundBias.from_dict(found.as_dict()) == found
    assert found.words() == "+1 (Dice +0.0300 on validation cases)"


def test_four_patients_choose_nothing_however_many_scans_they_have() -> None:
    found = choose_bias([rows(0.05)] * 12, "abcd" * 3)
    assert (found.bias, found.patients, found.words()) == (0.0, 4, "none")
    assert choose_bias([], []) == ForegroundBias()


def test_a_single_patient_never_decides() -> None:
    nothing = [rows(0.0)] * 5
    assert choose_bias([*nothing, rows(0.3)], "abcdef").bias == 0
    assert choose_bias([*nothing, *[rows(0.3)] * 9], "abcde" + "f" * 9).bias == 0
    assert choose_bias([*nothing, rows(0.3), rows(0.3)], "abcdefg").bias == BIASES[4]


def test_gains_of_a_thousandth_are_left() -> None:
    assert choose_bias([rows(0.001)] * 9, "abcdefghi").bias == 0


def test_no_region_pays_for_another() -> None:
    assert choose_bias([rows(0.1, -0.02)] * 6, "abcdef").bias == 0
    assert choose_bias([rows(0.1, 0.0)] * 6, "abcdef").bias == BIASES[4]


@pytest.mark.parametrize("content", [{"bias": 9.0}, {"bias": "much"}, {"shift": 1.0}, [1.0]])
def test_what_no_training_wrote_is_refused(content: object) -> None:
    with pytest.raises(SchemaError):
        ForegroundBias.from_dict(content)
