"""OpenVINO, which computes a network on Intel's and others' processors."""

import sys
import warnings

import numpy as np
import torch
from torch import Tensor, nn

from equireg.engines.network import Run

_REPORTING = "openvino_telemetry"
"""Package by which OpenVINO tells its makers, over the network, that it was imported and what it converts."""


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
        traced = torch.jit.trace(network, image, check_trace=False)
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
