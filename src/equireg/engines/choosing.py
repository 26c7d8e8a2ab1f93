"""Which library computes a network: the fastest that is installed, worth its start, and equal to torch."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from equireg.engines.network import EngineNetwork, Run
from equireg.engines.onnx_runtime import with_onnx_runtime
from equireg.engines.with_openvino import with_openvino
from equireg.errors import UsageError
from equireg.processes.cores import usable_cores

log = logging.getLogger("equireg")

Make = Callable[[nn.Module, Tensor, int], Run]

ENGINES: dict[str, tuple[tuple[str, ...], Make]] = {
    "openvino": (("openvino",), with_openvino),
    "onnx": (("onnx", "onnxruntime"), with_onnx_runtime),
}
"""Engine name, also that of the extra, to the packages that it needs and what makes it; the fastest first."""
TOLERANCE = 1e-3
"""Largest difference of a probability from torch's."""
_WORTH_FLOP = 2e12
"""Work, in floating-point operations, from which on an engine gains more than its start costs: 10 to 20 s of a core."""


@dataclass(frozen=True)
class Work:
    """What a network is to compute in all."""

    precision: str
    """32, bf16 or 16"""
    device: torch.device
    windows: float
    """windows, each of the size of the example, that will go through the network"""


def check_option(option: str, precision: str, device: torch.device) -> None:
    """Refuse an engine that cannot be had here.

    Raises:
        UsageError: if it is not installed, or the network is to compute on a GPU or in 16 bits.
    """
    if option not in ENGINES:
        return
    packages, _ = ENGINES[option]
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise UsageError(
            f"--engine is {option}, and {' and '.join(missing)} is not installed. Install it with "
            f"`pip install 'equireg[{option}]'`, or give --engine torch."
        )
    if device.type != "cpu" or precision != "32":
        raise UsageError(
            f"--engine is {option}, which computes on a CPU in 32 bits; the network is to compute on {device.type} in "
            f"{precision}. Add --device cpu --precision 32, or give --engine torch."
        )


def accelerated(network: nn.Module, option: str, image: Tensor, work: Work) -> nn.Module:
    """Return a network as the fastest engine computes it, or as it is.

    With ``auto`` that is an engine only where it is installed, the work is worth its start, and it is faster than
    torch on the example. Whatever an engine computes is compared with torch once, on the example and its mirror image.

    Args:
        network: from images to logits, in evaluation mode.
        option: auto, torch, or the name of an engine.
        image: an example, [1, C, *S] float32, on the CPU; best a part of a real scan.
        work: what is to be computed in all.
    """
    names = [option] if option in ENGINES else _installed() if option == "auto" else []
    if not names or work.device.type != "cpu" or work.precision != "32":
        return network
    trial = _Trial(network, image)
    if option == "auto" and trial.flop_a_window * work.windows < _WORTH_FLOP:
        return network
    for name in names:
        found = trial.of(name)
        if found is not None and (option != "auto" or trial.is_faster(found, name)):
            return found
    return network


def _installed() -> list[str]:
    return [name for name, (packages, _) in ENGINES.items() if all(find_spec(package) for package in packages)]


@contextmanager
def counted_flop(network: nn.Module) -> Iterator[list[float]]:
    """Collect the floating-point operations of each convolution of the passes within the block.

    Those of other layers are few beside them. Torch's own counter imports its compiler, which takes seconds.
    """
    flop: list[float] = []

    def count(layer: Any, given: tuple[Any, ...], out: Tensor) -> None:
        if isinstance(layer, nn.modules.conv._ConvTransposeNd):
            places, channels = given[0].numel(), layer.out_channels
        else:
            places, channels = out.numel(), layer.in_channels
        flop.append(2.0 * places * channels / layer.groups * math.prod(layer.kernel_size))

    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.modules.conv._ConvNd)]
    hooks = [layer.register_forward_hook(count) for layer in convolutions]
    try:
        yield flop
    finally:
        for hook in hooks:
            hook.remove()


class _Trial:
    """Torch and other libraries on one example and its mirror image."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        self.network, self.image = network, image
        self.pair = torch.cat([image, image.flip(-1)])
        with torch.no_grad(), counted_flop(network) as flop:
            self.expected = network(self.pair).softmax(dim=1)
        self.flop_a_window = sum(flop) / 2

    def of(self, name: str) -> EngineNetwork | None:
        """Return the network as an engine computes it; None, with a line in the log, where that fails or differs."""
        threads = min(torch.get_num_threads(), usable_cores())
        try:
            engine = EngineNetwork(self.network, ENGINES[name][1](self.network, self.image, threads))
            difference = float((engine(self.pair).softmax(dim=1) - self.expected).abs().max())
        except Exception as error:  # the libraries raise many kinds
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            log.warning("torch computes the network, because %s fails (%s: %s)", name, type(error).__name__, first)
            return None
        if not difference <= TOLERANCE:  # also where it is no number
            log.warning(
                "torch computes the network, because probabilities by %s differ by %.2g, over %g",
                name,
                difference,
                TOLERANCE,
            )
            return None
        log.info("%s computes the network; its probabilities differ from torch's by at most %.1g", name, difference)
        return engine

    def is_faster(self, engine: nn.Module, name: str) -> bool:
        """Compare the times of a pass; both have had one to warm up."""
        seconds = []
        with torch.no_grad():
            for one in (self.network, engine):
                begin = time.perf_counter()
                one(self.pair)
                seconds.append(time.perf_counter() - begin)
        if seconds[1] < seconds[0]:
            return True
        log.info("torch computes the network after all: %.2g s a pass, %s %.2g s", seconds[0], name, seconds[1])
        return False
