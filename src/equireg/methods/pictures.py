"""What TensorBoard shows of an unlabelled task."""

import torch
from torch import Tensor, nn

from equireg.losses import argmax
from equireg.methods.evaluation_mode import evaluating


@torch.no_grad()
def task_pictures(student: nn.Module, image: Tensor, target_probs: Tensor, area: Tensor) -> dict[str, Tensor]:
    """Return what TensorBoard shows of an unlabelled task.

    Args:
        student: answers in evaluation mode.
        image: what the student sees, [B, C, *S].
        target_probs: what the student should answer, [B, K, *S]; [B, 0, *S] where there is no such thing.
        area: 1 where that is known, [B, 1, *S].

    Returns:
        The scan's first channel, the target's class, the teacher's confidence in it, the student's class, and
        ``valid``; each [B, 1, *S].
    """
    with evaluating(student):
        answer = student(image)
    shown = {"scan": image[:, :1], "student": argmax(answer), "valid": area}
    if not target_probs.shape[1]:
        return shown
    confidence, target = target_probs.max(dim=1, keepdim=True)
    return {"scan": shown.pop("scan"), "target": target, "teacher": confidence, **shown}
