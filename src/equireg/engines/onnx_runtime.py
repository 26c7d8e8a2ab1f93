"""A network as ONNX, and ONNX Runtime, which computes it."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from equireg.engines.network import Run

_OPSET = 17
"""Version of ONNX' operators: new enough for all our networks, old enough for every runtime since 2022."""


def onnx_bytes(network: nn.Module, image: Tensor, output: str = "logits") -> bytes:
    """Return a network as an ONNX model with the input ``image`` and one output.

    The number of images is free, their size is fixed. Torch's exporter by tracing takes a second where the newer one
    takes ten, and it needs the package onnx alone.

    Args:
        network: in evaluation mode, on the CPU.
        image: an example, [1, C, *S] float32.
        output: name of the output.

    Raises:
        ModuleNotFoundError: if the package onnx is not installed.
        Exception: whatever torch raises where it cannot export a network.
    """
    import onnx  # noqa: F401 - torch says in many words that it is missing

    free = {0: "images"}
    with torch.no_grad(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of shapes that are fixed on purpose, and of the exporter's age
        torch.onnx.export(
            network,
            (image,),
            Path(folder, "network.onnx"),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["image"],
            output_names=[output],
            dynamic_axes={"image": free, output: free},
        )
        return Path(folder, "network.onnx").read_bytes()


def with_onnx_runtime(network: nn.Module, image: Tensor, threads: int) -> Run:
    """Return what computes a network by ONNX Runtime.

    Args:
        network: in evaluation mode, on the CPU.
        image: an example, [1, C, *S] float32.
        threads: threads to compute with.

    Raises:
        ModuleNotFoundError: if onnx or onnxruntime is not installed.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(onnx_bytes(network, image), options, providers=["CPUExecutionProvider"])

    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(["logits"], {"image": images})[0])

    return run
