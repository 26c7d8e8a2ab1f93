"""What a method gives for a step, checked: a mistake in a method of one's own is told by its name and the entry's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from equireg.errors import EquiregError


@dataclass(frozen=True)
class StepLosses:
    """The losses of a step that nobody has looked at yet."""

    step: int
    values: Mapping[str, Tensor]
    cases: Sequence[str]


def checked(losses: Any, method: str) -> dict[str, Tensor]:
    """Return what a method's ``losses`` gave for a step as scalars; numbers become tensors.

    Args:
        losses: what it gave.
        method: its name.

    Raises:
        EquiregError: if these are no named scalars, or there is no ``total`` with a gradient.
    """
    if not isinstance(losses, Mapping):
        raise EquiregError(
            f'the method {method}: losses returned {_words(losses)}; expected named scalars. Return {{"total": loss}}.'
        )
    if "total" not in losses:
        raise EquiregError(
            f"the method {method}: losses returned {', '.join(map(str, losses)) or 'nothing'}; expected total among "
            "them. Call what is to be back-propagated total."
        )
    scalars = {name: _scalar(value, f"the method {method}: {name}") for name, value in losses.items()}
    if not scalars["total"].requires_grad:
        raise EquiregError(
            f"the method {method}: total has no gradient, so nothing would be learnt. Compute it from the student's "
            "logits, without detach, item or no_grad."
        )
    return scalars


def _scalar(value: Any, where: str) -> Tensor:
    if isinstance(value, Real):
        return torch.tensor(float(value))
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise EquiregError(f"{where} is {_words(value)}; expected one number. Take its mean, or leave it out.")
    return value if value.ndim == 0 else value.reshape(())


def _words(value: Any) -> str:
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
