"""What is said of a prediction without its reference."""

import numpy as np
import pytest
import torch

from equireg.imaging.labels import LabelTable
from equireg.inference import Agreement
from equireg.prediction.quality import quality_of

LABELS = LabelTable((0, 1, 4), ("background", "core", "rim"), {"whole": (1, 4), "rim": (4,)})


def counted(*views: list[int]) -> Agreement:
    made = Agreement(len(views), 3)
    made.add([torch.tensor([view], dtype=torch.uint8) for view in views])
    return made


def test_regions_have_agreement_volume_and_spread():
    values = np.array([1, 1, 4, 0]).reshape(4, 1, 1)
    found = quality_of("a", counted([1, 1, 2, 0], [1, 2, 2, 0]), values, 2.5, LABELS)
    assert found.quality == pytest.approx(2 / 3)
    whole, rim = found.regions["whole"], found.regions["rim"]
    assert (whole.agreement, whole.volume_mm3, whole.volume_spread) == (1.0, 7.5, 0.0)
    assert rim.agreement == pytest.approx(2 / 3)
    assert (rim.volume_mm3, rim.volume_spread) == (2.5, pytest.approx(1 / 3))
    assert found.reasons == ("views disagree on rim (0.67)",)


def test_an_empty_prediction_is_a_reason():
    found = quality_of("a", counted([0, 0], [0, 0]), np.zeros((2, 1, 1), int), 1.0, LABELS)
    assert found.quality == 1.0
    assert found.regions["whole"].agreement is None
    assert found.reasons == ("nothing was found",)
