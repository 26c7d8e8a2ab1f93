import warnings

import pytest
import torch

from equireg import devices
from equireg.errors import EquiregError, UsageError


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"--device is cuda.*cpu or auto"):
        devices.choose_device("cuda")
    assert devices.choose_device("auto") == torch.device("cpu")
    assert devices.choose_device("cpu") == torch.device("cpu")


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose_device("auto").type == "cuda"
    assert devices.choose_device("cpu").type == "cpu"


def test_an_apple_gpu_is_taken_where_it_is_asked_for_and_can_be_used(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"--device is mps.*no usable Apple GPU.*cpu or auto"):
        devices.choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    with pytest.raises(UsageError, match="Set PYTORCH_ENABLE_MPS_FALLBACK=1"):
        devices.choose_device("mps")
    monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    mps = devices.choose_device("mps")
    assert mps.type == "mps"
    assert devices.choose_precision("auto", mps) == "32"
    with pytest.raises(UsageError, match=r"--precision is bf16.*Use 32 or auto"):
        devices.choose_precision("bf16", mps)


def test_precision():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    with pytest.raises(UsageError, match=r"--precision is 16.*bf16, 32 or auto"):
        devices.choose_precision("16", cpu)
    assert devices.choose_precision("16", cuda) == "16"
    for option in ("32", "bf16"):
        assert devices.choose_precision(option, cpu) == option
    assert devices.choose_precision("auto", cpu) in ("32", "bf16")


@pytest.mark.parametrize(("capabilities", "expected"), [({"amx_bf16": True}, "bf16"), ({"avx512_bf16": False}, "32")])
def test_auto_precision_follows_the_machine(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert devices.choose_precision("auto", torch.device("cpu")) == expected


def test_autocast_computes_in_its_precision():
    network, x = torch.nn.Conv2d(2, 3, 3), torch.zeros(1, 2, 4, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for precision, dtype in (("32", torch.float32), ("bf16", torch.bfloat16)):
            with devices.autocast(precision, torch.device("cpu")):
                assert network(x).dtype == dtype


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("could not create a primitive"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_memory_that_runs_out_is_an_error_with_a_remedy(error):
    expected = pytest.raises(EquiregError, match=r"memory ran out \(.+\)\. Lower --batch_size\.")
    with expected as caught, devices.memory_errors("Lower --batch_size."):
        raise error
    assert caught.value.__cause__ is error


def test_other_errors_are_no_lack_of_memory():
    with pytest.raises(RuntimeError, match="shapes"), devices.memory_errors("Lower --batch_size."):
        raise RuntimeError("shapes differ")
