"""Transforms compute in 32 bits whatever precision the networks around them compute in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def full_precision(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Switch autocast and TF32 off within a function: a coordinate in bfloat16 would be off by voxels."""

    @wraps(function)
    def in_full_precision(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False), _exact_products():
            return function(*args, **kwargs)

    return in_full_precision


@contextmanager
def _exact_products() -> Iterator[None]:
    """Let products of matrices keep all 24 bits within the block; TF32, which a user may allow, keeps 11."""
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # the user has set it by the newer interface, beside which the older one cannot be asked
        products = torch.backends.cuda.matmul
        chosen, products.fp32_precision = products.fp32_precision, "ieee"
        try:
            yield
        finally:
            products.fp32_precision = chosen
        return
    if before == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
