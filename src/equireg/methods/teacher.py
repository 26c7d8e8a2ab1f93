"""A teacher whose weights are the moving average of a student's (Tarvainen and Valpola 2017)."""

import copy

import torch
from torch import nn

from equireg.methods.schedules import moving_average_decay


def copy_as_teacher(student: nn.Module) -> nn.Module:
    """Return a copy that no optimiser touches, in evaluation mode."""
    return copy.deepcopy(student).requires_grad_(False).eval()


@torch.no_grad()
def update_ema(teacher: nn.Module, student: nn.Module, step: int, decay: float, span: float = 1.0) -> None:
    """Update the teacher by one step of the exponential moving average of the student.

    Floating-point values are averaged, integers (such as counts of batches) are copied. A tensor that the network
    lists under several names is averaged once.
    """
    keep = moving_average_decay(step, decay, span)
    ours, theirs = [], []
    for mine, other in zip(_tensors(teacher), _tensors(student), strict=True):
        if mine.is_floating_point():
            ours.append(mine)
            theirs.append(other.to(mine.dtype))
        else:
            mine.copy_(other)
    torch._foreach_mul_(ours, keep)  # pyright: ignore[reportPrivateImportUsage]
    torch._foreach_add_(ours, theirs, alpha=1.0 - keep)  # pyright: ignore[reportPrivateImportUsage]


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    """Return the weights and buffers of a network, each once; ``state_dict`` lists shared ones several times."""
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
