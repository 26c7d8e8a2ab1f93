"""Which library computes a network: worth its start, faster, and equal to torch, or torch itself."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from equireg.engines import Work, accelerated, check_option, choosing
from equireg.engines.choosing import counted_flop
from equireg.engines.network import EngineNetwork, Run
from equireg.errors import UsageError

CPU = torch.device("cpu")
MUCH = Work("32", CPU, 1e12)


class Slow(nn.Module):
    """A network whose passes in torch are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.passes = 0

    def forward(self, image: Tensor) -> Tensor:
        self.passes += 1
        for _ in range(40):  # slower than the engines of these tests
            self.conv(image)
        return self.conv(image)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return Slow().eval()


@pytest.fixture
def image() -> Tensor:
    return torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what puts one made-up engine in the place of all."""

    def put(change: Callable[[np.ndarray], np.ndarray] = lambda logits: logits, package: str = "torch") -> None:
        def make(network: Slow, image: Tensor, threads: int) -> Run:
            assert threads >= 1

            def run(images: np.ndarray) -> np.ndarray:
                with torch.no_grad():
                    return change(network.conv(torch.from_numpy(images)).numpy())

            return run

        monkeypatch.setattr(choosing, "ENGINES", {"made-up": ((package,), make)})

    return put


def test_an_engine_that_is_equal_and_faster_is_taken(
    engine: Any, network: nn.Module, image: Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    engine()
    with caplog.at_level(logging.INFO, "equireg"):
        found = accelerated(network, "auto", image, MUCH)
    assert isinstance(found, EngineNetwork)
    assert "made-up computes the network" in caplog.text
    assert next(found.parameters()).device == CPU
    batch = torch.randn(3, 1, 32, 32)
    assert torch.equal(found(batch), network(batch))


@pytest.mark.parametrize(
    ("option", "work"),
    [
        ("torch", MUCH),
        ("auto", Work("32", CPU, 1)),
        ("auto", Work("bf16", CPU, 1e12)),
        ("auto", Work("32", torch.device("cuda"), 1e12)),
    ],
)
def test_torch_stays_where_nothing_is_gained(
    engine: Any, network: nn.Module, image: Tensor, option: str, work: Work
) -> None:
    engine()
    assert accelerated(network, option, image, work) is network


def test_an_engine_that_is_asked_for_needs_no_long_work(engine: Any, network: nn.Module, image: Tensor) -> None:
    engine()
    assert isinstance(accelerated(network, "made-up", image, Work("32", CPU, 1)), EngineNetwork)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda logits: logits + np.array([0.0, 0.1], np.float32)[:, None, None], "differ by 0.02"),
        (lambda logits: logits * np.nan, "differ by nan"),
        (lambda logits: logits[:, :, :5], "made-up fails (RuntimeError"),
        (lambda logits: np.concatenate([logits[:1], logits[:1]]), "differ by"),
        (lambda logits: 1 / 0, "made-up fails (ZeroDivisionError: division by zero)"),
    ],
)
def test_an_engine_that_is_wrong_leaves_torch(
    engine: Any, network: nn.Module, image: Tensor, caplog: pytest.LogCaptureFixture, change: Any, words: str
) -> None:
    engine(change)
    with caplog.at_level(logging.INFO, "equireg"):
        assert accelerated(network, "made-up", image, MUCH) is network
    (line,) = [record.message for record in caplog.records]
    assert line.startswith("torch computes the network, because")
    assert words in line


def test_an_engine_that_is_slower_leaves_torch(
    engine: Any, network: nn.Module, image: Tensor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine()
    times = iter([0.0, 1.0, 5.0, 7.0])
    monkeypatch.setattr(choosing.time, "perf_counter", lambda: next(times))
    with caplog.at_level(logging.INFO, "equireg"):
        assert accelerated(network, "auto", image, MUCH) is network
    assert "torch computes the network after all: 1 s a pass, made-up 2 s" in caplog.text


def test_what_is_not_installed_is_not_chosen(engine: Any, network: nn.Module, image: Tensor) -> None:
    engine(package="no_such_package")
    assert accelerated(network, "auto", image, MUCH) is network
    with pytest.raises(UsageError, match=r"no_such_package is not installed.*equireg\[made-up\].*--engine torch"):
        check_option("made-up", "32", CPU)


def test_where_an_engine_cannot_compute(engine: Any) -> None:
    engine()
    check_option("made-up", "32", CPU)
    for option in ("auto", "torch"):
        check_option(option, "bf16", torch.device("cuda"))
    with pytest.raises(UsageError, match=r"on cpu in bf16.*--precision 32"):
        check_option("made-up", "bf16", CPU)
    with pytest.raises(UsageError, match="on cuda in 32"):
        check_option("made-up", "32", torch.device("cuda"))


@pytest.mark.parametrize("dims", [2, 3])
def test_operations_are_those_that_torch_counts(dims: int) -> None:
    convolution, transposed = (nn.Conv2d, nn.ConvTranspose2d) if dims == 2 else (nn.Conv3d, nn.ConvTranspose3d)
    network = nn.Sequential(
        convolution(3, 8, 3, padding=1, stride=2),
        transposed(8, 4, 2, stride=2, groups=2),
        convolution(4, 4, 3, groups=2),
    )
    image = torch.zeros(2, 3, *[12] * dims)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    with torch.no_grad(), counted_flop(network) as flop:
        network(image)
    network(image)  # nothing is counted after the block
    assert sum(flop) == counter.get_total_flops()
