"""The GPU with its driver, and the precision that networks compute in."""

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from equireg.devices import choose_device, choose_precision
from equireg.diagnosis.findings import GIB, Finding, failure, ok, warning
from equireg.errors import UsageError

_FREE_PART = 0.5
"""Part of a GPU's memory that should be free."""
_DRIVER = Path("/proc/driver/nvidia/version")
_CPU = "Until then everything runs on the CPU, many times slower."


def check_gpu(device: str) -> Iterator[Finding]:
    """Yield what is found of each GPU; one line where there is none.

    Args:
        device: the option; with cuda a GPU that cannot be used is a failure, else a warning.
    """
    if device == "cpu":
        yield ok("GPU", "not looked at, --device is cpu")
        return
    if device == "mps":
        yield _apple()
        return
    bad = failure if device == "cuda" else warning
    if torch.version.cuda is None:
        if _DRIVER.exists():
            remedy = f"Install torch as pytorch.org says for CUDA. {_CPU}"
            yield bad("GPU", f"there is an NVIDIA driver, but torch {torch.__version__} is made for CPUs", remedy)
        elif device == "cuda":
            remedy = "Use a machine with an NVIDIA GPU and a torch that is made for CUDA, or --device cpu."
            yield bad("GPU", f"--device is cuda, and torch {torch.__version__} is made for CPUs", remedy)
        else:
            apple = "an Apple GPU, used with --device mps; " if torch.backends.mps.is_available() else "none; "
            yield ok("GPU", f"{apple}networks compute on the CPU")
        return
    if not torch.cuda.is_available():
        yield _unusable(bad, device)
        return
    for index in range(torch.cuda.device_count()):
        yield _usable(index)


def _apple() -> Finding:
    try:
        choose_device("mps")
    except UsageError as error:
        return failure("GPU", str(error), "On a Mac with Apple silicon, with a torch of its own, --device mps works.")
    return ok("GPU", "an Apple GPU; what torch lacks there runs on the CPU")


def check_precision(device: str) -> Finding:
    """Say in which precision ``--precision auto`` computes here."""
    if device == "mps":
        return ok("precision", f"{choose_precision('auto', torch.device('mps'))} bits, as on all of Apple's GPUs")
    where = torch.device("cuda" if device in ("auto", "cuda") and torch.cuda.is_available() else "cpu")
    precision = choose_precision("auto", where)
    if precision == "bf16":
        return ok("precision", f"bfloat16, which this {'GPU' if where.type == 'cuda' else 'processor'} has")
    if where.type == "cuda":
        return ok("precision", "float16; this GPU has no bfloat16")
    return ok("precision", "32 bits; this processor has no bfloat16, so training takes about twice as long")


def driver_cuda() -> tuple[int, int] | None:
    """Return the newest version of CUDA that the installed driver runs, (major, minor); None without a driver."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
        found = ctypes.c_int()
        if library.cuDriverGetVersion(ctypes.byref(found)) != 0 or not found.value:
            return None
    except (OSError, AttributeError):
        return None
    return found.value // 1000, found.value % 1000 // 10


def _unusable(bad: Callable[[str, str, str], Finding], device: str) -> Finding:
    """Say why a torch made for CUDA finds no GPU."""
    built, driver = str(torch.version.cuda), driver_cuda()
    if driver is None:
        if device != "cuda":
            return ok("GPU", f"none; networks compute on the CPU (torch is made for CUDA {built})")
        return bad("GPU", "there is no NVIDIA driver", "Install the driver, or give --device cpu.")
    shown = f"the driver runs CUDA up to {driver[0]}.{driver[1]}, and torch is made for CUDA {built}"
    if driver[0] < int(built.split(".", maxsplit=1)[0]):
        return bad("GPU", shown, f"Install a newer driver, or a torch for CUDA {driver[0]}. {_CPU}")
    return bad("GPU", f"torch finds none; {shown}", f"Look at `nvidia-smi` and CUDA_VISIBLE_DEVICES. {_CPU}")


def _usable(index: int) -> Finding:
    """Compute on a GPU, and say what it is."""
    check = "GPU" if torch.cuda.device_count() == 1 else f"GPU {index}"
    try:
        name = torch.cuda.get_device_name(index)
        free, total = torch.cuda.mem_get_info(index)
        with torch.inference_mode():
            image = torch.ones(1, 1, 8, 8, 8, device=torch.device("cuda", index))
            total_of_ones = float(torch.nn.functional.conv3d(image, image[..., :3, :3, :3]).sum())
    except Exception as error:  # torch raises many kinds
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        remedy = "Install a torch that is made for this GPU and its driver, or give --device cpu."
        return failure(check, f"a convolution fails ({first})", remedy)
    if total_of_ones != 27.0 * 6**3:
        return failure(check, f"a convolution gives {total_of_ones:g}; expected {27 * 6**3}", "Replace the GPU.")
    found = f"{name}, {total / GIB:.0f} GiB, {free / GIB:.0f} GiB of it free, CUDA {torch.version.cuda}"
    if free < _FREE_PART * total:
        return warning(check, found, "End other programs on it (`nvidia-smi` lists them), or choose another GPU.")
    return ok(check, found)
