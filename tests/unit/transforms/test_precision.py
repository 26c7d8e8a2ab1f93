"""Transforms compute in full precision whatever is allowed around them."""

import subprocess
import sys

import torch

from equireg.transforms.precision import full_precision


@full_precision
def seen() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu")


def test_neither_tf32_nor_autocast_reaches_a_coordinate() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert seen() == ("highest", False)
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_the_newer_interface_is_heeded_too() -> None:
    """In a process of its own, because the two interfaces cannot be mixed."""
    script = (
        "import torch\n"
        "from equireg.transforms.precision import full_precision\n"
        "products = torch.backends.cuda.matmul\n"
        "if not hasattr(products, 'fp32_precision'):\n"
        "    raise SystemExit\n"
        "products.fp32_precision = 'tf32'\n"
        "assert full_precision(lambda: products.fp32_precision)() == 'ieee'\n"
        "assert products.fp32_precision == 'tf32'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
