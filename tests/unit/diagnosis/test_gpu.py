"""GPUs that are missing, too new, full or broken, and the precision."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from equireg.diagnosis import gpu
from equireg.diagnosis.findings import GIB, Finding


class Machine:
    """A machine whose GPU, driver and torch are made up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch

    def torch_for(self, cuda: str | None, usable: bool, driver: tuple[int, int] | None) -> None:
        self.patch.setattr(torch.version, "cuda", cuda)
        self.patch.setattr(torch.cuda, "is_available", lambda: usable)
        self.patch.setattr(torch.cuda, "device_count", lambda: 1)
        self.patch.setattr(gpu, "driver_cuda", lambda: driver)

    def card(self, free: float, convolve: Any) -> None:
        self.torch_for("13.0", True, (13, 0))
        self.patch.setattr(torch.cuda, "get_device_name", lambda _: "H100")
        self.patch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free * GIB), 80 * GIB))
        self.patch.setattr(torch, "ones", lambda *shape, device: torch.zeros(shape) + 1)
        self.patch.setattr(torch.nn.functional, "conv3d", convolve)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def one(device: str = "auto") -> Finding:
    (finding,) = gpu.check_gpu(device)
    return finding


def test_no_gpu_is_no_fault_unless_it_is_asked_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_DRIVER", Path("/nowhere"))
    for cuda in (None, "13.0"):
        machine.torch_for(cuda, usable=False, driver=None)
        assert one().state == "ok"
        assert one("cpu").state == "ok"
        assert one("cuda").state == "failure"


def test_an_apple_gpu(machine: Machine) -> None:
    machine.torch_for(None, False, None)
    machine.patch.setattr(torch.backends.mps, "is_available", lambda: False)
    found = one("mps")
    assert (found.state, "no usable Apple GPU" in found.finding) == ("failure", True)
    machine.patch.setattr(torch.backends.mps, "is_available", lambda: True)
    machine.patch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    assert (one("mps").state, one("auto").finding.startswith("an Apple GPU, used with --device mps")) == ("ok", True)
    assert gpu.check_precision("mps").finding == "32 bits, as on all of Apple's GPUs"


def test_a_torch_for_cpus_beside_a_driver(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.torch_for(None, usable=False, driver=(13, 0))
    monkeypatch.setattr(gpu, "_DRIVER", tmp_path)
    assert one().state == "warning"
    assert "made for CPUs" in one().finding
    assert one("cuda").state == "failure"


def test_a_driver_that_is_too_old(machine: Machine) -> None:
    machine.torch_for("13.0", usable=False, driver=(12, 4))
    assert "up to 12.4, and torch is made for CUDA 13.0" in one().finding
    assert "newer driver" in one().remedy
    machine.torch_for("12.1", usable=False, driver=(12, 4))
    assert "CUDA_VISIBLE_DEVICES" in one().remedy


def ones_convolved(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    return torch.full((1, 1, 6, 6, 6), 27.0)


def test_a_gpu_that_computes(machine: Machine) -> None:
    machine.card(79, ones_convolved)
    assert one().state == "ok"
    assert one().finding == "H100, 80 GiB, 79 GiB of it free, CUDA 13.0"


def test_a_gpu_that_others_fill(machine: Machine) -> None:
    machine.card(3, ones_convolved)
    assert one().state == "warning"
    assert "nvidia-smi" in one().remedy


def test_a_gpu_that_fails_or_computes_wrongly(machine: Machine) -> None:
    def fail(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: no kernel image is available\nmore")

    machine.card(79, fail)
    assert one().state == "failure"
    assert "(CUDA error: no kernel image is available)" in one().finding
    machine.card(79, lambda image, kernel: torch.zeros(1))
    assert one().state == "failure"


def test_without_a_driver_no_version_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(gpu.ctypes, "CDLL", missing)
    assert gpu.driver_cuda() is None


def test_the_driver_tells_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(found: Any) -> int:
        found._obj.value = 12040
        return 0

    monkeypatch.setattr(gpu.ctypes, "CDLL", lambda _: SimpleNamespace(cuDriverGetVersion=tell))
    assert gpu.driver_cuda() == (12, 4)


@pytest.mark.parametrize(("bf16", "words"), [(True, "bfloat16, which"), (False, "32 bits")])
def test_precision_of_a_processor(monkeypatch: pytest.MonkeyPatch, bf16: bool, words: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": bf16}, raising=False)
    assert words in gpu.check_precision("auto").finding
