"""A teacher's prediction, averaged over moved copies of a batch that are moved back: it then moves with the scan."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from equireg.methods.evaluation_mode import evaluating
from equireg.transforms.group import Move


def group_mean(teacher: nn.Module, image: Tensor, copies: Sequence[Move], temperature: float) -> Tensor:
    """Return the mean of a teacher's probabilities over copies of a batch, [B, K, *S].

    Args:
        teacher: a network; it answers in evaluation mode, so that no statistic moves.
        image: [B, C, *S].
        copies: how each copy is moved.
        temperature: divides the logits.
    """
    answers = _answers(teacher, image, copies)
    probs = [functional.softmax(logits / temperature, dim=1) for logits in answers]
    return torch.stack([move.inverse.apply(part) for part, move in zip(probs, copies, strict=True)]).mean(dim=0)


def surer_mean(teachers: Sequence[nn.Module], image: Tensor, copies: Sequence[Move], temperature: float) -> Tensor:
    """Return the mean of two teachers, each of which sees every second copy, weighted by exp(-entropy), [B, K, *S]."""
    if len(copies) == 1:  # there is nothing to mirror or turn: both see the scan as it is
        copies = [*copies] * 2
    total, weights = torch.zeros_like(image[:, :1]), torch.zeros_like(image[:, :1])
    for teacher, own in zip(teachers, (copies[::2], copies[1::2]), strict=True):
        for logits, move in zip(_answers(teacher, image, own), own, strict=True):
            probs = move.inverse.apply(functional.softmax(logits / temperature, dim=1))
            weight = torch.exp(torch.xlogy(probs, probs).sum(dim=1, keepdim=True))
            total, weights = total + weight * probs, weights + weight
    return total / weights


def _answers(network: nn.Module, image: Tensor, copies: Sequence[Move]) -> list[Tensor]:
    """Return a network's logits for each copy of a batch, still moved; copies of one shape go through it at once."""
    moved = [move.apply(image) for move in copies]
    found: list[Tensor] = list(moved)
    with evaluating(network) as teacher:
        for shape in {part.shape: None for part in moved}:
            places = [place for place, part in enumerate(moved) if part.shape == shape]
            logits = teacher(torch.cat([moved[place] for place in places])).float()
            for place, part in zip(places, logits.chunk(len(places)), strict=True):
                found[place] = part
    return found
