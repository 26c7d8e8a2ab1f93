"""OpenVINO, which computes a network on Intel's and others' processors."""

import copy
import sys
import warnings

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from equireg.engines.network import Run

_REPORTING = "openvino_telemetry"
"""Package by which OpenVINO tells its makers, over the network, that it was imported and what it converts."""
_AnyNorm = nn.InstanceNorm2d | nn.InstanceNorm3d
_BLOCK = {2: 16, 3: 8}
"""Longest side of a block, in slices and in volumes."""


class _InstanceNorm(nn.Module):
    """The same normalisation with means of blocks first, then of all blocks.

    OpenVINO's own adds up a channel in one long row of 32-bit sums. Where most of an image is one constant, as its
    background is, the errors of rounding add up too, and probabilities differ by 0.001.
    """

    def __init__(self, norm: _AnyNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, image: Tensor) -> Tensor:
        """Normalise each channel of each image [B, C, *S]."""
        centred = image - _mean(image)
        scale = torch.rsqrt(_mean(centred * centred) + self.norm.eps)
        if not self.norm.affine:
            return centred * scale
        each = (1, -1, *[1] * (image.ndim - 2))
        return centred * (scale * self.norm.weight.view(each)) + self.norm.bias.view(each)


def _mean(image: Tensor) -> Tensor:
    """Return the mean over all axes but the first two, which stay with length 1."""
    sides = [int(side) for side in image.shape[2:]]
    blocks = [max(length for length in range(1, _BLOCK[len(sides)] + 1) if side % length == 0) for side in sides]
    pool = functional.avg_pool2d if len(sides) == 2 else functional.avg_pool3d
    return pool(image, blocks).mean(dim=tuple(range(2, image.ndim)), keepdim=True)


def _with_exact_norms(network: nn.Module) -> nn.Module:
    """Return a copy of a network whose instance norms are computed in blocks."""
    changed = copy.deepcopy(network)
    for parent in list(changed.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _AnyNorm) and not child.track_running_stats:
                setattr(parent, name, _InstanceNorm(child))
    return changed


def with_openvino(network: nn.Module, image: Tensor, threads: int) -> Run:
    """Return what computes a network by OpenVINO, in 32 bits.

    Args:
        network: in evaluation mode, on the CPU.
        image: an example, [1, C, *S] float32.
        threads: threads to compute with.

    Raises:
        ModuleNotFoundError: if openvino is not installed.
    """
    # Nothing about a clinic's work leaves the machine. OpenVINO does without the package where it is not to be found.
    sys.modules.setdefault(_REPORTING, None)  # type: ignore[arg-type]
    import openvino

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that are fixed on purpose, and of tracing's age
        # Traced here, because OpenVINO's own way computes the network five times to check the trace.
        traced = torch.jit.trace(_with_exact_norms(network), image, check_trace=False)
        model = openvino.convert_model(traced, input=[openvino.PartialShape([-1, *image.shape[1:]])])
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # threads of several processes would be pinned to the same cores
    }
    compiled = openvino.Core().compile_model(model, "CPU", settings)

    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(compiled(images)[0])

    return run
