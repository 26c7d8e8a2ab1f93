"""Where and in which precision a network computes."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from equireg.errors import EquiregError, UsageError, memory_ran_out


def choose_device(option: str) -> torch.device:
    """Return the device that an option names; ``auto`` is an NVIDIA GPU where there is one.

    Raises:
        UsageError: if a GPU is asked for and there is none.
    """
    if option == "mps":
        _check_mps()
    if option == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device is cuda, but torch finds no usable GPU here. Use --device cpu or auto.")
    found = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(found if option == "auto" else option)


def choose_precision(option: str, device: torch.device) -> str:
    """Return 32, bf16 or 16; ``auto`` is bf16 where the machine has instructions for it."""
    if option == "16" and device.type == "cpu":
        raise UsageError("--precision is 16, which a CPU does not train in. Use bf16, 32 or auto.")
    if option in ("16", "bf16") and device.type == "mps":
        raise UsageError(f"--precision is {option}, which is not tried on Apple's GPUs. Use 32 or auto.")
    if option != "auto":
        return option
    if device.type == "mps":
        return "32"
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "16"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network computes in a precision."""
    kind = {"bf16": torch.bfloat16, "16": torch.float16}.get(precision, torch.float32)
    return torch.autocast(device.type, dtype=kind, enabled=precision != "32")


@contextmanager
def single_precision() -> Iterator[None]:
    """Make tensors of 32 bits within the block where nothing else is said, whatever the process has chosen before."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def memory_errors(remedy: str) -> Iterator[None]:
    """Say within the block, where a GPU or the machine has too little memory, what to do about it.

    Raises:
        EquiregError: ends with the remedy.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        raise EquiregError(f"memory ran out ({_first_line(error)}). {remedy}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a GPU or the machine has too little memory."""
    return isinstance(error, torch.OutOfMemoryError) or memory_ran_out(error)


def _check_mps() -> None:
    """Raise a ``UsageError`` where there is no Apple GPU, or where torch may not fall back to the CPU."""
    if not torch.backends.mps.is_available():
        raise UsageError("--device is mps, but torch finds no usable Apple GPU here. Use --device cpu or auto.")
    if os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK") != "1":  # 3D sampling, among others, has no kernel there
        raise UsageError(
            "--device is mps, where torch lacks some operations. Set PYTORCH_ENABLE_MPS_FALLBACK=1 and run this again; "
            "these then run on the CPU."
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split(". ")[0].splitlines()[0] if str(error).strip() else type(error).__name__
