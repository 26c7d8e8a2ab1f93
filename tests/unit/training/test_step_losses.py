"""What a method gives for a step: scalars of all kinds are taken, mistakes are told by name."""

from typing import Any

import numpy as np
import pytest
import torch

from equireg.errors import EquiregError
from equireg.training.step_losses import checked

LOSS = torch.ones((), requires_grad=True) * 2


def test_scalars_of_all_kinds_are_taken() -> None:
    given = {"total": LOSS, "weight": 0.5, "count": 3, "mean": np.float32(0.25), "one": torch.tensor([4.0])}
    found = checked(given, "mine")
    expected = {"total": 2.0, "weight": 0.5, "count": 3.0, "mean": 0.25, "one": 4.0}
    assert {name: value.item() for name, value in found.items()} == expected
    assert found["total"] is LOSS
    assert {value.shape for value in found.values()} == {()}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (LOSS, r"method mine: losses returned a tensor of shape \[\]; expected named scalars"),
        (None, "method mine: losses returned a NoneType; expected named scalars"),
        ({}, "method mine: losses returned nothing; expected total"),
        ({"loss": LOSS, "sure": LOSS}, "method mine: losses returned loss, sure; expected total"),
        ({"total": LOSS, "each": torch.ones(3)}, r"method mine: each is a tensor of shape \[3\]; expected one number"),
        ({"total": LOSS, "why": "so"}, "method mine: why is a str; expected one number"),
        ({"total": LOSS.detach()}, "method mine: total has no gradient"),
        ({"total": 2.0}, "method mine: total has no gradient"),
    ],
)
def test_mistakes_are_told_by_name(given: Any, message: str) -> None:
    with pytest.raises(EquiregError, match=message):
        checked(given, "mine")
